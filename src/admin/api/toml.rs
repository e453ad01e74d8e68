//! A configuration that is sent as JSON: the same tree as TOML, written as TOML, so that there is
//! one reader of configurations, and its places are those of the text that `GET` gives back.

use serde_json::{Map, Value};

use super::super::problem::{Kind, Mistake, Problem};

/// A configuration as TOML.
pub(super) fn from_json(value: &Value) -> Result<String, Problem> {
    let Value::Object(root) = value else {
        return Err(Problem::new(Kind::INVALID, "want an object, as the file has tables"));
    };
    let mut text = String::new();
    table(root, "", "", &mut text)?;
    Ok(text)
}

/// The plain members first, for what follows a header belongs to its table.
fn table(
    object: &Map<String, Value>,
    path: &str,
    pointer: &str,
    out: &mut String,
) -> Result<(), Problem> {
    let is_table = |it: &Value| it.is_object();
    for (name, value) in object.iter().filter(|(_, it)| !is_table(it)) {
        let at = format!("{pointer}/{name}");
        *out += &format!("{} = {}\n", key(name), inline(value, &at)?);
    }
    for (name, value) in object {
        if let Value::Object(inner) = value {
            let path = match path {
                "" => key(name),
                path => format!("{path}.{}", key(name)),
            };
            *out += &format!("[{path}]\n");
            table(inner, &path, &format!("{pointer}/{name}"), out)?;
        }
    }
    Ok(())
}

fn inline(value: &Value, pointer: &str) -> Result<String, Problem> {
    Ok(match value {
        Value::Null => {
            let detail = "found null, which TOML has not: leave the member out".to_owned();
            let mistake = Mistake { pointer: pointer.to_owned(), detail, hint: None };
            return Err(Problem::mistakes(Kind::INVALID, vec![mistake]));
        }
        Value::Bool(truth) => truth.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => string(text),
        Value::Array(items) => {
            let items = items.iter().enumerate();
            let items: Result<Vec<String>, Problem> =
                items.map(|(at, it)| inline(it, &format!("{pointer}/{at}"))).collect();
            format!("[{}]", items?.join(", "))
        }
        Value::Object(object) => {
            let members = object.iter().map(|(name, value)| {
                Ok(format!("{} = {}", key(name), inline(value, &format!("{pointer}/{name}"))?))
            });
            let members: Result<Vec<String>, Problem> = members.collect();
            format!("{{ {} }}", members?.join(", "))
        }
    })
}

fn key(name: &str) -> String {
    let is_bare = |it: char| it.is_ascii_alphanumeric() || it == '_' || it == '-';
    if !name.is_empty() && name.chars().all(is_bare) { name.to_owned() } else { string(name) }
}

/// A basic string: TOML's escapes are those of JSON, but for DEL, which it wants escaped.
fn string(text: &str) -> String {
    Value::from(text).to_string().replace('\u{7f}', "\\u007F")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_tree_is_written_so_that_it_is_read_as_the_same_tree() {
        let value = json!({
            "pool": {"web": {"backends": [{"address": "10.0.0.1:80", "weight": 3}],
                             "check": {"interval": "2s"}}},
            "listener": {"a b": {"listen": "http://127.0.0.1:0"}},
        });
        let text = from_json(&value).unwrap();
        assert_eq!(
            text,
            "[pool]\n[pool.web]\nbackends = [{ address = \"10.0.0.1:80\", weight = 3 }]\n\
             [pool.web.check]\ninterval = \"2s\"\n[listener]\n[listener.\"a b\"]\n\
             listen = \"http://127.0.0.1:0\"\n"
        );
    }

    #[test]
    fn null_is_told_at_its_place() {
        let problem = from_json(&json!({"pool": {"web": {"retries": null}}})).unwrap_err();
        assert!(problem.detail().contains("null"));
        assert!(from_json(&json!([])).is_err());
    }
}
