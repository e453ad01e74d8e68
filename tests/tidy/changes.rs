//! The changelog of the Debian package, made of the headings of CHANGELOG.md.

use std::fmt::Write;

use jiff::civil::Date;

const MAINTAINER: &str = "pointsman maintainers <maintainers@pointsman.invalid>";

/// The versions with their dates, the newest first: headings as `## 0.1.0 (2026-11-28)`.
pub fn versions() -> Vec<(String, Date)> {
    let page = super::source::read("CHANGELOG.md");
    let heading = |line: &str| {
        let (version, date) = line.strip_prefix("## ")?.split_once(" (")?;
        let date = date.strip_suffix(')')?.parse().ok()?;
        Some((version.to_owned(), date))
    };
    page.lines().filter_map(heading).collect()
}

/// The whole page.
pub fn page() -> String {
    let entries = versions().into_iter().map(|(version, date)| {
        let mut out = format!("pointsman ({version}-1) unstable; urgency=medium\n\n");
        let _ = write!(out, "  * pointsman {version}: see CHANGELOG.md.\n\n");
        let date = date.strftime("%a, %d %b %Y");
        let _ = writeln!(out, " -- {MAINTAINER}  {date} 00:00:00 +0000");
        out
    });
    entries.collect::<Vec<_>>().join("\n")
}

#[test]
fn the_newest_version_is_the_one_that_is_built() {
    let newest = versions().into_iter().next().map(|(version, _)| version);
    assert_eq!(newest.as_deref(), Some(env!("CARGO_PKG_VERSION")), "in CHANGELOG.md");
    let manifest = super::source::read("Cargo.toml");
    assert!(manifest.contains(&format!("maintainer = \"{MAINTAINER}\"")), "in Cargo.toml");
}
