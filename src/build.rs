//! What `--version` says of the build: the commit and the target.
//!
//! The commit is that of the variable POINTSMAN_COMMIT, which packagers may set; else the one that
//! Cargo noted in a crate; else the one that is checked out; `unknown` where there is none of them,
//! as in a tarball. Only a release build asks git, since it is compiled anew after each commit:
//! others say `dev`. Nothing of the time, the machine or the folder comes in, so two builds of the
//! same sources are the same.
//!
//! And whether what only Linux has is used, `cfg(linux)`: on Linux, unless `POINTSMAN_PORTABLE` is
//! set, which asks for the fallbacks of other systems, as a test of them does
//! (`POINTSMAN_PORTABLE=1 cargo test`). No package is compiled anew for that.
//!
//! Run by Cargo before the crate is compiled; no part of the program.

use std::path::Path;
use std::process::Command;

/// What packagers set.
const VARIABLE: &str = "POINTSMAN_COMMIT";

/// So much of a commit is shown.
const SHOWN: usize = 7;

fn main() {
    println!("cargo::rerun-if-changed=src/build.rs");
    println!("cargo::rerun-if-env-changed={VARIABLE}");
    let commit = match std::env::var(VARIABLE) {
        Ok(told) if !told.trim().is_empty() => told.trim().to_owned(),
        _ if is_release() => {
            packed().or_else(checked_out).unwrap_or_else(|| "unknown".to_owned())
        }
        _ => "dev".to_owned(),
    };
    let is_hash = commit.len() > SHOWN && commit.bytes().all(|byte| byte.is_ascii_hexdigit());
    let shown = if is_hash { &commit[..SHOWN] } else { commit.as_str() };
    println!("cargo::rustc-env=POINTSMAN_BUILT_OF={shown}");
    let target = std::env::var("TARGET").unwrap_or_default();
    println!("cargo::rustc-env=POINTSMAN_BUILT_FOR={target}");
    if uses_linux() {
        println!("cargo::rustc-cfg=linux");
    }
}

fn uses_linux() -> bool {
    println!("cargo::rerun-if-env-changed=POINTSMAN_PORTABLE");
    let is_portable = std::env::var_os("POINTSMAN_PORTABLE").is_some();
    std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|system| system == "linux") && !is_portable
}

fn is_release() -> bool {
    std::env::var("PROFILE").is_ok_and(|profile| profile == "release")
}

/// The commit that `cargo package` noted.
fn packed() -> Option<String> {
    let text = std::fs::read_to_string(".cargo_vcs_info.json").ok()?;
    let hash = text.split("\"sha1\": \"").nth(1)?.split('"').next()?;
    Some(hash.to_owned())
}

/// The commit, if this folder is the top of a repository; one around it is somebody else's.
fn checked_out() -> Option<String> {
    let answer = git(&["rev-parse", "--show-prefix", "HEAD"])?;
    let commit = answer.strip_prefix('\n')?.trim().to_owned();
    // HEAD changes with the branch, its log with each commit. A file that is not there would have
    // everything compiled at each build.
    for file in ["HEAD", "logs/HEAD"] {
        let path = git(&["rev-parse", "--git-path", file])?;
        let path = path.trim_end();
        if Path::new(path).exists() {
            println!("cargo::rerun-if-changed={path}");
        }
    }
    Some(commit)
}

fn git(args: &[&str]) -> Option<String> {
    let output = Command::new("git").args(args).output().ok()?;
    output.status.success().then(|| String::from_utf8(output.stdout).ok()).flatten()
}
