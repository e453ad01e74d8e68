//! `picks` and `explain`: where the last requests went, or one would go, and why.

use serde_json::Value;

use super::client::{Client, encoded};
use super::failure::Outcome;
use super::reading::{cell, items, number, print};
use super::table::Table;
use super::usage::Given;

/// `picks`.
pub fn picks(client: &Client, given: &Given) -> Outcome {
    let mut query = Vec::new();
    for flag in ["backend", "client", "request", "service", "since", "limit"] {
        if let Some(value) = given.value(flag) {
            query.push(format!("{flag}={}", encoded(&value)));
        }
    }
    let value = client.get(&format!("/api/v1/picks?{}", query.join("&")))?;
    if given.has("json") {
        return print(&format!("{value}\n"));
    }
    if value["kept"] == 0 {
        return print("no picks are kept; start pointsman with --picks 1000\n");
    }
    match (items(&value), given.has("request")) {
        ([], _) => print("no pick that is kept is like this\n"),
        // One is asked about: all that is known of it and of its tries.
        (all, true) => print(&all.iter().rev().map(whole).collect::<Vec<_>>().join("\n")),
        (all, false) => print(&table(all)),
    }
}

/// `explain`.
pub fn explain(client: &Client, given: &Given) -> Outcome {
    let mut path = format!("/api/v1/explain?request={}", encoded(&given.words[0]));
    for flag in ["from", "listener", "header"] {
        for value in given.values(flag) {
            path += &format!("&{flag}={}", encoded(&value));
        }
    }
    let value = client.get(&path)?;
    if given.has("json") {
        return print(&format!("{value}\n"));
    }
    let mut out = String::new();
    for name in ["listener", "service", "pool"] {
        if let Some(text) = value[name].as_str() {
            out += &format!("{name:10} {text}\n");
        }
    }
    if let Some(rules) = value["rules"]["edit"].as_array().filter(|it| !it.is_empty()) {
        let rules = rules.iter().map(cell).collect::<Vec<_>>().join(", ");
        out += &format!("{:10} {rules} edit it\n", "rules");
    }
    chosen(&value, &mut out);
    if value["answer"].is_object() {
        let status = cell(&value["answer"]["status"]);
        let because = cell(&value["answer"]["because"]);
        out += &format!("{:10} {status}: {because}\n", "answer");
    }
    print(&out)
}

fn table(all: &[Value]) -> String {
    let mut table = Table::new(&[
        ">PICK", "TIME", "CLIENT", "ASKED", "BACKEND", "BY", ">TRY", "OUTCOME", ">MS",
    ]);
    for it in all {
        let time = cell(&it["time"]);
        let by = match it["by"].as_str() {
            Some("algorithm") | None => cell(&it["algorithm"]),
            Some(other) => other.to_owned(),
        };
        table.row(vec![
            cell(&it["id"]),
            time.split('T').next_back().unwrap_or_default().trim_end_matches('Z').to_owned(),
            cell(&it["client"]),
            cell(&it["asked"]),
            format!("{}/{}", cell(&it["pool"]), cell(&it["choice"])),
            by,
            cell(&it["try"]),
            outcome(&it["outcome"]),
            it["outcome"]["ms"].as_f64().map_or("-".to_owned(), |ms| format!("{ms:.1}")),
        ]);
    }
    table.text()
}

/// One pick, some lines.
fn whole(it: &Value) -> String {
    let mut out = String::new();
    let mut line = |name: &str, text: String| {
        if text != "-" {
            out += &format!("{name:10} {text}\n");
        }
    };
    line("pick", format!("{} at {}, try {}", cell(&it["id"]), cell(&it["time"]), it["try"]));
    line("request id", cell(&it["request_id"]));
    line("asked", cell(&it["asked"]));
    line("client", format!("{} at {}", cell(&it["client"]), cell(&it["listener"])));
    line("service", cell(&it["service"]));
    let pool = match it["rule"].as_u64() {
        Some(rule) => format!("{}, by rule {rule}", cell(&it["pool"])),
        None => cell(&it["pool"]),
    };
    line("pool", format!("{pool}; {} of {} up", cell(&it["up"]), cell(&it["members"])));
    chosen(it, &mut out);
    let ended = &it["outcome"];
    let mut line = |name: &str, text: String| out += &format!("{name:10} {text}\n");
    let ms = ended["ms"].as_f64().map(|ms| format!(" after {ms:.1} ms")).unwrap_or_default();
    let detail = ended["detail"].as_str().or(ended["fault"].as_str());
    let detail = detail.map(|it| format!(": {it}")).unwrap_or_default();
    line("outcome", format!("{}{ms}{detail}", outcome(ended)));
    out
}

/// Who could be chosen, by what, and who was: of a pick, or of one that has not happened.
fn chosen(it: &Value, out: &mut String) {
    let mut line = |name: &str, text: String| *out += &format!("{name:10} {text}\n");
    if let Some(algorithm) = it["algorithm"].as_str() {
        let compares = it["compares"].as_str().map(|it| format!(": {it}"));
        line("algorithm", format!("{algorithm}{}", compares.unwrap_or_default()));
    }
    if let Some(hash) = it["placed"]["hash"].as_str() {
        let slot = it["placed"]["slot"].as_u64();
        let slot = slot.map(|slot| format!(", slot {slot} of {}", it["placed"]["slots"]));
        line("placed", format!("hash {hash}{}", slot.unwrap_or_default()));
    }
    let all = it["candidates"].as_array().map(Vec::as_slice).unwrap_or_default();
    for one in all {
        let may = if one["eligible"] == true { "may take it" } else { "may not" };
        let weight = one["weight"].as_f64().map(number).unwrap_or_default();
        let active = cell(&one["active"]);
        let compared = one["compared"].as_f64();
        let compared = compared.map(|it| format!(", compared {}", exact(it)));
        let marks = match cell(&one["marks"]) {
            none if none == "-" => String::new(),
            marks => format!(" ({})", marks.replace(',', ", ")),
        };
        let text = format!(
            "{}: {may}{marks}, weight {weight}, {active} active{}",
            cell(&one["name"]),
            compared.unwrap_or_default(),
        );
        line("candidate", text);
    }
    if let Some(members) = it["members"].as_u64().filter(|it| *it > all.len() as u64) {
        line("candidate", format!("... {} more", members - all.len() as u64));
    }
    if let Some(choice) = it["choice"].as_str() {
        let by = match it["by"].as_str() {
            Some("cookie") => ", which its cookie names",
            Some("login") => ", on whose connection it is logged in",
            _ => "",
        };
        line("choice", format!("{}{by}", crate::config::escaped(choice)));
    }
}

fn outcome(ended: &Value) -> String {
    let state = cell(&ended["state"]);
    let words: Vec<String> = ["status", "reason"]
        .iter()
        .filter(|name| !ended[**name].is_null())
        .map(|name| cell(&ended[*name]))
        .collect();
    if words.is_empty() { state } else { words.join(" ") }
}

/// With as many places as it takes to tell numbers apart.
fn exact(value: f64) -> String {
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_clients_wrote_reaches_no_terminal_as_it_is() {
        let row = json!({
            "id": 1, "time": "2026-11-28T06:00:00.123Z", "client": "1.2.3.4:5",
            "asked": "GET /\u{1b}[2J\u{7}\n", "pool": "web", "choice": "a", "try": 1,
            "by": "algorithm", "algorithm": "first", "outcome": {"state": "at work"},
            "request_id": null, "candidates": [],
        });
        for text in [table(std::slice::from_ref(&row)), whole(&row)] {
            assert!(text.chars().all(|it| it == '\n' || !it.is_control()), "{text:?}");
            assert!(text.contains("\\u{1b}[2J"), "{text}");
        }
    }
}
