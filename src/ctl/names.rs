//! `names`: the names that are looked up.

use super::client::Client;
use super::failure::Outcome;
use super::reading::{cell, items, print};
use super::table::Table;
use super::usage::Given;

/// `names`.
pub fn list(client: &Client, given: &Given) -> Outcome {
    let value = client.get("/api/v1/names")?;
    if given.has("json") {
        return print(&format!("{value}\n"));
    }
    let all = items(&value);
    if all.is_empty() {
        return print("no name is looked up\n");
    }
    let mut table = Table::new(&["NAME", ">MEMBERS", ">AGE", ">NEXT", "TROUBLE"]);
    let seconds = |value: &serde_json::Value| match value.as_u64() {
        Some(seconds) => format!("{seconds} s"),
        None => "-".to_owned(),
    };
    for it in all {
        let failing = it["failing"].as_str().unwrap_or_default();
        let trouble = match (it["from_state"].as_bool(), failing) {
            (Some(true), "") => "no answer yet: what the state says holds".to_owned(),
            (Some(true), failing) => format!("{failing}: what the state says holds"),
            (_, failing) => failing.to_owned(),
        };
        let times = ["age_s", "due_s"].map(|name| seconds(&it[name]));
        let [age, next] = times;
        table.row(vec![cell(&it["name"]), cell(&it["members"]), age, next, trouble]);
    }
    print(&table.text())
}
