//! Minutes of history in a file, so that charts go on after a restart.
//!
//! ```text
//!   record  | "pmh1" | kind | length u32 | crc32c u32 | payload |        all numbers little-endian
//!   names   'N'  a JSON list of columns, which follow those before:  "pool:web rate", ...
//!   minute  'M'  minutes since 1970 u32, then a point u16 for each column so far
//! ```
//!
//! Records are only appended. Each has its own sum and its own time, so that one which a kill or a
//! power cut tore is a gap, and no more. Once two days are in it, it is written anew from what is
//! in memory, a thing in each step, and renamed. No fsync: it would hold up the loop.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;

use crate::config::{Complaint, SettingKey, Subject, io_words};
use crate::history::point::Point;
use crate::limits::{HISTORY_FILE_BYTES_MAX, HISTORY_FILE_READS, HISTORY_MINUTES_IN_FILE};

const MAGIC: &[u8; 4] = b"pmh1";
const HEAD_BYTES: usize = 13;

/// What a file has.
#[derive(Debug, Default)]
pub struct Past {
    /// The columns.
    pub names: Vec<String>,
    /// Minutes since 1970, each with a point of the first so many columns.
    pub minutes: Vec<(u64, Vec<Point>)>,
    /// Bytes that are of no record that is whole.
    pub torn: usize,
}

/// A file that is being appended to.
pub struct HistoryFile {
    path: String,
    /// Where it is until it is put in its place.
    file: File,
    columns: HashMap<String, usize>,
    /// Columns that are in no record yet.
    new: Vec<String>,
    /// The minute that is being gathered.
    row: Vec<Point>,
    minutes: usize,
}

/// Reads a file; one that is not there is empty.
pub fn read(path: &str) -> io::Result<Past> {
    let mut bytes = Vec::new();
    match File::open(path) {
        Ok(file) => file.take(HISTORY_FILE_BYTES_MAX).read_to_end(&mut bytes)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
        Err(error) => return Err(error),
    };
    Ok(Past::parse(&bytes))
}

impl Past {
    /// What the records say that are whole.
    pub fn parse(bytes: &[u8]) -> Past {
        let mut past = Past::default();
        let mut rest = bytes;
        let mut patience = bytes.len().saturating_mul(HISTORY_FILE_READS);
        while !rest.is_empty() {
            let found = if patience > 0 { record(rest) } else { None };
            match found {
                Some(it) if it.is_whole() => {
                    let length = HEAD_BYTES + it.payload.len();
                    if past.take(it.kind, it.payload).is_none() {
                        past.torn += length;
                    }
                    rest = &rest[length..];
                }
                broken => {
                    // What is in it is looked at again: it may be whole.
                    let read = broken.map_or(0, |it| it.payload.len());
                    patience = patience.saturating_sub(read);
                    // On from where the next one may begin.
                    let next = rest[1..].windows(MAGIC.len()).position(|it| it == MAGIC);
                    let skipped = next.map_or(rest.len(), |at| at + 1);
                    past.torn += skipped;
                    rest = &rest[skipped..];
                }
            }
        }
        past
    }

    fn take(&mut self, kind: u8, payload: &[u8]) -> Option<()> {
        match kind {
            b'N' => {
                let names: serde_json::Value = serde_json::from_slice(payload).ok()?;
                let first = usize::try_from(names["first"].as_u64()?).ok()?;
                // If those before are lost, so are these: nobody knows which is which.
                if first != self.names.len() {
                    return None;
                }
                let names = names["names"].as_array()?.iter();
                let names = names.map(|it| it.as_str().map(str::to_owned));
                self.names.extend(names.collect::<Option<Vec<String>>>()?);
            }
            b'M' => {
                let (minute, points) = payload.split_first_chunk::<4>()?;
                let points = points.chunks_exact(2);
                let points =
                    points.map(|it| Point::from_bits(u16::from_le_bytes([it[0], it[1]])));
                let points: Vec<Point> = points.collect();
                if points.len() > self.names.len() {
                    return None;
                }
                self.minutes.push((u64::from(u32::from_le_bytes(*minute)), points));
            }
            _ => return None,
        }
        Some(())
    }
}

/// What looks like a record.
struct Record<'a> {
    kind: u8,
    payload: &'a [u8],
    sum: u32,
}

impl Record<'_> {
    fn is_whole(&self) -> bool {
        crc32c::crc32c(self.payload) == self.sum
    }
}

/// What is at the beginning, if it looks like one.
fn record(bytes: &[u8]) -> Option<Record<'_>> {
    let rest = bytes.strip_prefix(MAGIC)?;
    let (&kind, rest) = rest.split_first()?;
    let (length, rest) = rest.split_first_chunk::<4>()?;
    let (sum, rest) = rest.split_first_chunk::<4>()?;
    let payload = rest.get(..u32::from_le_bytes(*length) as usize)?;
    Some(Record { kind, payload, sum: u32::from_le_bytes(*sum) })
}

impl HistoryFile {
    /// A new one, which takes the place of the one at `path` with [`HistoryFile::put_in_place`].
    pub fn create(path: &str) -> io::Result<HistoryFile> {
        let new = format!("{path}.new");
        match fs::remove_file(&new) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let file = OpenOptions::new().append(true).create_new(true).mode(0o600).open(new)?;
        Ok(HistoryFile {
            path: path.to_owned(),
            file,
            columns: HashMap::new(),
            new: Vec::new(),
            row: Vec::new(),
            minutes: 0,
        })
    }

    /// The value of a column in the minute that is being gathered.
    pub fn put(&mut self, column: &str, value: Option<f32>) {
        let Some(value) = value else { return };
        let at = match self.columns.get(column) {
            Some(&at) => at,
            None => {
                let at = self.columns.len();
                self.columns.insert(column.to_owned(), at);
                self.new.push(column.to_owned());
                at
            }
        };
        if at >= self.row.len() {
            self.row.resize(at + 1, Point::NONE);
        }
        self.row[at] = Point::of(value);
    }

    /// The minute is whole: it is appended, if anything is known of it.
    pub fn append(&mut self, minute: u64) -> io::Result<()> {
        let row = std::mem::take(&mut self.row);
        if row.is_empty() {
            return Ok(());
        }
        let mut bytes = Vec::new();
        if !self.new.is_empty() {
            let first = self.columns.len() - self.new.len();
            let names = serde_json::json!({"first": first, "names": self.new}).to_string();
            frame(b'N', names.as_bytes(), &mut bytes);
        }
        let mut payload = Vec::with_capacity(4 + 2 * row.len());
        payload.extend_from_slice(&u32::try_from(minute).unwrap_or(u32::MAX).to_le_bytes());
        row.iter().for_each(|it| payload.extend_from_slice(&it.bits().to_le_bytes()));
        frame(b'M', &payload, &mut bytes);
        // In one write; what is left undone by an error is a torn record.
        self.file.write_all(&bytes)?;
        self.new.clear();
        self.minutes += 1;
        Ok(())
    }

    /// Whether it is time for a new one.
    pub fn is_long(&self) -> bool {
        self.minutes >= HISTORY_MINUTES_IN_FILE
    }

    /// From now on it is the one at its path.
    pub fn put_in_place(&self) -> io::Result<()> {
        fs::rename(format!("{}.new", self.path), &self.path)
    }
}

fn frame(kind: u8, payload: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(MAGIC);
    out.push(kind);
    out.extend_from_slice(&u32::try_from(payload.len()).unwrap_or(u32::MAX).to_le_bytes());
    out.extend_from_slice(&crc32c::crc32c(payload).to_le_bytes());
    out.extend_from_slice(payload);
}

/// Why nothing can be kept there, found out before the start.
pub fn mistake(path: &str) -> Option<Complaint> {
    let complaint = |why: String| {
        Some(Complaint::of(SettingKey::HISTORY_FILE, path, why).about(Subject::Process))
    };
    if fs::metadata(path).is_ok_and(|it| !it.is_file()) {
        return complaint("it is no file; choose another path".to_owned());
    }
    match HistoryFile::create(path) {
        Ok(_) => {
            let _ = fs::remove_file(format!("{path}.new"));
            None
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            complaint("its directory is not there; make it, or choose another path".to_owned())
        }
        Err(error) => complaint(format!("cannot write {path}.new: {}", io_words(&error))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file of five minutes with two columns, the second from the third minute on.
    fn written(name: &str) -> Vec<u8> {
        let path =
            std::env::temp_dir().join(format!("pointsman-{name}-{}", std::process::id()));
        let path = path.display().to_string();
        let mut file = HistoryFile::create(&path).unwrap();
        for minute in 100..105 {
            file.put("process rate", Some(minute as f32));
            file.put("pool:web rate", (minute >= 102).then_some(7.0));
            file.append(minute).unwrap();
        }
        file.append(105).unwrap();
        file.put_in_place().unwrap();
        let bytes = fs::read(&path).unwrap();
        assert_eq!(read(&path).unwrap().minutes.len(), 5, "nothing is known of the sixth");
        fs::remove_file(&path).unwrap();
        assert!(read(&path).unwrap().names.is_empty(), "what is not there is empty");
        bytes
    }

    fn values(past: &Past) -> Vec<(u64, Vec<Option<f32>>)> {
        let row = |(minute, row): &(u64, Vec<Point>)| {
            (*minute, row.iter().map(|it| it.value()).collect())
        };
        past.minutes.iter().map(row).collect()
    }

    #[test]
    fn minutes_come_back_as_they_were_put_in() {
        let past = Past::parse(&written("history-whole"));
        assert_eq!(
            (&*past.names, past.torn),
            (&["process rate", "pool:web rate"].map(String::from)[..], 0)
        );
        assert_eq!(values(&past)[1], (101, vec![Some(101.0)]));
        assert_eq!(values(&past)[4], (104, vec![Some(104.0), Some(7.0)]));
    }

    /// Wherever a byte is another one, or the file ends: all other minutes are as they were, or
    /// nobody knows what they are of.
    #[test]
    fn what_is_torn_is_a_gap_and_never_another_number() {
        let bytes = written("history-torn");
        let whole = values(&Past::parse(&bytes));
        let check = |broken: &[u8], what: &str| {
            let past = Past::parse(broken);
            for row in values(&past) {
                assert!(whole.contains(&row), "{what}: {row:?}");
            }
            past.minutes.len()
        };
        for at in 0..bytes.len() {
            let mut broken = bytes.clone();
            broken[at] ^= 0x41;
            let left = check(&broken, &format!("byte {at}"));
            assert!(at < 13 + 47 || left >= 2, "byte {at}: {left} left");
            check(&bytes[..at], &format!("cut at {at}"));
            check(&bytes[at..], &format!("begun at {at}"));
        }
    }

    /// Each of them says that all the others are in it.
    #[test]
    fn heads_of_records_that_lie_do_not_hold_up_a_start() {
        let count = 60_000_u32;
        let mut bytes = Vec::new();
        for at in 1..=count {
            bytes.extend_from_slice(b"pmh1M");
            bytes.extend_from_slice(&(13 * (count - at)).to_le_bytes());
            bytes.extend_from_slice(&1_u32.to_le_bytes());
        }
        let began = std::time::Instant::now();
        assert_eq!(Past::parse(&bytes).torn, bytes.len());
        assert!(began.elapsed().as_millis() < 500, "{:?}", began.elapsed());
    }
}
