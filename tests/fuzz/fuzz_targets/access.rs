//! Any text as a file of tokens and as what a request says of who sends it: up to the first NUL the
//! file, then Authorization, then Host, then Origin. Whoever is let in has a token of the file.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pointsman::admin::access::{Asked, Door, Rules, check_signed, parse_signed};
use pointsman::config::Tokens;

fuzz_target!(|input: &[u8]| {
    let mut parts = input.splitn(4, |&b| b == 0);
    let text = String::from_utf8_lossy(parts.next().unwrap_or_default());
    let authorization = parts.next().unwrap_or_default();
    let (host, origin) = (parts.next(), parts.next());
    let lines = text.lines().count();
    let tokens = match Tokens::parse(&text) {
        Ok(tokens) => tokens,
        Err(wrong) => {
            assert!(!wrong.is_empty() && wrong.iter().all(|(line, _)| (1..=lines).contains(line)));
            Tokens::default()
        }
    };
    if let Some(Ok(signed)) = parse_signed(authorization)
        && let Ok(who) = check_signed(&signed, &tokens, b"PUT", b"/", b"", signed.time)
    {
        assert!(tokens.signer(&who.name).is_some());
    }
    let is_empty = tokens.is_empty();
    let rules = Rules { tokens: Some(tokens), ..Rules::default() };
    let asked = Asked {
        door: Door::Loopback,
        method: b"GET",
        path: b"/",
        host,
        origin,
        sec_fetch_site: None,
        sec_fetch_mode: None,
        authorization: Some(authorization),
        content_type: None,
        has_body: false,
        upgrade: None,
    };
    match rules.admit(&asked) {
        Ok(_) => assert!(!is_empty),
        Err(refusal) => assert!(matches!(refusal.status, 400 | 401 | 403)),
    }
});
