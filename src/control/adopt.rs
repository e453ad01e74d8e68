//! Which listener takes which socket that was handed over: by its name first, else by its address
//! and what comes to it. Pure.
//!
//! ```text
//!   name `public` or `listener.public`   [listener.public] of the file
//!   name `admin.listen`, ...             an admin listener, by its key in the file
//!   port 0                               the same of the process in whose place we are
//!   no such name                         whoever is to be at its address, with its transport
//! ```

use std::collections::HashMap;

use crate::config::{
    Address, AdminListen, Complaint, Desired, ListenerSpec, SettingKey, Subject, UnixName,
    quoted,
};
use crate::net::{HandedSocket, HandedSockets, Transport, zone};

use super::admin;

/// Who takes what, by their places in the list of those that were handed over.
#[derive(Debug, Default)]
pub struct Adoption {
    /// For each listener that is wanted, in order.
    pub listeners: Vec<Option<usize>>,
    /// The same of admin listeners.
    pub admin: Vec<Option<usize>>,
    /// Of heartbeats in datagrams.
    pub heartbeats: Option<usize>,
    /// Sockets that bear a listener's name and are of no use to it.
    pub complaints: Vec<Complaint>,
    /// What nobody takes.
    pub unwanted: Vec<usize>,
}

/// One that needs a socket.
struct Seeker {
    /// What it may be called.
    names: [String; 2],
    transport: Transport,
    /// Where it is to be, if that is an address.
    address: Option<Address>,
    /// It cannot be elsewhere than it says.
    is_fixed: bool,
    key: SettingKey,
    /// As it was written.
    item: String,
    subject: Subject,
}

impl Adoption {
    /// What was handed over, divided among those that are wanted.
    pub fn of(handed: &HandedSockets, desired: &Desired) -> Adoption {
        let all = handed.all();
        if all.is_empty() {
            return Adoption::default();
        }
        let mut taken = vec![false; all.len()];
        let seekers = seekers(desired);
        let mut complaints = Vec::new();
        let mut found: Vec<Option<usize>> = Vec::new();
        let by_name = by_name(all);
        for seeker in &seekers {
            let named: Vec<usize> = seeker
                .names
                .iter()
                .flat_map(|name| by_name.get(name.as_str()).into_iter().flatten().copied())
                .collect();
            match seeker.pick(all, &named, &taken) {
                Ok(at) => found.push(at),
                Err(why) => {
                    found.push(None);
                    complaints.push(seeker.complaint(why));
                    // They are spoken of already.
                    named.iter().for_each(|&at| taken[at] = true);
                }
            }
            found.last().copied().flatten().into_iter().for_each(|at| taken[at] = true);
        }
        let at = |address: &Address, transport| (address.canonical(), transport);
        let by_address: HashMap<_, usize> = all
            .iter()
            .enumerate()
            .map(|(it, of)| (at(of.address(), of.transport()), it))
            .collect();
        for (seeker, found) in seekers.iter().zip(&mut found).filter(|(_, it)| it.is_none()) {
            let wanted = seeker.address.as_ref().map(|it| at(it, seeker.transport));
            let place = wanted.and_then(|it| by_address.get(&it).copied());
            *found = place.filter(|&at| !std::mem::replace(&mut taken[at], true));
        }
        for (seeker, found) in seekers.iter().zip(&mut found).filter(|(_, it)| it.is_none()) {
            let place = (0..all.len()).find(|&at| !taken[at] && seeker.asked_for(&all[at]));
            *found = place.inspect(|&at| taken[at] = true);
        }
        let listeners = found.drain(..desired.listeners.len()).collect();
        let is_register = seekers.last().is_some_and(|it| it.key == SettingKey::REGISTER_UDP);
        let heartbeats = if is_register { found.pop().flatten() } else { None };
        let unwanted = (0..all.len()).filter(|&at| !taken[at]).collect();
        Adoption { listeners, admin: found, heartbeats, complaints, unwanted }
    }
}

/// What is said of a socket that nobody takes.
pub fn unwanted(socket: &HandedSocket) -> String {
    let named = match socket.name() {
        Some(name) if !name.ends_with(".socket") && !name.starts_with("admin.") => {
            let name = name.strip_prefix("listener.").unwrap_or(name);
            format!("a listener named {} or ", quoted(name))
        }
        _ => String::new(),
    };
    let shown = socket.shown();
    let scheme = match socket.transport() {
        Transport::Stream => "",
        Transport::Datagram => "udp://",
    };
    let address = socket.address();
    format!(
        "{shown} was handed over and nobody takes it: {named}one at {scheme}{address} would; \
         clients wait there in vain"
    )
}

impl Seeker {
    /// Whether the process in whose place we are asked for a socket of which the system chose the
    /// port, in the same words as this one.
    fn asked_for(&self, socket: &HandedSocket) -> bool {
        let Some(address) = &self.address else { return false };
        let asked = socket.predecessor().map(|it| it.asked.to_string());
        self.transport == socket.transport()
            && address.port() == Some(0)
            && asked == Some(address.to_string())
    }

    /// Of those that bear its name; a line, if none of them will do.
    fn pick(
        &self,
        all: &[HandedSocket],
        named: &[usize],
        taken: &[bool],
    ) -> Result<Option<usize>, String> {
        if named.is_empty() {
            return Ok(None);
        }
        let is_unix = |it: &Address| matches!(it, Address::Unix(_));
        let wants_unix = self.address.as_ref().is_some_and(is_unix);
        let is_there = |at: &usize| {
            let here = self.address.as_ref().map(Address::canonical);
            here.is_some_and(|it| it == all[*at].address().canonical())
        };
        let suits = |at: &usize| {
            let it = &all[*at];
            it.transport() == self.transport
                && is_unix(it.address()) == wants_unix
                && !taken[*at]
                && (!self.is_fixed || is_there(at))
        };
        let suited: Vec<usize> = named.iter().copied().filter(suits).collect();
        let there = suited.iter().copied().find(is_there);
        match (there, &suited[..]) {
            (Some(at), _) => Ok(Some(at)),
            (None, &[at]) => Ok(Some(at)),
            (None, []) => {
                let found: Vec<String> = named.iter().map(|&at| all[at].shown()).collect();
                let kind = match (self.transport, wants_unix, &self.address) {
                    (_, true, Some(address)) if self.is_fixed => format!("one at {address}"),
                    (Transport::Datagram, ..) => "one for datagrams".to_owned(),
                    (Transport::Stream, true, _) => "a UNIX socket for connections".to_owned(),
                    (Transport::Stream, false, _) => "one of TCP".to_owned(),
                };
                Err(format!("was handed over {}, want {kind}", found.join(" and ")))
            }
            (None, several) => Err(format!(
                "was handed over {} sockets by its name, none of them at its address; give each \
                 a name of its own",
                several.len()
            )),
        }
    }

    fn complaint(&self, why: String) -> Complaint {
        Complaint::of(self.key, self.item.clone(), why).about(self.subject.clone())
    }
}

fn by_name(all: &[HandedSocket]) -> HashMap<&str, Vec<usize>> {
    let mut names: HashMap<&str, Vec<usize>> = HashMap::new();
    for (at, it) in all.iter().enumerate() {
        if let Some(name) = it.name() {
            names.entry(name).or_default().push(at);
        }
    }
    names
}

/// Listeners, then admin listeners, then where heartbeats come in.
fn seekers(desired: &Desired) -> Vec<Seeker> {
    let listener = |it: &ListenerSpec| Seeker {
        names: [it.name.clone(), format!("listener.{}", it.name)],
        transport: match it.listen.protocol.is_udp() {
            true => Transport::Datagram,
            false => Transport::Stream,
        },
        // That of a link is known by the number of its interface.
        address: Some(zone::resolve(&it.listen.address).unwrap_or(it.listen.address.clone())),
        is_fixed: false,
        key: SettingKey::LISTEN,
        item: it.listen.address.to_string(),
        subject: Subject::Listener(it.name.clone()),
    };
    let of_process = |key: SettingKey, transport, address, item| Seeker {
        names: [key.path().to_owned(), String::new()],
        transport,
        // Its path is where it is asked for, and is told to those who ask.
        is_fixed: matches!(address, Some(Address::Unix(_))),
        address,
        key,
        item,
        subject: Subject::Process,
    };
    let settings = &desired.process.admin;
    let admin = admin::places(settings).into_iter().map(|(place, _, key)| {
        let address = match &place {
            AdminListen::Unix(path) => UnixName::parse(path).ok().map(Address::Unix),
            AdminListen::Http(address) | AdminListen::Https(address) => Some((*address).into()),
        };
        of_process(key, Transport::Stream, address, place.to_string())
    });
    let heartbeats = settings.register_udp.map(|at| {
        let key = SettingKey::REGISTER_UDP;
        of_process(key, Transport::Datagram, Some(at.into()), at.to_string())
    });
    desired.listeners.iter().map(listener).chain(admin).chain(heartbeats).collect()
}

#[cfg(test)]
mod tests;
