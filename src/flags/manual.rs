//! The manual that `--help` shows: laid out from the flags' table and the algorithms' table.
//!
//! Only layout and prose: what a flag says stands in its row. Called by the rows of `--help` and
//! `--version`; prints nothing itself.

use super::table::{Act, Flag, GROUPS};
use crate::config::{Algorithm, Config};

/// Columns of a terminal less one, since some wrap at the last.
const COLUMNS: usize = 79;

/// Column at which the texts of flags and algorithms begin.
const TEXT_COLUMN: usize = 8;

const INTRODUCTION: &str = "\
A TCP, HTTP and UDP load balancer on one thread: one poll loop, every
connection, request or flow of datagrams waved to the backend that can take
it. TLS is led on by its server name, unopened.

Usage:
  pointsman --listen ADDR:PORT --backend HOST:PORT [--backend HOST:PORT]...
  pointsman --demo

A DURATION is a number with its unit, ms, s, m or h, such as 500ms or 1.5h.
";

const CONCLUSION: &str = "
Signals:
  SIGTERM, SIGINT
        Stop accepting, let connections finish within --drain-timeout, close
        the rest, exit with 0. A second one ends at once.
  SIGUSR1
        Write a page of status to the log: backends, their state, active and
        total connections, load, rates.
  SIGHUP
        Open the access log anew, for who moved the old one away, and read the
        files of --cert, --key, --client-ca, --backend-cert and --backend-key
        again.

Exit codes:
  0     Ended as asked.
  1     Failed at run time: a port in use or forbidden, a name not found, a
        certificate or key that is broken.
  2     A flag is wrong. A line on standard error for each says what was found
        and what would be right, all at once; so it is with 1 at the start.

Examples:
  pointsman -l 127.0.0.1:8000 -b 127.0.0.1:8001 -b 127.0.0.1:8002
  pointsman -l tcp://[::]:5432 -b db1:5432,weight=3 \\
      -b db2:5432,max-connections=100 -b db3:5432,backup -a round-robin
  pointsman -l http://0.0.0.0:80 -b web1:80 -b web2:80 --check http:/health
  pointsman -l sni://0.0.0.0:443 --route www.example.com=web1:443,web2:443 \\
      --route '*.example.com=web3:443'
  pointsman -l udp://[::]:53 -l tcp://[::]:53 -b dns1:53 -b dns2:53 \\
      --udp-responses 1
  pointsman -l 0.0.0.0:9000 -b w1:9000 -b w2:9000 -a least-load \\
      --check load:busy
";

/// All of it, ending in a newline.
pub(super) fn text() -> String {
    let defaults = Config::defaults();
    let mut out = format!("{}\n{INTRODUCTION}", version());
    for group in GROUPS {
        out.push_str(&format!("\n{}:\n", group.title));
        for flag in group.flags {
            describe(&mut out, flag, &defaults);
            if flag.long == "balance" {
                algorithms(&mut out);
            }
        }
    }
    out.push_str(CONCLUSION);
    out
}

/// Name and version, ending in a newline.
pub(super) fn version() -> String {
    format!("pointsman {}\n", env!("CARGO_PKG_VERSION"))
}

fn describe(out: &mut String, flag: &Flag, defaults: &Config) {
    let short = match flag.short {
        "" => "    ".to_owned(),
        letter => format!("-{letter}, "),
    };
    let heading = format!("  {short}--{} {}", flag.long, flag.value);
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
    fn words_wrap_at_the_last_column() {
        let mut out = String::new();
        let word = "w".repeat(COLUMNS - TEXT_COLUMN);
        wrap(&mut out, TEXT_COLUMN, &format!("a {word} b"));
        assert_eq!(out, format!("{0:8}a\n{0:8}{word}\n{0:8}b\n", ""));
    }
}
