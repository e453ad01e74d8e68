//! `disable frontend` and `enable frontend`: a service whose listeners refuse clients. What it has
//! goes on.

use crate::config::ServiceSpec;
use crate::control::Directory;
use crate::event::ListenerId;

use super::super::change::Asked;
use super::super::view::View;
use super::step::{Refusal, Step};

/// Let its clients in, or not. What was disabled may always be enabled.
pub fn set(name: &str, open: bool, view: &View<'_>) -> Result<Step, Refusal> {
    if name.is_empty() {
        return Err("A frontend name is expected.");
    }
    let spec = find(name, view).ok_or("No such frontend.")?;
    match (is_open(spec, view), open) {
        (true, true) => return Err("All sockets are already enabled."),
        (false, false) => return Err("All sockets are already disabled."),
        (true, false) => drop(own_listeners(&spec.name, view.directory)?),
        (false, true) => {}
    }
    let asked = Asked::Frontend(spec.name.clone(), open);
    Ok(Step::Ask(Box::new(asked), String::new()))
}

/// Whether it lets clients in.
pub fn is_open(spec: &ServiceSpec, view: &View<'_>) -> bool {
    !view.disabled.contains(&spec.name)
}

/// The listeners of a service, if they can be closed without anybody else's clients.
pub fn own_listeners(name: &str, directory: &Directory) -> Result<Vec<ListenerId>, Refusal> {
    let desired = &directory.desired;
    let spec = desired.services.iter().find(|it| it.name == *name);
    let spec = spec.ok_or("No such frontend.")?;
    let is_shared = |listener: &String| {
        let others = desired.services.iter().filter(|it| it.name != spec.name);
        others.flat_map(|it| &it.listeners).any(|it| it == listener)
    };
    if spec.listeners.iter().any(is_shared) {
        return Err("Failed to pause frontend: clients of other frontends come in at its \
                    listeners as well.");
    }
    let all = desired.listeners.iter().zip(&directory.listeners);
    let own = all.filter(|(it, _)| spec.listeners.contains(&it.name));
    own.map(|(it, id)| match it.listen.protocol.is_udp() {
        true => Err("Failed to pause frontend: it takes datagrams."),
        false => Ok(*id),
    })
    .collect()
}

fn find<'a>(name: &str, view: &View<'a>) -> Option<&'a ServiceSpec> {
    let mut services = view.directory.desired.services.iter();
    match name.strip_prefix('#').map(str::parse::<u32>) {
        Some(Ok(id)) => services.find(|it| view.ids.frontend(&it.name) == id),
        _ => services.find(|it| it.name == name),
    }
}
