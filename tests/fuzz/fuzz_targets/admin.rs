//! Any bytes as what comes to the API: they come to the same in one piece as in pieces, and a body
//! of JSON is read as a backend, or all that is wrong with it is told with its places.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pointsman::admin::access::Rules;
use pointsman::admin::api::reading;
use pointsman::admin::entry::Entry;
use pointsman::admin::incoming::{Came, Incoming};

/// What the bytes come to, in pieces of this size.
fn outcome(input: &[u8], size: usize) -> Vec<String> {
    let entry = Entry::tcp("127.0.0.1:1".to_owned(), false);
    let rules = Rules::default();
    let mut incoming = Incoming::default();
    let mut seen = Vec::new();
    for piece in input.chunks(size) {
        incoming.push(piece);
        loop {
            match incoming.take(1, &entry, &rules) {
                Came::Nothing => break,
                Came::Expects => {}
                Came::Refused(refused) => {
                    seen.push(format!("{} {:?}", refused.problem.kind().name, refused.path));
                    return seen;
                }
                Came::Request(current) => {
                    let request = current.request;
                    let said = String::from_utf8_lossy(&request.body).into_owned();
                    seen.push(format!("{} {} {said}", request.method_name, request.path));
                    let read = reading::parse(&request.body);
                    if let Ok(Err(problem)) = read.map(|value| reading::backend("a", &value)) {
                        assert!(!problem.detail().is_empty());
                    }
                }
            }
        }
    }
    seen
}

fuzz_target!(|input: &[u8]| {
    // A head is looked at where a line of it ends.
    let input = [input, b"\r\n\r\n"].concat();
    let whole = outcome(&input, input.len());
    for size in [1, 7, 64] {
        assert_eq!(outcome(&input, size), whole, "in pieces of {size}");
    }
});
