//! Files: read, what they include, and where in them a byte is.

use std::fmt;
use std::fs::OpenOptions;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use crate::config::{Glob, Spot, io_words, quoted};
use crate::limits::{CONFIG_BYTES_MAX, CONFIG_FILES_MAX};

use super::mistake::Mistake;

/// The files that were read, the first one and those that it includes.
#[derive(Debug, Default, Clone)]
pub struct Sources {
    files: Vec<SourceFile>,
}

/// What a variable of the environment is, if it is set.
pub type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

/// One file.
#[derive(Debug, Clone)]
struct SourceFile {
    name: String,
    text: String,
    /// Where each line begins.
    lines: Vec<usize>,
}

/// A place in a file, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file, as it was named.
    pub file: String,
    /// Counted from 1.
    pub line: usize,
    /// Characters, counted from 1.
    pub column: usize,
    /// How many characters are meant, at least 1, at most to the end of the line.
    pub length: usize,
    /// The text of the line.
    pub text: String,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

impl Sources {
    /// Another file of this name, with this text. Says which one it is.
    pub(super) fn add(&mut self, name: String, text: String) -> usize {
        let ends = text.match_indices('\n').map(|(at, _)| at + 1);
        let lines = std::iter::once(0).chain(ends).collect();
        self.files.push(SourceFile { name, text, lines });
        self.files.len() - 1
    }

    /// The text of a file; panics where none is.
    pub(super) fn text(&self, file: usize) -> &str {
        &self.files[file].text
    }

    /// The names of the files and their texts, in order.
    pub fn texts(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files.iter().map(|file| (&*file.name, &*file.text))
    }

    /// Where bytes are, for people.
    pub fn place(&self, spot: Spot) -> Option<Place> {
        let file = self.files.get(spot.file)?;
        let start = floor(&file.text, spot.start);
        let line = file.lines.partition_point(|&begin| begin <= start);
        let begin = file.lines[line - 1];
        let text = file.text[begin..].lines().next().unwrap_or_default();
        let column = file.text[begin..start].chars().count() + 1;
        let end = floor(&file.text, spot.end).min(begin + text.len()).max(start);
        let length = file.text[start..end].chars().count().max(1);
        Some(Place { file: file.name.clone(), line, column, length, text: text.to_owned() })
    }

    /// `web.toml:12`, or `conf.d/web.toml:12`: without the folder of the first file.
    pub fn short(&self, spot: Spot) -> Option<String> {
        let place = self.place(spot)?;
        let path = Path::new(&place.file);
        let home = self.files.first().and_then(|file| Path::new(&file.name).parent());
        let name = home.and_then(|home| path.strip_prefix(home).ok()).unwrap_or(path);
        Some(format!("{}:{}", name.display(), place.line))
    }
}

/// The files that these patterns mean, sorted by name, each once, with where it is asked for.
pub(super) fn included(
    path: &Path,
    patterns: &[(String, Spot)],
    mistakes: &mut Vec<Mistake>,
) -> Vec<(PathBuf, Spot)> {
    let folder = path.parent().unwrap_or(Path::new(""));
    let mut found: Vec<(PathBuf, Spot)> = Vec::new();
    for (pattern, spot) in patterns {
        match matching(&folder.join(pattern)) {
            Ok(paths) => found.extend(paths.into_iter().map(|path| (path, *spot))),
            Err(why) => {
                let says = format!("cannot include {}: {why}", quoted(pattern));
                mistakes.push(Mistake::at(*spot, says));
            }
        }
    }
    found.sort_by(|one, other| one.0.cmp(&other.0));
    found.dedup_by(|one, other| one.0 == other.0);
    if found.len() >= CONFIG_FILES_MAX {
        let says = format!("{} files are included", found.len());
        let at = found[0].1;
        let hint = format!("at most {}", CONFIG_FILES_MAX - 1);
        mistakes.push(Mistake::at(at, says).hint(hint));
        found.clear();
    }
    found
}

/// A character boundary at or before this byte.
fn floor(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// The text of a regular file below the limit. Opened nonblocking: a named pipe would wait for
/// somebody who writes to it.
pub(super) fn read_text(path: &Path) -> Result<String, String> {
    let mut options = OpenOptions::new();
    let options = options.read(true).custom_flags(OFlags::NONBLOCK.bits() as i32);
    let mut bytes = Vec::new();
    let opened = options.open(path).and_then(|opened| {
        if !opened.metadata()?.is_file() {
            return Err(std::io::Error::other("it is not a file"));
        }
        opened.take(CONFIG_BYTES_MAX + 1).read_to_end(&mut bytes)
    });
    opened.map_err(|error| io_words(&error))?;
    if bytes.len() as u64 > CONFIG_BYTES_MAX {
        return Err(format!("it has more than {CONFIG_BYTES_MAX} bytes"));
    }
    String::from_utf8(bytes).map_err(|error| {
        let good = error.utf8_error().valid_up_to();
        let before = &error.as_bytes()[..good];
        let line = before.iter().filter(|&&byte| byte == b'\n').count() + 1;
        format!("no UTF-8 in line {line}, at byte {good}")
    })
}

/// The files that a path means, whose last part may have `*` and `?`. A path without them has to be
/// there.
fn matching(path: &Path) -> Result<Vec<PathBuf>, String> {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let folder = path.parent().unwrap_or(Path::new(""));
    if folder.to_str().is_some_and(|text| text.contains(['*', '?'])) {
        return Err("want * and ? in the last part of the path alone".to_owned());
    }
    if !name.contains(['*', '?']) {
        return Ok(vec![path.to_owned()]);
    }
    let glob = Glob::parse(name).ok_or("want a ? where fewer bytes stand between two *")?;
    // As in a shell, a dot in front is stood for by nothing but itself.
    let is_like =
        |it: &str| glob.fits(it.as_bytes()) && (name.starts_with('.') || !it.starts_with('.'));
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        // No folder is as good as an empty one.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(io_words(&error)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| io_words(&error))?;
        let fits = entry.file_name().to_str().is_some_and(is_like);
        if fits && entry.path().is_file() {
            found.push(path.with_file_name(entry.file_name()));
        }
    }
    Ok(found)
}

/// What a string is once `${NAME}`, `${NAME:-default}` and `$$` in it are put in their place; if
/// not, what is wrong with it.
pub(super) fn substituted(text: &str, env: Env<'_>) -> Result<String, String> {
    if !text.contains('$') {
        return Ok(text.to_owned());
    }
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out += &rest[..at];
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            out.push('$');
            rest = after;
            continue;
        }
        // Alone it is what it is: `path $= ".png"` is a condition.
        let Some(inner) = rest.strip_prefix('{') else {
            out.push('$');
            continue;
        };
        let Some((inner, after)) = inner.split_once('}') else {
            return Err(
                "found ${ without }, want ${NAME}, ${NAME:-default}, or $${ for ${".into()
            );
        };
        let (name, default) = match inner.split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (inner, None),
        };
        let in_name = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
        if name.is_empty() || !name.bytes().all(in_name) {
            let found = quoted(name);
            return Err(format!("found {found} in ${{}}, want the name of a variable"));
        }
        // As in a shell: what is set to nothing is as good as unset where there is a default.
        let value = env(name).filter(|value| default.is_none() || !value.is_empty());
        match value.or_else(|| default.map(str::to_owned)) {
            Some(value) => out += &value,
            None => {
                return Err(format!(
                    "the variable {name} is not set, want it set, or ${{{name}:-default}}"
                ));
            }
        }
        rest = after;
    }
    Ok(out + rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_stand_in_strings() {
        let env = |name: &str| match name {
            "A" => Some("one".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        };
        let table = [
            ("plain", Ok("plain")),
            ("${A}", Ok("one")),
            ("x${A}y${A}z", Ok("xoneyonez")),
            ("${B:-two}", Ok("two")),
            ("${B:-}", Ok("")),
            ("${A:-two}", Ok("one")),
            ("${EMPTY}", Ok("")),
            ("${EMPTY:-two}", Ok("two")),
            ("$$5", Ok("$5")),
            ("$$$${A}", Ok("$${A}")),
            ("${B}", Err("the variable B is not set")),
            ("$A", Ok("$A")),
            ("path $= \"/x\" $", Ok("path $= \"/x\" $")),
            ("$$= $${A}", Ok("$= ${A}")),
            ("${A", Err("found ${ without }")),
            ("${}", Err("want the name of a variable")),
            ("${a b}", Err("found 'a b' in ${}")),
        ];
        for (text, expected) in table {
            match (substituted(text, &env), expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{text}"),
                (Err(found), Err(expected)) => assert!(found.contains(expected), "{found}"),
                (found, _) => panic!("{text}: {found:?}"),
            }
        }
    }

    #[test]
    fn names_are_like_patterns() {
        let home = std::env::temp_dir().join(format!("pointsman-glob-{}", std::process::id()));
        std::fs::create_dir_all(&home).unwrap();
        for name in ["a.toml", "ab.toml", "a.toml.bak", ".a.toml"] {
            std::fs::write(home.join(name), "").unwrap();
        }
        let table = [
            ("*.toml", "a.toml ab.toml"),
            ("?.toml", "a.toml"),
            (".*.toml", ".a.toml"),
            ("*d*", ""),
            ("none.toml", "none.toml"),
        ];
        for (pattern, expected) in table {
            let mut found: Vec<String> = matching(&home.join(pattern))
                .unwrap()
                .iter()
                .map(|path| path.file_name().unwrap().to_str().unwrap().to_owned())
                .collect();
            found.sort();
            assert_eq!(found.join(" "), expected, "{pattern}");
        }
        std::fs::remove_dir_all(home).unwrap();
    }

    #[test]
    fn a_byte_has_a_line_and_a_column() {
        let mut sources = Sources::default();
        sources.add("/etc/x.toml".to_owned(), "a = 1\nb\u{fc}c = 2\n".to_owned());
        let place = |start, end| sources.place(Spot { file: 0, start, end }).unwrap();
        assert_eq!(place(0, 1).to_string(), "/etc/x.toml:1:1");
        assert_eq!(place(6, 10).to_string(), "/etc/x.toml:2:1");
        assert_eq!((place(6, 10).length, place(9, 10).column), (3, 3));
        // Beyond the end of the line, and of the file.
        assert_eq!((place(13, 99).line, place(13, 99).length), (2, 1));
        assert_eq!(place(99, 99).line, 3);
        let spot = Spot { file: 0, start: 6, end: 7 };
        assert_eq!(sources.short(spot).as_deref(), Some("x.toml:2"));
    }
}
