//! What is done to a backend: asked for, and told as it was before and is now.

use std::thread;
use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::config::{closest, counted, quoted};

use super::client::{Body, Client, encoded, json as tree};
use super::failure::{Failure, Outcome};
use super::reading::{all_backends, print};
use super::usage::Given;

/// How often it is asked whether connections are left.
const POLL: Duration = Duration::from_millis(300);

/// A backend that is named.
pub struct Named {
    pool: String,
    name: String,
}

impl Named {
    /// `POOL/NAME`, or `NAME` if only one pool has it.
    pub fn find(client: &Client, text: &str) -> Outcome<Named> {
        if let Some(named) = Named::whole(text)? {
            return Ok(named);
        }
        let all = all_backends(client)?;
        let name = |it: &Value| it["name"].as_str().unwrap_or_default().to_owned();
        let found: Vec<String> = all
            .iter()
            .filter(|(_, rows)| rows.iter().any(|row| row["name"] == text))
            .map(|(pool, _)| pool.clone())
            .collect();
        match &found[..] {
            [pool] => Ok(Named { pool: pool.clone(), name: text.to_owned() }),
            [] => {
                let names: Vec<String> =
                    all.iter().flat_map(|(_, rows)| rows.iter().map(name)).collect();
                let near = closest(text, names.iter().map(|it| &**it));
                let near = near.map(|it| format!("; did you mean {it}?")).unwrap_or_default();
                Err(Failure::failed(format!("no pool has a backend {}{near}", quoted(text))))
            }
            pools => {
                let pools = pools.join(", ");
                let want = format!("want POOL/{text}");
                Err(Failure::failed(format!("{} is in {pools}: {want}", quoted(text))))
            }
        }
    }

    /// One that need not be there yet: a bare name is of the only pool.
    fn new(client: &Client, text: &str) -> Outcome<Named> {
        if let Some(named) = Named::whole(text)? {
            return Ok(named);
        }
        let pools = client.get("/api/v1/pools")?;
        match pools["items"].as_array().map(Vec::as_slice) {
            Some([pool]) => {
                let pool = pool["name"].as_str().unwrap_or_default().to_owned();
                Ok(Named { pool, name: text.to_owned() })
            }
            _ => Err(Failure::failed(format!(
                "found {}, want POOL/{text}: there is more than one pool",
                quoted(text)
            ))),
        }
    }

    fn whole(text: &str) -> Outcome<Option<Named>> {
        match text.split_once('/') {
            Some((pool, name)) if !pool.is_empty() && !name.is_empty() => {
                Ok(Some(Named { pool: pool.to_owned(), name: name.to_owned() }))
            }
            None if !text.is_empty() => Ok(None),
            _ => Err(Failure::Usage(format!("found {}, want POOL/NAME", quoted(text)))),
        }
    }

    /// As people write it.
    pub fn text(&self) -> String {
        format!("{}/{}", self.pool, self.name)
    }

    /// Where the API has it.
    pub fn path(&self) -> String {
        format!("/api/v1/pools/{}/backends/{}", encoded(&self.pool), encoded(&self.name))
    }

    /// Where the API has what was told of it.
    pub fn overrides(&self) -> String {
        format!("/api/v1/overrides/{}/{}", encoded(&self.pool), encoded(&self.name))
    }
}

/// `add`.
pub fn add(client: &Client, given: &Given) -> Outcome {
    let named = Named::new(client, &given.words[0])?;
    let mut body = Map::new();
    body.insert("address".into(), json!(given.words[1]));
    let numbers = [
        ("weight", "weight"),
        ("max-connections", "max_connections"),
        ("check-port", "check_port"),
    ];
    for (flag, member) in numbers {
        if let Some(number) = given.number(flag)? {
            body.insert(member.into(), json!(number));
        }
    }
    for flag in ["backup", "tls"] {
        if given.has(flag) {
            body.insert(flag.into(), json!(true));
        }
    }
    if let Some(sni) = given.value("sni") {
        body.insert("sni".into(), json!(sni));
    }
    if let Some(version) = given.value("proxy") {
        body.insert("proxy".into(), json!(version));
    }
    if let Some(names) = given.value("proxy-tlvs") {
        body.insert("proxy_tlvs".into(), json!(names.split('+').collect::<Vec<_>>()));
    }
    let path = named.path();
    let answer = client.ask("PUT", &with_dry_run(&path, given), Body::Json(body.into()))?;
    let value = tree(&answer)?;
    tell(given, &named, &value, || {
        let address = text(&value, "address");
        let weight = &value["weight"]["configured"];
        match (answer.status, &value["receipt"]) {
            (201, _) => format!("added, {address}, weight {weight}"),
            (_, Value::Null) => "is so already".to_owned(),
            _ => format!("replaced, {address}, weight {weight}"),
        }
    })
}

/// `remove`.
pub fn remove(client: &Client, given: &Given) -> Outcome {
    let named = Named::find(client, &given.words[0])?;
    let mut path = with_dry_run(&named.path(), given);
    if given.has("now") {
        if given.has("deadline") {
            let line = "remove: found --now and --deadline, want one of them";
            return Err(Failure::Usage(line.to_owned()));
        }
        path += if path.contains('?') { "&now=true" } else { "?now=true" };
    }
    if let Some(deadline) = given.value("deadline") {
        let join = if path.contains('?') { '&' } else { '?' };
        path += &format!("{join}deadline={}", encoded(&deadline));
    }
    // What is not there is gone already for the API; for whoever typed it, it is a typo.
    client.get(&named.path())?;
    let answer = client.ask("DELETE", &path, Body::None)?;
    let value = if answer.body.is_empty() { Value::Null } else { tree(&answer)? };
    tell(given, &named, &value, || match answer.status {
        202 => format!("removed, {}", left(&value)),
        _ => "removed".to_owned(),
    })?;
    wait(client, given, &named)
}

/// `drain`, `ready`, `maint`: what an operator says of a backend.
pub fn set_admin(client: &Client, given: &Given, word: &str) -> Outcome {
    let named = Named::find(client, &given.words[0])?;
    let mut body = json!({"admin": word});
    if let Some(deadline) = given.value("deadline") {
        body["deadline"] = json!(deadline);
    }
    let before = client.get(&named.path())?;
    let value = patch(client, given, &named, body)?;
    tell(given, &named, &value, || {
        let was = text(&before, "admin");
        let was =
            if was == word { "as before".to_owned() } else { format!("was {was} before") };
        match word {
            "drain" => format!("draining, {} ({was})", left(&value)),
            "maint" => format!("in maintenance, {} ({was})", left(&value)),
            _ => format!("ready, {} ({was})", text(&value, "state")),
        }
    })?;
    wait(client, given, &named)
}

/// `weight`.
pub fn weight(client: &Client, given: &Given) -> Outcome {
    let wanted = &given.words[1];
    let Ok(number) = wanted.parse::<u64>() else {
        let found = quoted(wanted);
        return Err(Failure::Usage(format!("weight: found {found}, want a whole number")));
    };
    let named = Named::find(client, &given.words[0])?;
    let before = client.get(&named.path())?;
    let value = patch(client, given, &named, json!({"weight": number}))?;
    let of = |it: &Value| {
        let told = &it["weight"]["override"];
        if told.is_null() { it["weight"]["configured"].clone() } else { told.clone() }
    };
    tell(given, &named, &value, || {
        let configured = &value["weight"]["configured"];
        format!("weight {} -> {} (configured {configured})", of(&before), of(&value))
    })
}

/// `close`.
pub fn close(client: &Client, given: &Given) -> Outcome {
    let named = Named::find(client, &given.words[0])?;
    if given.has("dry-run") {
        let value = client.get(&named.path())?;
        let count = value["active"].as_u64().unwrap_or(0) as usize;
        if given.has("json") {
            return print(&format!("{}\n", json!({"dry_run": true, "closing": count})));
        }
        let what = counted(count, "connection");
        return print(&format!("{}: {what} would be closed\n", named.text()));
    }
    let path = format!("{}/close-connections", named.path());
    let value = tree(&client.ask("POST", &path, Body::None)?)?;
    tell(given, &named, &value, || {
        let count = value["closing"].as_u64().unwrap_or(0) as usize;
        format!("closing {}", counted(count, "connection"))
    })
}

fn patch(client: &Client, given: &Given, named: &Named, body: Value) -> Outcome<Value> {
    let path = with_dry_run(&named.path(), given);
    tree(&client.ask("PATCH", &path, Body::Json(body))?)
}

/// A path, of a dry run if one is asked for.
pub fn with_dry_run(path: &str, given: &Given) -> String {
    let query = if given.has("dry-run") { "?dry_run=true" } else { "" };
    format!("{path}{query}")
}

/// What came of it, for programs or for people; or what would come of it.
fn tell(given: &Given, named: &Named, value: &Value, line: impl FnOnce() -> String) -> Outcome {
    if given.has("json") {
        return if value.is_null() { Ok(()) } else { print(&format!("{value}\n")) };
    }
    if value["dry_run"] == true {
        let would = text(&value["receipt"], "text");
        return print(&format!("{}: would be done: {would}\n", named.text()));
    }
    print(&format!("{}: {}\n", named.text(), line()))
}

/// `3 connections left, oldest 12m`.
fn left(value: &Value) -> String {
    let count = value["active"].as_u64().unwrap_or(0);
    if count == 0 {
        return "no connections left".to_owned();
    }
    let oldest = match &value["oldest_connection"] {
        Value::String(time) => format!(", oldest {time}"),
        _ => String::new(),
    };
    format!("{} left{oldest}", counted(count as usize, "connection"))
}

/// Until no connection is left; a line whenever there are fewer or more.
fn wait(client: &Client, given: &Given, named: &Named) -> Outcome {
    if !given.has("wait") || given.has("dry-run") {
        return Ok(());
    }
    let mut last = None;
    loop {
        let answer = client.status(&named.path())?;
        let value = match answer.status {
            404 => Value::Null,
            200 => tree(&answer)?,
            status => {
                let line = format!("{}: answered with {status}", named.text());
                return Err(Failure::failed(line));
            }
        };
        let count = value["active"].as_u64().unwrap_or(0);
        if last != Some(count) && !given.has("json") {
            print(&format!("{}: {}\n", named.text(), left(&value)))?;
        }
        if count == 0 {
            return Ok(());
        }
        last = Some(count);
        thread::sleep(POLL);
    }
}

/// A member that is a text.
pub fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}
