//! Passwords: tools that fetch HAProxy's statistics know no tokens, so that a token may be the
//! password there. A browser sends passwords by itself; it is no harm where nothing is changed.

/// Whether this is a path of HAProxy's statistics: `/haproxy;csv`, `/stats`, `/;csv`. Some tools
/// add `/;csv` to an address.
pub fn is_statistics(path: &[u8]) -> bool {
    let after = |page: &[u8]| {
        let rest = path.strip_prefix(page)?;
        Some(rest.strip_prefix(b"/").unwrap_or(rest))
    };
    let is_page = |page| after(page).is_some_and(|it| it.is_empty() || it.starts_with(b";"));
    is_page(b"/haproxy") || is_page(b"/stats") || path.starts_with(b"/;")
}

/// The password of `Basic USER:PASSWORD`, whoever the user is.
pub fn password(value: &[u8]) -> Option<Vec<u8>> {
    let (scheme, rest) = value.trim_ascii().split_at_checked(6)?;
    if !scheme.eq_ignore_ascii_case(b"basic ") {
        return None;
    }
    let said = decoded(rest.trim_ascii())?;
    let at = said.iter().position(|&it| it == b':')?;
    Some(said[at + 1..].to_vec())
}

/// What Base64 stands for.
fn decoded(text: &[u8]) -> Option<Vec<u8>> {
    let text = text.strip_suffix(b"=").unwrap_or(text);
    let text = text.strip_suffix(b"=").unwrap_or(text);
    let mut bytes = Vec::with_capacity(text.len() * 3 / 4);
    let mut bits = 0_u32;
    let mut count = 0;
    for digit in text {
        let value = match digit {
            b'A'..=b'Z' => digit - b'A',
            b'a'..=b'z' => digit - b'a' + 26,
            b'0'..=b'9' => digit - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count).to_be_bytes()[3]);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_what_follows_the_first_colon() {
        let table: [(&[u8], Option<&[u8]>); 9] = [
            (b"Basic Og==", Some(b"")),
            (b"basic  YTpi", Some(b"b")),
            (b"Basic YWRtaW46czM6Y3JldA==", Some(b"s3:cret")),
            (b"Basic YWRtaW46czM6Y3JldA", Some(b"s3:cret")),
            (b"Basic czNjcmV0", None),
            (b"Basic !!!!", None),
            (b"Basic ", None),
            (b"Basicx", None),
            (b"Bearer YTpi", None),
        ];
        for (value, wanted) in table {
            assert_eq!(password(value).as_deref(), wanted, "{}", value.escape_ascii());
        }
    }

    #[test]
    fn statistics_have_these_paths_and_no_others() {
        let are = ["/haproxy", "/haproxy/", "/haproxy;csv", "/stats/;csv;norefresh", "/;json"];
        for path in are {
            assert!(is_statistics(path.as_bytes()), "{path}");
        }
        for path in ["/", "/haproxyx", "/stats/x", "/api/v1/pools", "/api/v1/;csv", "/stats//"]
        {
            assert!(!is_statistics(path.as_bytes()), "{path}");
        }
    }
}
