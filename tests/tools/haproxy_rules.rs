//! Programs that are too large to have here, by their rules, as far as these are public. What an
//! agent wants of the statistics is told in words above its test; what Ansible's module said to a
//! HAProxy, and to us, was recorded.

use std::collections::{BTreeMap, BTreeSet};
use std::net::TcpStream;
use std::process::Command;

use super::haproxy_ours::{Ours, ask_open, ours, ours_with, output};
use crate::common::http::Wire;
use crate::common::servers::{Home, missing};
use crate::common::{free_port, until};

/// A row of the statistics, by the names of its columns, without what is empty.
type Row = BTreeMap<String, String>;

const ANSWERS: [&str; 5] = ["hrsp_1xx", "hrsp_2xx", "hrsp_3xx", "hrsp_4xx", "hrsp_5xx"];

/// Three servers: `a` is up, `b` is in maintenance and `c` is down, after five requests.
fn watched(name: &str) -> Ours {
    let down = format!("{},name=c", free_port());
    let more = ["-b", &down, "--check", "tcp", "--check-interval", "50ms"];
    let ours = ours_with(name, &more);
    until("they are checked", || {
        let rows = rows(&ask_open(&ours.socket, "show stat\n"));
        let is_up = |name| named(&rows, name)["check_status"] == "L4OK";
        is_up("a") && is_up("b") && named(&rows, "c")["status"] == "DOWN"
    });
    ours.serve(5);
    assert_eq!(ask_open(&ours.socket, "disable server main/b\n"), "\n");
    ours
}

/// The body of an answer, which has to be 200.
fn fetch(ours: &Ours, path: &str) -> String {
    let mut wire = Wire::new(TcpStream::connect(ours.web).unwrap());
    let answer = wire.ask(format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", ours.web));
    assert_eq!(answer.status(), 200, "{path}");
    answer.text()
}

/// Fields of a line of CSV, where quotes may only be around a whole field.
fn fields(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut chars = line.chars().peekable();
    let mut is_quoted = false;
    while let Some(char) = chars.next() {
        let field = fields.last_mut().unwrap();
        match char {
            '"' if is_quoted && chars.peek() == Some(&'"') => field.push(chars.next().unwrap()),
            '"' if is_quoted => {
                assert!(matches!(chars.peek(), None | Some(',')), "a quote in {line}");
                is_quoted = false;
            }
            '"' => {
                assert!(field.is_empty(), "a quote in {line}");
                is_quoted = true;
            }
            ',' if !is_quoted => fields.push(String::new()),
            _ => field.push(char),
        }
    }
    fields
}

/// By names; every row has to have as many fields as the header, which begins with `# `.
fn rows(text: &str) -> Vec<Row> {
    let mut lines = text.lines().filter(|it| !it.is_empty());
    let header = lines.next().unwrap().strip_prefix("# ").expect("a header");
    let header = fields(header);
    let row = |line: &str| {
        let fields = fields(line);
        assert_eq!(fields.len(), header.len(), "{line}");
        let all = header.iter().cloned().zip(fields);
        all.filter(|(_, value)| !value.is_empty()).collect()
    };
    lines.map(row).collect()
}

/// These columns have to be there, and to be numbers.
fn assert_numbers(row: &Row, columns: &[&str]) {
    for column in columns {
        let value = row.get(*column).map(|it| it.parse::<u64>());
        assert!(matches!(value, Some(Ok(_))), "{column} is {value:?} in {row:?}");
    }
}

fn named<'a>(rows: &'a [Row], name: &str) -> &'a Row {
    rows.iter().find(|it| it["svname"] == name).expect("a row")
}

/// Telegraf (`inputs.haproxy`): sends `show stat` to a socket and reads up to the end, or adds
/// `/;csv` to an address that does not end with `;csv`, and wants 200. The first column of the
/// header begins with `# `. A row with more or fewer fields than the header is an error for all;
/// so is a `type` that is no number from 0 to 3. `pxname`, `svname` and `type` become tags; of the
/// others some are texts, `lastsess` is a signed number and all the rest are numbers without a
/// sign, and left out where they are none. Empty columns are left out.
#[test]
fn telegraf_reads_every_row_by_the_socket_and_over_http() {
    let ours = watched("telegraf");
    for text in [
        ask_open(&ours.socket, "show stat\n"),
        fetch(&ours, "/haproxy;csv"),
        fetch(&ours, "/haproxy/;csv"),
        fetch(&ours, "/haproxy?stats/;csv"),
        fetch(&ours, "/stats/;csv"),
    ] {
        let rows = rows(&text);
        let kinds: Vec<&str> = rows.iter().map(|it| &*it["type"]).collect();
        assert_eq!(kinds, ["0", "2", "2", "2", "1"]);
        for row in &rows {
            assert!(row.contains_key("pxname") && row.contains_key("svname"), "{row:?}");
            assert!(row.contains_key("status") && row.contains_key("mode"), "{row:?}");
            assert_numbers(row, &["scur", "stot", "bin", "bout", "pid", "iid", "sid"]);
            if row["type"] != "0" {
                let wanted = ["act", "bck", "econ", "eresp", "lastchg", "lbtot", "weight"];
                assert_numbers(row, &wanted);
                assert_numbers(row, &ANSWERS);
            }
        }
        assert_numbers(named(&rows, "FRONTEND"), &["slim", "conn_tot", "req_tot"]);
        assert_eq!(named(&rows, "a")["check_status"], "L4OK");
        assert!(named(&rows, "c").contains_key("last_chk"));
    }
}

/// What Datadog's agent calls a status: the first of these that it begins with, or as it is.
fn normal(status: &str) -> String {
    let status = status.to_lowercase().replace(' ', "_");
    let known = ["up", "open", "down", "maint", "nolb"];
    let found = known.iter().find(|it| status.starts_with(**it));
    found.map_or(status.clone(), |it| (*it).to_owned())
}

/// Datadog's agent (`haproxy`, without Prometheus): sends `show info;show stat` with CR LF and
/// wants two answers, each ended by an empty line. Every line of the first has one colon;
/// `Version` begins with two numbers and a point between them, `Uptime_sec` is a number. Then
/// `show table`, which may have no answer. Over HTTP it adds `/;csv;norefresh` to its address, and
/// finds the version and the uptime in the page that is at the address itself. It parts lines at
/// commas; empty columns and those without a name are left out. It reads the rows from the last
/// to the first: a server belongs to the BACKEND that comes after it.
#[test]
fn datadogs_agent_reads_every_row_by_the_socket_and_over_http() {
    let ours = watched("datadog");
    let text = ask_open(&ours.socket, "show info;show stat\r\n");
    let answers: Vec<&str> = text.split("\n\n").filter(|it| !it.trim().is_empty()).collect();
    let [info, stat] = answers[..] else { panic!("{} answers", answers.len()) };
    let mut keys = BTreeMap::new();
    for line in info.lines() {
        let parts: Vec<&str> = line.split(':').collect();
        let [key, value] = parts[..] else { panic!("not one colon in {line}") };
        keys.insert(key, value.trim());
    }
    let version: Vec<&str> = keys["Version"].split('.').take(2).collect();
    assert!(version.iter().all(|it| it.parse::<u32>().is_ok()), "{version:?}");
    assert!(keys["Uptime_sec"].parse::<u64>().is_ok());
    assert_eq!(ask_open(&ours.socket, "show table\r\n").trim(), "");
    let page = fetch(&ours, "/haproxy");
    let (_, version) = page.split_once("HAProxy version ").unwrap();
    assert!(version.split(',').next().unwrap().starts_with("2.6.0-pointsman-"), "{version}");
    assert_zabbix_uptime(&page);
    for text in [stat, &fetch(&ours, "/haproxy/;csv;norefresh")] {
        assert!(text.is_ascii());
        let mut of = None;
        let mut statuses = BTreeMap::new();
        for row in rows(text).iter().rev() {
            let name = &*row["svname"];
            if ["BACKEND", "FRONTEND"].contains(&name) {
                of = Some(name.to_owned());
            }
            assert_eq!(of.as_deref() == Some("FRONTEND"), name == "FRONTEND");
            statuses.insert(name.to_owned(), normal(&row["status"]));
            assert_numbers(row, &["scur", "stot", "bin", "bout"]);
            let more: &[&str] = match name {
                "FRONTEND" => &["slim", "req_tot", "conn_tot", "ereq"],
                _ => &["qcur", "req_tot", "econ", "eresp", "lastchg"],
            };
            assert_numbers(row, more);
        }
        let wanted = [
            ("BACKEND", "up"),
            ("FRONTEND", "open"),
            ("a", "up"),
            ("b", "maint"),
            ("c", "down"),
        ];
        let wanted = wanted.map(|(name, status)| (name.to_owned(), status.to_owned()));
        assert_eq!(statuses, BTreeMap::from(wanted));
    }
}

/// Days, hours, minutes and seconds, in a line with `uptime = `.
fn assert_zabbix_uptime(page: &str) {
    let line = page.lines().find(|it| it.contains("uptime = ")).expect("a line");
    let words: Vec<&str> = line.split(|it: char| !it.is_ascii_alphanumeric()).collect();
    let at = words.iter().position(|it| it.ends_with('d') && it.len() > 1).expect("days");
    let shape: String = words[at..at + 2].join(" ").replace(|it: char| it.is_numeric(), "");
    assert_eq!(shape, "d hms", "{line}");
}

/// Zabbix (the template `HAProxy by HTTP`): fetches `/stats;csv` and `/stats`. What comes after
/// `# ` is CSV with a header; two columns of one name, or a row with more fields than the header,
/// is an error for all. It finds frontends by `FRONTEND`, pools by `BACKEND` and servers by
/// anything else, each with a `mode` of `http` or `tcp`. Each item is a column of a row; one whose
/// column is empty has no value (it is "not supported"), and the others go on. The page has
/// `HAProxy version X,` and an uptime of days, hours, minutes and seconds.
#[test]
fn zabbix_finds_frontends_pools_and_servers_and_their_items() {
    let ours = watched("zabbix");
    let page = fetch(&ours, "/stats");
    assert!(page.contains("HAProxy version 2.6.0-pointsman-"));
    assert!(page.split_once("HAProxy version ").unwrap().1.contains(','));
    assert_zabbix_uptime(&page);
    let text = fetch(&ours, "/stats;csv");
    let header = fields(text.lines().next().unwrap());
    assert_eq!(header.iter().collect::<BTreeSet<_>>().len(), header.len(), "{header:?}");
    let rows = rows(&text);
    assert!(rows.iter().all(|it| ["http", "tcp"].contains(&&*it["mode"])));
    let frontend = named(&rows, "FRONTEND");
    assert_eq!(frontend["status"], "OPEN");
    assert_numbers(frontend, &["scur", "slim", "bin", "bout", "ereq"]);
    let pool = named(&rows, "BACKEND");
    assert_eq!((&*pool["status"], &*pool["act"], &*pool["weight"]), ("UP", "1", "10"));
    let common = ["bin", "bout", "econ", "eresp", "qcur", "act", "bck", "stot", "weight"];
    for row in rows.iter().filter(|it| it["svname"] != "FRONTEND") {
        assert_numbers(row, &common);
        assert_numbers(row, &ANSWERS);
    }
    let server = named(&rows, "a");
    assert_numbers(server, &["lbtot"]);
    assert_eq!((&*server["status"], &*server["check_status"]), ("UP", "L4OK"));
    assert_eq!(named(&rows, "c")["status"], "DOWN");
}

/// What Ansible's module reads of a server: status, weight and connections.
fn state(ours: &Ours, server: &str) -> Option<String> {
    let rows = rows(&ask_open(&ours.socket, "show stat\n"));
    let row = rows.iter().find(|it| it["pxname"] == "main" && it["svname"] == server)?;
    Some(format!("{}, {}, {}", row["status"], row["weight"], row["scur"]))
}

/// Its parameters, its lines with what is answered, and what it reports.
type Task<'a> = (&'a str, &'a [Said<'a>], &'a str);
type Said<'a> = (&'a str, &'a str);

/// The module `community.general.haproxy` 6.6.2 was run at us and at HAProxy 2.6.12: what it sent
/// was the same, and what it heard. For each task: its parameters, its lines with their answers,
/// and the state of the server that it reports after them. It opens a connection for each line,
/// and asks for `show stat` before and after. With `wait` it asks on until the status has `UP`,
/// `MAINT` or `DRAIN` in it, which a server without checks never has when it is enabled.
#[test]
fn ansibles_module_hears_what_it_heard_from_haproxy() {
    let ours = ours("ansible");
    let no_agent = "Agent was not configured on this server, cannot enable.\n\n";
    let no_check = "Health check was not configured on this server, cannot enable.\n\n";
    let enabled = format!("20 (initial 10)\n\n\n{no_agent}{no_check}\n");
    let drain = ("set server main/a state drain", "\n");
    let tasks: [Task<'_>; 6] = [
        (
            "state=disabled shutdown_sessions=true wait=true",
            &[(
                "get weight main/a; disable server main/a; shutdown sessions server main/a",
                "10 (initial 10)\n\n\n\n",
            )],
            "MAINT, 10, 0",
        ),
        (
            "state=enabled weight=20",
            &[(
                "get weight main/a; enable server main/a; set weight main/a 20",
                "10 (initial 10)\n\n\n\n",
            )],
            "no check, 20, 0",
        ),
        (
            "state=enabled weight=50% agent=true health=true",
            &[(
                "get weight main/a; enable server main/a; enable agent main/a; \
                 enable health main/a; set weight main/a 50%",
                &enabled,
            )],
            "no check, 5, 0",
        ),
        ("state=drain wait=true drain=true", &[drain], "DRAIN, 5, 0"),
        (
            "state=disabled drain=true",
            &[drain, ("get weight main/a; disable server main/a", "5 (initial 10)\n\n\n")],
            "MAINT, 5, 0",
        ),
        (
            "state=disabled agent=true health=true",
            &[(
                "get weight main/a; disable agent main/a; disable health main/a; \
                 disable server main/a",
                "5 (initial 10)\n\n\n\n\n",
            )],
            "MAINT, 5, 0",
        ),
    ];
    let version = ask_open(&ours.socket, "show info\n");
    assert!(version.contains("\nVersion: 2.6."), "at least 1.5, or it does not drain");
    for (task, lines, after) in tasks {
        for (line, wanted) in lines {
            assert_eq!(ask_open(&ours.socket, &format!("{line}\n")), *wanted, "{task}: {line}");
        }
        assert_eq!(state(&ours, "a").as_deref(), Some(after), "{task}");
    }
    assert_eq!(state(&ours, "nobody"), None, "fail_on_not_found=true");
}

/// `state=enabled wait=true`, of a server that is checked.
#[test]
fn ansibles_module_waits_for_a_server_that_is_enabled() {
    let ours = watched("ansible-waits");
    assert_eq!(state(&ours, "b").as_deref(), Some("MAINT, 1, 0"));
    let line = "get weight main/b; enable server main/b\n";
    assert_eq!(ask_open(&ours.socket, line), "1 (initial 1)\n\n\n");
    until("it is up", || state(&ours, "b").is_some_and(|it| it.contains("UP")));
}

/// The password that these agents have for the page of a HAProxy is a token here.
#[test]
fn who_knows_passwords_and_no_tokens_reads_the_statistics() {
    if missing(&["curl"]) {
        return;
    }
    let home = Home::new("haproxy-passwords");
    let tokens = home.0.join("tokens");
    let hash = "1ec1c26b50d5d3c58d9583181af8076655fe00756bf7285940ba3670f99fcba0";
    std::fs::write(&tokens, format!("watch read {hash}\n")).unwrap();
    let ours = ours_with(
        "haproxy-password",
        &["--check", "none", "--admin-tokens", &tokens.display().to_string()],
    );
    let fetched = |user: &str, path: &str| {
        let mut command = Command::new("curl");
        command.args(["-sS", "--max-time", "20", "-o", "/dev/null", "-w", "%{http_code}"]);
        command.args(["--user", user]).arg(format!("http://{}{path}", ours.web));
        output(command)
    };
    for (user, path, wanted) in [
        ("anybody:s3cret", "/haproxy;csv", "200"),
        ("anybody:s3cret", "/stats", "200"),
        ("anybody:wrong", "/haproxy;csv", "401"),
        (":", "/haproxy;csv", "401"),
        ("anybody:s3cret", "/api/v1/pools", "401"),
    ] {
        assert_eq!(fetched(user, path), wanted, "{user} {path}");
    }
}
