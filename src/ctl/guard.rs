//! `guard`: the rules of the guard, and what each refused.

use super::client::Client;
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
