//! HAProxy: one thread, in the foreground, with and without splicing.

use std::fmt::Write;
use std::io;

use super::{BACKLOG, Launch, Protocol, Scene, clients_max, find, first_line, quotable};
use crate::identity;

/// Pipes at once, each two descriptors: two for each stream that a row has, and more.
const PIPES_MAX: u32 = 256;

/// What is tuned differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Variant {
    /// Through its buffers of 16 KiB, as it is by itself.
    Copies,
    /// Through pipes of so many bytes. It is up to HAProxy when: never for what is small.
    Splices(u32),
    /// Through buffers of so many bytes.
    Buffers(u32),
    /// Heads pass as they are: nothing is told of the client.
    Plain,
}

pub fn version() -> Result<String, String> {
    let program =
        find("haproxy").ok_or("no haproxy here; apt-get install haproxy brings it")?;
    let line = first_line(&program, "-v")?;
    // "HAProxy version 2.6.12-1+deb12u3 2025/10/03 - https://haproxy.org/"
    Ok(line.split_whitespace().take(3).collect::<Vec<_>>().join(" "))
}

pub fn launch(scene: &Scene<'_>, variant: Variant) -> io::Result<Launch> {
    let program = find("haproxy").ok_or(io::ErrorKind::NotFound)?;
    let file = scene.directory.join("haproxy.cfg");
    // -db: in the foreground, and no master process.
    let arguments = ["-db", "-f", &file.display().to_string()];
    Launch::by_file(program, &file, configuration(scene, variant)?, &arguments)
}

fn configuration(scene: &Scene<'_>, variant: Variant) -> io::Result<String> {
    let clients = clients_max();
    let mut text = format!("global\n    nbthread 1\n    maxconn {clients}\n");
    let tuned = match variant {
        Variant::Splices(bytes) => {
            format!("    maxpipes {PIPES_MAX}\n    tune.pipesize {bytes}\n")
        }
        Variant::Buffers(bytes) => format!("    tune.bufsize {bytes}\n"),
        Variant::Copies | Variant::Plain => String::new(),
    };
    text += &tuned;
    text += match scene.protocol {
        // Datagrams it does not balance: no row of theirs asks for it.
        Protocol::Tcp | Protocol::Udp => "\ndefaults\n    mode tcp\n",
        Protocol::Http | Protocol::Https => "\ndefaults\n    mode http\n",
    };
    // because: writing to a String cannot fail; so below.
    let _ = writeln!(text, "    maxconn {clients}");
    text += "    timeout connect 5s\n    timeout client 1h\n    timeout server 1h\n";
    if scene.protocol.is_http() {
        text += "    timeout http-keep-alive 1h\n    http-reuse always\n";
    }
    if let Variant::Splices(_) = variant {
        text += "    option splice-request\n    option splice-response\n";
    }
    let tls = match scene.protocol {
        Protocol::Https => tls(scene)?,
        _ => String::new(),
    };
    let _ = write!(
        text,
        "\nfrontend clients\n    bind {} backlog {BACKLOG}{tls}\n    default_backend backends\n",
        scene.listen
    );
    if scene.protocol.is_http() && variant != Variant::Plain {
        text += &TELL_OF_CLIENT.replace("SCHEME", scene.protocol.scheme());
    }
    text += "\nbackend backends\n    balance leastconn\n";
    for (index, address) in scene.backends.iter().enumerate() {
        let _ = writeln!(text, "    server b{index} {address}");
    }
    Ok(text)
}

/// Its tickets are on by themselves.
fn tls(scene: &Scene<'_>) -> io::Result<String> {
    let certificate = quotable(&identity::certificate_file(scene.directory))?;
    Ok(format!(
        " ssl crt \"{certificate}\" ssl-min-ver TLSv1.2 ssl-max-ver TLSv1.3 \
         ciphersuites TLS_AES_128_GCM_SHA256 curves X25519 alpn http/1.1"
    ))
}

/// What pointsman says of a client by itself: the same work.
const TELL_OF_CLIENT: &str = "    \
    option forwardfor
    http-request set-header X-Forwarded-Proto SCHEME
    http-request set-header X-Forwarded-Host %[req.hdr(host)]
    http-request add-header Via \"1.1 haproxy\"
";
