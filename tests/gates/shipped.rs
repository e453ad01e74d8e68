//! The binary as it is shipped, and the Debian package around it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use super::alone;
use super::common::measure::{is_release, skip};
use super::common::servers::{Home, missing};

/// What installers and images carry: 9.6 million bytes, 1.9 of them cryptography. The goal is 5.
const SIZE_MAX: u64 = 9_800_000;

#[test]
fn the_binary_is_small() {
    let _alone = alone();
    if !is_release("the size of the binary") {
        return;
    }
    let binary = std::fs::metadata(env!("CARGO_BIN_EXE_pointsman")).expect("it is built");
    println!("the binary has {} bytes, at most {SIZE_MAX}", binary.len());
    assert!(binary.len() <= SIZE_MAX, "{} bytes, want {SIZE_MAX} at most", binary.len());
}

/// What the package has to have, with its permissions, besides documents.
const CONTENTS: [(&str, &str); 11] = [
    ("./usr/bin/pointsman", "-rwxr-xr-x"),
    ("./usr/lib/systemd/system/pointsman.service", "-rw-r--r--"),
    ("./etc/pointsman/pointsman.toml", "-rw-r--r--"),
    ("./etc/logrotate.d/pointsman", "-rw-r--r--"),
    ("./usr/share/man/man8/pointsman.8.gz", "-rw-r--r--"),
    ("./usr/share/man/man8/pointsman-ctl.8.gz", "-rw-r--r--"),
    ("./usr/share/man/man8/pointsman-top.8.gz", "-rw-r--r--"),
    ("./usr/share/bash-completion/completions/pointsman", "-rw-r--r--"),
    ("./usr/share/zsh/vendor-completions/_pointsman", "-rw-r--r--"),
    ("./usr/share/fish/vendor_completions.d/pointsman.fish", "-rw-r--r--"),
    ("./usr/share/doc/pointsman/copyright", "-rw-r--r--"),
];

/// Run it; it has to end well.
fn run(program: &str, args: &[&str]) -> Output {
    let output = Command::new(program).args(args).output().expect("it starts");
    assert!(output.status.success(), "{program} {args:?}: {output:?}");
    output
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Make the package of the binary that is there, at this path.
fn make_package(path: &Path) {
    let binary = Path::new(env!("CARGO_BIN_EXE_pointsman"));
    let target = binary.ancestors().nth(2).expect("target/release");
    let output = Command::new(env!("CARGO"))
        .args(["deb", "--quiet", "--no-build", "--no-strip", "--fast", "--output"])
        .arg(path)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env("CARGO_TARGET_DIR", target)
        .output()
        .expect("it starts");
    assert!(output.status.success(), "{output:?}");
    let complaints = text(&output.stderr);
    assert!(!complaints.contains("warning"), "{complaints}");
}

#[test]
fn the_debian_package_has_all_that_an_installation_needs() {
    let _alone = alone();
    if !is_release("what is in the Debian package") || missing(&["dpkg-deb"]) {
        return;
    }
    let has_tool = Command::new(env!("CARGO")).args(["deb", "--version"]).output();
    if !has_tool.is_ok_and(|output| output.status.success()) {
        return skip("there is no cargo-deb");
    }
    let home = Home(std::env::temp_dir().join(format!("pointsman-deb-{}", std::process::id())));
    fs::create_dir_all(&home.0).expect("a folder");
    let package = home.0.join("pointsman.deb");
    make_package(&package);
    let package = package.to_str().expect("text");
    has_contents(package);
    has_manners(package);
    works(package, &home.0.join("root"));
    if Command::new("lintian").arg("--version").output().is_ok() {
        run("lintian", &["--fail-on", "error", "--allow-root", package]);
    } else {
        println!("not asked: there is no lintian");
    }
}

fn has_contents(package: &str) {
    let listed = text(&run("dpkg-deb", &["--contents", package]).stdout);
    let files: BTreeMap<&str, &str> = listed
        .lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            let permissions = words.next()?;
            words.next_back().map(|name| (name, permissions))
        })
        .collect();
    for (name, permissions) in CONTENTS {
        assert_eq!(files.get(name), Some(&permissions), "{name}: {listed}");
    }
    let documents = files.keys().filter(|name| name.ends_with(".md")).count();
    assert!(documents > 20, "{documents} documents: {listed}");
    let owners =
        listed.lines().filter(|line| !line.contains(" 0/0 ") && !line.contains("root"));
    assert_eq!(owners.count(), 0, "{listed}");
}

/// It keeps what the operator changed, and neither starts nor stops a service by itself but when it
/// is removed.
fn has_manners(package: &str) {
    let field = |name: &str| text(&run("dpkg-deb", &["--field", package, name]).stdout);
    assert!(field("Version").starts_with(env!("CARGO_PKG_VERSION")), "{}", field("Version"));
    assert!(field("Depends").contains("libc6 (>= "), "{}", field("Depends"));
    let script = |name: &str| text(&run("dpkg-deb", &["--info", package, name]).stdout);
    let kept = script("conffiles");
    assert_eq!(kept.trim(), "/etc/pointsman/pointsman.toml\n/etc/logrotate.d/pointsman");
    let scripts = format!("{}{}", script("postinst"), script("prerm"));
    assert!(!scripts.contains("restart") && !scripts.contains("invoke start"), "{scripts}");
    assert!(script("prerm").contains("= remove ]"), "{scripts}");
}

/// What is in it runs, reads its example, and has its page.
fn works(package: &str, root: &Path) {
    let folder = root.to_str().expect("text");
    run("dpkg-deb", &["--extract", package, folder]);
    let inner = |path: &str| root.join(path).to_str().expect("text").to_owned();
    let version = text(&run(&inner("usr/bin/pointsman"), &["--version"]).stdout);
    println!("{}", version.trim_end());
    assert!(!version.contains("(dev, "), "{version}");
    let unit = fs::read_to_string(inner("usr/lib/systemd/system/pointsman.service"));
    let start = "ExecStart=/usr/bin/pointsman --config /etc/pointsman/pointsman.toml\n";
    assert!(unit.is_ok_and(|unit| unit.contains(start)), "{start}");
    let page = text(&run("gzip", &["-dc", &inner("usr/share/man/man8/pointsman.8.gz")]).stdout);
    assert!(page.contains(".TH POINTSMAN 8"), "{page}");
    let changes = inner("usr/share/doc/pointsman/changelog.Debian.gz");
    let changes = text(&run("gzip", &["-dc", &changes]).stdout);
    let begin = format!("pointsman ({}-1) ", env!("CARGO_PKG_VERSION"));
    assert!(changes.starts_with(&begin), "{changes}");
}
