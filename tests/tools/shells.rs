//! The man pages and the completions of `docs/deploy`, as real readers and shells take them.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::common::servers::missing;

/// A file of `docs/deploy`.
fn deployed(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/deploy").join(name)
}

/// What a program says, and complains of; it has to end well.
fn said(program: &str, args: &[&str]) -> (String, String) {
    let folder =
        Path::new(env!("CARGO_BIN_EXE_pointsman")).parent().expect("it is in a folder");
    let path = std::env::var("PATH").unwrap_or_default();
    let output = Command::new(program)
        .args(args)
        .env("PATH", format!("{}:{path}", folder.display()))
        .env("LC_ALL", "C.UTF-8")
        .env("MANWIDTH", "80")
        .env("HOME", std::env::temp_dir())
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("it starts");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let found = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{program} {args:?}: {}: {found:?}", output.status);
    found
}

const PAGES: [&str; 3] = ["pointsman.8", "pointsman-ctl.8", "pointsman-top.8"];

#[test]
fn man_pages_are_read_without_a_warning() {
    for page in PAGES {
        let page = deployed(page);
        let page = page.to_str().expect("it is text");
        if !missing(&["groff"]) {
            let (text, warnings) = said("groff", &["-man", "-ww", "-Tutf8", page]);
            assert_eq!(warnings, "", "{page}");
            assert!(text.contains("SEE ALSO") || text.contains("S\u{8}S"), "{page}: {text}");
        }
        if Command::new("mandoc").arg("-h").output().is_ok() {
            let (complaints, _) = said("mandoc", &["-T", "lint", "-W", "warning", page]);
            assert_eq!(complaints, "", "{page}");
        } else {
            super::common::measure::skip("there is no mandoc");
        }
    }
}

/// What bash offers for the last of these words.
fn bash(words: &[&str]) -> Vec<String> {
    let script = "source \"$1\"; shift; COMP_WORDS=(\"$@\"); COMP_CWORD=$(($# - 1)); \
                  _pointsman; printf '%s\\n' \"${COMPREPLY[@]}\"";
    let file = deployed("pointsman.bash");
    let mut args = vec!["-uc", script, "bash", file.to_str().expect("text")];
    args.extend(words);
    let (text, complaints) = said("bash", &args);
    assert_eq!(complaints, "", "{words:?}");
    text.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

#[test]
fn bash_completes_flags_values_commands_and_files() {
    for (line, offers) in [
        ("pointsman --bal", &["--balance"][..]),
        ("pointsman --balance le", &["least-connections", "least-load", "least-time"]),
        ("pointsman --balance = ra", &["random"]),
        ("pointsman -a ra", &["random"]),
        ("pointsman --log-level w", &["warn"]),
        ("pointsman --help exit", &["exit-codes"]),
        ("pointsman --rise 1", &[]),
        ("pointsman ct", &["ctl"]),
        ("pointsman to", &["top"]),
        ("pointsman --demo ct", &[]),
        ("pointsman --config docs/deploy/pointsman.8", &["docs/deploy/pointsman.8"]),
        ("pointsman ctl dra", &["drain"]),
        ("pointsman ctl drain --dea", &["--deadline"]),
        ("pointsman ctl drain --weig", &[]),
        ("pointsman ctl show serv", &["services"]),
        ("pointsman ctl help ma", &["maint"]),
        ("pointsman top --on", &["--once"]),
    ] {
        let words: Vec<&str> = line.split(' ').collect();
        assert_eq!(bash(&words), offers, "{line}");
    }
}

/// Sourced by a real zsh, whose line editor is asked by another one through a terminal.
#[test]
fn zsh_completes_flags_values_and_commands() {
    if missing(&["zsh"]) {
        return;
    }
    let file = deployed("pointsman.zsh");
    said("zsh", &["-n", file.to_str().expect("text")]);
    let folder = std::env::temp_dir().join(format!("pointsman-zsh-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::copy(&file, folder.join("_pointsman")).expect("a copy");
    let ask = |line: &str| {
        let (text, _) =
            said("zsh", &["-f", "-c", ZSH, "zsh", folder.to_str().expect("text"), line]);
        text
    };
    for (line, offers) in [
        ("pointsman --bal", "pointsman --balance="),
        ("pointsman --balance ro", "pointsman --balance round-robin"),
        ("pointsman --balance=ro", "pointsman --balance=round-robin"),
        ("pointsman ct", "pointsman ctl"),
        ("pointsman ctl dra", "pointsman ctl drain"),
        ("pointsman ctl drain --dea", "pointsman ctl drain --deadline="),
        ("pointsman ctl show serv", "pointsman ctl show services"),
        ("pointsman top --onc", "pointsman top --once"),
    ] {
        let found = ask(line);
        assert!(found.trim_end().ends_with(offers), "{line}: {found:?}");
    }
    let _ = std::fs::remove_dir_all(folder);
}

/// Types a line and a tab, then has the editor print what has become of it.
const ZSH: &str = r#"
zmodload zsh/zpty
zpty z zsh -f -i
zpty -w z "PS1=; fpath=($1 \$fpath); autoload -U compinit; compinit -u -D"
zpty -w z "show() { print -r -- \"<\$BUFFER>\"; exit }; zle -N show; bindkey '^X' show"
zpty -w z "bindkey '^I' complete-word; print -r -- rea''dy"
zpty -r z line '*ready*'
zpty -n -w z "$2"$'\t'$'\x18'
zpty -r z line '*<*>*'
line=${line##*<}
print -r -- "${line%%>*}"
"#;

/// What fish offers for a line.
fn fish(line: &str) -> Vec<String> {
    let file = deployed("pointsman.fish");
    let script = "source $argv[1]; complete -C $argv[2]";
    let (text, complaints) =
        said("fish", &["--no-config", "-c", script, file.to_str().expect("text"), line]);
    assert_eq!(complaints, "", "{line}");
    text.lines().map(|it| it.split('\t').next().unwrap_or_default().to_owned()).collect()
}

#[test]
fn fish_completes_flags_values_and_commands() {
    if missing(&["fish"]) {
        return;
    }
    for (line, offers) in [
        ("pointsman --bala", &["--balance"][..]),
        ("pointsman --balance ro", &["round-robin"]),
        ("pointsman ct", &["ctl"]),
        ("pointsman ctl dra", &["drain"]),
        ("pointsman ctl drain --dea", &["--deadline"]),
        ("pointsman ctl show serv", &["services"]),
        ("pointsman top --onc", &["--once"]),
    ] {
        assert_eq!(fish(line), offers, "{line}");
    }
}
