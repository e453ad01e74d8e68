//! Frames as text: what stands on a screen, and that nothing leaves it.

use std::time::{Duration, Instant};

use super::*;
use crate::terminal::{Key, Screen};
use crate::top::sample::{
    Backend, Name, Pool, Present, Process, Sample, Service, State, Totals, Trends,
};

const ALL: Looks = Looks { colour: true, unicode: true };
const PLAIN: Looks = Looks { colour: false, unicode: false };

fn backend(name: &str, state: State, rate: f64) -> Backend {
    Backend {
        name: Name { pool: "web".into(), backend: name.into() },
        address: "10.0.0.1:80".into(),
        admin: "ready".into(),
        state,
        weight: 1.0,
        configured: 1.0,
        active: 2,
        rate,
        minute: rate,
        p50: Some(1.5),
        p99: Some(31.0),
        ..Backend::default()
    }
}

fn sample(backends: Vec<Backend>) -> Sample {
    let up = backends.iter().filter(|it| it.state == State::Up).count() as u64;
    Sample {
        process: Process {
            version: "0.1.0".into(),
            state: "serving".into(),
            uptime: 7380,
            generation: 42,
            active: 12,
            limit: Some(1024),
        },
        services: vec![Service {
            name: "shop".into(),
            pools: vec!["web".into()],
            ..Service::default()
        }],
        pools: vec![Pool {
            name: "web".into(),
            algorithm: "least-connections".into(),
            up,
            backends: backends.len() as u64,
            active: 4,
        }],
        backends,
        trends: Trends {
            rate: (0..600).map(|it| Some(f64::from(it % 40))).collect(),
            errors: (0..600).map(|it| Some(f64::from(it % 50 / 49))).collect(),
            p99: (0..600).map(|it| (it > 590).then_some(31.0)).collect(),
        },
        present: vec![Present {
            what: "slowest",
            client: "192.0.2.7:4711".into(),
            service: "shop".into(),
            backend: "web/b".into(),
            doing: "GET /cart".into(),
            value: 12_400.0,
        }],
    }
}

/// A down, one that fails, one that drains, one that is well.
fn usual() -> Seen {
    let mut seen = Seen::new("unix:/run/pointsman/api.sock".into());
    let begin = Instant::now();
    for look in 0..4 {
        let mut down = backend("c", State::Down, 0.0);
        down.reason = Some("a probe: refused".into());
        down.p50 = None;
        down.p99 = None;
        let mut failing = backend("b", State::Up, 25.0);
        failing.totals = Totals { server_errors: 5 * look, connect: look, ..Totals::default() };
        let mut drains = backend("d", State::Draining, 0.0);
        drains.weight = 0.0;
        let well = backend("a", State::Up, 75.0 - 20.0 * look as f64);
        seen.on_sample(
            sample(vec![well, failing, down, drains]),
            begin + Duration::from_secs(look),
        );
    }
    seen
}

fn ui() -> Ui {
    Ui::new(Duration::from_secs(1), 1)
}

fn size(columns: usize, rows: usize) -> Size {
    Size { columns, rows }
}

/// What stands on the screen, without blanks at the ends of rows.
fn text(all: &[Seen], ui: &Ui, size: Size, looks: Looks) -> String {
    let (lines, _) = draw(all, ui, size, looks);
    assert!(lines.len() <= size.rows, "{} lines", lines.len());
    let cut = |line: &Line| {
        let text = crate::terminal::shown(&line.text(), looks.unicode);
        crate::terminal::cut(&text, size.columns, looks.unicode).trim_end().to_owned()
    };
    let lines: Vec<String> = lines.iter().map(cut).collect();
    lines.join("\n").trim_end().to_owned() + "\n"
}

#[test]
fn the_overview_at_80_by_24_shows_trouble_first() {
    let all = [usual()];
    let found = text(&all, &ui(), Size::USUAL, ALL);
    let place = "unix:/run/pointsman/api.sock";
    assert!(!found.contains(place), "there is no room for it: {found}");
    let wanted = "
 pointsman 0.1.0  up 2h 3m  generation 42  clients 12/1024  39/s  errors 1/s
[1 overview] 2 traffic  3 errors  4 events  5 live          by trouble  each 1s
▼ web/c is down (a probe: refused)
▲ web/b: 6 errors a second (connect 1, 5xx 5)
◐ web/d is draining
rate      39 ▄▄▄▅▅▅▅▅▅▆▆▆▆▆▇▇▇▇▇▇██████▁▂▂▂▂▂▃▃▃▃▃▃▄▄▄▄▄▅▅▅▅▅▅▆▆▆▆▆▇▇▇▇▇▇██████
errors     1 ▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▃▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▃
p99 ms    31                                                          █████████
POOL                                UP ACTIVE  RATE ERR/S   P99 SERVICES
▲ web (least-connections)          2/4      4    40     6    31 shop
STATE      BACKEND           WEIGHT   ACT  RATE   P50   P99 SHARE  TREND
▼ down     web/c                  1     2     0     -     -                 ▁▁▁▁
● up       web/b                  1     2    25   1.5    31 ███▊            ████
◐ draining web/d                  0     2     0   1.5    31                 ▁▁▁▁
● up       web/a                  1     2    15   1.5    31 ██▎             █▇▅▃
";
    let body = found.lines().take(15).collect::<Vec<_>>().join("\n") + "\n";
    assert_eq!(format!("\n{body}"), wanted, "\n{found}");
    let footer = " q quit  ? help  Tab view  s sort  / filter  space pause  arrows choose";
    assert_eq!(found.lines().count(), 24);
    assert_eq!(found.lines().last(), Some(footer));
    assert!(found.lines().all(|line| line.chars().count() <= 80), "{found}");
}

#[test]
fn without_unicode_it_says_the_same_in_ascii() {
    let all = [usual()];
    for view in View::ALL {
        for mode in [Mode::Look, Mode::Help] {
            let mut ui = ui();
            ui.view = view;
            ui.mode = mode;
            let found = text(&all, &ui, Size::USUAL, PLAIN);
            assert!(found.is_ascii(), "{found}");
            assert!(!found.contains("\\u{"), "{found}");
        }
    }
    assert!(text(&all, &ui(), Size::USUAL, PLAIN).contains("v down     web/c"));
}

#[test]
fn traffic_and_errors_have_their_columns_at_80() {
    let all = [usual()];
    let mut ui = ui();
    ui.view = View::Traffic;
    let found = text(&all, &ui, Size::USUAL, ALL);
    assert!(found.contains("RATE  TO/S FROM/S SHARE FAIR   P50   P99 TREND"), "{found}");
    assert!(
        found.contains("● up       web/b                25     0      0   62%  50%"),
        "{found}"
    );
    ui.view = View::Errors;
    let found = text(&all, &ui, Size::USUAL, ALL);
    assert!(found.contains("ERR/S PART  CONN  LATE BROKE   5XX REASON"), "{found}");
    assert!(found.contains("● up       web/b                 6 █        3     0     0    15"));
    assert!(found.contains("0     0     0     0 a probe: refused"), "{found}");
}

#[test]
fn who_is_here_is_listed_by_how_long_and_how_many() {
    let all = [usual()];
    let mut ui = ui();
    assert_eq!(ui.on_key(Key::Char('5'), &[]), super::super::ui::Action::Look);
    let found = text(&all, &ui, Size::USUAL, ALL);
    let row = "   12s 192.0.2.7:4711           shop         web/b             GET /cart";
    assert!(found.contains(row), "{found}");
    assert!(found.contains(" CONNS CLIENTS WITH MOST CONNECTIONS\nnone"), "{found}");
}

#[test]
fn of_a_thousand_backends_those_in_trouble_are_seen_and_the_rest_is_scrolled() {
    let mut seen = Seen::new("unix:a".into());
    let mut backends: Vec<Backend> =
        (0..1000).map(|it| backend(&format!("b{it:04}"), State::Up, 1.0)).collect();
    backends[777].state = State::Down;
    seen.on_sample(sample(backends), Instant::now());
    let all = [seen];
    let mut ui = ui();
    let found = text(&all, &ui, Size::USUAL, ALL);
    assert!(found.contains("▼ down     web/b0777"), "{found}");
    assert!(found.contains("1-14 of 1000"), "{found}");
    let (_, rows) = draw(&all, &ui, Size::USUAL, ALL);
    ui.on_key(Key::End, &rows);
    let found = text(&all, &ui, Size::USUAL, ALL);
    assert!(found.contains("987-1000 of 1000") && found.contains("web/b0999"), "{found}");
    ui.on_key(Key::Char('/'), &rows);
    "B05".chars().for_each(|it| drop(ui.on_key(Key::Char(it), &rows)));
    ui.on_key(Key::Enter, &rows);
    let found = text(&all, &ui, Size::USUAL, ALL);
    assert!(found.contains("of 100 ") && found.contains("filter B05"), "{found}");
}

#[test]
fn a_hostile_name_moves_nothing_and_rings_nothing() {
    let mut seen = Seen::new("unix:a\x1b[31m".into());
    let name = "\x1b[2J\x07中\u{202e}evil\nname".to_owned();
    let mut one = backend(&name, State::Down, 1.0);
    one.name.pool = "\u{9b}2J".to_owned();
    one.reason = Some("\x1b]0;x\x07".into());
    let mut sample = sample(vec![one]);
    sample.pools[0].name = "\u{9b}2J".to_owned();
    sample.services[0].pools = vec!["\u{9b}2J".to_owned()];
    sample.services[0].name = "\x1bc".to_owned();
    sample.process.version = "\x1bc".to_owned();
    sample.process.state = "\x1bc".to_owned();
    sample.present[0].client = "\x1b[2J".to_owned();
    sample.present[0].doing = "GET /\u{202e}\x07".to_owned();
    seen.on_sample(sample, Instant::now());
    seen.on_event("2026-11-28T00:00:00Z 7 audit who=\x1b[2J".into());
    let mut other = Seen::new("unix:b".into());
    other.on_away("\x1b[2J gone".into());
    let all = [seen, other];
    let chosen = Some(Name { pool: "\u{9b}2J".to_owned(), backend: name });
    for view in View::ALL {
        for keys in ["", "\r", "d", "w1\r", "/\x1b[A"] {
            let mut ui = Ui::new(Duration::from_secs(1), 2);
            ui.view = view;
            ui.selected = chosen.clone();
            ui.filter = "e".to_owned();
            let (_, rows) = draw(&all, &ui, Size::USUAL, ALL);
            let mut decoder = crate::terminal::Keys::default();
            decoder.feed(keys.as_bytes());
            while let Some(key) = decoder.next_key() {
                ui.on_key(key, &rows);
            }
            let (lines, _) = draw(&all, &ui, Size::USUAL, ALL);
            let bytes = Screen::new(ALL, Size::USUAL).frame(&lines);
            let bare = without_our_sequences(&bytes);
            assert!(!bare.chars().any(char::is_control), "{bare:?}");
            assert!(!bare.contains(['中', '\u{202e}']), "{bare:?}");
        }
    }
}

/// Without what a frame may have: places, colours, clearing a line, synchronized output.
fn without_our_sequences(frame: &str) -> String {
    let mut out = String::new();
    let mut rest = frame;
    while let Some((before, after)) = rest.split_once("\x1b[") {
        out.push_str(before);
        let end = after.find(|it: char| it.is_ascii_alphabetic()).expect("a sequence ends");
        let sequence = &after[..=end];
        let is_ours = ["?2026h", "?2026l", "K"].contains(&sequence)
            || sequence.ends_with('m')
            || sequence.ends_with('H');
        assert!(is_ours, "{sequence:?}");
        rest = &after[end + 1..];
    }
    out + rest
}

#[test]
fn it_fits_on_any_screen_however_small() {
    let mut other = Seen::new("unix:b".into());
    other.on_away("gone".into());
    let all = [usual(), other];
    for (columns, rows) in [(20, 5), (1, 1), (2, 2), (3, 3), (40, 8), (79, 4), (300, 100)] {
        for view in View::ALL {
            for mode in [Mode::Look, Mode::Help, Mode::Filter(String::new())] {
                let mut ui = Ui::new(Duration::from_secs(1), 2);
                ui.view = view;
                ui.mode = mode;
                text(&all, &ui, size(columns, rows), ALL);
            }
        }
    }
    let found = text(&all[..1], &ui(), size(20, 5), ALL);
    assert_eq!(
        found,
        " pointsman 0.1.0  u…\n[1 overview] 2 traf…\n▼ web/c is down (a …\n\
         ▼ down     web/c   …\n q quit  ? help  Ta…\n"
    );
}

#[test]
fn several_processes_are_shown_each_and_summed() {
    let mut other = Seen::new("unix:/run/b.sock".into());
    other.on_away("there is no such file or directory".into());
    let mut all = [usual(), usual(), other];
    all[1].place = "unix:/run/c.sock".into();
    let mut ui = Ui::new(Duration::from_secs(1), 3);
    let found = text(&all, &ui, Size::USUAL, ALL);
    assert!(
        found.starts_with(" pointsman  2 of 3 processes  clients 24/2048  78/s"),
        "{found}"
    );
    assert!(found.contains("▼ unix:/run/b.sock: there is no such file"), "{found}");
    assert!(found.contains("▼ away     unix:/run/b.sock"), "{found}");
    assert!(found.contains("● serving  unix:/run/c.sock"), "{found}");
    ui.on_key(Key::Right, &[]);
    let found = text(&all, &ui, Size::USUAL, ALL);
    assert!(found.starts_with(" pointsman 0.1.0  up 2h 3m"), "{found}");
    assert!(!found.contains("no such file"), "{found}");
}

#[test]
fn a_change_is_asked_about_and_names_what_it_is_about() {
    let all = [usual()];
    let mut ui = ui();
    let (_, rows) = draw(&all, &ui, Size::USUAL, ALL);
    ui.on_key(Key::Char('d'), &rows);
    assert!(text(&all, &ui, Size::USUAL, ALL).contains("choose a backend"));
    ui.on_key(Key::Down, &rows);
    ui.on_key(Key::Char('d'), &rows);
    let last = |ui: &Ui| {
        text(&all, ui, Size::USUAL, ALL).lines().last().map(str::to_owned).unwrap_or_default()
    };
    assert_eq!(last(&ui), " drain web/c? y/n");
    assert_eq!(ui.on_key(Key::Char('n'), &rows), super::super::ui::Action::Draw);
    assert_eq!(last(&ui), " drain web/c: not done");
    ui.on_key(Key::Enter, &rows);
    assert!(last(&ui).starts_with(" web/c: d drain  r ready"), "{}", last(&ui));
    for key in ['w', '1', '2'] {
        ui.on_key(Key::Char(key), &rows);
    }
    ui.on_key(Key::Enter, &rows);
    assert_eq!(last(&ui), " weight 12 for web/c? y/n");
    match ui.on_key(Key::Char('y'), &rows) {
        super::super::ui::Action::Change(change) => {
            assert_eq!(change.body, serde_json::json!({"weight": 12}));
        }
        other => panic!("{other:?}"),
    }
}
