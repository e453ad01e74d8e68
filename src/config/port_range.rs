//! Several ports in one word: `127.0.0.1:8000-8009` is as ten words, one for each port.
//!
//! Pure text to text: each of them is then read as if it had been written alone, and is called by
//! its own address.

use super::complaint::Wrong;
use super::host::host_text;
use super::text::quoted;
use super::value::digits;
use super::{BackendSpec, Listen, UnixName};
use crate::limits::PORT_RANGE_MAX;

impl Listen {
    /// As [`Listen::parse`], where `ADDR:FIRST-LAST` is one for each port.
    pub fn parse_all(text: &str) -> Result<Vec<Listen>, Wrong> {
        each_port(text)?.iter().map(|text| Listen::parse(text)).collect()
    }
}

impl BackendSpec {
    /// As [`BackendSpec::parse`], where `HOST:FIRST-LAST` is one for each port, with the same
    /// options. They have no name in common.
    pub fn parse_all(text: &str) -> Result<Vec<BackendSpec>, Wrong> {
        let texts = each_port(text)?;
        let options = || text.split(',').skip(1);
        if texts.len() > 1
            && let Some(name) = options().find(|it| it.starts_with("name="))
        {
            let want =
                "no name for a range of ports: each is called HOST:PORT, and names differ";
            return Err(Wrong::found_in(name, text, want));
        }
        texts.iter().map(|text| BackendSpec::parse(text)).collect()
    }
}

/// The same text once for each port of its range; itself, if it has none.
fn each_port(text: &str) -> Result<Vec<String>, Wrong> {
    let alone = || Ok(vec![text.to_owned()]);
    let (address, options) = match text.split_once(',') {
        Some((address, options)) => (address, format!(",{options}")),
        None => (text, String::new()),
    };
    let start = address.find("://").map_or(0, |at| at + 3);
    let (scheme, place) = address.split_at(start);
    let Some((host, ports)) = place.rsplit_once(':') else { return alone() };
    // A path may end like a range, and an address without brackets is wrong in another way.
    let is_plain = host_text(host) == host || host.ends_with(']');
    let Some((first, last)) = ports.split_once('-') else { return alone() };
    if UnixName::after_scheme(place).is_some() || !is_plain {
        return alone();
    }
    let port =
        |text: &str| digits(text).and_then(|it| u16::try_from(it).ok()).filter(|it| *it > 0);
    let (Some(first), Some(last)) = (port(first), port(last)) else {
        let want = "two ports from 1 to 65535 such as 8000-8009";
        return Err(Wrong::found_in(ports, text, want));
    };
    if first > last {
        let want = format!("the lower port first; did you mean {last}-{first}?");
        return Err(Wrong::found_in(ports, text, want));
    }
    let count = usize::from(last - first) + 1;
    if count > PORT_RANGE_MAX {
        let found = format!("{count} ports in {}", quoted(text));
        return Err(Wrong::saying(found, format!("at most {PORT_RANGE_MAX} in a range")));
    }
    Ok((first..=last).map(|port| format!("{scheme}{host}:{port}{options}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_port_is_as_if_it_were_written_alone() {
        for (text, all) in [
            (
                "127.0.0.1:8000-8002",
                &["127.0.0.1:8000", "127.0.0.1:8001", "127.0.0.1:8002"][..],
            ),
            ("udp://[::1]:53-54", &["udp://[::1]:53", "udp://[::1]:54"]),
            ("http://*:65535-65535", &["http://*:65535"]),
            (":80-81", &[":80", ":81"]),
        ] {
            let alone = all.iter().map(|it| Listen::parse(it).unwrap()).collect();
            assert_eq!(Listen::parse_all(text), Ok(alone), "{text}");
        }
        for (text, all) in [
            (
                "https://db-1:80-81,weight=3",
                &["https://db-1:80,weight=3", "https://db-1:81,weight=3"],
            ),
            (
                "10.0.0.1:9-10,check-port=80",
                &["10.0.0.1:9,check-port=80", "10.0.0.1:10,check-port=80"],
            ),
        ] {
            let alone = all.iter().map(|it| BackendSpec::parse(it).unwrap()).collect();
            assert_eq!(BackendSpec::parse_all(text), Ok(alone), "{text}");
        }
        let names = BackendSpec::parse_all("db:1-3").unwrap();
        let names: Vec<&str> = names.iter().map(|it| &*it.name).collect();
        assert_eq!(names, ["db:1", "db:2", "db:3"]);
    }

    #[test]
    fn what_is_no_range_is_read_as_ever() {
        for text in ["unix:/run/a:1-2", "http://unix:/run/a:1-2", "unix:@a:1-2"] {
            assert_eq!(
                Listen::parse_all(text),
                Listen::parse(text).map(|it| vec![it]),
                "{text}"
            );
        }
        for text in ["fe80::1-2", "db-1", "db-1:80", "10.0.0.1", "", "a:b:1-2"] {
            let alone = BackendSpec::parse(text).map(|it| vec![it]);
            assert_eq!(BackendSpec::parse_all(text), alone, "{text}");
        }
    }

    #[test]
    fn ranges_that_mean_nothing_are_refused_in_words() {
        for (text, part) in [
            ("127.0.0.1:8009-8000", "the lower port first; did you mean 8000-8009?"),
            ("127.0.0.1:8000-", "found '8000-' in '127.0.0.1:8000-', want two ports from 1"),
            ("127.0.0.1:-8000", "two ports from 1 to 65535"),
            ("127.0.0.1:-", "two ports from 1 to 65535"),
            ("127.0.0.1:0-9", "two ports from 1 to 65535"),
            ("127.0.0.1:1-65536", "two ports from 1 to 65535"),
            ("127.0.0.1:1-2-3", "two ports from 1 to 65535"),
            ("127.0.0.1:80-http", "two ports from 1 to 65535"),
            (
                "127.0.0.1:1-2000",
                "2000 ports in '127.0.0.1:1-2000', want at most 1024 in a range",
            ),
        ] {
            let wrong = Listen::parse_all(text).unwrap_err().to_string();
            assert!(wrong.contains(part), "{text}: {wrong}");
            let wrong = BackendSpec::parse_all(text).unwrap_err().to_string();
            assert!(wrong.contains(part), "{text}: {wrong}");
        }
        let wrong = BackendSpec::parse_all("a:1-2,weight=2,name=x").unwrap_err().to_string();
        assert!(
            wrong.contains("found 'name=x' in 'a:1-2,weight=2,name=x', want no name"),
            "{wrong}"
        );
        assert!(BackendSpec::parse_all("a:1-1,name=x").is_ok(), "one port has one name");
    }
}
