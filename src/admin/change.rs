//! What somebody asks to be changed, and what came of it: values between who asks (the API,
//! HAProxy's words, servers that register themselves) and the loop, which alone carries it out.
//!
//! ```text
//!   request --> Asked --loop: overlay, prepare, apply--> Done | Problem --> answer
//! ```

use std::time::Duration;

use serde_json::{Value, json};

use crate::config::{BackendSpec, OverlaySource, Patch, Shared, closest, counted, quoted};
use crate::control::{Counted, Directory, PoolEntry, Receipt};
use crate::event::Key;

use super::ban::{BanAsked, BanDone};
use super::haproxy::certificates::Act;
use super::place::Place;
use super::problem::{Kind, Problem};
use super::registry::Heartbeat;

/// What is asked of the loop.
#[derive(Debug)]
pub enum Asked {
    /// Backends are to come, change or go.
    Change(Change),
    /// This is to be what flags or the file say, until they are read again.
    Configure(Configure),
    /// Flags and files are to be read again; or it is only said what would come of it.
    Reload {
        /// The latter.
        dry_run: bool,
    },
    /// It is only said that this would happen.
    Rehearse(String),
    /// Whoever asks whether we are ready is told that we are not; or again that we are.
    Drain(bool),
    /// As at SIGTERM.
    Stop,
    /// All connections to a backend of a pool are to be closed.
    Close(Place),
    /// Clients of a service are to be let in, or refused.
    Frontend(String, bool),
    /// So many clients at once are to be served at most.
    MaxConnections(usize),
    /// This one connection of a client is to be closed.
    CloseOne(Key),
    /// A server says that it is there.
    Register(Box<Heartbeat>),
    /// A server that registered itself goes; with its key and sequence, if that was signed.
    Goodbye(Place, Option<(String, u64)>),
    /// Something is told of the health of a backend.
    Health(Place, HealthTold),
    /// Something is told of a certificate.
    Certificate(Act),
    /// A new process asks for our place.
    Takeover,
    /// Somebody is to be banned, or not any more.
    Ban(Box<BanAsked>),
}

/// Some edits, all of them or none.
#[derive(Debug, Default)]
pub struct Change {
    /// In their order.
    pub edits: Vec<Edit>,
    /// It is only said what would happen.
    pub dry_run: bool,
    /// The state that was read before, if that matters.
    pub if_generation: Option<u64>,
    /// Who asks.
    pub by: String,
    /// Where each edit stands in the body, for mistakes: nowhere, if it is the only one.
    pub pointers: Vec<String>,
}

/// One thing that is to change.
#[derive(Debug, Clone)]
pub struct Edit {
    /// Of which backend.
    pub place: Place,
    /// What.
    pub what: What,
    /// On which terms.
    pub only: Only,
}

/// What is to change of a backend.
#[derive(Debug, Clone)]
pub enum What {
    /// It is to be there, like this.
    Put(BackendSpec, OverlaySource),
    /// Some of what it has.
    Patch(Patch),
    /// It is to go. Its connections are closed at once, or after so long.
    Remove(Ends),
    /// What was told of it is given up.
    Clear,
}

/// What is told of the health of a backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HealthTold {
    /// It counts as up until its probes say otherwise.
    Up,
    /// It counts as down until then.
    Down,
    /// It is probed as its pools want it.
    Checked,
    /// It is not probed, and counts as up.
    Unchecked,
}

/// How connections of a backend that takes nobody new end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Ends {
    /// When both sides have finished.
    #[default]
    Themselves,
    /// At once.
    Now,
    /// After this time at the latest.
    Within(Duration),
}

/// A condition of RFC 9110, section 13.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Only {
    /// None.
    #[default]
    Always,
    /// It is not there yet.
    IfNew,
    /// It is there, and was not changed since it had this ETag.
    IfTag(String),
    /// It is there.
    IfThere,
}

/// A configuration that is told.
#[derive(Debug)]
pub struct Configure {
    /// TOML.
    pub text: String,
    /// It is only said what would happen.
    pub dry_run: bool,
    /// It is only checked; nothing is bound.
    pub check: bool,
    /// The state that was read before.
    pub if_generation: Option<u64>,
}

/// What came of it.
#[derive(Debug)]
pub enum Done {
    /// It is carried out.
    Changed(Receipt),
    /// It would be.
    Would(Receipt),
    /// This would happen.
    WouldDo(String),
    /// All was so already.
    Same,
    /// It is begun: a reload, a stop.
    Begun,
    /// So many connections are being closed.
    Closing(usize),
    /// The configuration has no mistakes.
    Checked,
    /// This is said of it.
    Said(String),
    /// Somebody is banned, or not any more.
    Ban(BanDone),
}

impl Done {
    /// In a line, for the audit.
    pub fn text(&self) -> String {
        match self {
            Done::Changed(receipt) => receipt.to_string(),
            Done::Would(receipt) => format!("a dry run: {receipt}"),
            Done::WouldDo(what) => format!("a dry run: it would {what}"),
            Done::Same => "unchanged".to_owned(),
            Done::Begun => "begun".to_owned(),
            Done::Closing(count) => {
                format!("closing {}", counted(*count, "connection"))
            }
            Done::Checked => "checked".to_owned(),
            Done::Said(text) => text.clone(),
            Done::Ban(done) => done.text().to_owned(),
        }
    }
}

impl Change {
    /// One edit.
    pub fn one(edit: Edit, by: &str) -> Change {
        Change {
            edits: vec![edit],
            by: by.to_owned(),
            pointers: vec![String::new()],
            ..Change::default()
        }
    }

    /// Whether its conditions hold.
    pub fn check(&self, directory: &Directory) -> Result<(), Problem> {
        self.check_generation(directory)?;
        self.edits.iter().try_for_each(|edit| edit.check(directory))
    }

    /// Whether it was meant for what is there.
    pub fn check_generation(&self, directory: &Directory) -> Result<(), Problem> {
        if let Some(wanted) = self.if_generation.filter(|it| *it != directory.generation) {
            let detail =
                format!("generation {wanted} was read, {} is there", directory.generation);
            return Err(Problem::new(Kind::CHANGED, detail));
        }
        Ok(())
    }
}

impl Edit {
    /// Whether its condition holds.
    pub fn check(&self, directory: &Directory) -> Result<(), Problem> {
        let Place { pool, name } = &self.place;
        let Some(entry) = directory.pool(pool) else {
            return Err(no_pool(pool, directory));
        };
        self.check_set(entry, directory)?;
        let found = directory.backend(entry, name);
        let tag = found.map(|_| directory.tag(pool, name));
        let changed = |detail: String| Problem::new(Kind::CHANGED, detail);
        match (&self.only, &tag) {
            (Only::IfNew, Some(tag)) => {
                Err(changed(format!("{name} is there already: {tag}"))
                    .with("ETag", tag.clone()))
            }
            (Only::IfTag(wanted), Some(tag)) if !names(wanted, tag) => {
                Err(changed(format!("{wanted} was read, {tag} is there"))
                    .with("ETag", tag.clone()))
            }
            (Only::IfTag(wanted), None) => {
                Err(changed(format!("{wanted} was read, {name} is not there any more")))
            }
            (Only::IfThere, None) => Err(no_backend(pool, name, directory)),
            _ => Ok(()),
        }
    }
}

impl Edit {
    /// What DNS tells is not told by anybody else.
    fn check_set(&self, pool: PoolEntry<'_>, directory: &Directory) -> Result<(), Problem> {
        let Place { name, .. } = &self.place;
        let found = || directory.backend(pool, name).map(|it| it.spec);
        match &self.what {
            What::Put(..) => may_be_put(&self.place, directory),
            What::Patch(patch) if patch.address.is_some() => match found() {
                Some(BackendSpec { member_of: Some(it), .. }) => {
                    let set = &it.set.at;
                    let detail = format!("{} is where {set} says: it stays", quoted(name));
                    Err(Problem::new(Kind::CONFLICT, detail))
                }
                _ => check_is_no_set(name, found()),
            },
            What::Patch(_) | What::Remove(_) => check_is_no_set(name, found()),
            What::Clear => Ok(()),
        }
    }
}

/// What is told of a set that has no members yet would be of nothing once it has.
fn check_is_no_set(name: &str, found: Option<&BackendSpec>) -> Result<(), Problem> {
    let Some(spec) = found.filter(|it| it.set().is_some()) else { return Ok(()) };
    let detail = format!(
        "{} stands for what DNS tells of {}, which is nothing yet: it has no backend that could \
         be changed",
        quoted(name),
        spec.at
    );
    Err(Problem::new(Kind::CONFLICT, detail))
}

/// A backend can be put into a pool under this name, unless it is that of a set or is made like
/// those of its members: DNS may tell of one that is called so in the next second.
pub fn may_be_put(place: &Place, directory: &Directory) -> Result<(), Problem> {
    let Place { pool, name } = place;
    let pool = directory.written.pools.iter().find(|it| it.name == *pool);
    let backends = pool.into_iter().flat_map(|it| &it.backends);
    let mut sets = backends.filter(|it| it.set().is_some());
    let own = |set: &&Shared<BackendSpec>| {
        name.strip_prefix(&*set.name).is_some_and(|it| it.is_empty() || it.starts_with('/'))
    };
    let Some(set) = sets.find(own) else { return Ok(()) };
    let at = &set.at;
    let quoted = quoted(name);
    let detail = if *name == set.name {
        format!("{quoted} stands for what DNS tells of {at}: want another name")
    } else {
        format!(
            "{quoted} is the name of a member of {at}, of which DNS alone tells: want another \
             name, or PATCH for one that is there"
        )
    };
    Err(Problem::new(Kind::CONFLICT, detail))
}

/// Whether a list of tags has this one.
fn names(list: &str, tag: &str) -> bool {
    list.split(',').map(str::trim).any(|it| it == "*" || it == tag)
}

/// Nothing has this name.
pub fn no_pool(name: &str, directory: &Directory) -> Problem {
    let names = directory.desired.pools.iter().map(|it| &*it.name);
    Problem::new(Kind::NOT_FOUND, missing("pool", name, names))
}

/// The same of a backend.
pub fn no_backend(pool: &str, name: &str, directory: &Directory) -> Problem {
    let entry = directory.pool(pool);
    let names = entry.iter().flat_map(|it| it.spec.backends.iter().map(|it| &*it.name));
    Problem::new(Kind::NOT_FOUND, missing("backend", name, names))
}

/// `there is no pool 'wbe'; did you mean web?`.
pub fn missing<'a>(what: &str, name: &str, names: impl Iterator<Item = &'a str>) -> String {
    let near = closest(name, names);
    let near = near.map(|near| format!("; did you mean {near}?")).unwrap_or_default();
    format!("there is no {what} {}{near}", quoted(name))
}

/// What a change did, for programs and for people.
pub fn receipt(receipt: &Receipt) -> Value {
    let changes =
        |it: &Counted| json!({"added": it.added, "changed": it.changed, "removed": it.removed});
    let pools = receipt.members.iter().map(|it| {
        json!({
            "pool": it.name,
            "backends": changes(&it.counted),
            "connections_left": it.connections,
        })
    });
    json!({
        "generation": receipt.generation,
        "listeners": {
            "kept": receipt.kept,
            "opened": receipt.opened,
            "changed": receipt.changed,
            "closed": receipt.closed,
        },
        "services": changes(&receipt.services),
        "pools": changes(&receipt.pools),
        "members": pools.collect::<Vec<_>>(),
        "connections": receipt.connections,
        "notes": receipt.notes,
        "took_ms": receipt.took.as_secs_f64() * 1000.0,
        "text": receipt.to_string(),
    })
}
