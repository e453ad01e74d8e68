//! What the build script has `--version` say: compiled by itself, run in folders of many kinds.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::common::servers::{Home, missing};

struct Script {
    home: Home,
    binary: PathBuf,
}

impl Script {
    fn new() -> Script {
        let name = format!("pointsman-build-{}", std::process::id());
        let home = Home(std::env::temp_dir().join(name));
        fs::create_dir_all(&home.0).expect("a folder");
        let binary = home.0.join("script");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/build.rs");
        let output = Command::new("rustc")
            .args(["--edition", "2024", "-o"])
            .args([&binary, &source])
            .output()
            .expect("it starts");
        assert!(output.status.success(), "{output:?}");
        Script { home, binary }
    }

    fn folder(&self, name: &str) -> PathBuf {
        let folder = self.home.0.join(name);
        fs::create_dir_all(&folder).expect("a folder");
        folder
    }

    /// The commit that it says, and the files that it would be run again for.
    fn says(&self, folder: &Path, profile: &str, told: &str) -> (String, Vec<String>) {
        let output = Command::new(&self.binary)
            .current_dir(folder)
            .env("PROFILE", profile)
            .env("TARGET", "some-target")
            .env("POINTSMAN_COMMIT", told)
            .env("GIT_CEILING_DIRECTORIES", self.home.0.parent().expect("it has one"))
            .output()
            .expect("it starts");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(text.contains("cargo::rustc-env=POINTSMAN_BUILT_FOR=some-target\n"), "{text}");
        let all = |begin: &str| -> Vec<String> {
            text.lines()
                .filter_map(|line| line.strip_prefix(begin))
                .map(str::to_owned)
                .collect()
        };
        let commit = all("cargo::rustc-env=POINTSMAN_BUILT_OF=").remove(0);
        (commit, all("cargo::rerun-if-changed="))
    }
}

fn git(folder: &Path, args: &[&str]) -> String {
    let output = Command::new("git")
        .args([
            "-c",
            "user.name=n",
            "-c",
            "user.email=n@localhost",
            "-c",
            "commit.gpgsign=false",
        ])
        .args(args)
        .current_dir(folder)
        .output()
        .expect("it starts");
    assert!(output.status.success(), "{args:?}: {output:?}");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

#[test]
fn the_version_has_the_commit_where_there_is_one() {
    if missing(&["git", "rustc"]) {
        return;
    }
    let script = Script::new();
    let tarball = script.folder("tarball");
    assert_eq!(script.says(&tarball, "release", "").0, "unknown");
    assert_eq!(script.says(&tarball, "release", "v1").0, "v1");
    let hash = "0123456789abcdef0123456789abcdef01234567";
    assert_eq!(script.says(&tarball, "release", hash).0, "0123456");
    fs::write(tarball.join(".cargo_vcs_info.json"), CRATE).expect("it is written");
    assert_eq!(script.says(&tarball, "release", "").0, "89abcde");

    let repository = script.folder("repository");
    git(&repository, &["init", "--quiet"]);
    assert_eq!(script.says(&repository, "release", "").0, "unknown", "no commit yet");
    git(&repository, &["commit", "--quiet", "--allow-empty", "-m", "one"]);
    let head = git(&repository, &["rev-parse", "HEAD"]);
    let (commit, files) = script.says(&repository, "release", "");
    assert_eq!(commit, head[..7]);
    // Each of them is there, or everything would be compiled at each build.
    let git_files: Vec<&String> = files.iter().filter(|file| *file != "src/build.rs").collect();
    assert_eq!(git_files.len(), 2, "{files:?}");
    assert!(git_files.iter().all(|file| repository.join(file).exists()), "{files:?}");
    // Whoever works on it does not compile everything after each commit.
    let (commit, files) = script.says(&repository, "debug", "");
    assert_eq!((commit.as_str(), files.len()), ("dev", 1));

    let inner = script.folder("repository/vendor/pointsman");
    assert_eq!(script.says(&inner, "release", "").0, "unknown", "it is somebody else's");
}

/// What Cargo puts into a crate.
const CRATE: &str = r#"{
  "git": {
    "sha1": "89abcdef0123456789abcdef0123456789abcdef"
  },
  "path_in_vcs": ""
}"#;
