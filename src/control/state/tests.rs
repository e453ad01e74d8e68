//! A file that is hurt is found out, and a kill or a full disk leaves one that is whole.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant, SystemTime};

use rustix::process::{Resource, Rlimit, setrlimit};

use serde_json::json;

use super::*;
use crate::config::{BackendSpec, Mark, Member, OverlaySource, Shared, Told};
use crate::dns::lookup::{Endpoint, Wanted};
use crate::dns::search::Written;
use crate::dns::watched::Known;
use crate::limits::STATE_PIECE_BYTES;

fn spec(text: &str) -> Shared<BackendSpec> {
    BackendSpec::parse(text).unwrap().into()
}

fn example() -> State {
    let at = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
    let mark = Mark { by: "uid 0".to_owned(), at };
    let mut overlay = Overlay::default();
    let source = OverlaySource::Registered;
    let added = spec("https://[::1]:80,name=c,max-connections=3,backup,check-port=9,sni=x");
    overlay.insert("web", "c", Told::Added { spec: added, source, mark: mark.clone() });
    let marks = [(Member::Weight, mark.clone())].into();
    let configured = spec("a:1,weight=10");
    let told = spec("a:1,weight=5");
    overlay.insert("web", "a:1", Told::Changed { configured, told, marks });
    overlay.insert("web", "b:1", Told::Removed { configured: spec("b:1"), mark });
    let place = || ("web".to_owned(), "a:1".to_owned());
    let (pool, backend) = place();
    let health = vec![HealthHint { pool, backend, is_up: false }];
    let (pool, backend) = place();
    let counts = BackendCounts { given: 7, answers: [0, 5, 0, 0, 1], ..Default::default() };
    State {
        generation: 12,
        is_drained: true,
        overlay,
        health,
        counts: vec![SavedCounts { pool, backend, counts }],
        totals: vec![("requests".to_owned(), 99)],
        sums: vec![SumRow {
            of: "rule".to_owned(),
            names: vec!["service".to_owned(), "web".to_owned(), "deny".to_owned()],
            counts: vec![("refused".to_owned(), 3)],
        }],
        registrations: json!([{"pool": "web", "name": "c", "sequence": 3}]),
        names: json!([{
            "host": "api.example.",
            "port": 80,
            "at": "2027-01-15T07:00:00Z",
            "found": "api.example",
            "endpoints": [["10.0.0.1:80", "api.example", 0, null]],
        }])
        .to_string(),
        bans: json!([{
            "network": "192.0.2.0/24",
            "until": "2027-01-15T08:00:00Z",
            "since": "2027-01-15T07:00:00Z",
            "why": "\"why\"",
            "by": "uid 0",
        }])
        .to_string(),
    }
}

struct Directory(std::path::PathBuf);

impl Directory {
    fn new(name: &str) -> Directory {
        let path =
            std::env::temp_dir().join(format!("pointsman-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir(&path).unwrap();
        Directory(path)
    }

    fn file(&self) -> String {
        self.0.join("state.json").to_str().unwrap().to_owned()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn said(path: &str) -> String {
    format!("{:?}", saving_mistake(path).unwrap())
}

fn save(path: &str, state: &State) -> std::io::Result<()> {
    let mut saving = Saving::begin(path, state.clone().into_body());
    while saving.step() {}
    saving.outcome
}

#[test]
fn a_state_of_many_bans_is_never_put_together_nor_summed_up_in_one_go() {
    let why = "x".repeat(1000);
    let bans: Vec<String> =
        (0..2000).map(|at| format!(r#"{{"of":{at},"why":"{why}"}}"#)).collect();
    let state = State { bans: format!("[{}]", bans.join(",")), ..State::default() };
    let gathered = state.bans.as_ptr();
    let whole = state.to_bytes();
    let body = state.into_body();
    assert_eq!(body.0[3].as_ptr(), gathered, "it is where it was gathered");
    let mut written = Vec::new();
    while let piece = body.piece(written.len())
        && !piece.is_empty()
    {
        assert!(piece.len() <= STATE_PIECE_BYTES, "a step takes no more");
        written.extend_from_slice(piece);
    }
    let header = body.header().len();
    assert!(written.len() > 1 << 20 && whole[header..].starts_with(&written));
    let directory = Directory::new("state-bans");
    let mut saving = Saving::begin(&directory.file(), body);
    while saving.step() {}
    assert_eq!(fs::read(directory.file()).unwrap(), whole);
}

#[test]
fn what_is_written_is_read_as_the_same() {
    let state = example();
    let bytes = state.to_bytes();
    assert_eq!(State::parse(&bytes), Ok(state.clone()));
    assert_eq!(State::parse(bytes.strip_suffix(b"\n").unwrap()), Ok(state));
    assert_eq!(State::parse(&State::default().to_bytes()), Ok(State::default()));
}

#[test]
fn names_are_written_as_they_are_read() {
    let at = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
    let name = |text: &str| crate::dns::Name::new(text).unwrap();
    let endpoint = |address: &str, priority, weight| Endpoint {
        address: address.parse().unwrap(),
        target: name("one.example"),
        priority,
        weight,
    };
    let hosts = vec![endpoint("10.0.0.1:80", 0, None), endpoint("[2001:db8::1]:80", 0, None)];
    let services =
        vec![endpoint("10.0.0.1:81", 3, Some(0)), endpoint("10.0.0.2:9", 1, Some(7))];
    let written = |text: &str| Written::new(text).unwrap();
    let all = [
        (Wanted::Addresses(written("Api.Example."), 80), hosts),
        (Wanted::Services(written("_a._tcp.x")), services),
    ];
    let rows: Vec<String> =
        all.iter().map(|(it, to)| name_json(it, at, &name("found.example"), to)).collect();
    let list = serde_json::from_str(&format!("[{}]", rows.join(","))).unwrap();
    let want = all.map(|(wanted, endpoints)| {
        let known = Known { name: name("found.example"), endpoints };
        SavedName { wanted, at, known }
    });
    assert_eq!(names_of(&list), Ok(want.to_vec()));
}

#[test]
fn a_state_without_names_is_of_an_older_version_and_with_wrong_ones_is_none() {
    let state = |names: &str| {
        let body = String::from_utf8(State::default().into_body().0.concat()).unwrap();
        let body = match names {
            "" => body.replace(",\"names\":[]", ""),
            names => body.replace("\"names\":[]", &format!("\"names\":{names}")),
        };
        let sum = crc32c::crc32c(body.as_bytes());
        State::parse(
            format!("pointsman-state 1 {}\n{body}\ncrc32c {sum:08x}", body.len()).as_bytes(),
        )
    };
    assert_eq!(state(""), Ok(State::default()));
    let row = |host: &str, port: &str, endpoints: &str| {
        let at = "2027-01-15T07:00:00Z";
        format!(
            r#"[{{"host":{host},"port":{port},"at":"{at}","found":"x","endpoints":{endpoints}}}]"#
        )
    };
    assert!(state(&row("\"x\"", "80", r#"[["10.0.0.1:80","x",0,null]]"#)).is_ok());
    let wrong = [
        "{}".to_owned(),
        "[7]".to_owned(),
        row("\"a..b\"", "80", "[]"),
        row("\"x\"", "65536", "[]"),
        row("\"x\"", "\"80\"", "[]"),
        row("\"x\"", "80", "{}"),
        row("\"x\"", "80", "[[]]"),
        row("\"x\"", "80", r#"[["10.0.0.1","x",0,null]]"#),
        row("\"x\"", "80", r#"[["10.0.0.1:80","a b",0,null]]"#),
        row("\"x\"", "80", r#"[["10.0.0.1:80","x",-1,null]]"#),
        row("\"x\"", "80", r#"[["10.0.0.1:80","x",0,70000]]"#),
    ];
    for names in wrong {
        assert!(state(&names).is_err(), "{names}");
    }
}

#[test]
fn every_flipped_bit_and_every_cut_is_found_out_or_harmless() {
    let state = example();
    let bytes = state.to_bytes();
    let is_harmless =
        |it: &[u8]| State::parse(it).is_err() || State::parse(it) == Ok(state.clone());
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut hurt = bytes.clone();
            hurt[at] ^= 1 << bit;
            assert!(State::parse(&hurt).is_err(), "byte {at}, bit {bit}");
        }
        assert!(is_harmless(&bytes[..at]), "cut at {at}");
        let without = [&bytes[..at], &bytes[at + 1..]].concat();
        assert!(is_harmless(&without), "without byte {at}");
    }
    assert!(State::parse(&[&bytes[..], b"more"].concat()).is_err());
}

#[test]
fn the_file_before_is_kept_and_taken_where_the_last_is_torn() {
    let directory = Directory::new("state-old");
    let path = directory.file();
    let one = State { generation: 1, ..example() };
    let two = State { generation: 2, ..example() };
    save(&path, &one).unwrap();
    save(&path, &two).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(read(&path).state, Some(two));
    fs::write(&path, "torn").unwrap();
    let found = read(&path);
    assert_eq!(found.state, Some(one));
    assert!(found.notes[0].contains(".bad"), "{:?}", found.notes);
    assert_eq!(fs::read_to_string(format!("{path}.bad")).unwrap(), "torn");
    fs::write(format!("{path}.old"), "torn as well").unwrap();
    let found = read(&path);
    assert_eq!((found.state, found.notes.len()), (None, 1));
    assert!(read("/nowhere/state").notes.is_empty());
}

#[test]
fn where_nothing_can_be_written_the_file_stays_and_a_start_says_why() {
    let directory = Directory::new("state-full");
    let path = directory.file();
    assert!(saving_mistake(&path).is_none());
    save(&path, &example()).unwrap();
    // A directory that is not empty is in the way, as a full disk is.
    fs::create_dir_all(format!("{path}.new/in the way")).unwrap();
    assert!(save(&path, &State::default()).is_err());
    assert_eq!(read(&path).state, Some(example()));
    assert!(said(&path).contains("cannot write"));
    let nowhere = format!("{path}.d/state");
    assert!(said(&nowhere).contains("its directory is not there"));
}

#[test]
fn a_large_state_is_written_in_pieces() {
    let directory = Directory::new("state-pieces");
    let registrations = json!("x".repeat(300_000));
    let large = State { registrations, ..example() };
    let mut saving = Saving::begin(&directory.file(), large.clone().into_body());
    let mut steps = 1;
    while saving.step() {
        steps += 1;
    }
    assert!(steps >= 7, "{steps}");
    assert_eq!(read(&directory.file()).state, Some(large));
}

/// Whoever runs this file's tests with it in the environment is a process that saves there.
const SAVES_AT: &str = "POINTSMAN_TEST_SAVES_AT";
/// The same, with files of this many bytes at most.
const FULL_AT: &str = "POINTSMAN_TEST_FULL_AT";

fn child(variable: &str, path: &str) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "control::state::tests::a_process_of_its_own_saves"]);
    command.env(variable, path).stdout(Stdio::null()).spawn().unwrap()
}

#[test]
fn a_process_of_its_own_saves() {
    if let Ok(path) = std::env::var(SAVES_AT) {
        for generation in 1.. {
            save(&path, &State { generation, ..example() }).unwrap();
        }
    }
    if let Ok(path) = std::env::var(FULL_AT) {
        // A handler, for the signal would end the process.
        let number = signal_hook::consts::SIGXFSZ;
        signal_hook::flag::register(number, Arc::new(AtomicBool::new(false))).unwrap();
        let most = Some(100);
        setrlimit(Resource::Fsize, Rlimit { current: most, maximum: most }).unwrap();
        assert!(save(&path, &State::default()).is_err());
    }
}

#[test]
fn a_kill_at_any_moment_leaves_the_old_state_or_the_new_one() {
    let directory = Directory::new("state-kill");
    let path = directory.file();
    save(&path, &example()).unwrap();
    let began = Instant::now();
    let mut others = 0;
    for turn in 0..1000 {
        let before = fs::read(&path).unwrap();
        let mut child = child(SAVES_AT, &path);
        // Until it saves, so that the kill falls into that.
        while fs::read(&path).unwrap() == before {
            assert!(began.elapsed() < Duration::from_secs(300));
            std::thread::yield_now();
        }
        let wait = Duration::from_nanos(fastrand::u64(..1_000_000));
        let until = Instant::now() + wait;
        while Instant::now() < until {
            std::hint::spin_loop();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let found = read(&path);
        assert_eq!(found.notes, [""; 0], "kill {turn}");
        let state = found.state.unwrap();
        others += usize::from(fs::exists(format!("{path}.new")).unwrap());
        assert_eq!(State { generation: 0, ..state }, State { generation: 0, ..example() });
    }
    println!("{others} of 1000 kills came while a file was being written");
}

#[test]
fn a_full_disk_leaves_the_old_state() {
    let directory = Directory::new("state-limit");
    let path = directory.file();
    save(&path, &example()).unwrap();
    assert!(child(FULL_AT, &path).wait().unwrap().success());
    assert_eq!(read(&path).state, Some(example()));
    assert!(!fs::exists(format!("{path}.new")).unwrap());
}
