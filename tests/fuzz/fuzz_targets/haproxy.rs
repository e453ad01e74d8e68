//! Any bytes as a conversation on HAProxy's socket: whole, and cut as the first byte says.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pointsman::admin::haproxy::conversation::{Conversation, Next};
use pointsman::config::HaproxyLevel as Level;

/// What is said, each command answered by itself, and which commands that are.
fn converse(input: &[u8], step: usize) -> (Vec<u8>, Vec<String>) {
    let mut it = Conversation::new(Level::Admin);
    let (mut out, mut asked) = (Vec::new(), Vec::new());
    let mut pieces = input.chunks(step);
    loop {
        match it.next(&mut out) {
            Next::Ask(command) => {
                asked.push(command.text);
                it.end(&mut out);
            }
            Next::Answered => {}
            Next::More => match pieces.next() {
                Some(piece) => it.feed(piece),
                None => it.finish(),
            },
            Next::Close => return (out, asked),
        }
    }
}

fuzz_target!(|input: &[u8]| {
    let Some((first, rest)) = input.split_first() else { return };
    let whole = converse(rest, rest.len().max(1));
    let cut = converse(rest, usize::from(*first).max(1));
    assert_eq!(whole, cut);
});
