//! The manual that `--help` shows, its chapters, and the screen that `-h` shows: laid out from the
//! table of settings and that of algorithms.
//!
//! Only layout and prose: what a flag says stands in its row. Called by [`super::parse`]; prints
//! nothing itself.

use crate::config::{Algorithm, Config};
use crate::settings::{Act, GROUPS, Setting, SettingGroup};

/// Columns of a terminal less one, since some wrap at the last.
const COLUMNS: usize = 79;

/// Column at which the texts of flags and algorithms begin.
const TEXT_COLUMN: usize = 8;

const INTRODUCTION: &str = "\
A TCP, HTTP, HTTPS and UDP load balancer: one process, one thread, one event
loop. TLS is terminated here, or passed through by its server name.

Usage:
  pointsman --listen ADDR:PORT --backend HOST:PORT [--backend HOST:PORT]...
  pointsman --demo
  pointsman -h | --help | --help TOPIC
  pointsman ctl --help      to ask and change one that runs
  pointsman top             to watch one that runs

A DURATION is a number with its unit, ms, s, m or h, such as 500ms or 1.5h.
";

/// The flags of the screen, each in a few words.
const COMMON: &[(&str, &str)] = &[
    ("config", "a file that says all of it, and more; -t to check it"),
    ("listen", "where clients connect: [http|https|...://]ADDR:PORT"),
    ("backend", "where connections go: HOST:PORT[,weight=N][,backup]"),
    ("route", "which backends serve a host name, or a path of it"),
    ("balance", "least-connections, round-robin, random, ip-hash, ..."),
    ("check", "what probes ask: tcp, http:/PATH, udp:TEXT, none"),
    ("max-connections", "clients at once"),
    ("idle-timeout", "a TCP connection on which nothing moves is closed"),
    ("server-timeout", "HTTP: how long a backend may say nothing"),
    ("sticky-cookie", "HTTP: keep a client on its backend"),
    ("cert", "TLS: the certificate chain; --key: its private key"),
    ("access-log", "a file with a line for each request, or - for stdout"),
    ("stats-path", "HTTP: where to answer with statistics in JSON"),
    ("log-level", "off, error, warn, info, debug or trace"),
    ("demo", "three backends and their clients, to try it with"),
];

/// The column at which their words begin.
const SCREEN_COLUMN: usize = 25;

/// The chapter that is in the one about balancing, too.
const ALGORITHMS: &str = "algorithms";

const CONCLUSION: &str = "
Signals:
  SIGTERM, SIGINT
        Stop accepting, after --drain-delay, let connections finish within
        --drain-timeout, close the rest, exit with 0. A second one ends at
        once.
  SIGUSR1
        Write a page of status to the log: backends, their state, active and
        total connections, load, rates.
  SIGHUP
        Read the file of --config again and apply what is different in one
        step: what stayed keeps its connections, health and counts. A file
        with mistakes changes nothing; the log says them all. The files that
        it names are read again with it, and without --config those of --cert,
        --key, --client-ca, --sticky-key, --backend-ca, --backend-cert and
        --backend-key; if one of them is bad all stay as they were. The access
        log is reopened in any case, after logrotate or the like moved it.

Environment:
  LISTEN_PID, LISTEN_FDS, LISTEN_FDNAMES
        Sockets that systemd hands over (sd_listen_fds): each goes to the
        listener of the file with its name, else to one at its address.
  NOTIFY_SOCKET, WATCHDOG_USEC, WATCHDOG_PID
        Who is told when it serves, reloads, stops and is alive (sd_notify).

Exit codes:
  0     Ended as asked.
  1     Failed at run time: a port in use or forbidden, a certificate or key
        that is missing or broken, a mistake in the file of --config.
  2     A flag is wrong. A line on standard error for each says what was found
        and what would be right, all at once; so it is with 1 at the start.

Examples:
  pointsman -l 127.0.0.1:8000 -b 127.0.0.1:8001 -b 127.0.0.1:8002
  pointsman -l tcp://[::]:5432 -b db1:5432,weight=3 \\
      -b db2:5432,max-connections=100 -b db3:5432,backup -a round-robin
  pointsman -l http://0.0.0.0:80 -b web1:80 -b web2:80 --check http:/health
  pointsman -l sni://0.0.0.0:443 --route www.example.com=web1:443,web2:443 \\
      --route '*.example.com=web3:443'
  pointsman -l http://0.0.0.0:80 --route api.example.com=api1:80 \\
      --route www.example.com/shop=shop1:80 --route '*=web1:80'
  pointsman --config web.toml --check
  pointsman --config web.toml
  pointsman -l udp://[::]:53 -l tcp://[::]:53 -b dns1:53 -b dns2:53 \\
      --udp-responses 1
  pointsman -l 0.0.0.0:9000 -b w1:9000 -b w2:9000 -a least-load \\
      --check load:busy
";

/// All of it, ending in a newline.
pub(super) fn text() -> String {
    let mut out = format!("{NAME}\n\n{INTRODUCTION}");
    GROUPS.iter().for_each(|group| section(&mut out, group));
    out.push_str(CONCLUSION);
    out
}

/// What fits on a screen.
pub(super) fn screen() -> String {
    let usage = INTRODUCTION.rsplit_once("\n\n").map_or(INTRODUCTION, |(usage, _)| usage);
    let mut out = format!("{NAME}\n\n{usage}\n\n");
    for (long, words) in COMMON {
        let flags = GROUPS.iter().flat_map(|group| group.flags);
        let Some(flag) = flags.into_iter().find(|flag| flag.long == *long) else { continue };
        let heading = format!("  {}", name(flag));
        out.push_str(&format!("{heading:SCREEN_COLUMN$}{words}\n"));
    }
    out.push_str(
        "\nMore: --help, or --help with the name of a flag or one of these chapters:\n",
    );
    wrap(&mut out, 2, &topics().join(", "));
    out
}

/// A chapter, or what is said of one flag; nothing, if there is none of that name.
pub(super) fn chapter(topic: &str) -> Option<String> {
    let mut out = String::new();
    let topic = topic.trim_start_matches('-');
    if let Some(group) = GROUPS.iter().find(|group| group.topic == topic) {
        section(&mut out, group);
    } else if topic == ALGORITHMS {
        algorithms(&mut out);
    } else if let Some(part) = ends().find(|part| end_topic(part) == topic) {
        out.push_str(part);
        out.push('\n');
    } else {
        let mut flags = GROUPS.iter().flat_map(|group| group.flags);
        describe(&mut out, flags.find(|flag| flag.long == topic)?, &Config::defaults());
    }
    Some(out.trim_start_matches('\n').trim_end().to_owned() + "\n")
}

/// The names of the chapters.
pub(super) fn topics() -> Vec<String> {
    let groups = GROUPS.iter().map(|group| group.topic.to_owned());
    groups.chain([ALGORITHMS.to_owned()]).chain(ends().map(end_topic)).collect()
}

/// The chapters behind the flags.
fn ends() -> impl Iterator<Item = &'static str> {
    CONCLUSION.trim().split("\n\n")
}

/// `Exit codes:` is `exit-codes`.
fn end_topic(part: &'static str) -> String {
    part.split(':').next().unwrap_or_default().to_lowercase().replace(' ', "-")
}

fn section(out: &mut String, group: &SettingGroup) {
    let defaults = Config::defaults();
    out.push_str(&format!("\n{}:\n", group.title));
    for flag in group.flags {
        describe(out, flag, &defaults);
        if flag.long == "balance" {
            algorithms(out);
        }
    }
}

/// Above the manual.
const NAME: &str = concat!("pointsman ", env!("CARGO_PKG_VERSION"));

/// What does TLS. The version in Cargo.toml is compared with it by a test.
const TLS: &str = "rustls 0.23 with aws-lc-rs";

/// Name and version, and what it was built of and for, ending in a newline.
pub(super) fn version() -> String {
    let commit = env!("POINTSMAN_BUILT_OF");
    let target = env!("POINTSMAN_BUILT_FOR");
    format!("{NAME} ({commit}, {target}, {TLS})\n")
}

/// Its letter, if it has one, and its name.
fn name(flag: &Setting) -> String {
    let short = match flag.short {
        "" => "    ".to_owned(),
        letter => format!("-{letter}, "),
    };
    format!("{short}--{}", flag.long)
}

fn describe(out: &mut String, flag: &Setting, defaults: &Config) {
    let heading = format!("  {} {}", name(flag), flag.value);
    out.push_str(heading.trim_end());
    out.push('\n');
    let default = (flag.default)(defaults);
    let says = match flag.act {
        Act::Value(..) | Act::Values(..) => format!("{} Default: {default}.", flag.says),
        Act::Switch(..) | Act::Answer(_) => flag.says.to_owned(),
    };
    wrap(out, TEXT_COLUMN, &says);
}

fn algorithms(out: &mut String) {
    wrap(out, TEXT_COLUMN, "What each makes equal among the backends, for their weights:");
    for row in Algorithm::ALL {
        out.push_str(&format!("{:TEXT_COLUMN$}{}\n", "", row.name));
        wrap(out, TEXT_COLUMN + 4, row.equalises);
        wrap(out, TEXT_COLUMN + 4, &format!("Also {}.", row.aliases.join(", ")));
    }
}

/// Lines of words, each beginning at the column.
fn wrap(out: &mut String, column: usize, text: &str) {
    let mut width = 0;
    for word in text.split_whitespace() {
        let length = word.chars().count();
        if width > 0 && width + 1 + length <= COLUMNS {
            out.push(' ');
            width += 1;
        } else {
            if width > 0 {
                out.push('\n');
            }
            out.extend(std::iter::repeat_n(' ', column));
            width = column;
        }
        out.push_str(word);
        width += length;
    }
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manual_fits_a_terminal() {
        for line in text().lines() {
            assert!(line.chars().count() <= COLUMNS, "too wide: {line}");
            assert_eq!(line, line.trim_end());
        }
    }

    #[test]
    fn the_manual_has_every_flag_with_its_default_and_every_algorithm() {
        let manual = text();
        let defaults = Config::defaults();
        let words: Vec<&str> = manual.split_whitespace().collect();
        let words = words.join(" ");
        for flag in GROUPS.iter().flat_map(|group| group.flags) {
            assert!(manual.contains(&format!("--{}", flag.long)), "{}", flag.long);
            assert!(words.contains(flag.says), "{}", flag.long);
            let takes_value = matches!(flag.act, Act::Value(..) | Act::Values(..));
            assert_eq!(takes_value, !flag.value.is_empty(), "{}", flag.long);
            if takes_value {
                let default = format!("{} Default: {}.", flag.says, (flag.default)(&defaults));
                assert!(words.contains(&default), "{default}");
            }
        }
        for name in Algorithm::ALL.iter().flat_map(|row| row.aliases.iter().chain([&row.name]))
        {
            assert!(manual.contains(name), "{name}");
        }
    }

    #[test]
    fn the_screen_is_one() {
        let screen = screen();
        let lines: Vec<&str> = screen.lines().collect();
        assert!(lines.len() <= 32, "{} lines", lines.len());
        for line in lines {
            assert!(line.chars().count() <= COLUMNS, "too wide: {line}");
        }
        assert!(screen.contains("--config "), "what says the most");
        for (long, _) in COMMON {
            assert!(screen.contains(&format!("--{long} ")), "{long} is no flag");
        }
    }

    #[test]
    fn every_chapter_and_every_flag_can_be_asked_for() {
        let manual = text();
        for topic in topics() {
            let chapter = chapter(&topic).expect("it is there");
            assert!(manual.contains(&chapter), "{topic}");
            let help = GROUPS.iter().flat_map(|group| group.flags).find(|f| f.long == "help");
            assert!(help.is_some_and(|help| help.says.contains(&topic)), "{topic} is not said");
        }
        for flag in GROUPS.iter().flat_map(|group| group.flags) {
            assert!(chapter(flag.long).is_some_and(|text| !text.is_empty()), "{}", flag.long);
        }
        assert_eq!(chapter("nothing"), None);
    }

    #[test]
    fn the_version_says_what_it_was_built_of() {
        let version = version();
        let inner = version.strip_prefix(NAME).and_then(|it| it.strip_prefix(" ("));
        let parts = inner.and_then(|it| it.strip_suffix(")\n")).expect("in brackets");
        let parts: Vec<&str> = parts.split(", ").collect();
        assert_eq!(parts.len(), 3, "{version}");
        assert!(parts[1].contains(std::env::consts::ARCH), "{version}");
        let manifest = include_str!("../../Cargo.toml");
        let version = manifest.split("[dependencies.rustls]\nversion = \"").nth(1);
        let version = version.and_then(|it| it.split('"').next()).expect("it is there");
        assert_eq!(parts[2], format!("rustls {version} with aws-lc-rs"));
    }

    #[test]
    fn words_wrap_at_the_last_column() {
        let mut out = String::new();
        let word = "w".repeat(COLUMNS - TEXT_COLUMN);
        wrap(&mut out, TEXT_COLUMN, &format!("a {word} b"));
        assert_eq!(out, format!("{0:8}a\n{0:8}{word}\n{0:8}b\n", ""));
    }
}
