//! `guard`: the rules of the guard, and what each refused; `bans`, `ban` and `unban`.

use serde_json::json;

use super::backends::with_dry_run;
use super::client::{Body, Client, encoded, json as tree};
use super::failure::Outcome;
use super::reading::{cell, items, print};
use super::table::Table;
use super::usage::Given;

/// `guard`.
pub fn rules(client: &Client, given: &Given) -> Outcome {
    let value = client.get("/api/v1/guard/rules")?;
    if given.has("json") {
        return print(&format!("{value}\n"));
    }
    let all = items(&value);
    if all.is_empty() {
        return print("no rule of the guard is set\n");
    }
    let mut table = Table::new(&["RULE", "OF", "MODE", ">REFUSED", ">WOULD REFUSE"]);
    for it in all {
        let of = match it["of"].as_str() {
            Some("process") | None => "all".to_owned(),
            Some(of) => format!("{of} {}", cell(&it["name"])),
        };
        let mode = if it["dry_run"] == true { "dry run" } else { "in force" };
        let counts = ["refused", "would_refuse"].map(|name| cell(&it[name]));
        let [refused, would_refuse] = counts;
        table.row(vec![cell(&it["rule"]), of, mode.to_owned(), refused, would_refuse]);
    }
    print(&table.text())
}

/// `bans`.
pub fn bans(client: &Client, given: &Given) -> Outcome {
    let path = match given.words.first() {
        Some(address) => format!("/api/v1/bans?address={}", encoded(address)),
        None => "/api/v1/bans".to_owned(),
    };
    let value = client.get(&path)?;
    if given.has("json") {
        return print(&format!("{value}\n"));
    }
    let all = items(&value);
    if all.is_empty() {
        return print("nobody is banned\n");
    }
    let mut table = Table::new(&["NETWORK", ">LEFT", "BY", "WHY"]);
    for it in all {
        table.row(["network", "left", "by", "why"].map(|name| cell(&it[name])).to_vec());
    }
    print(&table.text())
}

/// `ban`.
pub fn ban(client: &Client, given: &Given) -> Outcome {
    let network = &given.words[0];
    let mut body = json!({});
    for name in ["for", "why"] {
        if let Some(value) = given.value(name) {
            body[name] = json!(value);
        }
    }
    for name in ["force", "close"] {
        if given.has(name) {
            body[name] = json!(true);
        }
    }
    let path = with_dry_run(&format!("/api/v1/bans/{}", encoded(network)), given);
    let value = tree(&client.ask("PUT", &path, Body::Json(body))?)?;
    if given.has("json") {
        return print(&format!("{value}\n"));
    }
    print(&match value["would"].as_str() {
        Some(would) => format!("would {would}\n"),
        None => format!("{}: banned for {}\n", cell(&value["network"]), cell(&value["left"])),
    })
}

/// `unban`.
pub fn unban(client: &Client, given: &Given) -> Outcome {
    let network = &given.words[0];
    let path = with_dry_run(&format!("/api/v1/bans/{}", encoded(network)), given);
    let answer = client.ask("DELETE", &path, Body::None)?;
    if given.has("dry-run") {
        let value = tree(&answer)?;
        return print(&format!("would {}\n", cell(&value["would"])));
    }
    print(&format!("{network}: not banned any more\n"))
}
