//! `disable frontend` and `enable frontend`: a service whose listeners refuse clients. What it has
//! goes on.

use crate::config::{ListenerSpec, ServiceSpec};
use crate::event::ListenerId;
use crate::services::Intake;

use super::super::change::Asked;
use super::super::view::View;
use super::step::{Refusal, Step};

/// Let its clients in, or not.
pub fn set(name: &str, open: bool, view: &View<'_>) -> Result<Step, Refusal> {
    if name.is_empty() {
        return Err("A frontend name is expected.");
    }
    let desired = &view.directory.desired;
    let spec = find(name, view).ok_or("No such frontend.")?;
    let is_shared = |listener: &String| {
        let others = desired.services.iter().filter(|it| it.name != spec.name);
        others.flat_map(|it| &it.listeners).any(|it| it == listener)
    };
    if spec.listeners.iter().any(is_shared) {
        return Err("Failed to pause frontend: clients of other frontends come in at its \
                    listeners as well.");
    }
    if listeners(spec, view).any(|(it, _)| it.listen.protocol.is_udp()) {
        return Err("Failed to pause frontend: it takes datagrams.");
    }
    match (is_open(spec, view), open) {
        (true, true) => Err("Frontend is already enabled."),
        (false, false) => Err("Frontend is already disabled."),
        _ => {
            let ids = listeners(spec, view).map(|(_, id)| id).collect();
            Ok(Step::Ask(Box::new(Asked::Intake(ids, open)), String::new()))
        }
    }
}

/// Whether it lets clients in.
pub fn is_open(spec: &ServiceSpec, view: &View<'_>) -> bool {
    let intake = |id| view.cx.listeners.get(id).and_then(|it| it.intake());
    listeners(spec, view).all(|(_, id)| intake(id).is_none_or(|it| it == Intake::Open))
}

fn find<'a>(name: &str, view: &View<'a>) -> Option<&'a ServiceSpec> {
    let mut services = view.directory.desired.services.iter();
    match name.strip_prefix('#').map(str::parse::<u32>) {
        Some(Ok(id)) => services.find(|it| view.ids.frontend(&it.name) == id),
        _ => services.find(|it| it.name == name),
    }
}

fn listeners<'a>(
    spec: &'a ServiceSpec,
    view: &View<'a>,
) -> impl Iterator<Item = (&'a ListenerSpec, ListenerId)> {
    let directory = view.directory;
    let all = directory.desired.listeners.iter().zip(&directory.listeners);
    all.filter(|(it, _)| spec.listeners.contains(&it.name)).map(|(it, id)| (it, *id))
}
