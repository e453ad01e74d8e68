//! The Rust files as the rules see them: code apart from comments and literals, which lines are
//! tests, where functions begin and end, and which files a Cargo target reaches.
//!
//! No parser: a scanner that knows comments, strings and braces is enough for every rule, and it
//! needs no package.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// One Rust file.
pub struct Source {
    /// From the top of the repository, with `/`.
    pub path: String,
    pub text: String,
    /// The text with comments and literals blanked; every byte stays where it is.
    pub code: String,
    /// The text with everything blanked but the comments.
    pub comments: String,
    /// Bytes that are compiled for tests only.
    tests: Vec<(usize, usize)>,
}

/// What a stretch of source is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Code,
    Comment,
    Literal,
}

/// A function and the lines it takes.
pub struct Function {
    pub name: String,
    pub line: usize,
    pub lines: usize,
}

/// A `mod name;` and where its file may be.
struct Declared {
    candidates: Vec<PathBuf>,
    for_tests: bool,
}

impl Source {
    pub fn new(path: &str, text: &str) -> Source {
        let kinds = kinds(text.as_bytes());
        let code = blanked(text, |index| kinds[index] == Kind::Code);
        let comments = blanked(text, |index| kinds[index] == Kind::Comment);
        let tests = test_items(&code);
        Source { path: path.to_owned(), text: text.to_owned(), code, comments, tests }
    }

    /// The line, from 1, of a byte.
    pub fn line_of(&self, byte: usize) -> usize {
        line_of(&self.code, byte)
    }

    /// Whether only tests compile this byte.
    pub fn is_test(&self, byte: usize) -> bool {
        self.tests.iter().any(|&(from, to)| (from..to).contains(&byte))
    }

    /// The whole file is compiled for tests only.
    pub fn mark_as_test(&mut self) {
        self.tests = vec![(0, self.text.len())];
    }

    /// Functions that have a body.
    pub fn functions(&self) -> Vec<Function> {
        let mut found = Vec::new();
        for start in words(&self.code, "fn") {
            let rest = self.code[start + 2..].trim_start();
            let name: String = rest.chars().take_while(|&c| is_word(c)).collect();
            if name.is_empty() {
                continue;
            }
            if let Some((_, close)) = body(&self.code, start) {
                let line = self.line_of(start);
                found.push(Function { name, line, lines: self.line_of(close) - line + 1 });
            }
        }
        found
    }

    /// The files that this one's `mod` lines may mean, and whether it is for tests only.
    fn declares(&self, is_root: bool) -> Vec<Declared> {
        let path = Path::new(&self.path);
        let beside = path.parent().unwrap_or(Path::new("")).to_path_buf();
        let stem = path.file_stem().unwrap_or_default();
        let below = if is_root || stem == "mod" { beside.clone() } else { beside.join(stem) };
        let mut found = Vec::new();
        for start in words(&self.code, "mod") {
            let rest = self.code[start + 3..].trim_start();
            let name: String = rest.chars().take_while(|&c| is_word(c)).collect();
            if name.is_empty() || !rest[name.len()..].trim_start().starts_with(';') {
                continue;
            }
            let before = self.code[..start].rfind([';', '{', '}']).map_or(0, |at| at + 1);
            let attributes = &self.code[before..start];
            let given = attributes.find("#[path").map(|at| {
                let text = &self.text[before + at..start];
                joined(&beside, text.split('"').nth(1).unwrap_or_default())
            });
            let candidates = match given {
                Some(path) => vec![path],
                None => {
                    vec![below.join(format!("{name}.rs")), below.join(name).join("mod.rs")]
                }
            };
            let for_tests = attributes.contains("#[cfg(test)]");
            found.push(Declared { candidates, for_tests });
        }
        found
    }
}

/// A path as seen from a folder, without `..`.
fn joined(folder: &Path, path: &str) -> PathBuf {
    let mut whole = folder.to_path_buf();
    for part in path.split('/') {
        match part {
            ".." => drop(whole.pop()),
            part => whole.push(part),
        }
    }
    whole
}

/// Which files a walk from `roots` along `mod` lines reaches, and whether only for tests.
pub fn reached(sources: &[Source], roots: &[String]) -> BTreeMap<String, bool> {
    let by_path: BTreeMap<&str, &Source> =
        sources.iter().map(|source| (source.path.as_str(), source)).collect();
    let mut reached: BTreeMap<String, bool> = BTreeMap::new();
    let mut waiting: Vec<(String, bool, bool)> =
        roots.iter().map(|root| (root.clone(), true, false)).collect();
    while let Some((path, is_root, for_tests)) = waiting.pop() {
        let Some(source) = by_path.get(path.as_str()) else { continue };
        // Once as code is enough; once for tests is not, if it is reached as code too.
        if reached.get(&path).is_some_and(|&only_tests| !only_tests || for_tests) {
            continue;
        }
        reached.insert(path, for_tests);
        for declared in source.declares(is_root) {
            for candidate in declared.candidates {
                let candidate = candidate.to_string_lossy().replace('\\', "/");
                waiting.push((candidate, false, for_tests || declared.for_tests));
            }
        }
    }
    reached
}

/// The files that Cargo compiles by themselves: what it finds, and what `path = "..."` names.
pub fn roots(files: &[String], manifest: &str) -> Vec<String> {
    let named = manifest.lines().filter_map(|line| {
        let value = line.trim().strip_prefix("path")?.trim_start().strip_prefix('=')?;
        Some(value.trim().trim_matches('"').to_owned())
    });
    let found = files.iter().filter(|file| {
        let parts: Vec<&str> = file.split('/').collect();
        match parts.as_slice() {
            ["src", name] => ["lib.rs", "main.rs", "build.rs"].contains(name),
            ["src", "bin", inner @ ..] | ["tests" | "benches" | "examples", inner @ ..] => {
                matches!(inner, [_] | [_, "main.rs"])
            }
            _ => *file == "build.rs",
        }
    });
    found.cloned().chain(named).collect()
}

/// The top of the repository.
pub fn top() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub fn read(path: &str) -> String {
    let full = top().join(path);
    fs::read_to_string(&full).unwrap_or_else(|error| panic!("{}: {error}", full.display()))
}

/// Every file of the project that ends in `extension`, sorted. What is built and what is hidden is
/// left out, and so is every folder that is a package of its own.
pub fn files(extension: &str) -> Vec<String> {
    files_below("", extension)
}

fn files_below(folder: &str, extension: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut waiting = vec![top().join(folder)];
    while let Some(folder) = waiting.pop() {
        let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{error}"));
        for path in entries.map(|entry| entry.unwrap().path()) {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let skipped = name.starts_with('.') || name == "target";
            if path.is_dir() && !skipped && !path.join("Cargo.toml").exists() {
                waiting.push(path);
            } else if path.is_file() && name.ends_with(extension) {
                let inner = path.strip_prefix(top()).unwrap();
                found.push(inner.to_string_lossy().replace('\\', "/"));
            }
        }
    }
    found.sort();
    found
}

/// Every Rust file, with those that only tests reach marked so.
pub fn sources() -> Vec<Source> {
    let files = files(".rs");
    let mut sources: Vec<Source> =
        files.iter().map(|path| Source::new(path, &read(path))).collect();
    let reached = reached(&sources, &roots(&files, &read("Cargo.toml")));
    for source in &mut sources {
        if reached.get(&source.path) == Some(&true) {
            source.mark_as_test();
        }
    }
    sources
}

/// The Rust files of a package of its own within this one.
pub fn sources_of_package(folder: &str) -> Vec<Source> {
    let files = files_below(&format!("{folder}/src"), ".rs");
    files.iter().map(|path| Source::new(path, &read(path))).collect()
}

pub fn line_of(text: &str, byte: usize) -> usize {
    text[..byte].matches('\n').count() + 1
}

pub fn is_word(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}

/// Where `word` stands as a whole word.
pub fn words<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    code.match_indices(word).map(|(at, _)| at).filter(move |&at| {
        let before = code[..at].chars().next_back();
        let after = code[at + word.len()..].chars().next();
        !before.is_some_and(is_word) && !after.is_some_and(is_word)
    })
}

/// The braces of the item that begins at `start`; `None` if it ends in a semicolon.
pub fn body(code: &str, start: usize) -> Option<(usize, usize)> {
    let mut depth = 0;
    for (at, byte) in code.bytes().enumerate().skip(start) {
        match byte {
            b'(' | b'[' => depth += 1,
            b')' | b']' => depth -= 1,
            b';' if depth == 0 => return None,
            b'{' if depth == 0 => return Some((at, closing(code, at)?)),
            _ => {}
        }
    }
    None
}

fn closing(code: &str, open: usize) -> Option<usize> {
    let mut depth = 0;
    for (at, byte) in code.bytes().enumerate().skip(open) {
        match byte {
            b'{' => depth += 1,
            b'}' if depth == 1 => return Some(at),
            b'}' => depth -= 1,
            _ => {}
        }
    }
    None
}

/// What follows each `#[cfg(test)]`, up to its closing brace or semicolon.
fn test_items(code: &str) -> Vec<(usize, usize)> {
    let starts = code.match_indices("#[cfg(test)]").map(|(at, text)| (at, at + text.len()));
    let end = |after| match body(code, after) {
        Some((_, close)) => close + 1,
        None => code[after..].find(';').map_or(code.len(), |at| after + at),
    };
    starts.map(|(start, after)| (start, end(after))).collect()
}

fn blanked(text: &str, keep: impl Fn(usize) -> bool) -> String {
    let bytes = text
        .bytes()
        .enumerate()
        .map(|(index, byte)| if byte == b'\n' || keep(index) { byte } else { b' ' });
    // A character is kept or blanked as a whole, so this loses nothing.
    String::from_utf8_lossy(&bytes.collect::<Vec<u8>>()).into_owned()
}

fn kinds(text: &[u8]) -> Vec<Kind> {
    let mut kinds = vec![Kind::Code; text.len()];
    let mut at = 0;
    while at < text.len() {
        let (kind, end) = token(text, at);
        kinds[at..end].fill(kind);
        at = end;
    }
    kinds
}

/// What begins here, and where it ends.
fn token(text: &[u8], at: usize) -> (Kind, usize) {
    let rest = &text[at..];
    let starts_word =
        at == 0 || !(text[at - 1] == b'_' || text[at - 1].is_ascii_alphanumeric());
    if rest.starts_with(b"//") {
        let end = rest.iter().position(|&byte| byte == b'\n').unwrap_or(rest.len());
        return (Kind::Comment, at + end);
    }
    if rest.starts_with(b"/*") {
        return (Kind::Comment, at + block_comment(rest));
    }
    if starts_word && let Some(length) = raw_string(rest) {
        return (Kind::Literal, at + length);
    }
    match rest[0] {
        b'"' => (Kind::Literal, at + quoted(rest, b'"')),
        b'\'' if is_char_literal(rest) => (Kind::Literal, at + quoted(rest, b'\'')),
        _ => (Kind::Code, at + 1),
    }
}

fn block_comment(text: &[u8]) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at < text.len() {
        if text[at..].starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if text[at..].starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    text.len()
}

/// The length of a raw string with its `r`, `br` or `cr`.
fn raw_string(text: &[u8]) -> Option<usize> {
    let letters =
        [&b"r"[..], b"br", b"cr"].into_iter().find(|start| text.starts_with(start))?;
    let hashes = text[letters.len()..].iter().take_while(|&&byte| byte == b'#').count();
    let inner = letters.len() + hashes;
    if text.get(inner) != Some(&b'"') {
        return None;
    }
    let end = [&b"\""[..], &b"#".repeat(hashes)].concat();
    let found = text[inner + 1..].windows(end.len()).position(|window| window == end);
    Some(found.map_or(text.len(), |at| inner + 1 + at + end.len()))
}

/// `'a'` and not the lifetime `'a`.
fn is_char_literal(text: &[u8]) -> bool {
    match text.get(1) {
        Some(b'\\') => true,
        Some(first) => {
            let length = match first {
                0..0x80 => 1,
                0x80..0xe0 => 2,
                0xe0..0xf0 => 3,
                _ => 4,
            };
            text.get(1 + length) == Some(&b'\'')
        }
        None => false,
    }
}

fn quoted(text: &[u8], quote: u8) -> usize {
    let mut at = 1;
    while at < text.len() {
        match text[at] {
            b'\\' => at += 2,
            byte if byte == quote => return at + 1,
            _ => at += 1,
        }
    }
    text.len()
}

#[test]
fn the_scanner_tells_code_from_the_rest() {
    let text =
        "let a = \"x // {\"; // b\nlet c = r#\"\"{\"#; /* /* */ d */ 'e' '\\'' 'é' &'f g\n";
    let source = Source::new("x.rs", text);
    assert_eq!(source.code.split_whitespace().collect::<String>(), "leta=;letc=;&'fg");
    assert_eq!(source.comments.split_whitespace().collect::<String>(), "//b/*/**/d*/");
    assert_eq!(source.code.len(), text.len());
}

#[test]
fn functions_have_their_lines() {
    let text = "fn a() -> [u8; 2] {\n    if x { y }\n}\n\ntype F = fn(u8);\nfn b();\n";
    let functions = Source::new("x.rs", text).functions();
    let found: Vec<_> = functions.iter().map(|f| (f.name.as_str(), f.line, f.lines)).collect();
    assert_eq!(found, [("a", 1, 3)]);
}

#[test]
fn what_only_tests_compile_is_known() {
    let text = "fn a() {}\n#[cfg(test)]\nmod tests {\n    fn b() {}\n}\nfn c() {}\n";
    let source = Source::new("x.rs", text);
    let is_test = |name| source.is_test(text.find(name).unwrap());
    assert_eq!(["fn a", "fn b", "fn c"].map(is_test), [false, true, false]);
}

#[test]
fn a_walk_along_the_modules_knows_what_only_tests_reach() {
    let sources = [
        Source::new("src/lib.rs", "mod a;\n#[cfg(test)]\nmod b;\n"),
        Source::new("src/a/mod.rs", "mod c;\n#[path = \"../d.rs\"]\nmod e;\n"),
        Source::new("src/a/c.rs", ""),
        Source::new("src/b.rs", "mod f;"),
        Source::new("src/b/f.rs", ""),
        Source::new("src/d.rs", ""),
        Source::new("src/dead.rs", ""),
    ];
    let reached = reached(&sources, &["src/lib.rs".to_owned()]);
    let tests: Vec<&str> =
        reached.iter().filter(|(_, test)| **test).map(|(path, _)| path.as_str()).collect();
    assert_eq!(tests, ["src/b.rs", "src/b/f.rs"]);
    assert_eq!(reached.len(), 6, "{reached:?}");
}
