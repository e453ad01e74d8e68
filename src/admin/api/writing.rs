//! Writes: what is asked for becomes an [`Asked`]; what came of it becomes an answer.

use std::time::Duration;

use serde_json::{Value, json};

use crate::config::{OverlaySource, Patch, duration};
use crate::http::Method;
use crate::limits::ADMIN_BATCH_MAX;

use super::super::change::{self, Asked, Change, Configure, Edit, Ends, Only, What};
use super::super::place::Place;
use super::super::problem::{Kind, Mistakes, Problem};
use super::super::request::Request;
use super::super::view::View;
use super::banning;
use super::lists::unknown_parameter;
use super::reading::{self, Members, finish};
use super::registering;
use super::target::Target;
use crate::config::Needs;

const FOR_WRITES: &[&str] = &["dry_run"];
const FOR_DELETE: &[&str] = &["dry_run", "now", "deadline"];

/// What a write asks of the loop.
pub(super) fn asked(
    target: &Target<'_>,
    request: &Request,
    view: &View<'_>,
) -> Result<Asked, Problem> {
    let dry_run = dry_run(target, request)?;
    let by = &request.who.name;
    let change = |edit| Asked::Change(Change { dry_run, ..Change::one(edit, by) });
    match target {
        Target::Backend(pool, name) => {
            let place = Place::new(pool, name);
            if request.method == Method::Put {
                // Else a member's name would be refused for a letter of it.
                change::may_be_put(&place, view.directory)?;
            }
            let edit = backend_edit(request, place)?;
            Ok(change(edit))
        }
        Target::CloseConnections(pool, name) => {
            let place = Place::new(pool, name);
            let only = Only::IfThere;
            let edit = Edit { place: place.clone(), what: What::Clear, only };
            if view.leaving(pool, name).is_none() {
                Change::one(edit, by).check(view.directory)?;
            }
            if dry_run {
                return Ok(Asked::Rehearse(format!("close the connections to {pool}/{name}")));
            }
            Ok(Asked::Close(place))
        }
        Target::OverridesOf(pool, name) => {
            let place = Place::new(pool, name);
            Ok(change(Edit { place, what: What::Clear, only: Only::Always }))
        }
        Target::Overrides => {
            let mut change = Change { dry_run, by: by.clone(), ..Change::default() };
            for (pool, name) in view.directory.overlay.places() {
                let place = Place::new(pool, name);
                change.edits.push(Edit { place, what: What::Clear, only: Only::Always });
                change.pointers.push(String::new());
            }
            Ok(Asked::Change(change))
        }
        Target::Registration(pool, name) if request.method == Method::Put => {
            let place = Place::new(pool, name);
            Ok(Asked::Register(Box::new(registering::heartbeat(request, place)?)))
        }
        Target::Registration(pool, name) => {
            let signed = registering::goodbye(request)?;
            Ok(Asked::Goodbye(Place::new(pool, name), signed))
        }
        Target::Ban(network) => banning::asked(network, request, dry_run, view),
        Target::Batch => batch(request, dry_run).map(Asked::Change),
        Target::Config => configure(request, dry_run, false, view).map(Asked::Configure),
        Target::ConfigCheck => configure(request, true, true, view).map(Asked::Configure),
        Target::Reload => Ok(Asked::Reload { dry_run }),
        Target::Drain if dry_run => Ok(Asked::Rehearse("drain".to_owned())),
        Target::Undrain if dry_run => Ok(Asked::Rehearse("undrain".to_owned())),
        Target::Stop if dry_run => Ok(Asked::Rehearse("stop".to_owned())),
        Target::Takeover if dry_run => Ok(Asked::Rehearse("hand over".to_owned())),
        Target::Takeover => Ok(Asked::Takeover),
        Target::Drain => Ok(Asked::Drain(true)),
        Target::Undrain => Ok(Asked::Drain(false)),
        Target::Stop => Ok(Asked::Stop),
        _ => Err(Problem::new(Kind::METHOD, "it cannot be written")),
    }
}

fn dry_run(target: &Target<'_>, request: &Request) -> Result<bool, Problem> {
    let known = match target {
        Target::Backend(..) if request.method == Method::Delete => FOR_DELETE,
        Target::Registration(..) => &[],
        _ => FOR_WRITES,
    };
    if let Some((name, _)) = request.query.iter().find(|(it, _)| !known.contains(&&**it)) {
        return Err(unknown_parameter(name, known));
    }
    truth(request, "dry_run")
}

fn truth(request: &Request, name: &str) -> Result<bool, Problem> {
    match request.parameter(name) {
        None | Some("false") => Ok(false),
        Some("true" | "") => Ok(true),
        Some(other) => {
            let detail = format!("{name}={other}, want true or false");
            Err(Problem::new(Kind::BAD_REQUEST, detail))
        }
    }
}

fn only(request: &Request, without: Only) -> Only {
    match (&request.if_match, request.if_none_match.as_deref()) {
        (Some(tag), _) if tag.trim() == "*" => Only::IfThere,
        (Some(tag), _) => Only::IfTag(tag.clone()),
        (None, Some("*")) => Only::IfNew,
        _ => without,
    }
}

fn backend_edit(request: &Request, place: Place) -> Result<Edit, Problem> {
    let ends = ends(request)?;
    let (what, otherwise) = match request.method {
        Method::Put => {
            let value = reading::parse(&request.body)?;
            let spec = reading::backend(&place.name, &value)?;
            (What::Put(spec, OverlaySource::Api), Only::Always)
        }
        Method::Patch => {
            let value = reading::parse(&request.body)?;
            let mut mistakes = Mistakes::default();
            let patch = finish(patch_at(&value, "", &mut mistakes), mistakes)?;
            may_patch(&patch, request)?;
            (What::Patch(patch), Only::IfThere)
        }
        _ => (What::Remove(ends), Only::Always),
    };
    Ok(Edit { place, what, only: only(request, otherwise) })
}

/// Who operates says how much goes to a backend, and not where it is or what it is for.
fn may_patch(patch: &Patch, request: &Request) -> Result<(), Problem> {
    let is_configured =
        patch.address.is_some() || patch.backup.is_some() || patch.max_connections.is_some();
    if is_configured && !request.who.role.may(Needs::Admin) {
        let Request { who, .. } = request;
        let detail = format!(
            "{} may not: address, backup and max_connections take {}",
            who.name,
            Needs::Admin
        );
        return Err(Problem::new(Kind::FORBIDDEN, detail));
    }
    Ok(())
}

fn ends(request: &Request) -> Result<Ends, Problem> {
    if truth(request, "now")? {
        return Ok(Ends::Now);
    }
    let Some(text) = request.parameter("deadline") else { return Ok(Ends::Themselves) };
    let read = duration(text, Duration::ZERO);
    read.map(Ends::Within)
        .map_err(|wrong| Problem::new(Kind::BAD_REQUEST, format!("deadline: {wrong}")))
}

const PATCH: &[&str] = &["weight", "admin", "max_connections", "backup", "address", "deadline"];

/// A JSON merge patch (RFC 7396): what is not mentioned stays.
fn patch_at(value: &Value, pointer: &str, mistakes: &mut Mistakes) -> Option<Patch> {
    use crate::limits::{CONNECTIONS_MAX, WEIGHT_MAX};
    let mut members = Members::of(value, pointer, PATCH, mistakes)?;
    let weight = members.number("weight", 0..=u64::from(WEIGHT_MAX)).map(|it| it as u32);
    let most = members.number_or_null("max_connections", 1..=CONNECTIONS_MAX.into());
    let address = members.text("address").and_then(|text| {
        let read = crate::config::BackendSpec::bare(text);
        read.map_err(|wrong| members.complain("address", wrong.to_string())).ok()
    });
    let deadline = members.text("deadline").and_then(|text| {
        let read = duration(text, Duration::ZERO);
        read.map_err(|wrong| members.complain("deadline", wrong.to_string())).ok()
    });
    let admin = members.admin("admin");
    if deadline.is_some() && admin.is_none() {
        members.complain("deadline", "found a deadline without admin: drain or maint");
    }
    Some(Patch {
        weight,
        admin,
        max_connections: most.map(|most| most.map(|it| it as u32)),
        backup: members.truth("backup"),
        address: address.map(|spec| spec.at),
        deadline,
    })
}

/// Several edits, all of them or none.
fn batch(request: &Request, dry_run: bool) -> Result<Change, Problem> {
    let value = reading::parse(&request.body)?;
    let mut mistakes = Mistakes::default();
    let change = read_batch(&value, request, &mut mistakes);
    let mut change = finish(change, mistakes)?;
    change.dry_run |= dry_run;
    Ok(change)
}

fn read_batch(value: &Value, request: &Request, mistakes: &mut Mistakes) -> Option<Change> {
    let mut change = Change { by: request.who.name.clone(), ..Change::default() };
    let mut members =
        Members::of(value, "", &["if_generation", "dry_run", "changes"], mistakes)?;
    change.if_generation = members.number("if_generation", 0..=u64::MAX);
    change.dry_run = members.truth("dry_run").unwrap_or(false);
    let Some(list) = members.get("changes").and_then(Value::as_array) else {
        members.complain("changes", "found none, want a list of changes");
        return None;
    };
    if list.len() > ADMIN_BATCH_MAX {
        let detail = format!("found {} changes, want at most {ADMIN_BATCH_MAX}", list.len());
        members.complain("changes", detail);
        return None;
    }
    for (at, one) in list.iter().enumerate() {
        let pointer = format!("/changes/{at}");
        if let Some(edit) = read_one(one, &pointer, mistakes) {
            change.edits.push(edit);
            change.pointers.push(pointer);
        }
    }
    Some(change)
}

fn read_one(value: &Value, pointer: &str, mistakes: &mut Mistakes) -> Option<Edit> {
    let known = &["method", "path", "body", "if_match", "if_none_match"];
    let mut members = Members::of(value, pointer, known, mistakes)?;
    let method = members.text("method").unwrap_or_default().to_owned();
    let path = members.text("path").unwrap_or_default().to_owned();
    let if_match = members.text("if_match").map(str::to_owned);
    let is_new = members.text("if_none_match") == Some("*");
    let parts: Vec<&str> = path.split('/').filter(|it| !it.is_empty()).collect();
    let Some(Target::Backend(pool, name)) = Target::of(&parts) else {
        let detail = format!("found {path:?}, want /api/v1/pools/POOL/backends/BACKEND");
        members.complain("path", detail);
        return None;
    };
    let empty = json!({});
    let body = members.get("body").unwrap_or(&empty);
    let at = format!("{pointer}/body");
    let (what, otherwise) = match &*method {
        "PUT" => {
            let spec = reading::backend_at(name, body, &at, mistakes)?;
            (What::Put(spec, OverlaySource::Api), Only::Always)
        }
        "PATCH" => (What::Patch(patch_at(body, &at, mistakes)?), Only::IfThere),
        "DELETE" => (What::Remove(Ends::Themselves), Only::Always),
        _ => {
            members.complain("method", format!("found {method:?}, want PUT, PATCH or DELETE"));
            return None;
        }
    };
    let only = match if_match {
        Some(tag) => Only::IfTag(tag),
        None if is_new => Only::IfNew,
        None => otherwise,
    };
    Some(Edit { place: Place::new(pool, name), what, only })
}

/// A configuration, as TOML or as a JSON text of it.
fn configure(
    request: &Request,
    dry_run: bool,
    check: bool,
    view: &View<'_>,
) -> Result<Configure, Problem> {
    let tag = view.directory.whole_tag();
    if !check {
        match &request.if_match {
            None => {
                let detail = format!("it replaces all: send If-Match with {tag}");
                return Err(Problem::new(Kind::PRECONDITION, detail).with("ETag", tag));
            }
            Some(given) if !given.split(',').any(|it| it.trim() == tag || it.trim() == "*") => {
                let detail = format!("{given} was read, {tag} is there");
                return Err(Problem::new(Kind::CHANGED, detail).with("ETag", tag));
            }
            Some(_) => {}
        }
    }
    let is_json =
        request.content_type.as_deref().is_some_and(|it| it.starts_with("application/json"));
    let text = if is_json {
        let value = reading::parse(&request.body)?;
        super::toml::from_json(&value)?
    } else {
        let utf8 = std::str::from_utf8(&request.body);
        let bad = |_| Problem::new(Kind::SYNTAX, "the body is no UTF-8");
        utf8.map_err(bad)?.to_owned()
    };
    let if_generation = (!check).then_some(view.directory.generation);
    Ok(Configure { text, dry_run, check, if_generation })
}
