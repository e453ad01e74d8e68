//! What can be said, as the help has it.

use crate::config::HaproxyLevel as Level;

/// A command.
#[derive(Debug)]
pub struct Verb {
    /// It begins with these.
    pub words: &'static [&'static str],
    /// Who may give it.
    pub level: Level,
    /// How it goes on.
    pub usage: &'static str,
    /// What it does.
    pub about: &'static str,
}

macro_rules! verbs {
    ($($level:ident [$($word:literal),*] $usage:literal $about:literal;)*) => {
        /// All of them.
        pub const VERBS: &[Verb] = &[$(
            Verb { words: &[$($word),*], level: Level::$level, usage: $usage, about: $about },
        )*];
    };
}

verbs! {
    Admin ["abort", "ssl", "cert"]
        "abort ssl cert <certfile>"
        "abort a transaction for a certificate file";
    Admin ["add", "server"] "add server <bk>/<srv>" "create a new server";
    Admin ["add", "ssl", "crt-list"]
        "add ssl crt-list <list> <cert>"
        "add to crt-list file <list> a line <cert>: there are none";
    Operator ["clear", "counters"] "clear counters" "clear max statistics counters";
    Admin ["commit", "ssl", "cert"]
        "commit ssl cert <certfile>"
        "commit a certificate file";
    Admin ["del", "server"] "del server <bk>/<srv>" "remove a server";
    Admin ["del", "ssl", "cert"]
        "del ssl cert <certfile>"
        "delete an unused certificate file";
    Admin ["disable", "agent"] "disable agent" "disable agent checks";
    Admin ["disable", "frontend"]
        "disable frontend <frontend>"
        "temporarily disable specific frontend";
    Admin ["disable", "health"] "disable health" "disable health checks";
    Admin ["disable", "server"]
        "disable server (DEPRECATED)"
        "disable a server for maintenance (use 'set server' instead)";
    Admin ["enable", "agent"] "enable agent" "enable agent checks";
    Admin ["enable", "frontend"]
        "enable frontend <frontend>"
        "re-enable specific frontend";
    Admin ["enable", "health"] "enable health" "enable health checks";
    Admin ["enable", "server"]
        "enable server  (DEPRECATED)"
        "enable a disabled server (use 'set server' instead)";
    User ["get", "weight"] "get weight <bk>/<srv>" "report a server's current weight";
    Admin ["new", "ssl", "cert"]
        "new ssl cert <certfile>"
        "create a new certificate file, which no listener shows";
    User ["operator"] "operator" "lower the level of the current CLI session to operator";
    Admin ["set", "maxconn", "global"]
        "set maxconn global <value>"
        "change the per-process maxconn setting";
    Admin ["set", "maxconn", "server"]
        "set maxconn server <bk>/<srv>"
        "change a server's maxconn setting";
    Admin ["set", "server"]
        "set server <bk>/<srv> [opts]"
        "change a server's state, weight or address";
    User ["set", "severity-output"]
        "set severity-output [none|number|string]"
        "set presence of severity level in feedback information";
    Admin ["set", "ssl", "cert"]
        "set ssl cert <certfile> <payload>"
        "replace a certificate file";
    User ["set", "timeout"] "set timeout [cli] <delay>" "change a timeout setting";
    Admin ["set", "weight"]
        "set weight <bk>/<srv>  (DEPRECATED)"
        "change a server's weight (use 'set server' instead)";
    User ["show", "backend"] "show backend" "list backends in the current running config";
    User ["show", "cli", "level"] "show cli level" "display the level of the current CLI session";
    Operator ["show", "cli", "sockets"] "show cli sockets" "dump list of cli sockets";
    Operator ["show", "errors"]
        "show errors"
        "report last request and/or response errors for each proxy";
    User ["show", "info"]
        "show info [json|typed]*"
        "report information about the running process";
    User ["show", "servers", "conn"]
        "show servers conn [<backend>]"
        "dump server connections status (all or for a single backend)";
    User ["show", "servers", "state"]
        "show servers state [<backend>]"
        "dump volatile server information (all or for a single backend)";
    Operator ["show", "ssl", "cert"]
        "show ssl cert [<certfile>]"
        "display the SSL certificates used in memory, or the details of a file";
    Operator ["show", "ssl", "crt-list"]
        "show ssl crt-list"
        "show the list of crt-lists: there are none";
    Operator ["show", "sess"]
        "show sess [all|older <age>|<id>]"
        "report the list of current sessions, or one";
    User ["show", "stat"]
        "show stat [json|no-maint|typed|up]*"
        "report counters for each proxy and server";
    Operator ["show", "table"] "show table" "report table usage stats: there are none";
    User ["show", "version"] "show version" "show version of the current process";
    Admin ["shutdown", "session"]
        "shutdown session <id>"
        "kill a specific session";
    Admin ["shutdown", "sessions", "server"]
        "shutdown sessions server <bk>/<srv>"
        "kill sessions on a server";
    User ["user"] "user" "lower the level of the current CLI session to user";
    User ["wait"]
        "wait <delay> [srv-removable <bk>/<srv>]"
        "wait the specified delay or condition";
    User ["help"] "help [<command>]" "list matching or all commands";
    User ["prompt"] "prompt" "toggle interactive mode with prompt";
    User ["quit"] "quit" "disconnect";
}
