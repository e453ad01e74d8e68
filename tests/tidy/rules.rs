//! Rules for Rust files. Each takes what it judges and answers with a line for every breach.

use super::source::{self, Source, is_word, words};
use super::{Breach, breach};

/// No place at all; an empty list alone has no type where JSON is about.
#[cfg(test)]
const NONE: [usize; 0] = [];

pub const FILE_LINES_MAX: usize = 600;
pub const FUNCTION_LINES_MAX: usize = 70;
pub const COLUMNS_MAX: usize = 100;

/// The rooms of `src/` by floors, from the ground up. A room uses those that stand before it, so no
/// two use each other. `lib.rs`, `main.rs` and `src/bin` put rooms together and have no floor;
/// `build.rs` is no part of the program.
pub const FLOORS: &[&[&str]] = &[
    &["limits"],
    &["config"],
    &[
        "json",
        "outlet",
        "dns",
        "event",
        "flow",
        "history",
        "guard",
        "http",
        "hello",
        "balance",
        "net",
        "privileges",
        "proxy_header",
        "service_manager",
        "takeover",
    ],
    &["access_log", "stats", "backends"],
    &["services", "picks"],
    &["context"],
    &["health", "status", "relay", "logging"],
    &["control", "resolver"],
    &["admin"],
    &["event_loop"],
    &["settings"],
    &["terminal"],
    &["flags", "file", "demo", "wanted", "startup", "ctl", "top"],
];

/// A reader takes in a file in one sitting.
pub fn short_file(source: &Source) -> Vec<Breach> {
    let lines = source.text.lines().count();
    if lines <= FILE_LINES_MAX {
        return Vec::new();
    }
    let want = format!("at most {FILE_LINES_MAX}: move what has a name of its own elsewhere");
    vec![breach(&source.path, lines, format!("a file of {lines} lines"), want)]
}

/// A function fits on a screen.
pub fn short_functions(source: &Source) -> Vec<Breach> {
    let long = source.functions().into_iter().filter(|f| f.lines > FUNCTION_LINES_MAX);
    long.map(|f| {
        let what = format!("fn {} has {} lines", f.name, f.lines);
        breach(&source.path, f.line, what, format!("at most {FUNCTION_LINES_MAX}"))
    })
    .collect()
}

/// Two files fit beside each other.
pub fn short_lines(source: &Source) -> Vec<Breach> {
    let widths = source.text.lines().map(|line| line.chars().count()).enumerate();
    let long = widths.filter(|&(_, width)| width > COLUMNS_MAX);
    long.map(|(index, width)| {
        let what = format!("{width} columns");
        breach(&source.path, index + 1, what, format!("at most {COLUMNS_MAX}"))
    })
    .collect()
}

/// A room is `room.rs`, and what is in it lies in `room/`.
pub fn no_mod_files(source: &Source) -> Vec<Breach> {
    let is_one = source.path.starts_with("src/") && source.path.ends_with("/mod.rs");
    let breach =
        is_one.then(|| breach(&source.path, 1, "a file called mod.rs", "room.rs beside room/"));
    breach.into_iter().collect()
}

/// A file says what it is.
pub fn header(source: &Source) -> Vec<Breach> {
    if source.text.starts_with("//! ") {
        return Vec::new();
    }
    let want = "a first line `//! what this file owns`";
    vec![breach(&source.path, 1, "no header", want)]
}

/// What the network says is a value; a panic needs a reason, on its line or just above.
pub fn no_panicking_calls(source: &Source) -> Vec<Breach> {
    if !source.path.starts_with("src/") || source.path == "src/main.rs" {
        return Vec::new();
    }
    let calls = [".unwrap(", ".expect(", ".unwrap_err(", ".expect_err("];
    let found = calls.iter().flat_map(|call| source.code.match_indices(call));
    let bad = found.filter(|&(at, _)| !source.is_test(at) && !has_reason(source, at));
    bad.map(|(at, call)| {
        let want = "the error handled, or `// because:` with why there is none";
        breach(&source.path, source.line_of(at), format!("{})", &call[1..]), want)
    })
    .collect()
}

/// Whether `// because:` stands on the line of this byte, or in the comment just above it.
fn has_reason(source: &Source, at: usize) -> bool {
    let line = source.line_of(at) - 1;
    let comments: Vec<&str> = source.comments.lines().collect();
    let code: Vec<&str> = source.code.lines().collect();
    let is_comment =
        |&index: &usize| code[index].trim().is_empty() && !comments[index].trim().is_empty();
    let above = (0..line).rev().take_while(is_comment);
    above.chain([line]).any(|index| comments[index].contains("// because:"))
}

/// Nothing is left to be done in the sources: that is what issues are for.
pub fn no_leftovers(source: &Source) -> Vec<Breach> {
    let in_comments = ["TODO", "FIXME", "XXX"].into_iter().flat_map(|word| {
        words(&source.comments, word).chain(words(&source.code, word)).map(move |at| (at, word))
    });
    let macros = ["todo", "unimplemented", "dbg"].into_iter().flat_map(|word| {
        let calls = words(&source.code, word);
        calls
            .filter(move |at| source.code[at + word.len()..].starts_with('!'))
            .map(move |at| (at, word))
    });
    let found = in_comments.chain(macros);
    found
        .map(|(at, word)| {
            let line = source.line_of(at);
            breach(&source.path, line, word, "it done, or an issue instead")
        })
        .collect()
}

/// Values that have nothing to do with each other are not packed into a tuple to save a line.
pub fn no_packed_values(source: &Source) -> Vec<Breach> {
    let code = &source.code;
    let ends = code.match_indices(')').map(|(at, _)| at);
    let packed = ends.filter_map(|close| {
        let open = code[..close].rfind('(')?;
        let names = &code[open + 1..close];
        let is_name = |name: &str| {
            let name = name.trim().trim_start_matches("mut ").trim_start_matches('*');
            let is_part =
                |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_.".contains(c);
            !name.is_empty() && name.chars().all(is_part)
        };
        let values = code[close + 1..].trim_start().strip_prefix('=')?.trim_start();
        let before = code[..open].trim_end();
        let is_statement = before.ends_with([';', '{', '}', '>'])
            || before.ends_with("let") && !before.trim_end_matches("let").ends_with("if ");
        let is_packed = names.contains(',')
            && names.split(',').all(is_name)
            && values.starts_with('(')
            && is_statement;
        is_packed
            .then(|| breach(&source.path, source.line_of(open), "packed values", "a line each"))
    });
    packed.collect()
}

/// The compiler forbids it in the crate; this is for tests and benches as well.
pub fn no_unsafe(source: &Source) -> Vec<Breach> {
    let found = words(&source.code, "unsafe");
    found
        .map(|at| {
            let want = "safe code: rustix and socket2 have the system calls";
            breach(&source.path, source.line_of(at), "unsafe", want)
        })
        .collect()
}

/// A duplicated socket stays registered with the poll when the original is closed. Standard output
/// is no socket, a registry no descriptor of a connection, and the demo's threads have no poll.
/// What was handed over is open elsewhere as well, and is told to the poll as such; so is what goes
/// to another process.
pub fn no_duplicates(source: &Source) -> Vec<Breach> {
    let hands_over = ["src/net/handed.rs", "src/net/local/passing.rs"];
    let may =
        room_of(&source.path) == Some("demo") || hands_over.contains(&source.path.as_str());
    if !source.path.starts_with("src/") || may {
        return Vec::new();
    }
    let calls =
        ["try_clone", "try_clone_to_owned", "dup", "dup2", "dup3", "fcntl_dupfd_cloexec"];
    let found = calls.iter().flat_map(|call| words(&source.code, call));
    found
        .filter(|&at| !source.is_test(at))
        .filter(|&at| {
            let before = source.code[..at].rsplit('\n').next().unwrap_or_default();
            !before.ends_with("registry().") && !before.contains("stdout()")
        })
        .map(|at| {
            breach(&source.path, source.line_of(at), "a duplicated descriptor", "one a socket")
        })
        .collect()
}

/// Rooms that may say how a flag is written: the flags and the table that they are made of, and the
/// demo, which is one.
const SAY_FLAGS: &[&str] = &["flags", "settings", "demo", "ctl", "top"];

/// A setting is a `Key` below its front-ends: who has it from a file has no use for a flag's name.
pub fn no_flag_names(source: &Source) -> Vec<Breach> {
    let Some(room) = room_of(&source.path) else { return Vec::new() };
    if SAY_FLAGS.contains(&room) {
        return Vec::new();
    }
    let text = source.text.as_bytes();
    let is_blank = |text: &str, at: usize| text.as_bytes()[at] == b' ';
    let in_literal = |at| is_blank(&source.code, at) && is_blank(&source.comments, at);
    let is_flag = |at: usize| {
        let before = at.checked_sub(1).map_or(b' ', |before| text[before]);
        let begins = before != b'-' && !before.is_ascii_alphanumeric();
        begins && text.get(at + 2).is_some_and(u8::is_ascii_lowercase)
    };
    let found = source.text.match_indices("--").map(|(at, _)| at);
    let bad = found.filter(|&at| in_literal(at) && is_flag(at) && !source.is_test(at));
    bad.map(|at| {
        let name = source.text[at + 2..].split(|c: char| !is_word(c) && c != '-').next();
        let what = format!("the flag --{} in a literal", name.unwrap_or_default());
        breach(&source.path, source.line_of(at), what, "a config::Key, spelled by the flags")
    })
    .collect()
}

/// Files outside `src/net/` that have something of Linux, and go on without it elsewhere.
const KNOW_LINUX: &[&str] = &[
    "src/admin/metrics/process.rs",
    "src/build.rs",
    "src/event/alarm.rs",
    "src/event/signals.rs",
    "src/privileges.rs",
    "src/service_manager.rs",
];

/// What only Linux has is where its fallbacks are. That all has one is what the compiler says for
/// another system.
pub fn linux_in_its_place(source: &Source) -> Vec<Breach> {
    let is_elsewhere = source.path.starts_with("src/") && !source.path.starts_with("src/net/");
    if !is_elsewhere || KNOW_LINUX.contains(&source.path.as_str()) {
        return Vec::new();
    }
    let code = ["cfg(linux)", "cfg!(linux)", "cfg(not(linux))", "target_os", "os::linux"];
    let in_code = code.iter().flat_map(|it| source.code.match_indices(it));
    let in_text =
        ["\"/proc/", "\"/sys/"].into_iter().flat_map(|it| source.text.match_indices(it));
    let bad = in_code.chain(in_text).filter(|&(at, _)| !source.is_test(at));
    bad.map(|(at, what)| {
        let want = "a call in src/net/ that has a fallback";
        breach(&source.path, source.line_of(at), what.trim_start_matches('"'), want)
    })
    .collect()
}

/// A test that does not run says why.
pub fn no_silent_ignores(source: &Source) -> Vec<Breach> {
    let found = source.code.match_indices("#[ignore]");
    found
        .map(|(at, _)| {
            let want = "#[ignore = \"why, and how to run it\"]";
            breach(&source.path, source.line_of(at), "#[ignore] without a reason", want)
        })
        .collect()
}

/// Every file is compiled by somebody.
pub fn no_dead_files(sources: &[Source], roots: &[String]) -> Vec<Breach> {
    let reached = source::reached(sources, roots);
    let dead = sources.iter().filter(|source| !reached.contains_key(&source.path));
    dead.map(|source| {
        let want = "a `mod` line that leads to it, a Cargo target, or no such file";
        breach(&source.path, 1, "a dead file", want)
    })
    .collect()
}

/// A room uses the rooms before it, and never one above.
pub fn floors(source: &Source) -> Vec<Breach> {
    let Some(room) = room_of(&source.path) else { return Vec::new() };
    let Some(own) = floor_of(room) else {
        let what = format!("the room {room} has no floor");
        return vec![breach(&source.path, 1, what, "its place in FLOORS of tests/tidy")];
    };
    let mut found = Vec::new();
    for (at, used) in rooms_used(&source.code) {
        if source.is_test(at) {
            continue;
        }
        let line = source.line_of(at);
        match floor_of(&used) {
            Some(floor) if floor <= own => {}
            Some(_) => {
                let what = format!("{room} uses {used}, which stands above it in FLOORS");
                let want = "it moved down, or what needs doing above returned as a value";
                found.push(breach(&source.path, line, what, want));
            }
            None => {
                let what = format!("the room {used} has no floor");
                found.push(breach(
                    &source.path,
                    line,
                    what,
                    "its place in FLOORS of tests/tidy",
                ));
            }
        }
    }
    found
}

fn floor_of(room: &str) -> Option<usize> {
    FLOORS.iter().copied().flatten().position(|&other| other == room)
}

/// The room that a file belongs to; `None` for those that only put rooms together.
fn room_of(path: &str) -> Option<&str> {
    let inner = path.strip_prefix("src/")?;
    let room = inner.split('/').next()?;
    let room = room.strip_suffix(".rs").unwrap_or(room);
    (!["lib", "main", "bin", "build"].contains(&room)).then_some(room)
}

/// The rooms named after `crate::`, one by one or in braces.
fn rooms_used(code: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (at, prefix) in code.match_indices("crate::") {
        let rest = &code[at + prefix.len()..];
        if !rest.starts_with('{') {
            found.push((at, rest.chars().take_while(|&c| is_word(c)).collect()));
            continue;
        }
        let mut depth = 0;
        let mut word = String::new();
        let mut is_first = true;
        for c in rest.chars() {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                c if is_word(c) && depth == 1 && is_first => word.push(c),
                _ => {}
            }
            if !is_word(c) && !word.is_empty() {
                found.push((at, std::mem::take(&mut word)));
                is_first = false;
            }
            is_first |= c == ',' && depth == 1;
            if depth == 0 {
                break;
            }
        }
    }
    found
}

fn lines_of(rule: fn(&Source) -> Vec<Breach>, path: &str, text: &str) -> Vec<usize> {
    rule(&Source::new(path, text)).into_iter().map(|breach| breach.line).collect()
}

#[test]
fn long_files_functions_and_lines_are_found() {
    let long = |lines| "//! x\n".repeat(lines);
    assert_eq!(lines_of(short_file, "src/a.rs", &long(FILE_LINES_MAX)), NONE);
    assert_eq!(lines_of(short_file, "src/a.rs", &long(FILE_LINES_MAX + 1)), [601]);
    let function = |lines| format!("\nfn a() {{\n{}}}\n", "    b();\n".repeat(lines - 2));
    assert_eq!(lines_of(short_functions, "src/a.rs", &function(FUNCTION_LINES_MAX)), NONE);
    assert_eq!(lines_of(short_functions, "src/a.rs", &function(FUNCTION_LINES_MAX + 1)), [2]);
    assert_eq!(lines_of(short_lines, "src/a.rs", &"é".repeat(COLUMNS_MAX)), NONE);
    assert_eq!(lines_of(short_lines, "src/a.rs", &"é".repeat(COLUMNS_MAX + 1)), [1]);
}

#[test]
fn a_missing_header_is_found() {
    assert_eq!(lines_of(header, "src/a.rs", "//! Owns a.\n"), NONE);
    assert_eq!(lines_of(header, "src/a.rs", "use b;\n//! c\n"), [1]);
    assert_eq!(lines_of(header, "src/a.rs", ""), [1]);
}

#[test]
fn panicking_calls_without_a_reason_are_found() {
    let bad = "let a = b.unwrap();\nlet c = d\n    .expect(\"e\");\n";
    assert_eq!(lines_of(no_panicking_calls, "src/a.rs", bad), [1, 3]);
    assert_eq!(lines_of(no_panicking_calls, "src/main.rs", bad), NONE);
    assert_eq!(lines_of(no_panicking_calls, "tests/a.rs", bad), NONE);
    let good = "\
        // because: it was just put there,\n// by us.\na.unwrap();\n\
        b.unwrap(); // because: so\n\
        c.unwrap_or(\".unwrap()\");\n\
        #[cfg(test)]\nmod tests {\n    fn d() { e.unwrap() }\n}\n";
    assert_eq!(lines_of(no_panicking_calls, "src/a.rs", good), NONE);
    let elsewhere = "// because: a\nlet b = c;\nd.unwrap();\n";
    assert_eq!(lines_of(no_panicking_calls, "src/a.rs", elsewhere), [3]);
}

#[test]
fn leftovers_are_found() {
    let words = ["TO", "DO"].concat();
    assert_eq!(lines_of(no_leftovers, "src/a.rs", &format!("// {words}: b\n")), [1]);
    assert_eq!(lines_of(no_leftovers, "src/a.rs", &format!("let a = \"{words}\";\n")), NONE);
    assert_eq!(
        lines_of(no_leftovers, "src/a.rs", "\ntodo!();\ndbg!(a);\nunimplemented!()"),
        [2, 4, 3]
    );
    assert_eq!(lines_of(no_leftovers, "src/a.rs", "let todo = 1;\n// AXXX\n"), NONE);
}

#[test]
fn mod_files_are_found() {
    assert_eq!(lines_of(no_mod_files, "src/a/mod.rs", ""), [1]);
    assert_eq!(lines_of(no_mod_files, "src/a.rs", ""), NONE);
    assert_eq!(lines_of(no_mod_files, "tests/common/mod.rs", ""), NONE);
}

#[test]
fn packed_values_are_found() {
    let text = "let (a, mut b) = (1, c(2));\nself.a = b;\n(self.a, *b) = (1, 2);\n\
                let (a, b) = pair;\nif let (a, b) = (1, 2) {}\nlet (a, b) =\n    (1, 2);\n\
                let (Some(a), None) = (b, c) else { return };\nf(a, b) == (1, 2);\n";
    assert_eq!(lines_of(no_packed_values, "src/a.rs", text), [1, 3, 6]);
}

#[test]
fn unsafe_code_and_silent_ignores_are_found() {
    assert_eq!(lines_of(no_unsafe, "tests/a.rs", "\nunsafe { a() }\n"), [2]);
    assert_eq!(lines_of(no_unsafe, "tests/a.rs", "#![forbid(unsafe_code)] // unsafe\n"), NONE);
    let ignores = "#[test]\n#[ignore]\nfn a() {}\n#[ignore = \"slow\"]\nfn b() {}\n";
    assert_eq!(lines_of(no_silent_ignores, "tests/a.rs", ignores), [2]);
}

#[test]
fn duplicated_sockets_are_found() {
    let text = "let a = poll.registry().try_clone();\nlet b = socket.try_clone();\n";
    assert_eq!(lines_of(no_duplicates, "src/net/a.rs", text), [2]);
    assert_eq!(lines_of(no_duplicates, "src/demo/a.rs", text), NONE);
}

#[test]
fn what_only_linux_has_is_found_out_of_its_place() {
    let text = "#[cfg(linux)]\nuse std::os::linux::net::A; // cfg(linux)\n\
                let b = \"/proc/self/fd\";\n#[cfg(test)]\nmod tests {\n    use os::linux::A;\n}\n";
    assert_eq!(lines_of(linux_in_its_place, "src/relay/a.rs", text), [1, 2, 3]);
    for path in ["src/net/a.rs", "src/privileges.rs", "tests/a.rs"] {
        assert_eq!(lines_of(linux_in_its_place, path, text), NONE, "{path}");
    }
}

#[test]
fn flags_below_the_flags_are_found() {
    let text = "// --a\nlet b = \"--cert FILE, --no-x\";\nlet c = \"xn--d -----BEGIN\";\n\
                #[cfg(test)]\nmod tests {\n    const E: &str = \"--e\";\n}\n";
    assert_eq!(lines_of(no_flag_names, "src/net/a.rs", text), [2, 2]);
    assert_eq!(lines_of(no_flag_names, "src/startup.rs", text), [2, 2]);
    for path in ["src/flags/a.rs", "src/demo.rs", "src/main.rs", "src/bin/a.rs", "tests/a.rs"] {
        assert_eq!(lines_of(no_flag_names, path, text), NONE, "{path}");
    }
}

#[test]
fn dead_files_are_found() {
    let sources = ["src/lib.rs", "src/a.rs", "src/b.rs"].map(|path| {
        Source::new(path, if path == "src/lib.rs" { "mod a; // mod b;" } else { "" })
    });
    let files: Vec<String> = sources.iter().map(|source| source.path.clone()).collect();
    let dead = no_dead_files(&sources, &source::roots(&files, ""));
    assert_eq!(
        dead.iter().map(|breach| breach.path.as_str()).collect::<Vec<_>>(),
        ["src/b.rs"]
    );
}

#[test]
fn a_room_that_reaches_up_is_found() {
    let up = "use crate::limits;\nuse crate::{config::{self, relay}, event_loop::EventLoop};\n";
    assert_eq!(lines_of(floors, "src/net/stream.rs", up), [2]);
    assert_eq!(lines_of(floors, "src/event_loop.rs", up), NONE);
    assert_eq!(lines_of(floors, "src/event/mod.rs", "use crate::net::Stream;"), [1]);
    assert_eq!(lines_of(floors, "src/net.rs", "fn a(_: crate::relay::Pair) {}\n"), [1]);
    assert_eq!(lines_of(floors, "src/net.rs", "//! [`crate::relay`]\n"), NONE);
    assert_eq!(lines_of(floors, "src/net.rs", "#[cfg(test)]\nuse crate::relay;\n"), NONE);
    assert_eq!(lines_of(floors, "src/attic.rs", ""), [1]);
    assert_eq!(lines_of(floors, "src/net.rs", "use crate::attic;\n"), [1]);
    assert_eq!(lines_of(floors, "src/main.rs", "use crate::relay;\n"), NONE);
}
