//! Edited heads against a plain model, at random. A failure prints its seed.
//!
//! The model has a list of lines, and does to it what each edit says, one after the other; values
//! are filled in by replacing text. What leaves has to be what the model has, and our own parser
//! has to read it back so: no edit makes a head that we would refuse.

use crate::config::HeadEdit;
use crate::http::edits::{Edits, ResponseEdits, Unfit};
use crate::http::*;

use super::edits::{answer_rule, answered, back, returned, rule, sent};

const SEEDS: u64 = 4000;

const NAMES: &[&str] =
    &["X-A", "x-b", "Accept", "Cookie", "X-Forwarded-For", "X-Forwarded-Host", "Forwarded"];
const CAME: &[&str] = &["", "1", "a b", "c=d; e=f", "q#\"\u{e9}", "//x/y"];
const VALUES: &[&str] = &[
    "v",
    "a\tb",
    "{{x}}",
    "{header:x-a}",
    "{cookie:e}, {client}",
    "{scheme}://{host}{uri}",
    "{method} {path} ?{query}",
    "-{header:x-b}-",
];
const HOSTS: &[&str] = &["b.test", "{host}:81", "{header:x-b}", "{client}"];
const PATHS: &[&str] = &[
    "strip-prefix /p",
    "strip-prefix /p/q",
    "add-prefix /n",
    "rewrite /r",
    "rewrite /r{path}",
    "rewrite {uri}",
    "rewrite /{header:x-a}?{cookie:e}",
];
const TARGETS: &[&str] = &["/", "/p", "/p/q?r", "/pq?", "/x/p?a=/p", "/p/q/s", "//p"];
/// Lines that end a head, and that no edit concerns.
const FRAMINGS: &[&str] = &["", "Content-Length: 3\r\n", "Transfer-Encoding: chunked\r\n"];

/// A name and its value.
type Pair = (String, String);

/// A head as the model has it.
struct Model {
    target: String,
    host: String,
    lines: Vec<Pair>,
}

/// What placeholders stand for.
struct Said<'a> {
    target: &'a str,
    came: &'a [Pair],
}

fn pick<'a>(random: &mut fastrand::Rng, list: &[&'a str]) -> &'a str {
    list[random.usize(..list.len())]
}

fn pairs(random: &mut fastrand::Rng) -> Vec<Pair> {
    let count = random.usize(..6);
    (0..count)
        .map(|_| (pick(random, NAMES).to_owned(), pick(random, CAME).to_owned()))
        .collect()
}

/// Some edits of fields as an operator writes them.
fn field_edits(random: &mut fastrand::Rng) -> Vec<String> {
    let count = random.usize(..4);
    let edit = |_| match (random.u8(..3), pick(random, NAMES), pick(random, VALUES)) {
        (0, name, value) => format!("set {name}: {value}"),
        (1, name, value) => format!("add {name}: {value}"),
        (_, name, _) => format!("remove {name}"),
    };
    (0..count).map(edit).collect()
}

impl Said<'_> {
    fn field(&self, name: &str) -> &str {
        let named = |pair: &&Pair| pair.0.eq_ignore_ascii_case(name);
        self.came.iter().find(named).map_or("", |pair| &pair.1)
    }

    fn fill(&self, template: &str) -> String {
        let cookies = self.came.iter().filter(|pair| pair.0 == "Cookie");
        let cookie = if cookies.into_iter().any(|it| it.1.contains("e=f")) { "f" } else { "" };
        let (path, query) = self.target.split_once('?').unwrap_or((self.target, ""));
        template
            .replace("{header:x-a}", self.field("x-a"))
            .replace("{header:x-b}", self.field("x-b"))
            .replace("{cookie:e}", cookie)
            .replace("{client}", "192.0.2.1")
            .replace("{scheme}", "https")
            .replace("{host}", "a.test")
            .replace("{uri}", self.target)
            .replace("{path}", path)
            .replace("{query}", query)
            .replace("{method}", "PUT")
            .replace("{{", "{")
            .replace("}}", "}")
    }
}

impl Model {
    fn edit(&mut self, edit: &str, said: &Said<'_>) -> Result<(), Unfit> {
        let (verb, rest) = edit.split_once(' ').unwrap();
        let (name, value) = rest.split_once(": ").unwrap_or((rest, ""));
        match verb {
            "set" if name == "Host" => self.host = said.fill(value),
            "set" | "add" | "remove" => {
                if verb != "add" {
                    self.lines.retain(|pair| !pair.0.eq_ignore_ascii_case(name));
                }
                if verb != "remove" {
                    self.lines.push((name.to_owned(), said.fill(value)));
                }
            }
            _ => self.edit_path(verb, rest, said)?,
        }
        Ok(())
    }

    fn edit_path(&mut self, verb: &str, rest: &str, said: &Said<'_>) -> Result<(), Unfit> {
        let (path, query) = match self.target.find('?') {
            Some(at) => self.target.split_at(at),
            None => (&*self.target, ""),
        };
        let path = match (verb, path.strip_prefix(rest)) {
            ("strip-prefix", Some("")) => "/".to_owned(),
            ("strip-prefix", Some(left)) if left.starts_with('/') => left.to_owned(),
            ("strip-prefix", _) => path.to_owned(),
            ("add-prefix", _) => format!("{rest}{path}"),
            _ => said.fill(rest),
        };
        self.target = if path.contains('?') { path } else { format!("{path}{query}") };
        let is_good = self.target.bytes().all(|b| b.is_ascii_graphic() && b != b'#');
        if is_good { Ok(()) } else { Err(Unfit::Target) }
    }

    fn lines(&self) -> String {
        self.lines.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect()
    }
}

/// The names and values of a head, as a parser of a line each reads them.
fn read(head: &str) -> Vec<Pair> {
    let lines = head.split("\r\n").skip(1).filter(|line| !line.is_empty());
    let pair = |line: &str| {
        let (name, value) = line.split_once(':').unwrap();
        (name.to_owned(), value.trim_matches([' ', '\t']).to_owned())
    };
    lines.map(pair).collect()
}

/// The same as our own parser reads them.
fn parsed(fields: &Fields, bytes: &str) -> Vec<Pair> {
    let text = |span: Span| String::from_utf8(span.of(bytes.as_bytes()).to_vec()).unwrap();
    fields.iter().map(|field| (text(field.name), text(field.value))).collect()
}

/// The head of a message with these fields.
fn message(start: &str, lines: &[Pair], framing: &str) -> String {
    let lines: String =
        lines.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    format!("{start}{lines}{framing}\r\n")
}

fn request_world(seed: u64) -> bool {
    let mut random = fastrand::Rng::with_seed(seed);
    let target = pick(&mut random, TARGETS);
    let framing = pick(&mut random, FRAMINGS);
    let came = pairs(&mut random);
    let text =
        message(&format!("PUT {target} HTTP/1.1\r\nHost: a.test:80\r\n"), &came, framing);
    let rules: Vec<Vec<String>> = (0..random.usize(..4))
        .map(|_| {
            let mut edits = field_edits(&mut random);
            if random.u8(..4) == 0 {
                edits.push(format!("set Host: {}", pick(&mut random, HOSTS)));
            }
            if random.bool() {
                edits.push(pick(&mut random, PATHS).to_owned());
            }
            edits
        })
        .collect();
    let applied = random.u64(..);
    let trusted = random.bool();
    // What is edited is what would leave otherwise.
    let plain = sent(&text, Edits::NONE, |to| to.trusted = trusted).unwrap();
    let plain = plain.strip_suffix(&format!("{framing}\r\n")).unwrap();
    let mut lines = read(plain);
    let host = lines.remove(0).1;
    let mut model = Model { target: target.to_owned(), host, lines };
    let said = Said { target, came: &came };
    let does_apply = |rule: &(usize, &Vec<String>)| applied >> rule.0 & 1 == 1;
    let applying = rules.iter().enumerate().filter(does_apply).flat_map(|(_, edits)| edits);
    let mut modelled = Ok(());
    for edit in applying {
        modelled = modelled.and(model.edit(edit, &said));
    }
    let list: Vec<HeadEdit> = rules.iter().map(|texts| rule(texts)).collect();
    let edits = Edits { list: &list, applied };
    match sent(&text, edits, |to| to.trusted = trusted) {
        Ok(sent) => {
            let Model { target, host, .. } = &model;
            let lines = model.lines();
            let wanted =
                format!("PUT {target} HTTP/1.1\r\nHost: {host}\r\n{lines}{framing}\r\n");
            assert_eq!(sent, wanted);
            assert_eq!(modelled, Ok(()));
            let mut fields = Fields::new();
            let parse = parse_request(sent.as_bytes(), &mut Scan::default(), &mut fields);
            let Parse::Done(head) = parse else { panic!("{sent:?} is {parse:?}") };
            assert_eq!(head.length, sent.len());
            assert_eq!(head.path.of(sent.as_bytes()), target.as_bytes());
            assert_eq!(parsed(&fields, &sent), read(&sent));
            true
        }
        Err(Unfit::Host) => {
            let is_host = |b: u8| b.is_ascii_alphanumeric() || b".:".contains(&b);
            assert!(model.host.is_empty() || !model.host.bytes().all(is_host));
            false
        }
        Err(unfit) => {
            assert_eq!(modelled, Err(unfit));
            false
        }
    }
}

fn response_world(seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    let framing = *[FRAMINGS[1], FRAMINGS[2]].get(random.usize(..2)).unwrap();
    let came = pairs(&mut random);
    let text = message("HTTP/1.1 200 OK\r\n", &came, framing);
    let rules: Vec<Vec<String>> =
        (0..random.usize(..4)).map(|_| field_edits(&mut random)).collect();
    let plain = returned(&text, &back(ResponseEdits::NONE));
    let plain = plain.strip_suffix(&format!("{framing}\r\n")).unwrap();
    let mut model = Model { target: String::new(), host: String::new(), lines: read(plain) };
    // As `answered` has the request.
    let asked = [("X-Id".to_owned(), "7".to_owned())];
    let said = Said { target: "/a", came: &asked };
    for edit in rules.iter().flatten() {
        model.edit(&edit.replace("{method}", "GET").replace("{host}", "a"), &said).unwrap();
    }
    let list: Vec<HeadEdit> = rules.iter().map(|texts| answer_rule(texts)).collect();
    let edits = answered(Edits { list: &list, applied: u64::MAX }).unwrap();
    let sent = returned(&text, &back(&edits));
    let lines = model.lines();
    assert_eq!(sent, format!("HTTP/1.1 200 OK\r\n{lines}{framing}\r\n"));
    let mut fields = Fields::new();
    let asked = Asked::default();
    let parse = parse_response(sent.as_bytes(), &mut Scan::default(), &mut fields, &asked);
    let Parse::Done(head) = parse else { panic!("{sent:?} is {parse:?}") };
    assert_eq!(head.length, sent.len());
    assert_eq!(parsed(&fields, &sent), read(&sent));
}

#[test]
fn edited_requests_are_what_a_plain_model_has() {
    let mut good = 0;
    for seed in 0..SEEDS {
        let world = std::panic::catch_unwind(|| request_world(seed));
        good += u64::from(world.unwrap_or_else(|_| panic!("seed {seed}")));
    }
    assert!((SEEDS / 2..SEEDS).contains(&good), "{good} of {SEEDS} were sent");
}

#[test]
fn edited_responses_are_what_a_plain_model_has() {
    for seed in 0..SEEDS {
        let world = std::panic::catch_unwind(|| response_world(seed));
        world.unwrap_or_else(|_| panic!("seed {seed}"));
    }
}
