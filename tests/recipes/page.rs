//! A page's blocks, made fit for this machine: checked by the program, and started.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::Signal;

use crate::authority::{Authority, Pair};
use crate::common::{Balancer, free_port};

/// What the pages call the file.
const FILE: &str = "pointsman.toml";

/// What is other people's, and must not be left in a file that is run here.
const FOREIGN: [&str; 6] = ["0.0.0.0", "10.0.0.", "192.0.2.", "198.51.100.", "/etc/", "/run/"];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/recipes")
}

/// The names of all pages but the README.
pub fn names() -> Vec<String> {
    let entries = std::fs::read_dir(folder()).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let pages = names.filter_map(|name| name.strip_suffix(".md").map(str::to_owned));
    pages.filter(|name| name != "README").collect()
}

/// The text of a page.
pub fn text_of(name: &str) -> String {
    std::fs::read_to_string(folder().join(format!("{name}.md"))).unwrap()
}

/// The blocks of one kind.
fn blocks(text: &str, kind: &str) -> Vec<String> {
    let begin = format!("```{kind}\n");
    let after = text.split(&begin).skip(1);
    after.map(|rest| rest.split("```").next().unwrap_or_default().to_owned()).collect()
}

/// A page under test.
pub struct Trial {
    /// Its files, and the authority of its certificates.
    pub authority: Authority,
    /// The configuration as it is now.
    pub toml: String,
    /// Its blocks of commands.
    pub shell: Vec<String>,
    generation: usize,
}

impl Trial {
    /// What a page says, as it stands there.
    pub fn of(name: &str) -> Trial {
        let text = text_of(name);
        let toml = blocks(&text, "toml");
        let [toml] = &toml[..] else { panic!("{name}: {} files, want one", toml.len()) };
        let shell = blocks(&text, "sh");
        assert!(!shell.is_empty(), "{name}: no commands");
        let authority = Authority::new(&format!("recipe-{name}"));
        Trial { authority, toml: toml.clone(), shell, generation: 1 }
    }

    /// Something else in place of what the file says.
    #[track_caller]
    pub fn put(&mut self, old: &str, new: &(impl ToString + ?Sized)) {
        assert!(self.toml.contains(old), "{old} is not in\n{}", self.toml);
        self.toml = self.toml.replace(old, &new.to_string());
    }

    /// A free port in place of an address where clients come in.
    #[track_caller]
    pub fn listen(&mut self, old: &str) -> SocketAddr {
        let address = free_port();
        self.put(old, &address);
        address
    }

    /// A socket of the test in place of that of the admin listener.
    #[track_caller]
    pub fn admin(&mut self) -> String {
        let socket = self.authority.path("api.sock").display().to_string();
        self.put("/run/pointsman/api.sock", &socket);
        format!("unix:{socket}")
    }

    /// A certificate for these names in place of a pair of files.
    #[track_caller]
    pub fn certificate(&mut self, cert: &str, key: &str, names: &[&str]) -> Pair {
        let pair = self.authority.pair(names);
        self.put(cert, &pair.cert);
        self.put(key, &pair.key);
        pair
    }

    /// Where the file is.
    pub fn file(&self) -> String {
        self.authority.path(FILE).display().to_string()
    }

    /// Write the file, see that it is good, and that the program takes the page's command lines.
    pub fn start(&self) -> Balancer {
        for text in FOREIGN {
            assert!(!self.toml.contains(text), "{text} is left in\n{}", self.toml);
        }
        self.write();
        for block in &self.shell {
            let parsed = Command::new("sh").args(["-n", "-c", block]).output().unwrap();
            assert!(parsed.status.success(), "{block}: {parsed:?}");
        }
        let ours = self.commands("pointsman ");
        assert!(!ours.is_empty(), "no command line of the program");
        for line in ours {
            let mut args: Vec<&str> = line.split_whitespace().skip(1).collect();
            if args[0] == "ctl" {
                args = vec!["ctl", args[1], "--help"];
            } else if !args.iter().any(|arg| ["--check-config", "--print-config"].contains(arg))
            {
                args.push("--check-config");
            }
            assert_eq!(self.said_by(&args).1, Some(0), "{line}");
        }
        Balancer::start(&["--config", &self.file()])
    }

    /// The commands that begin so, with the file's name put in.
    fn commands(&self, start: &str) -> Vec<String> {
        let lines = self.shell.iter().flat_map(|block| block.lines());
        let commands = lines.flat_map(|line| line.split("&&")).map(str::trim);
        let ours = commands.filter(|command| command.starts_with(start));
        ours.map(|command| command.replace(FILE, &self.file())).collect()
    }

    /// What the program says with these arguments, and its exit code.
    pub fn said_by(&self, args: &[&str]) -> (String, Option<i32>) {
        let output = Command::new(env!("CARGO_BIN_EXE_pointsman")).args(args).output().unwrap();
        let all = [&output.stdout[..], &output.stderr].concat();
        (String::from_utf8(all).unwrap(), output.status.code())
    }

    /// What `--check-config` says of the file as it is now.
    pub fn checked(&self) -> (String, Option<i32>) {
        self.write();
        self.said_by(&["--config", &self.file(), "--check-config"])
    }

    fn write(&self) {
        self.authority.write(FILE, &self.toml);
    }

    /// Do to the file what the page's `sed` does.
    #[track_caller]
    pub fn edit_as_told(&mut self) {
        self.write();
        let commands = self.commands("sed ");
        assert!(!commands.is_empty(), "no sed");
        for command in commands {
            let status = Command::new("sh").args(["-c", &command]).status().unwrap();
            assert!(status.success(), "{command}");
        }
        let edited = std::fs::read_to_string(self.file()).unwrap();
        assert_ne!(edited, self.toml, "sed changes nothing");
        self.toml = edited;
    }

    /// Have the file as it is now read by a running program, and wait until that is done.
    #[track_caller]
    pub fn reload(&mut self, balancer: &Balancer) {
        let (said, code) = self.checked();
        assert_eq!(code, Some(0), "{said}");
        balancer.signal(Signal::HUP);
        self.wait_until_reloaded(balancer);
    }

    /// Wait for the next generation.
    #[track_caller]
    pub fn wait_until_reloaded(&mut self, balancer: &Balancer) {
        self.generation += 1;
        balancer.wait_for_log(&format!("generation {}: ", self.generation));
    }
}

#[test]
fn blocks_are_found_by_their_kind() {
    let text = "a\n```toml\nb = 1\n```\nc\n```sh\nd\ne\n```\n```toml\nf\n```\n";
    assert_eq!(blocks(text, "toml"), ["b = 1\n", "f\n"]);
    assert_eq!(blocks(text, "sh"), ["d\ne\n"]);
}
