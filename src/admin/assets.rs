//! The dashboard: its page, its style and its modules as they lie in `assets/`, within the binary.
//! They hold no data: what the page shows it asks of the API, as whoever looks at it.

use super::answer::Answer;

/// A file of the dashboard.
#[derive(Debug, PartialEq, Eq)]
pub struct Asset {
    path: &'static str,
    content_type: &'static str,
    bytes: &'static [u8],
}

/// What the page may do: load what is here, ask what is here, and nothing else. A name that turned
/// into markup could still run nothing and tell nobody.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
     img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; \
     frame-ancestors 'none'";

const HTML: &str = "text/html; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

/// A file of `assets/`, at `/assets/`.
macro_rules! asset {
    ($name:literal, $content_type:expr) => {
        Asset {
            path: concat!("/assets/", $name),
            content_type: $content_type,
            bytes: include_bytes!(concat!("assets/", $name)),
        }
    };
}

static ALL: [Asset; 12] = [
    Asset { path: "/", content_type: HTML, bytes: include_bytes!("assets/index.html") },
    asset!("style.css", STYLE),
    asset!("app.js", SCRIPT),
    asset!("format.js", SCRIPT),
    asset!("lines.js", SCRIPT),
    asset!("live.js", SCRIPT),
    asset!("model.js", SCRIPT),
    asset!("panels.js", SCRIPT),
    asset!("map.js", SCRIPT),
    asset!("table.js", SCRIPT),
    asset!("charts.js", SCRIPT),
    asset!("actions.js", SCRIPT),
];

/// The one of this path, as it stands in a request.
pub fn find(path: &str) -> Option<&'static Asset> {
    ALL.iter().find(|it| it.path == path)
}

impl Asset {
    /// All of it, or nothing if it is known already: a browser asks each time, so that no page is
    /// older than the process that it shows.
    pub fn answer(&self, if_none_match: Option<&str>) -> Answer {
        let tag = self.tag();
        let mut known = if_none_match.unwrap_or_default().split(',').map(str::trim);
        let answer = match known.any(|it| it.trim_start_matches("W/") == tag) {
            true => Answer::empty(304),
            false => Answer::whole(200, self.content_type, self.bytes.to_vec()),
        };
        answer
            .with("ETag", tag)
            .with("Cache-Control", "no-cache")
            .with("Content-Security-Policy", CONTENT_SECURITY_POLICY)
            .with("Referrer-Policy", "no-referrer")
            .with("Cross-Origin-Resource-Policy", "same-origin")
    }

    fn tag(&self) -> String {
        format!("\"{:08x}-{:x}\"", crc32c::crc32c(self.bytes), self.bytes.len())
    }
}

#[cfg(test)]
mod tests {
    use super::super::answer::Body;
    use super::*;

    fn text(asset: &Asset) -> &str {
        std::str::from_utf8(asset.bytes).unwrap()
    }

    #[test]
    fn the_dashboard_is_small() {
        let bytes: usize = ALL.iter().map(|it| it.bytes.len()).sum();
        assert!(bytes <= 60 * 1024, "{bytes} bytes, want at most 60 KiB");
    }

    #[test]
    fn what_is_known_is_not_sent_again() {
        for asset in &ALL {
            let answer = asset.answer(None);
            assert_eq!(answer.status, 200);
            assert!(matches!(&answer.body, Body::Whole(it) if it == asset.bytes));
            let tag = asset.tag();
            let lists = [tag.clone(), format!("W/{tag}"), format!("\"x\", {tag}")];
            for list in lists {
                assert_eq!(asset.answer(Some(&list)).status, 304, "{list}");
            }
            assert_eq!(asset.answer(Some("\"x\"")).status, 200);
        }
    }

    #[test]
    fn each_file_is_there_once_and_none_is_left_out() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/admin/assets");
        let files = std::fs::read_dir(folder).unwrap();
        let names = files.map(|it| it.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.collect();
        names.sort();
        let path = |name: &str| match name {
            "index.html" => "/".to_owned(),
            name => format!("/assets/{name}"),
        };
        for name in &names {
            assert!(find(&path(name)).is_some(), "{name} is not served");
        }
        assert_eq!(names.len(), ALL.len());
    }

    #[test]
    fn nothing_from_outside_becomes_markup_or_code() {
        let words = ["innerHTML", "outerHTML", "insertAdjacent", "document.write", "eval("];
        for asset in &ALL {
            let found = words.iter().find(|it| text(asset).contains(**it));
            assert_eq!(found, None, "{}", asset.path);
            let outside = text(asset).replace("http://www.w3.org/", "");
            assert!(!outside.contains("://"), "{} names another place", asset.path);
        }
        let page = text(&ALL[0]);
        assert!(!page.contains("style=") && !page.contains(" onclick"), "as the policy wants");
    }
}
