//! The reference of the configuration file, as a page: every key with its type, its default and
//! what it means, made of the table of settings.

use std::fmt::Write;

use crate::config::Config;
use crate::settings::{self, Setting};

use super::reader::NOT_HERE;
use super::section::Kind;

const COLUMNS: usize = 130;

const TABLES: &[(&str, &str, &str)] = &[
    (
        "global",
        "[global]",
        "What the process as a whole has. At a reload all but `seed` is taken over.",
    ),
    (
        "admin",
        "[admin]",
        "Who may ask and change what runs, and where; see docs/admin.md. At a reload it is \
         taken over.",
    ),
    (
        "listener",
        "[listener.NAME]",
        "Where clients come in. `bind = \"[SCHEME://]ADDR:PORT\"` is needed, and \
         `certificates = [{ cert = \"FILE\", key = \"FILE\" }]` where TLS ends here. An address \
         in the `listen` of a service makes a listener of that name with what \
         `[defaults.listener]` says.",
    ),
    (
        "service",
        "[service.NAME]",
        "What is done for clients. `listen = [\"LISTENER\", \"http://0.0.0.0:80\"]` is needed, \
         and `pool = \"POOL\"` or `rules`; `match` says which requests are the service's own. \
         Where a key speaks of listeners, those of the service are meant.",
    ),
    (
        "pool",
        "[pool.NAME]",
        "Where clients are sent. `backends = [...]` is needed: strings such as \
         `\"10.0.0.1:80,weight=3\"`, or tables with `address`, `name`, `weight`, \
         `max_connections`, `backup`, `tls`, `sni`, `check_port`, `at_most`, `admin`, \
         `proxy = \"v2\"`, `proxy_tlvs = [\"authority\", ...]`.",
    ),
];

/// The tables of all keys, for `docs/configuration.md`.
pub fn page() -> String {
    let defaults = Config::defaults();
    let mut out = String::new();
    for (scope, title, says) in TABLES {
        let _ = write!(out, "\n## `{title}`\n\n");
        wrap(&mut out, says);
        out.push_str("\n| key | type | default | meaning | since |\n|---|---|---|---|---|\n");
        for setting in settings::all() {
            let Some(key) = setting.key().filter(|key| key.scope() == *scope) else { continue };
            if NOT_HERE.contains(&key) {
                continue;
            }
            let name = &key.path()[scope.len() + 1..];
            let says = marked(&file_words(setting.says));
            let default = marked(&file_words(&(setting.default)(&defaults)));
            let default = match (Kind::of(setting), default.as_str()) {
                (Kind::OnOff, "" | "off") => "false".to_owned(),
                (Kind::OnOff, "on") => "true".to_owned(),
                _ => default,
            };
            let _ =
                writeln!(out, "| `{name}` | {} | {default} | {says} | 0.1 |", kind(setting));
        }
    }
    out
}

fn kind(setting: &Setting) -> String {
    match Kind::of(setting) {
        Kind::Text if setting.value.contains('|') => {
            let words: Vec<String> =
                setting.value.split('|').map(|word| format!("`\"{word}\"`")).collect();
            words.join(" or ")
        }
        Kind::Text => format!("string, {}", marked(setting.value)),
        Kind::Duration => "duration".to_owned(),
        Kind::Number if setting.value == "SECONDS" => "number of seconds".to_owned(),
        Kind::Number => "number".to_owned(),
        Kind::Size => "size or `\"none\"`".to_owned(),
        Kind::OnOff => "`true` or `false`".to_owned(),
        Kind::List => "array of strings".to_owned(),
    }
}

/// Other settings that are mentioned, by their keys.
fn file_words(text: &str) -> String {
    let mut words = Vec::new();
    for word in text.split_whitespace() {
        let inner = word.trim_end_matches([',', '.', ';', ':', ')']);
        let open = inner.starts_with('(');
        let name = inner.trim_start_matches('(').strip_prefix("--");
        let found = name.and_then(|name| settings::all().find(|it| it.long == name));
        match found.and_then(Setting::key) {
            Some(key) => {
                let lead = if open { "(" } else { "" };
                words.push(format!("{lead}`{key}`{}", &word[inner.len()..]));
            }
            None => words.push(word.to_owned()),
        }
    }
    words.join(" ")
}

/// As Markdown: nothing that would be read as its marks, within a table.
fn marked(text: &str) -> String {
    let plain = |word: &str| match word.contains('`') {
        true => word.to_owned(),
        false => word.replace('\\', "\\\\").replace('*', "\\*").replace('_', "\\_"),
    };
    let words: Vec<String> = text.split_whitespace().map(plain).collect();
    words.join(" ").replace('|', "\\|")
}

fn wrap(out: &mut String, text: &str) {
    let mut width = 0;
    for word in text.split_whitespace() {
        let length = word.chars().count();
        if width > 0 && width + 1 + length > COLUMNS {
            out.push('\n');
            width = 0;
        } else if width > 0 {
            out.push(' ');
            width += 1;
        }
        out.push_str(word);
        width += length;
    }
    out.push('\n');
}
