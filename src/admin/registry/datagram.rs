//! A heartbeat in one packet, for servers that want to hold no connection.
//!
//! ```text
//!   pointsman1 KEY SEQUENCE POOL NAME ADDRESS TTL REPORT... SIGNATURE
//! ```
//!
//! The signature is the HMAC-SHA256, in hexadecimal, of all before it but the space, by the key of
//! that name in the file of tokens. It is never answered: who sends cannot be told from who says
//! that it sends.

use aws_lc_rs::hmac;

use crate::config::{BackendSpec, Needs, Tokens, duration, from_hex, to_hex};
use crate::limits::{TTL_MAX, TTL_MIN};

use super::super::place::Place;
use super::{Heartbeat, Report};

/// What a datagram begins with.
const WORD: &str = "pointsman1";

/// What it says, if it is whole and signed by somebody who may; if not, why.
pub fn read(bytes: &[u8], tokens: &Tokens) -> Result<Heartbeat, &'static str> {
    let text = std::str::from_utf8(bytes).map_err(|_| "it is no UTF-8")?;
    let text = text.trim_end();
    let (said, signature) = text.rsplit_once(' ').ok_or("it has one word")?;
    let mut words = said.split(' ');
    if words.next() != Some(WORD) {
        return Err("it does not begin with pointsman1");
    }
    let mut word = || words.next().filter(|it| !it.is_empty()).ok_or("words are missing");
    let key = word()?;
    let sequence = word()?;
    let pool = word()?;
    let name = word()?;
    let address = word()?;
    let ttl = word()?;
    let (token, secret) = tokens.signer(key).ok_or("nobody has this key")?;
    let signature = from_hex(signature).ok_or("its signature is not hexadecimal")?;
    let secret = hmac::Key::new(hmac::HMAC_SHA256, secret);
    hmac::verify(&secret, said.as_bytes(), &signature).map_err(|_| "its signature is wrong")?;
    if !token.role.may(Needs::Register(pool)) {
        return Err("its key is not for this pool");
    }
    let sequence = sequence.parse().map_err(|_| "its sequence is no number")?;
    let ttl = duration(ttl, TTL_MIN).ok().filter(|it| *it <= TTL_MAX);
    let report = words.collect::<Vec<&str>>().join(" ");
    let spec = BackendSpec::named(address, name);
    let spec = spec.map_err(|_| "its address or its name is none")?;
    Ok(Heartbeat {
        place: Place::new(pool, name),
        spec,
        ttl: ttl.ok_or("its ttl is not between 2s and 5m")?,
        sequence: Some(sequence),
        by: token.name.clone(),
        report: Report::parse(&report).map_err(|_| "its report has unknown words")?,
    })
}

/// These words and their signature, as a server sends them.
pub fn signed(said: &str, key: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    let signature = to_hex(hmac::sign(&key, said.as_bytes()).as_ref());
    format!("{said} {signature}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_signed_by_the_key_of_its_pool_is_heard_and_nothing_else() {
        let tokens = format!("web register:web hmac:{}", "6b".repeat(16));
        let tokens = Tokens::parse(&tokens).unwrap();
        let good = "pointsman1 web 17 web host7 10.0.0.7:8080 15s up ready 75%";
        let heard = read(signed(good, &[b'k'; 16]).as_bytes(), &tokens).unwrap();
        assert_eq!(heard.place, Place::new("web", "host7"));
        assert_eq!((heard.sequence, heard.spec.at.port()), (Some(17), Some(8080)));
        assert!(
            read(signed(good, &[b'k'; 16]).replace("75%", "99%").as_bytes(), &tokens).is_err()
        );
        let bad = [
            ("pointsman2 web 17 web host7 10.0.0.7:8080 15s", "it does not begin"),
            ("pointsman1 no 17 web host7 10.0.0.7:8080 15s", "nobody has this key"),
            ("pointsman1 web 17 api host7 10.0.0.7:8080 15s", "its key is not for this pool"),
            ("pointsman1 web x web host7 10.0.0.7:8080 15s", "its sequence"),
            ("pointsman1 web 17 web host7 nonsense 15s", "its address or its name"),
            ("pointsman1 web 17 web host7,name=host8 10.0.0.7:8080 15s", "its "),
            ("pointsman1 web 17 web host7,weight=9 10.0.0.7:8080 15s", "its "),
            ("pointsman1 web 17 web host7 10.0.0.7:8080 1s", "its ttl"),
            ("pointsman1 web 17 web host7 10.0.0.7:8080 15s redy", "its report"),
            ("pointsman1 web 17 web host7", "words are missing"),
            ("pointsman1", "nobody has this key"),
        ];
        for (said, why) in bad {
            let found = read(signed(said, &[b'k'; 16]).as_bytes(), &tokens).unwrap_err();
            assert!(found.starts_with(why) || said == "pointsman1", "{said}: {found}");
        }
        assert_eq!(
            read(signed(good, &[b'K'; 16]).as_bytes(), &tokens),
            Err("its signature is wrong")
        );
        for cut in 0..signed(good, &[b'k'; 16]).len() {
            assert!(read(&signed(good, &[b'k'; 16]).as_bytes()[..cut], &tokens).is_err());
        }
    }
}
