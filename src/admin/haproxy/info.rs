//! `show info`: the process, by the names that HAProxy gives its numbers. What is not counted here
//! is not said.

use std::time::UNIX_EPOCH;

use serde_json::{Value, json};

use super::super::view::{ProcessState, View};
use super::command::Form;
use super::rows::tags_json;

/// What we say that we are: tools look for a HAProxy of this age, and people for us.
pub const VERSION: &str = concat!("2.6.0-pointsman-", env!("CARGO_PKG_VERSION"));

/// `0d 0h00m07s`.
pub fn uptime(view: &View<'_>) -> String {
    let seconds = view.ago(view.cx.started).as_secs();
    let days = seconds / 86_400;
    let hours = seconds / 3600 % 24;
    format!("{days}d {hours}h{:02}m{:02}s", seconds / 60 % 60, seconds % 60)
}

/// The answer.
pub fn text(view: &View<'_>, form: Form) -> String {
    let items = items(view);
    if form == Form::Json {
        let items = items.iter().enumerate().map(|(at, (name, tags, value))| {
            let number = value.parse::<u64>().ok().filter(|_| !tags.ends_with("str"));
            json!({
                "field": {"pos": at, "name": name},
                "processNum": 1,
                "tags": tags_json(tags),
                "value": {
                    "type": &tags[4..],
                    "value": number.map_or_else(|| json!(value), |it| json!(it)),
                },
            })
        });
        return format!("{}\n", items.collect::<Value>());
    }
    let line = |(at, (name, tags, value)): (usize, &Item)| match form {
        Form::Typed => format!("{at}.{name}.1:{tags}:{value}\n"),
        _ => format!("{name}: {value}\n"),
    };
    items.iter().enumerate().map(line).collect()
}

/// A name, its tags and type, and its value.
type Item = (&'static str, &'static str, String);

fn items(view: &View<'_>) -> Vec<Item> {
    let cx = view.cx;
    let stats = &cx.stats;
    let seconds = view.ago(cx.started).as_secs();
    let started = view.wall.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let most = cx.settings.max_connections;
    let hard = cx.settings.hard_max_connections;
    let listeners = view.directory.listeners.len();
    let system = rustix::system::uname();
    let host = system.nodename().to_string_lossy();
    let out: u64 = cx.backends.iter().map(|(_, it)| it.counts.bytes_received).sum();
    let is_stopping = u8::from(view.state == ProcessState::Stopping);
    vec![
        ("Name", "POS:str", "HAProxy".to_owned()),
        ("Version", "POS:str", VERSION.to_owned()),
        ("Release_date", "POS:str", "2022/05/31".to_owned()),
        ("Nbthread", "CGS:u32", "1".to_owned()),
        ("Nbproc", "CGS:u32", "1".to_owned()),
        ("Process_num", "KGP:u32", "1".to_owned()),
        ("Pid", "SGP:u32", std::process::id().to_string()),
        ("Uptime", "MDP:str", uptime(view)),
        ("Uptime_sec", "MDP:u32", seconds.to_string()),
        ("Maxconn", "CLP:u32", most.to_string()),
        ("Hard_maxconn", "CLP:u32", hard.to_string()),
        ("CurrConns", "MGP:u32", stats.open.to_string()),
        ("CumConns", "MCP:u32", stats.accepted.to_string()),
        ("CumReq", "MCP:u32", stats.requests.to_string()),
        // There are no such limits, and tools that show limits want them all.
        ("ConnRateLimit", "CLP:u32", "0".to_owned()),
        ("SessRateLimit", "CLP:u32", "0".to_owned()),
        ("SslRateLimit", "CLP:u32", "0".to_owned()),
        ("Maxpipes", "CLP:u32", "0".to_owned()),
        ("PipesUsed", "MGP:u32", "0".to_owned()),
        ("PipesFree", "MGP:u32", "0".to_owned()),
        ("Tasks", "MGP:u32", stats.open.to_string()),
        ("Run_queue", "MGP:u32", "0".to_owned()),
        ("node", "COS:str", host.trim().to_owned()),
        ("Stopping", "MGP:u32", is_stopping.to_string()),
        ("Jobs", "MGP:u32", (stats.open + listeners as u64).to_string()),
        ("Listeners", "MGP:u32", listeners.to_string()),
        ("DroppedLogs", "MGP:u32", stats.log_dropped().to_string()),
        ("TotalBytesOut", "MGP:u64", out.to_string()),
        ("Start_time_sec", "MDP:u32", started.saturating_sub(seconds).to_string()),
    ]
}
