//! What keeps the project readable, as tests: a habit that can be checked is checked here and not
//! remembered. The rules are in `tests/tidy/`, each a function that is itself tested on small bad
//! examples; below they are put to the whole project. A failure names the file, the line, what was
//! found and what is wanted.

mod changes;
mod circles;
mod claims;
mod completions;
mod config_page;
mod flags_page;
mod man_pages;
mod pages;
mod pitfalls;
mod rules;
mod source;
mod words;

use std::fmt;

use pages::Page;
use source::Source;

/// Something that a rule objects to.
pub struct Breach {
    path: String,
    line: usize,
    what: String,
    want: String,
}

/// Says where, what, and what instead.
pub fn breach(
    path: &str,
    line: usize,
    what: impl Into<String>,
    want: impl Into<String>,
) -> Breach {
    Breach { path: path.to_owned(), line, what: what.into(), want: want.into() }
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Breach { path, line, what, want } = self;
        write!(f, "{path}:{line}: {what}, want {want}")
    }
}

fn none(breaches: &[Breach]) {
    let lines: Vec<String> = breaches.iter().map(Breach::to_string).collect();
    assert!(lines.is_empty(), "\n{}\n", lines.join("\n"));
}

fn every_source(rule: fn(&Source) -> Vec<Breach>) {
    none(&source::sources().iter().flat_map(rule).collect::<Vec<_>>());
}

fn every_page(rule: impl Fn(&Page) -> Vec<Breach>) {
    let pages = source::files(".md").into_iter().map(|path| page(&path));
    none(&pages.flat_map(|page| rule(&page)).collect::<Vec<_>>());
}

fn page(path: &str) -> Page {
    Page::new(path, &source::read(path))
}

fn exists(path: &str) -> bool {
    source::top().join(path).exists()
}

#[test]
fn files_functions_and_lines_are_short() {
    every_source(rules::short_file);
    every_source(rules::short_functions);
    every_source(rules::short_lines);
}

/// They are compared with, and read as examples.
#[test]
fn the_peers_are_tidy_too() {
    let sources = source::sources_of_package("benches/peers");
    assert!(sources.len() > 5, "where are they?");
    let rules: [fn(&Source) -> Vec<Breach>; 6] = [
        rules::short_file,
        rules::short_functions,
        rules::short_lines,
        rules::header,
        rules::no_leftovers,
        rules::no_unsafe,
    ];
    none(
        &sources
            .iter()
            .flat_map(|file| rules.iter().flat_map(|rule| rule(file)))
            .collect::<Vec<_>>(),
    );
}

#[test]
fn every_file_says_what_it_is() {
    every_source(rules::header);
}

#[test]
fn panics_have_a_reason() {
    every_source(rules::no_panicking_calls);
}

#[test]
fn nothing_is_left_to_be_done_in_the_sources() {
    every_source(rules::no_leftovers);
}

#[test]
fn values_are_not_packed_to_save_a_line() {
    every_source(rules::no_packed_values);
}

#[test]
fn rooms_are_laid_out_in_one_manner() {
    every_source(rules::no_mod_files);
}

#[test]
fn there_is_no_unsafe_code() {
    every_source(rules::no_unsafe);
}

#[test]
fn what_only_linux_has_is_where_its_fallbacks_are() {
    every_source(rules::linux_in_its_place);
}

#[test]
fn flags_are_named_by_the_flags_alone() {
    every_source(rules::no_flag_names);
}

#[test]
fn ignored_tests_say_why() {
    every_source(rules::no_silent_ignores);
}

#[test]
fn every_file_is_compiled() {
    let sources = source::sources();
    let roots = source::roots(&source::files(".rs"), &source::read("Cargo.toml"));
    none(&rules::no_dead_files(&sources, &roots));
}

#[test]
fn no_room_uses_a_floor_above_it() {
    every_source(rules::floors);
}

#[test]
fn no_files_of_a_room_form_a_circle() {
    none(&circles::no_circles(&source::sources()));
}

#[test]
fn every_page_has_one_title() {
    every_page(pages::one_title);
}

#[test]
fn every_link_leads_somewhere() {
    every_page(|page| pages::links(page, exists));
}

#[test]
fn every_citation_is_true() {
    let sources = source::sources();
    let by_path: pages::Sources<'_> =
        sources.iter().map(|source| (source.path.as_str(), source)).collect();
    every_page(|page| pages::citations(page, &by_path, exists));
    every_page(|page| pages::excerpts(page, &sources));
    every_page(|page| claims::edges(page, &by_path));
    every_page(|page| claims::numbers(page, &sources));
}

#[test]
fn every_pitfall_that_is_cited_is_explained() {
    none(&pitfalls::pitfalls(&page("docs/pitfalls.md"), &source::sources()));
}

/// A duplicate would go on getting events when the socket is closed.
#[test]
fn pitfall_27_sockets_are_never_duplicated() {
    every_source(rules::no_duplicates);
}

#[test]
fn every_package_is_explained() {
    let manifest = source::read("Cargo.toml");
    none(&pages::dependencies(&manifest, &page("docs/dependencies.md")));
}

/// With `POINTSMAN_WRITE` set the page is written and not compared.
#[test]
fn the_page_of_flags_is_made_of_the_table() {
    check_made("docs/flags.md", &flags_page::page(pointsman::flags::rows()));
}

#[test]
fn the_page_of_the_file_has_every_key() {
    let path = "docs/configuration.md";
    check_made(path, &config_page::page(&source::read(path)));
}

#[test]
fn the_pages_of_man_and_the_completions_are_made_of_the_tables() {
    check_made("docs/deploy/changelog", &changes::page());
    for (path, wanted) in man_pages::pages().into_iter().chain(completions::pages()) {
        check_made(path, &wanted);
    }
}

/// The page at this path is this one; with `POINTSMAN_WRITE` set it becomes it.
fn check_made(path: &str, wanted: &str) {
    if std::env::var_os("POINTSMAN_WRITE").is_some() {
        std::fs::write(source::top().join(path), wanted).unwrap();
    }
    let found = std::fs::read_to_string(source::top().join(path)).unwrap_or_default();
    let differs = found.lines().zip(wanted.lines()).position(|(found, wanted)| found != wanted);
    let line =
        differs.map_or(found.lines().count().min(wanted.lines().count()), |line| line + 1);
    assert!(
        found == wanted,
        "{path}:{line} is not what the table of settings says, want the page that \
         `POINTSMAN_WRITE=1 cargo test --test tidy the_page` writes"
    );
}

#[test]
fn examples_of_configurations_are_read() {
    let path = "docs/configuration.md";
    assert!(config_page::examples(&source::read(path)).len() > 2, "{path} has no examples");
    let mut pages = source::files(".md");
    pages.retain(|page| page == path || page.starts_with("docs/handbook/"));
    for path in pages {
        for (line, text) in config_page::examples(&source::read(&path)) {
            let name = format!("{path}:{line}");
            if let Err((mistakes, sources)) = pointsman::file::parse(&name, &text, &|_| None) {
                let shown: Vec<String> =
                    mistakes.iter().map(|it| it.shown("error", &sources)).collect();
                panic!("{}", shown.join("\n"));
            }
        }
    }
}
