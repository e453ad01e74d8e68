//! What `-h`, `--help` and `--version` answer.

use pointsman::flags::Row;

use super::{complaint, pointsman};

#[test]
fn help_is_the_manual() {
    for args in [&["--help"][..], &["--demo", "--help"], &["--rise", "x", "--help"]] {
        let manual = shown(args);
        for Row { short, long, .. } in pointsman::flags::rows() {
            let heading = match short {
                "" => format!("\n      --{long}"),
                letter => format!("\n  -{letter}, --{long}"),
            };
            assert!(manual.contains(&heading), "{heading}");
        }
        for title in
            ["Balancing:", "Health:", "HTTP:", "Signals:", "Exit codes:", "Examples:", "Demo:"]
        {
            assert!(manual.contains(&format!("\n{title}\n")), "{title}");
        }
        let too_wide = manual.lines().find(|line| line.chars().count() > 79);
        assert_eq!(too_wide, None);
    }
}

/// What is answered on standard output.
fn shown(args: &[&str]) -> String {
    let output = pointsman(args);
    assert_eq!(output.status.code(), Some(0), "{args:?}");
    assert!(output.stderr.is_empty(), "{args:?}");
    String::from_utf8(output.stdout).expect("it speaks UTF-8")
}

#[test]
fn help_is_short_or_of_one_thing_if_asked_for_that() {
    for args in [&["-h"][..], &["--demo", "-h", "stray"], &["--rise", "x", "-h"]] {
        let screen = shown(args);
        assert!(screen.lines().count() <= 32, "{args:?}");
        assert!(screen.contains("\n  -b, --backend "), "{args:?}");
    }
    let health = shown(&["--help", "health"]);
    assert!(health.starts_with("Health:\n") && health.contains("--check-interval"));
    assert!(!health.contains("--balance"));
    assert!(shown(&["--help", "exit-codes"]).starts_with("Exit codes:\n"));
    assert!(shown(&["--help", "rise"]).starts_with("      --rise N\n"));
    let complaint = complaint(&["--help", "helth"]);
    assert!(complaint.starts_with("--help: found no chapter 'helth', want a flag's name, or "));
}

#[test]
fn version_is_one_line() {
    for args in [&["--version"][..], &["-V"], &["-V", "stray"]] {
        let output = pointsman(args);
        assert_eq!(output.status.code(), Some(0), "{args:?}");
        assert!(output.stderr.is_empty(), "{args:?}");
        let line = String::from_utf8(output.stdout).expect("it speaks UTF-8");
        let begin = format!("pointsman {} (", env!("CARGO_PKG_VERSION"));
        assert!(line.starts_with(&begin) && line.ends_with(" with aws-lc-rs)\n"), "{line}");
        assert_eq!(line.lines().count(), 1, "{line}");
    }
}

/// The examples of the manual are read as they stand there.
#[test]
fn examples_of_the_manual_are_right() {
    let output = pointsman(&["--help"]);
    let manual = String::from_utf8(output.stdout).expect("it speaks UTF-8");
    let examples = manual.split("\nExamples:\n").nth(1).expect("there are examples");
    let examples = examples.replace("\\\n", " ");
    let mut seen = 0;
    for line in examples.lines() {
        // The quotes are for the shell, which would look for files.
        let mut words = line.split_whitespace().map(|word| word.replace('\'', ""));
        assert_eq!(words.next().as_deref(), Some("pointsman"));
        let args: Vec<String> = words.collect();
        if let Err(error) = pointsman::flags::parse(&args) {
            panic!("{line}: {error:?}");
        }
        seen += 1;
    }
    assert!(seen >= 3);
}
