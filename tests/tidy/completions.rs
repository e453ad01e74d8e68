//! The completions of shells in `docs/deploy`, made of the tables of flags and of the commands of
//! `ctl`.

use std::fmt::Write;

use pointsman::ctl::COMMANDS;

use super::words::{self, Flag, Takes};

const TOP: &str =
    "Made of the tables of flags by tests/tidy/completions.rs; changes here are lost.";

/// Each with its path.
pub fn pages() -> Vec<(&'static str, String)> {
    vec![
        ("docs/deploy/pointsman.bash", bash()),
        ("docs/deploy/pointsman.zsh", zsh()),
        ("docs/deploy/pointsman.fish", fish()),
    ]
}

/// The names of the backends, as the process that runs says them.
const BACKENDS: &str = "pointsman ctl show backends 2>/dev/null | awk 'NR > 1 { print $1 }'";

const BASH: &str = r#"
_pointsman_words() {
    COMPREPLY=($(compgen -W "$1" -- "$cur"))
}

_pointsman_files() {
    local IFS=$'\n'
    compopt -o filenames 2>/dev/null
    COMPREPLY=($(compgen -f -- "$cur"))
}

_pointsman_backends() {
    _pointsman_words "$(BACKENDS)"
}

_pointsman() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} first=${COMP_WORDS[1]}
    # --flag=value comes as three words.
    if [[ $cur == = ]]; then
        cur=
    elif [[ $prev == = ]]; then
        prev=${COMP_WORDS[COMP_CWORD-2]}
    fi
    COMPREPLY=()
    if ((COMP_CWORD > 1)) && [[ $first == ctl ]]; then
        _pointsman_ctl
    elif ((COMP_CWORD > 1)) && [[ $first == top ]]; then
        _pointsman_top
    else
        _pointsman_process
    fi
}
"#;

fn bash() -> String {
    let mut out = format!("# {TOP}\n{}", BASH.replace("BACKENDS", BACKENDS));
    out.push_str("\n_pointsman_process() {\n    case $prev in\n");
    bash_values(&mut out, &words::flags());
    out.push_str("    esac\n    local words=\"");
    out.push_str(&names(&words::flags()));
    out.push_str("\"\n    ((COMP_CWORD == 1)) && words+=\" ctl top\"\n");
    out.push_str("    _pointsman_words \"$words\"\n}\n");
    out.push_str("\n_pointsman_top() {\n    case $prev in\n");
    bash_values(&mut out, &words::flags_of_top());
    let flags = names(&words::flags_of_top());
    let _ = write!(
        out,
        "    esac\n    if [[ $cur == -* ]]; then\n        _pointsman_words \"{flags}\"\n    \
         else\n        _pointsman_files\n    fi\n}}\n"
    );
    bash_ctl(&mut out);
    out.push_str("\ncomplete -F _pointsman pointsman\n");
    out
}

/// All flags of `ctl`, each once.
fn flags_of_ctl() -> Vec<Flag> {
    let mut all: Vec<Flag> = Vec::new();
    for flag in COMMANDS.iter().flat_map(words::flags_of) {
        if !all.iter().any(|it| it.long == flag.long) {
            all.push(flag);
        }
    }
    all
}

const BASH_CTL: &str = r#"
    esac
    if ((COMP_CWORD == 2)); then
        _pointsman_words "COMMANDS help --help"
        return
    fi
    case ${COMP_WORDS[2]} in
        help)
            _pointsman_words "COMMANDS"
            ;;
"#;

fn bash_ctl(out: &mut String) {
    out.push_str("\n_pointsman_ctl() {\n    case $prev in\n");
    bash_values(out, &flags_of_ctl());
    let commands: Vec<&str> = COMMANDS.iter().map(|it| it.name).collect();
    let commands = commands.join(" ");
    let start = BASH_CTL.replace("COMMANDS", &commands);
    out.push_str(start.trim_start_matches('\n'));
    for command in COMMANDS {
        let flags = names(&words::flags_of(command));
        let first = words::first_words(command).join(" ");
        let _ = write!(
            out,
            "        {})\n            if [[ $cur == -* ]]; then\n                \
             _pointsman_words \"{flags}\"\n",
            command.name
        );
        if words::wants_backend(command) {
            out.push_str("            elif ((COMP_CWORD == 3)); then\n                ");
            out.push_str("_pointsman_backends\n");
        } else if !first.is_empty() {
            out.push_str("            elif ((COMP_CWORD == 3)); then\n                ");
            let _ = writeln!(out, "_pointsman_words \"{first}\"");
        }
        if ["show", "overrides"].contains(&command.name) {
            out.push_str("            elif [[ $prev == backend || $prev == clear ]]; then\n");
            out.push_str("                _pointsman_backends\n");
        }
        if command.name == "config" {
            out.push_str("            else\n                _pointsman_files\n");
        }
        out.push_str("            fi\n            ;;\n");
    }
    out.push_str("    esac\n}\n");
}

/// What may stand behind each flag that has a value.
fn bash_values(out: &mut String, flags: &[Flag]) {
    for flag in flags {
        let action = match &flag.takes {
            Takes::Nothing => continue,
            Takes::Words(words) => format!("_pointsman_words \"{}\"", words.join(" ")),
            Takes::File => "_pointsman_files".to_owned(),
            Takes::Anything => ":".to_owned(),
        };
        let short = match flag.short.as_str() {
            "" => String::new(),
            letter => format!("-{letter} | "),
        };
        let _ = write!(
            out,
            "        {short}--{})\n            {action}\n            return\n            ;;\n",
            flag.long
        );
    }
}

fn names(flags: &[Flag]) -> String {
    let all: Vec<String> = flags
        .iter()
        .flat_map(|flag| {
            let short = (!flag.short.is_empty()).then(|| format!("-{}", flag.short));
            short.into_iter().chain([format!("--{}", flag.long)])
        })
        .collect();
    all.join(" ")
}

const ZSH: &str = r#"
_pointsman_backends() {
    local -a names
    names=(${(f)"$(BACKENDS)"})
    compadd -a names
}

_pointsman() {
    if ((CURRENT > 2)) && [[ $words[2] == (ctl|top) ]]; then
        local command=$words[2]
        shift words
        ((CURRENT--))
        _pointsman_$command
        return
    fi
    ((CURRENT == 2)) && compadd ctl top
    _pointsman_process
}
"#;

fn zsh() -> String {
    let mut out = format!("#compdef pointsman\n# {TOP}\n{}", ZSH.replace("BACKENDS", BACKENDS));
    out.push_str("\n_pointsman_process() {\n    _arguments -s -S");
    zsh_flags(&mut out, &words::flags(), "        ");
    out.push_str("\n}\n\n_pointsman_top() {\n    _arguments -s -S");
    zsh_flags(&mut out, &words::flags_of_top(), "        ");
    out.push_str(" \\\n        '*:socket:_files'\n}\n\n_pointsman_ctl() {\n");
    out.push_str("    local -a commands\n    commands=(\n");
    for command in COMMANDS {
        let says = command.says.replace(':', "\\:").replace('\'', "");
        let _ = writeln!(out, "        '{}:{says}'", command.name);
    }
    out.push_str("        'help:what a command takes'\n    )\n");
    out.push_str("    if ((CURRENT == 2)); then\n        _describe command commands\n        ");
    out.push_str("return\n    fi\n    case $words[2] in\n        help)\n            ");
    out.push_str("_describe command commands\n            ;;\n");
    for command in COMMANDS {
        let _ = write!(out, "        {})\n            _arguments -s -S", command.name);
        zsh_flags(&mut out, &words::flags_of(command), "                ");
        let first = words::first_words(command);
        out.push_str(" \\\n                '1:command:' \\\n                ");
        if words::wants_backend(command) {
            out.push_str("'2:backend:_pointsman_backends'");
        } else if first.is_empty() {
            out.push_str("'2:word:'");
        } else {
            let _ = write!(out, "'2:what:({})'", first.join(" "));
        }
        let rest = match command.name {
            "show" | "overrides" => "_pointsman_backends",
            "config" => "_files",
            _ => "",
        };
        let _ = write!(out, " \\\n                '3:word:{rest}'\n            ;;\n");
    }
    out.push_str("    esac\n}\n\n_pointsman \"$@\"\n");
    out
}

fn zsh_flags(out: &mut String, flags: &[Flag], indent: &str) {
    for flag in flags {
        let words = match &flag.takes {
            Takes::Nothing => String::new(),
            Takes::Words(words) => format!(":value:({})", words.join(" ")),
            Takes::File => ":file:_files".to_owned(),
            Takes::Anything => ":value:".to_owned(),
        };
        // `--help` alone is right as well.
        let words = if flag.long == "help" { words.replacen(':', "::", 1) } else { words };
        let says = flag.in_short();
        let long = &flag.long;
        let repeats = if flag.repeats { "*" } else { "" };
        let equals = if matches!(flag.takes, Takes::Nothing) { "" } else { "=" };
        let _ = match flag.short.as_str() {
            "" => write!(out, " \\\n{indent}'{repeats}--{long}{equals}[{says}]{words}'"),
            letter if flag.repeats => {
                write!(out, " \\\n{indent}'*'{{-{letter},--{long}{equals}}}'[{says}]{words}'")
            }
            letter => write!(
                out,
                " \\\n{indent}'(-{letter} --{long})'{{-{letter},--{long}{equals}}}'[{says}]{words}'"
            ),
        };
    }
}

const FISH: &str = "
function __pointsman_backends
    BACKENDS
end

complete -c pointsman -f
complete -c pointsman -n __fish_is_first_arg -a ctl -d 'ask and change one that runs'
complete -c pointsman -n __fish_is_first_arg -a top -d 'watch one that runs'
";

fn fish() -> String {
    let backends = BACKENDS.replace('\'', "\"").replace("$1", "\\$1");
    let mut out = format!("# {TOP}\n{}", FISH.replace("BACKENDS", &backends));
    fish_flags(&mut out, &words::flags(), "not __fish_seen_subcommand_from ctl top");
    fish_flags(&mut out, &words::flags_of_top(), "__fish_seen_subcommand_from top");
    out.push_str("complete -c pointsman -n '__fish_seen_subcommand_from top' -F\n");
    let names: Vec<&str> = COMMANDS.iter().map(|it| it.name).collect();
    let none = format!(
        "__fish_seen_subcommand_from ctl; and not __fish_seen_subcommand_from {}",
        names.join(" ")
    );
    for command in COMMANDS {
        let says = command.says.replace('\'', "");
        let _ =
            writeln!(out, "complete -c pointsman -n '{none}' -a {} -d '{says}'", command.name);
    }
    for command in COMMANDS {
        let seen = format!(
            "__fish_seen_subcommand_from ctl; and __fish_seen_subcommand_from {}",
            command.name
        );
        fish_flags(&mut out, &words::flags_of(command), &seen);
        let first = words::first_words(command).join(" ");
        if words::wants_backend(command) {
            let _ =
                writeln!(out, "complete -c pointsman -n '{seen}' -a '(__pointsman_backends)'");
        } else if !first.is_empty() {
            let _ = writeln!(out, "complete -c pointsman -n '{seen}' -a '{first}'");
        }
        if command.name == "config" {
            let _ = writeln!(out, "complete -c pointsman -n '{seen}' -F");
        }
    }
    out
}

fn fish_flags(out: &mut String, flags: &[Flag], condition: &str) {
    for flag in flags {
        let short = match flag.short.as_str() {
            "" => String::new(),
            letter => format!(" -s {letter}"),
        };
        let takes = match &flag.takes {
            Takes::Nothing => String::new(),
            Takes::Words(words) => format!(" -x -a '{}'", words.join(" ")),
            Takes::File => " -r -F".to_owned(),
            Takes::Anything => " -x".to_owned(),
        };
        let _ = writeln!(
            out,
            "complete -c pointsman -n '{condition}'{short} -l {}{takes} -d '{}'",
            flag.long,
            flag.in_short()
        );
    }
}
