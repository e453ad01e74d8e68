//! Passwords: tools that fetch HAProxy's statistics know no tokens, so that a token may be the
//! password there. A browser sends passwords by itself; it is no harm where nothing is changed.

use base64ct::{Base64Unpadded, Encoding};

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
    // Some leave the padding out.
    let digits = str::from_utf8(rest.trim_ascii()).ok()?.trim_end_matches('=');
    let said = Base64Unpadded::decode_vec(digits).ok()?;
    let at = said.iter().position(|&it| it == b':')?;
    Some(said[at + 1..].to_vec())
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
