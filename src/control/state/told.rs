//! What was told of backends, as JSON and back.

use std::collections::BTreeMap;
use std::time::SystemTime;

use serde_json::{Map, Value, json};

use crate::config::{
    AdminState, BackendSpec, Mark, Member, Overlay, OverlaySource, SendProxy, Target, Told,
    UnixName, time_text,
};
use crate::limits::WEIGHT_MAX;

use super::{Corrupt, text};

pub(super) fn to_json(overlay: &Overlay) -> Value {
    let rows = overlay.iter().map(|(pool, backend, told)| {
        let mut row = json!({"pool": pool, "backend": backend});
        match told {
            Told::Added { spec, source, mark } => {
                row["added"] = spec_json(spec);
                row["source"] = json!(source_word(*source));
                row["mark"] = mark_json(mark);
            }
            Told::Changed { configured, told, marks } => {
                row["configured"] = spec_json(configured);
                row["override"] = spec_json(told);
                let marks =
                    marks.iter().map(|(it, mark)| (it.word().to_owned(), mark_json(mark)));
                row["marks"] = Value::Object(marks.collect());
            }
            Told::Removed { configured, mark } => {
                row["removed"] = spec_json(configured);
                row["mark"] = mark_json(mark);
            }
        }
        row
    });
    Value::Array(rows.collect())
}

pub(super) fn from_json(rows: &[Value]) -> Result<Overlay, Corrupt> {
    let mut overlay = Overlay::default();
    for row in rows {
        let told = if let Some(spec) = row.get("added") {
            let source = match row["source"].as_str() {
                Some("api") => OverlaySource::Api,
                Some("registered") => OverlaySource::Registered,
                _ => return Err(Corrupt("a source that is not known".to_owned())),
            };
            Told::Added { spec: spec_of(spec)?.into(), source, mark: mark_of(&row["mark"])? }
        } else if let Some(spec) = row.get("removed") {
            Told::Removed { configured: spec_of(spec)?.into(), mark: mark_of(&row["mark"])? }
        } else {
            let empty = Map::new();
            let of = row["marks"].as_object().unwrap_or(&empty);
            let mut marks = BTreeMap::new();
            for (word, mark) in of {
                let member = Member::of(word);
                let member = member.ok_or_else(|| Corrupt(format!("{word} is not known")))?;
                marks.insert(member, mark_of(mark)?);
            }
            let configured = spec_of(&row["configured"])?.into();
            Told::Changed { configured, told: spec_of(&row["override"])?.into(), marks }
        };
        overlay.insert(&text(row, "pool")?, &text(row, "backend")?, told);
    }
    Ok(overlay)
}

fn source_word(source: OverlaySource) -> &'static str {
    match source {
        OverlaySource::Api => "api",
        OverlaySource::Registered => "registered",
    }
}

/// A backend as the state has it.
pub fn spec_json(spec: &BackendSpec) -> Value {
    json!({
        "name": spec.name,
        "host": spec.at.host(),
        "port": spec.at.port(),
        "unix": spec.at.unix().map(ToString::to_string),
        "weight": spec.weight,
        "max_connections": spec.max_connections,
        "backup": spec.backup,
        "sni": spec.tls,
        "check_port": spec.check_port,
        "proxy": spec.proxy.map(SendProxy::version),
        "proxy_tlvs": spec.proxy.map(|it| it.tlvs().text()),
        "admin": spec.admin.word(),
    })
}

fn target_of(value: &Value) -> Result<Target, Corrupt> {
    if let Some(name) = value["unix"].as_str() {
        let name = UnixName::after_scheme(name).and_then(|it| UnixName::parse(it).ok());
        return name
            .map(Target::Unix)
            .ok_or_else(|| Corrupt("a backend's unix is none".into()));
    }
    let port = value["port"].as_u64().and_then(|it| u16::try_from(it).ok());
    let port = port.ok_or_else(|| Corrupt("a backend's port is none".into()))?;
    Ok(Target::Host { host: text(value, "host")?, port })
}

/// The reverse.
pub fn spec_of(value: &Value) -> Result<BackendSpec, Corrupt> {
    let wrong = |name: &str| Corrupt(format!("a backend's {name} is none"));
    let small = |name: &str, most: u64| match &value[name] {
        Value::Null => Ok(None),
        it => match it.as_u64().filter(|it| *it <= most) {
            Some(number) => Ok(Some(number)),
            None => Err(wrong(name)),
        },
    };
    let port = |name: &str| Ok(small(name, u64::from(u16::MAX))?.map(|it| it as u16));
    let tlvs = value["proxy_tlvs"].as_str().filter(|it| !it.is_empty());
    let proxy = SendProxy::parse(value["proxy"].as_str(), tlvs, "");
    let word = text(value, "admin")?;
    let admin = AdminState::WORDS.iter().find(|(it, _)| *it == word);
    Ok(BackendSpec {
        name: text(value, "name")?,
        at: target_of(value)?,
        weight: small("weight", u64::from(WEIGHT_MAX))?.ok_or_else(|| wrong("weight"))? as u32,
        max_connections: small("max_connections", u64::from(u32::MAX))?.map(|it| it as u32),
        backup: value["backup"].as_bool().ok_or_else(|| wrong("backup"))?,
        tls: value["sni"].as_str().map(str::to_owned),
        check_port: port("check_port")?,
        proxy: proxy.map_err(|_| wrong("proxy"))?,
        admin: admin.ok_or_else(|| wrong("admin"))?.1,
        member_of: None,
    })
}

fn mark_json(mark: &Mark) -> Value {
    json!({"by": mark.by, "at": time_text(mark.at)})
}

fn mark_of(value: &Value) -> Result<Mark, Corrupt> {
    let at: jiff::Timestamp =
        text(value, "at")?.parse().map_err(|_| Corrupt("a time that is none".to_owned()))?;
    Ok(Mark { by: text(value, "by")?, at: SystemTime::from(at) })
}
