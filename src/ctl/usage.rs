//! The command line of `ctl`: one table of commands and flags, for getopts and for the help.

use getopts::{Fail, Matches, Options, ParsingStyle};

use crate::config::{closest, quoted};

use super::failure::{Failure, Outcome};

/// What can be asked for.
pub struct Command {
    /// Its word.
    pub name: &'static str,
    /// What follows the word.
    pub takes: &'static str,
    /// How many words may follow, least and most.
    pub words: (usize, usize),
    /// In a line.
    pub says: &'static str,
    /// More of it, for its own help.
    pub more: &'static str,
    /// Its flags beside those of all.
    flags: &'static [&'static str],
}

/// A flag: its name, what stands for its value if it has one, and what it does.
pub type Flag = (&'static str, &'static str, &'static str);

const FLAGS: &[Flag] = &[
    (
        "admin",
        "PLACE",
        "where it is: unix:PATH or http://HOST:PORT; may be given again, and each is asked \
         [POINTSMAN_ADMIN, or unix:/run/pointsman/api.sock]",
    ),
    ("token", "TOKEN", "who asks, where tokens are wanted [POINTSMAN_TOKEN]"),
    ("json", "", "what the API answers, for programs"),
    ("help", "", "this"),
    ("dry-run", "", "change nothing, say what would happen"),
    ("reason", "TEXT", "what it is for, kept in the audit log"),
    ("deadline", "TIME", "close the connections that are left after this time, such as 60s"),
    ("now", "", "close its connections at once"),
    ("wait", "", "come back once no connection is left"),
    ("weight", "N", "its share, 0 for no new connections [1]"),
    ("max-connections", "N", "so many at once [no limit]"),
    ("backup", "", "only if none of the others can"),
    ("tls", "", "TLS towards it"),
    ("sni", "NAME", "the name in its certificate [its host]"),
    ("check-port", "N", "probes go to this port [that of the address]"),
    ("for", "TIME", "how long, such as 10m [10m]"),
    ("why", "TEXT", "what for, shown with the ban"),
    ("force", "", "however large the network is"),
    ("close", "", "close its connections as well"),
    ("proxy", "v1|v2", "it is sent a header of the PROXY protocol [none]"),
    ("proxy-tlvs", "NAME+NAME", "what a header of v2 says beside the addresses [nothing]"),
    ("kind", "K[,K]", "only events of these kinds"),
    ("backend", "POOL/NAME", "only those that went there"),
    ("client", "IP[/LENGTH]", "only of this address or network"),
    ("request", "ID", "only the one of this request id, with all that is known of it"),
    ("service", "NAME", "only of this service"),
    ("limit", "N", "so many at most [100]"),
    ("since", "N", "those behind this number first, as far as they are kept"),
    ("from", "ADDRESS", "the client's address [127.0.0.1]"),
    ("header", "'NAME: VALUE'", "a field of the request; may be given again"),
    ("listener", "NAME", "the listener that it comes to [the first that speaks so]"),
];

/// Flags of every command.
const COMMON: &[&str] = &["admin", "token", "json", "help"];

macro_rules! commands {
    ($($name:literal $takes:literal $least:literal..$most:literal [$($flag:literal)*]
       $says:literal $more:literal;)*) => {
        /// All of them, as the help has them.
        pub const COMMANDS: &[Command] = &[$(Command {
            name: $name, takes: $takes, words: ($least, $most), says: $says, more: $more,
            flags: &[$($flag),*],
        }),*];
    };
}

commands! {
    "show" "[services|listeners|pools|backends [POOL]|backend POOL/NAME]" 0..2 []
        "what runs: all pools with their backends, or one kind of thing"
        "WEIGHT is what is effective; with what was configured, where that is another.\n\
         ACTIVE is connections or requests at work now, RATE new ones in the last second.";
    "add" "POOL/NAME ADDRESS" 2..2
        ["weight" "max-connections" "backup" "tls" "sni" "check-port" "proxy" "proxy-tlvs"
         "dry-run" "reason"]
        "a backend more, or another in its place" "";
    "remove" "POOL/NAME" 1..1 ["now" "deadline" "wait" "dry-run" "reason"]
        "takes a backend out; its connections end by themselves" "";
    "drain" "[POOL/NAME]" 0..1 ["deadline" "wait" "dry-run" "reason"]
        "no new clients for a backend, be they stuck to it or not"
        "Without a name it is about the whole process: /ready says no from then on, and\n\
         whoever spreads clients over several processes sends none here; undrain ends it.";
    "ready" "POOL/NAME" 1..1 ["dry-run" "reason"] "a backend takes clients again" "";
    "maint" "POOL/NAME" 1..1 ["deadline" "wait" "dry-run" "reason"]
        "nobody new for a backend, and no probes" "";
    "weight" "POOL/NAME N" 2..2 ["dry-run" "reason"] "another share for a backend" "";
    "close" "POOL/NAME" 1..1 ["dry-run" "reason"] "closes all connections to a backend" "";
    "reload" "" 0..0 ["dry-run" "reason"] "reads flags and file again, as SIGHUP does" "";
    "config" "[print | check FILE | put FILE]" 0..2 ["dry-run" "reason"]
        "the configuration that holds; whether another is good; another"
        "FILE may be - for standard input. What is put holds until flags and file are read\n\
         again: it is written nowhere.";
    "overrides" "[list | clear [POOL/NAME] | save]" 0..2 ["dry-run" "reason"]
        "what was told and differs from the configuration" "save prints it as TOML.";
    "events" "" 0..0 ["kind" "since"] "what happens, a line each, until Ctrl-C" "";
    "explain" "'GET https://www.example.com/api'" 1..1 ["from" "header" "listener"]
        "what would become of a request, without sending it" "";
    "picks" "" 0..0 ["backend" "client" "request" "service" "since" "limit"]
        "where the last requests, connections and flows went, and why"
        "With --request all that is known of that one. Kept are as many as --picks says.";
    "names" "" 0..0 []
        "the names that are looked up, and what DNS says of them" "";
    "guard" "" 0..0 []
        "the rules of the guard, and how much each refused" "";
    "bans" "[ADDRESS]" 0..1 []
        "who is banned, until when and why; with an address the bans that hold for it" "";
    "ban" "ADDRESS|CIDR" 1..1 ["for" "why" "force" "close" "dry-run" "reason"]
        "lets an address or a network in no more, for a while"
        "Who is connected stays, unless --close is given; requests are answered with 403.\n\
         A network of more than a /8, or a /16 of IPv6, needs --force.";
    "unban" "ADDRESS|CIDR" 1..1 ["dry-run" "reason"] "lets a network in again" "";
    "health" "" 0..0 []
        "whether all is well, for scripts: exit code 0, or 1 with a line about each thing"
        "Well is: the process serves, and every service has a backend that is up.";
    "undrain" "" 0..0 ["dry-run" "reason"] "the whole process takes clients again" "";
    "stop" "" 0..0 ["dry-run" "reason"] "ends the process, as SIGTERM does" "";
}

impl Command {
    /// Its flags, and behind them those that all commands have.
    pub fn flags(&self) -> impl Iterator<Item = &'static Flag> {
        let names = self.flags.iter().chain(COMMON);
        names.filter_map(|name| FLAGS.iter().find(|it| it.0 == *name))
    }
}

/// What the command line asks for.
pub enum Asked {
    /// Text to print.
    Help(String),
    /// A command with what follows it.
    Command(Given),
}

/// A command line that can be meant.
pub struct Given {
    /// Which one.
    pub command: &'static Command,
    /// What follows its word.
    pub words: Vec<String>,
    matches: Matches,
}

impl Given {
    /// The value of a flag.
    pub fn value(&self, flag: &str) -> Option<String> {
        self.matches.opt_str(flag)
    }

    /// All values of a flag.
    pub fn values(&self, flag: &str) -> Vec<String> {
        self.matches.opt_strs(flag)
    }

    /// Whether a flag is given.
    pub fn has(&self, flag: &str) -> bool {
        self.matches.opt_present(flag)
    }

    /// A flag's whole number.
    pub fn number(&self, flag: &str) -> Outcome<Option<u64>> {
        let Some(text) = self.value(flag) else { return Ok(None) };
        let wrong = |_| {
            Failure::Usage(format!("--{flag}: found {}, want a whole number", quoted(&text)))
        };
        text.parse().map(Some).map_err(wrong)
    }
}

/// Read what follows `ctl`.
pub fn parse(args: &[String]) -> Outcome<Asked> {
    let mut options = Options::new();
    options.parsing_style(ParsingStyle::FloatingFrees);
    for (name, value, says) in FLAGS {
        let short = if *name == "help" { "h" } else { "" };
        match (*name, *value) {
            (_, "") => options.optflagmulti(short, name, says),
            ("header" | "admin", value) => options.optmulti(short, name, says, value),
            (_, value) => options.optopt(short, name, says, value),
        };
    }
    let matches = options.parse(args).map_err(|fail| Failure::Usage(unread(&fail)))?;
    let wants_help = matches.opt_present("help");
    let Some(word) = matches.free.first() else {
        if wants_help {
            return Ok(Asked::Help(manual()));
        }
        let want = "want a command such as show; pointsman ctl --help has them all";
        return Err(Failure::Usage(format!("found no command, {want}")));
    };
    if word == "help" {
        let about = matches.free.get(1).map(|it| find(it)).transpose()?;
        return Ok(Asked::Help(about.map_or_else(manual, page)));
    }
    let command = find(word)?;
    if wants_help {
        return Ok(Asked::Help(page(command)));
    }
    for (name, ..) in FLAGS {
        let is_own = command.flags.contains(name) || COMMON.contains(name);
        if matches.opt_present(name) && !is_own {
            let want = format!("pointsman ctl {} --help says which are", command.name);
            let line = format!("{}: --{name} is no flag of it; {want}", command.name);
            return Err(Failure::Usage(line));
        }
    }
    let words = matches.free[1..].to_vec();
    let (least, most) = command.words;
    if words.len() < least || words.len() > most {
        let found = crate::config::counted(words.len(), "word");
        let line =
            format!("{0}: found {found} behind it, want {0} {1}", command.name, command.takes);
        return Err(Failure::Usage(line.trim_end().to_owned()));
    }
    Ok(Asked::Command(Given { command, words, matches }))
}

fn find(word: &str) -> Outcome<&'static Command> {
    let names = || COMMANDS.iter().map(|it| it.name);
    COMMANDS.iter().find(|it| it.name == word).ok_or_else(|| unknown("command", word, names()))
}

/// A word that means nothing here.
pub fn unknown(
    what: &str,
    word: &str,
    known: impl Iterator<Item = &'static str> + Clone,
) -> Failure {
    let near = closest(word, known.clone());
    let hint = match near {
        Some(near) => format!("did you mean {near}?"),
        None => format!("want {}", known.collect::<Vec<_>>().join(", ")),
    };
    Failure::Usage(format!("unknown {what} {}; {hint}", quoted(word)))
}

fn unread(fail: &Fail) -> String {
    match fail {
        Fail::UnrecognizedOption(name) => {
            let near = closest(name, FLAGS.iter().map(|it| it.0));
            let hint = match near {
                Some(near) => format!("did you mean --{near}?"),
                None => "pointsman ctl --help has them all".to_owned(),
            };
            format!("unknown flag --{name}; {hint}")
        }
        Fail::ArgumentMissing(name) => format!("--{name}: found no value, want one behind it"),
        Fail::OptionDuplicated(name) => format!("--{name}: found twice, want it once"),
        Fail::UnexpectedArgument(name) => format!("--{name}: found a value, want none"),
        Fail::OptionMissing(name) => format!("--{name} is missing"),
    }
}

fn manual() -> String {
    let mut out =
        "pointsman ctl: asks and changes a pointsman that runs, at its admin socket\n\n\
                   usage: pointsman ctl COMMAND [WORDS] [FLAGS]\n\n"
            .to_owned();
    for it in COMMANDS {
        out += &format!("  {:11}{}\n", it.name, it.says);
    }
    out += "\nFlags of all:\n";
    COMMON.iter().for_each(|name| flag_line(name, &mut out));
    out + "\nA backend is POOL/NAME, or NAME alone if only one pool has it; the pool of a process\n\
           without a file is main. pointsman ctl COMMAND --help has what a command takes.\n\n\
           Several --admin are asked one after the other, whatever the others say.\n\n\
           Exit codes: 0 done, 1 refused or not there, 2 a command line that means nothing.\n"
}

fn page(command: &Command) -> String {
    let usage = format!("{} {}", command.name, command.takes);
    let mut out = format!("usage: pointsman ctl {}\n\n{}\n", usage.trim_end(), command.says);
    if !command.more.is_empty() {
        out += &format!("{}\n", command.more);
    }
    if !command.flags.is_empty() {
        out += "\nFlags:\n";
        command.flags.iter().for_each(|name| flag_line(name, &mut out));
    }
    out += "\nFlags of all:\n";
    COMMON.iter().for_each(|name| flag_line(name, &mut out));
    out
}

fn flag_line(name: &str, out: &mut String) {
    let Some((name, value, says)) = FLAGS.iter().find(|it| it.0 == name) else { return };
    let heading = format!("--{name} {value}");
    let mut line = format!("  {heading:23}");
    for word in says.split(' ') {
        if line.chars().count() + 1 + word.chars().count() > 90 {
            out.push_str(line.trim_end());
            out.push('\n');
            line = " ".repeat(25);
        }
        line += &format!(" {word}");
    }
    out.push_str(&line);
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(line: &str) -> String {
        let args: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        match parse(&args) {
            Err(Failure::Usage(line)) => line,
            _ => panic!("{line} can be meant"),
        }
    }

    #[test]
    fn what_means_nothing_is_told_with_what_may_be_meant() {
        assert!(wrong("shwo").contains("did you mean show?"), "{}", wrong("shwo"));
        assert!(wrong("show --jsno").contains("did you mean --json?"));
        assert!(wrong("weight web/a").contains("want weight POOL/NAME N"));
        assert!(wrong("show --weight 3").contains("no flag of it"));
        assert!(wrong("").contains("found no command"));
    }

    #[test]
    fn every_flag_of_a_command_is_in_the_table_and_in_its_help() {
        for command in COMMANDS {
            let text = page(command);
            for flag in command.flags.iter().chain(COMMON) {
                assert!(FLAGS.iter().any(|it| it.0 == *flag), "{flag}");
                assert!(text.contains(&format!("--{flag} ")), "{}: {flag}", command.name);
            }
            assert!(text.lines().all(|line| line.chars().count() <= 90), "{text}");
            assert!(manual().contains(command.says), "{}", command.name);
        }
    }
}
