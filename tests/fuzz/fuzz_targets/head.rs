//! Any bytes as the head of a request and of a response: whole, and as they trickle in.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pointsman::http::{Asked, Fields, Parse, Scan, parse_request, parse_response};

fuzz_target!(|input: &[u8]| {
    let asked = Asked { head_request: false, upgrade: true };
    let mut fields = Fields::new();
    let request = parse_request(input, &mut Scan::default(), &mut fields);
    let response = parse_response(input, &mut Scan::default(), &mut fields, &asked);
    assert!(!matches!((&request, &response), (Parse::Done(_), Parse::Done(_))));

    let lengths = || (1..=input.len().min(600)).chain([input.len()]);
    let mut scan = Scan::default();
    let trickled = lengths()
        .map(|length| parse_request(&input[..length], &mut scan, &mut fields))
        .find(|parse| *parse != Parse::Incomplete);
    // A refusal may wait for the end of its line.
    match trickled {
        Some(parse) => assert_eq!(parse, request),
        None => assert!(!matches!(request, Parse::Done(_))),
    }
    let mut scan = Scan::default();
    let trickled = lengths()
        .map(|length| parse_response(&input[..length], &mut scan, &mut fields, &asked))
        .find(|parse| *parse != Parse::Incomplete);
    match trickled {
        Some(parse) => assert_eq!(parse, response),
        None => assert!(!matches!(response, Parse::Done(_))),
    }
});
