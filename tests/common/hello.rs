//! ClientHellos for tests: those of real clients as they were captured, and made ones.

use std::io::{Read, Write};
use std::net::TcpStream;

/// Captured of curl with OpenSSL; asks for `www.example.com`.
pub const CURL: &[u8] = include_bytes!("../fuzz/corpus/hello/curl");

/// Captured of curl; asks for an address, so that it says no name.
pub const CURL_ADDRESS: &[u8] = include_bytes!("../fuzz/corpus/hello/curl-address");

/// In the manner of Chrome: GREASE, ECH, a key of 1.2 KiB; in records of 100 bytes. Asks for
/// `www.example.com`.
pub const CHROME: &[u8] = include_bytes!("../fuzz/corpus/hello/chrome-like-in-records");

/// With early data behind it. Asks for `www.example.com`.
pub const EARLY: &[u8] = include_bytes!("../fuzz/corpus/hello/early-data");

/// As short as a hello with a name can be, in one record.
pub fn asking_for(name: &str) -> Vec<u8> {
    padded(name, 0)
}

/// The same with so many bytes of padding.
pub fn padded(name: &str, padding: usize) -> Vec<u8> {
    let entry = [&[0][..], &short(name.as_bytes())].concat();
    let server_name = [&[0, 0][..], &short(&short(&entry))].concat();
    let pad = [&[0, 21][..], &short(&vec![0; padding])].concat();
    let extensions = short(&[server_name, pad].concat());
    let body = [&[3, 3][..], &[7; 32], &[0, 0, 2, 0x13, 1, 1, 0], &extensions].concat();
    let length = (body.len() as u32).to_be_bytes();
    let message = [&[1][..], &length[1..], &body].concat();
    [&[22, 3, 1][..], &short(&message)].concat()
}

/// With its length in two bytes before it.
fn short(bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).expect("at most 64 KiB");
    [&length.to_be_bytes()[..], bytes].concat()
}

/// The record of a fatal alert.
pub fn alert(number: u8) -> [u8; 7] {
    [21, 3, 3, 0, 2, 2, number]
}

/// A backend's part: read a hello of one record, and its bytes are returned.
pub fn read_one(mut stream: &TcpStream) -> std::io::Result<Vec<u8>> {
    let mut hello = vec![0; 5];
    stream.read_exact(&mut hello)?;
    let length = usize::from(u16::from_be_bytes([hello[3], hello[4]]));
    hello.resize(5 + length, 0);
    stream.read_exact(&mut hello[5..])?;
    Ok(hello)
}

/// A client's part: say hello, hear who answers.
pub fn answer_to(mut stream: &TcpStream, hello: &[u8]) -> std::io::Result<String> {
    stream.write_all(hello)?;
    let mut answer = [0; 1];
    stream.read_exact(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}
