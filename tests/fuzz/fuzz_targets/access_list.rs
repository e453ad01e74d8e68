//! Any bytes as a file of networks: wherever it is cut the same is read, every mistake has a line
//! of the file, and the table that is built of it says what the plain rule says.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pointsman::config::Cidr;
use pointsman::guard::lists::Lines;
use pointsman::guard::ranges::{Found, Listing, Ranges};

fn read(input: &[u8], piece: usize) -> (Vec<Cidr>, Vec<(usize, String)>, usize) {
    let mut lines = Lines::default();
    let mut found = Vec::new();
    let mut each = |it| found.push(it);
    input.chunks(piece).for_each(|piece| lines.feed(piece, &mut each));
    lines.end(&mut each);
    let (mistakes, more) = lines.mistakes();
    let mistakes = mistakes.iter().map(|it| (it.line, it.wrong.to_string()));
    (found, mistakes.collect(), more)
}

fuzz_target!(|input: &[u8]| {
    let Some((&first, text)) = input.split_first() else { return };
    let whole = read(text, text.len().max(1));
    assert_eq!(read(text, usize::from(first) + 1), whole);
    let (networks, mistakes, _) = whole;
    let lines = text.iter().filter(|&&it| it == b'\n').count() + 1;
    assert!(mistakes.iter().all(|(line, _)| (1..=lines).contains(line)));
    let deny = Ranges::of("deny", Listing::Deny, &networks);
    for network in networks.iter().take(64) {
        let address = network.address;
        let longest = networks.iter().filter(|it| it.contains(address)).max_by_key(|it| it.prefix);
        let Found::Denied(why) = deny.find(address) else { panic!("{network} is let in") };
        assert_eq!(Some(why.to_string()), longest.map(|it| format!("{it} of deny")));
    }
});
