//! What is only read: tables of what runs, explanations, health, events.

use std::io::Write;

use serde_json::Value;

use super::client::{Client, encoded};
use super::failure::{Failure, Outcome};
use super::table::Table;
use super::usage::{Given, unknown};

/// Write to standard output.
pub fn print(text: &str) -> Outcome {
    let mut out = std::io::stdout().lock();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    written.map_err(|error| match error.kind() {
        std::io::ErrorKind::BrokenPipe => Failure::Closed,
        _ => Failure::failed(format!("standard output: {error}")),
    })
}

/// Pools by name, with their backends.
pub type Pools = Vec<(String, Vec<Value>)>;

/// The backends of all pools.
pub fn all_backends(client: &Client) -> Outcome<Pools> {
    let pools = client.get("/api/v1/pools?fields=name")?;
    let mut all = Vec::new();
    for pool in items(&pools) {
        let name = cell(&pool["name"]);
        let rows = client.get(&format!("/api/v1/pools/{}/backends", encoded(&name)))?;
        all.push((name, items(&rows).to_vec()));
    }
    Ok(all)
}

/// `show`.
pub fn show(client: &Client, given: &Given) -> Outcome {
    const WHAT: &[&str] = &["services", "listeners", "pools", "backends", "backend"];
    let what = given.words.first().map(String::as_str);
    let name = given.words.get(1).map(String::as_str);
    match (what, name) {
        (None, _) | (Some("backends"), None) => {
            let all = all_backends(client)?;
            show_backends(&all, given)
        }
        (Some("backends"), Some(pool)) => {
            let path = format!("/api/v1/pools/{}/backends", encoded(pool));
            let value = client.get(&path)?;
            if given.has("json") {
                return print(&format!("{value}\n"));
            }
            show_backends(&vec![(pool.to_owned(), items(&value).to_vec())], given)
        }
        (Some(what @ ("services" | "listeners" | "pools")), None) => {
            let value = client.get(&format!("/api/v1/{what}"))?;
            if given.has("json") {
                return print(&format!("{value}\n"));
            }
            print(&things(what, items(&value)))
        }
        (Some(what), _) if WHAT.contains(&what) => {
            let want = format!("show {what}: found {} words too many", given.words.len() - 1);
            Err(Failure::Usage(want))
        }
        (Some(what), _) => Err(unknown("word behind show", what, WHAT.iter().copied())),
    }
}

/// A backend with all that is known of it, a line each.
pub fn show_one(client: &Client, path: &str, given: &Given) -> Outcome {
    let value = client.get(path)?;
    if given.has("json") {
        return print(&format!("{value}\n"));
    }
    let mut lines = Vec::new();
    flatten("", &value, &mut lines);
    let width = lines.iter().map(|it| it.0.chars().count()).max().unwrap_or(0);
    print(&lines.iter().map(|(name, it)| format!("{name:width$}  {it}\n")).collect::<String>())
}

fn flatten(prefix: &str, value: &Value, out: &mut Vec<(String, String)>) {
    let Value::Object(all) = value else { return };
    for (name, value) in all {
        let name = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
        match value {
            Value::Object(_) => flatten(&name, value, out),
            value => out.push((name, cell(value))),
        }
    }
}

fn show_backends(all: &Pools, given: &Given) -> Outcome {
    if given.has("json") {
        let rows = all.iter().flat_map(|(_, rows)| rows.iter().cloned());
        return print(&format!("{}\n", Value::Array(rows.collect())));
    }
    let mut table = Table::new(&[
        "BACKEND", "STATE", "ADMIN", ">WEIGHT", ">ACTIVE", ">RATE", ">P50", ">P99", "SINCE",
    ]);
    for (pool, rows) in all {
        for row in rows {
            table.row(vec![
                format!("{pool}/{}", cell(&row["name"])),
                cell(&row["state"]),
                cell(&row["admin"]),
                weight(&row["weight"]),
                cell(&row["active"]),
                cell(&row["rate"]),
                millis(&row["p50_ms"]),
                millis(&row["p99_ms"]),
                time(&row["since"]),
            ]);
        }
        if rows.is_empty() {
            let none = std::iter::repeat_n("-".to_owned(), 8);
            table.row(std::iter::once(format!("{pool}/")).chain(none).collect());
        }
    }
    print(&table.text())
}

/// `5`, or `5 (of 10)` where 10 was configured and something else was told or holds by now.
fn weight(value: &Value) -> String {
    let configured = value["configured"].as_f64();
    let effective = value["effective"].as_f64();
    let shown = effective.map(number).unwrap_or_default();
    match configured {
        Some(was) if configured != effective => format!("{shown} (of {})", number(was)),
        _ => shown,
    }
}

/// A number for people.
pub fn number(value: f64) -> String {
    if value.fract() == 0.0 { format!("{value:.0}") } else { format!("{value:.1}") }
}

fn millis(value: &Value) -> String {
    value.as_f64().map_or("-".to_owned(), |it| format!("{it:.1}ms"))
}

/// Without the fraction and the `T`.
fn time(value: &Value) -> String {
    let text = value.as_str().unwrap_or("-");
    let whole = text.split('.').next().unwrap_or(text);
    whole.trim_end_matches('Z').replace('T', " ")
}

/// Services, listeners or pools.
fn things(what: &str, rows: &[Value]) -> String {
    let (names, members): (&[&'static str], &[&str]) = match what {
        "services" => (
            &["SERVICE", "LISTENERS", "MATCH", "POOLS", ">RULES", ">ACTIVE"],
            &["name", "listeners", "match", "pools", "rules", "active"],
        ),
        "listeners" => (
            &["LISTENER", "PROTOCOL", "ADDRESS", "SERVICES", ">ACTIVE"],
            &["name", "protocol", "address", "services", "active"],
        ),
        _ => (
            &["POOL", "ALGORITHM", "SERVICES", ">BACKENDS", ">UP", ">ACTIVE"],
            &["name", "algorithm", "services", "backends", "up", "active"],
        ),
    };
    let mut table = Table::new(names);
    for row in rows {
        table.row(members.iter().map(|it| cell(&row[*it])).collect());
    }
    table.text()
}

/// `overrides list`.
pub fn overrides(value: &Value) -> String {
    if items(value).is_empty() {
        return "nothing was told that differs from the configuration\n".to_owned();
    }
    let mut table = Table::new(&["BACKEND", "MEMBER", "CONFIGURED", "OVERRIDE", "BY", "AT"]);
    for row in items(value) {
        table.row(vec![
            format!("{}/{}", cell(&row["pool"]), cell(&row["backend"])),
            cell(&row["member"]),
            cell(&row["configured"]),
            cell(&row["override"]),
            cell(&row["by"]),
            time(&row["at"]),
        ]);
    }
    table.text()
}

/// `events`.
pub fn events(client: &Client, given: &Given) -> Outcome {
    let mut query = Vec::new();
    if let Some(kind) = given.value("kind") {
        query.push(format!("kind={}", encoded(&kind)));
    }
    if let Some(since) = given.number("since")? {
        query.push(format!("since={since}"));
    }
    let mut kind = String::new();
    let mut id = String::new();
    client.follow(&format!("/api/v1/events?{}", query.join("&")), |line| {
        match line.split_once(": ") {
            Some(("id", text)) => text.clone_into(&mut id),
            Some(("event", text)) => text.clone_into(&mut kind),
            Some(("data", text)) if given.has("json") => print(&format!("{text}\n"))?,
            Some(("data", text)) => {
                let value: Value = serde_json::from_str(text).unwrap_or_default();
                print(&format!("{}\n", event_line(&id, &kind, &value)))?;
            }
            _ => {}
        }
        Ok(())
    })
}

/// An event, with all that it has.
pub fn event_line(id: &str, kind: &str, value: &Value) -> String {
    let mut line = format!("{} {id} {kind}", cell(&value["time"]));
    // A receipt says in its text all that its numbers say.
    if let Some(text) = value["receipt"]["text"].as_str() {
        return format!("{line} {text}");
    }
    let mut all = Vec::new();
    flatten("", value, &mut all);
    for (name, value) in all.iter().filter(|(name, it)| name != "time" && it != "-") {
        let is_plain = !value.is_empty() && !value.contains(' ');
        let value = if is_plain { value.clone() } else { format!("{value:?}") };
        line += &format!(" {name}={value}");
    }
    line
}

/// `health`: what is wrong, a line each.
pub fn health(client: &Client, given: &Given) -> Outcome {
    let mut wrong = Vec::new();
    let process = client.get("/api/v1")?;
    let state = cell(&process["process"]["state"]);
    if client.status("/ready")?.status != 200 {
        wrong.push(format!("the process is {state}"));
    }
    let pools = client.get("/api/v1/pools?fields=name,up,backends")?;
    let services = client.get("/api/v1/services?fields=name,pools")?;
    for service in items(&services) {
        for pool in service["pools"].as_array().into_iter().flatten() {
            let found = items(&pools).iter().find(|it| it["name"] == *pool);
            if let Some(found) = found.filter(|it| it["up"] == 0) {
                let service = cell(&service["name"]);
                let pool = cell(pool);
                let of = cell(&found["backends"]);
                wrong.push(format!("service {service}: none of {of} in pool {pool} is up"));
            }
        }
    }
    if given.has("json") {
        let value = serde_json::json!({"healthy": wrong.is_empty(), "wrong": wrong});
        print(&format!("{value}\n"))?;
    } else if wrong.is_empty() {
        print("healthy\n")?;
    } else {
        print(&(wrong.join("\n") + "\n"))?;
    }
    if wrong.is_empty() { Ok(()) } else { Err(Failure::Said) }
}

/// The rows of a list.
pub fn items(value: &Value) -> &[Value] {
    value["items"].as_array().map(Vec::as_slice).unwrap_or_default()
}

/// A value for people.
pub fn cell(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => crate::config::escaped(text).to_string(),
        Value::Array(all) if all.is_empty() => "-".to_owned(),
        Value::Array(all) => all.iter().map(cell).collect::<Vec<_>>().join(","),
        Value::Number(it) if it.is_f64() => number(it.as_f64().unwrap_or_default()),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_weight_is_shown_with_what_was_configured_where_that_is_another() {
        let of = |effective: f64| {
            weight(&json!({"configured": 10, "override": null, "effective": effective}))
        };
        assert_eq!((&*of(10.0), &*of(5.0), &*of(2.5)), ("10", "5 (of 10)", "2.5 (of 10)"));
    }

    #[test]
    fn an_event_is_one_line_whatever_it_has() {
        let value = json!({"time": "t", "who": "uid 0", "status": 200, "reason": null,
                           "what": "a\nb"});
        let line = event_line("7", "audit", &value);
        assert!(line.starts_with("t 7 audit who=\"uid 0\" status=200 what="), "{line}");
        assert_eq!(line.lines().count(), 1);
        let value = json!({"time": "t", "receipt": {"text": "generation 2", "took_ms": 1}});
        assert_eq!(event_line("8", "change", &value), "t 8 change generation 2");
    }
}
