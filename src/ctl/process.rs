//! What is done to the whole process: its configuration, what was told, its coming and going.

use std::io::Read;

use serde_json::{Value, json};

use super::backends::{Named, text, with_dry_run};
use super::client::{Body, Client, json as tree};
use super::failure::{Failure, Outcome};
use super::reading::{overrides as overrides_table, print};
use super::usage::{Given, unknown};

/// `reload`, `drain`, `undrain`, `stop`: begun by the API, at once.
pub fn begin(client: &Client, given: &Given, what: &str) -> Outcome {
    // A dry run of these is nothing that the API has.
    if given.has("dry-run") {
        let value = client.get("/api/v1")?;
        let state = text(&value["process"], "state");
        if given.has("json") {
            return print(&format!(
                "{}\n",
                json!({"dry_run": true, "process": value["process"]})
            ));
        }
        return print(&format!("would {what} the process, which is {state} now\n"));
    }
    let value = tree(&client.ask("POST", &format!("/api/v1/{what}"), Body::None)?)?;
    if given.has("json") {
        return print(&format!("{value}\n"));
    }
    let receipt = text(&value["receipt"], "text");
    let state = text(&value, "state");
    print(&match what {
        _ if !receipt.is_empty() => format!("{what}: {receipt}\n"),
        _ if value["unchanged"] == true => format!("{what}: nothing has changed\n"),
        "reload" => {
            "reload: begun; the log and pointsman ctl events say what came of it\n".into()
        }
        "stop" => "stop: begun; what is at work may finish\n".into(),
        _ => format!("{what}: the process is {state}\n"),
    })
}

/// `config`.
pub fn config(client: &Client, given: &Given) -> Outcome {
    let words: Vec<&str> = given.words.iter().map(String::as_str).collect();
    match words[..] {
        [] | ["print"] => {
            let answer = client.ask("GET", "/api/v1/config", Body::None)?;
            print(&String::from_utf8_lossy(&answer.body))
        }
        ["check", file] => {
            let text = read(file)?;
            let body = Body::Toml(&text, None);
            let value =
                tree(&in_file(file, client.ask("POST", "/api/v1/config/check", body))?)?;
            if given.has("json") {
                return print(&format!("{value}\n"));
            }
            print(&format!("{file}: good\n"))
        }
        ["put", file] => {
            let new = read(file)?;
            let now = client.ask("GET", "/api/v1/config", Body::None)?;
            let body = Body::Toml(&new, now.field("etag"));
            let path = with_dry_run("/api/v1/config", given);
            let value = tree(&in_file(file, client.ask("PUT", &path, body))?)?;
            receipt(given, &value, file)
        }
        ["check" | "put"] => {
            Err(Failure::Usage(format!("config {0}: found no file, want {0} FILE", words[0])))
        }
        ["print", ..] => Err(Failure::Usage("config print: want nothing behind it".to_owned())),
        [word, ..] => {
            let known = ["print", "check", "put"];
            Err(unknown("word behind config", word, known.into_iter()))
        }
    }
}

/// `overrides`.
pub fn overrides(client: &Client, given: &Given) -> Outcome {
    let words: Vec<&str> = given.words.iter().map(String::as_str).collect();
    match words[..] {
        [] | ["list"] => {
            let value = client.get("/api/v1/overrides")?;
            if given.has("json") {
                return print(&format!("{value}\n"));
            }
            print(&overrides_table(&value))
        }
        ["save"] => {
            let path = "/api/v1/overrides?format=toml";
            let answer = client.ask("GET", path, Body::None)?;
            if !answer.field("content-type").is_some_and(|it| it.contains("toml")) {
                let line = "this pointsman cannot write overrides as TOML; see overrides list";
                return Err(Failure::failed(line));
            }
            print(&String::from_utf8_lossy(&answer.body))
        }
        ["clear"] => {
            let path = with_dry_run("/api/v1/overrides", given);
            let answer = client.ask("DELETE", &path, Body::None)?;
            receipt(given, &tree(&answer)?, "overrides")
        }
        ["clear", name] => {
            let named = Named::find(client, name)?;
            let path = with_dry_run(&named.overrides(), given);
            let answer = client.ask("DELETE", &path, Body::None)?;
            receipt(given, &tree(&answer)?, &named.text())
        }
        ["list" | "save", ..] => {
            Err(Failure::Usage(format!("overrides {}: want nothing behind it", words[0])))
        }
        [word, ..] => {
            let known = ["list", "clear", "save"];
            Err(unknown("word behind overrides", word, known.into_iter()))
        }
    }
}

/// What a change did, or would do.
fn receipt(given: &Given, value: &Value, of: &str) -> Outcome {
    if given.has("json") {
        return print(&format!("{value}\n"));
    }
    let did = text(&value["receipt"], "text");
    print(&match (&value["dry_run"], &value["unchanged"]) {
        (Value::Bool(true), _) => format!("{of}: would be done: {did}\n"),
        (_, Value::Bool(true)) => format!("{of}: nothing to change\n"),
        _ => format!("{of}: {did}\n"),
    })
}

/// Mistakes at their places in the file: the API calls what it was sent `body`.
fn in_file<T>(file: &str, outcome: Outcome<T>) -> Outcome<T> {
    outcome.map_err(|failure| match failure {
        Failure::Failed(lines) => {
            let to = format!("--> {file}:");
            Failure::Failed(lines.iter().map(|it| it.replace("--> body:", &to)).collect())
        }
        other => other,
    })
}

/// A file, or standard input for `-`.
fn read(file: &str) -> Outcome<String> {
    let mut text = String::new();
    let read = match file {
        "-" => std::io::stdin().read_to_string(&mut text).map(|_| text),
        file => std::fs::read_to_string(file),
    };
    read.map_err(|error| {
        Failure::failed(format!("{file}: {}", crate::config::io_words(&error)))
    })
}
