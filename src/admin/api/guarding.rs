//! The rules of the guard, and what each refused.

use serde_json::{Map, Value, json};

use crate::stats::field;
use crate::stats::tables::RULES;
use crate::status::guard_rules;

use super::super::view::View;

/// All rules.
pub fn rules(view: &View<'_>) -> Value {
    let row = |it| {
        let fields = RULES.iter().map(|field| {
            let value = match (field.get)(&it) {
                field::Value::Count(count) if field.name == "dry_run" => json!(count == 1),
                field::Value::Count(count) => json!(count),
                field::Value::Text(text) => json!(text),
                _ => Value::Null,
            };
            (field.name.to_owned(), value)
        });
        Value::Object(fields.collect::<Map<_, _>>())
    };
    let items: Vec<Value> = guard_rules(view.cx).into_iter().map(row).collect();
    json!({"items": items})
}
