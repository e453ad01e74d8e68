//! The listeners at which datagrams come in, and what holds for the flows of each.
//!
//! Each has a class of flows of its own, though many may have equal settings: so to change those of
//! one is to change its class, however many flows are there, and none has to be moved to another.

use std::io;

use crate::config::UdpSettings;
use crate::context::Context;
use crate::event::{ListenerId, Owner};
use crate::flow::{ClassId, Policy};
use crate::limits::SEGMENTS_MAX;
use crate::services::Listener;

use super::Udp;

/// The class of each listener, at the listener's place: it is looked up for every flow.
#[derive(Debug, Default)]
pub(super) struct ClassesOf {
    places: Vec<Option<(ListenerId, ClassId)>>,
}

impl ClassesOf {
    /// That of this listener, if it has one.
    pub fn get(&self, id: ListenerId) -> Option<ClassId> {
        let &(owner, class) = self.places.get(id.index())?.as_ref()?;
        (owner == id).then_some(class)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.places.iter().flatten().count()
    }

    fn insert(&mut self, id: ListenerId, class: ClassId) {
        if self.places.len() <= id.index() {
            self.places.resize(id.index() + 1, None);
        }
        let before = self.places[id.index()].replace((id, class));
        debug_assert!(before.is_none(), "the class of a listener that is gone");
    }

    fn forget(&mut self, mut is_gone: impl FnMut(ListenerId, ClassId) -> bool) {
        for place in &mut self.places {
            place.take_if(|&mut (id, class)| is_gone(id, class));
        }
    }
}

impl Udp {
    /// Take what arrives at this listener, too; its flows are to live by these settings.
    pub fn add_listener(
        &mut self,
        id: ListenerId,
        settings: &UdpSettings,
        cx: &mut Context,
    ) -> io::Result<()> {
        let Some(receiving) = cx.listeners[id].receiving() else { return Ok(()) };
        let class = self.flows.add_class(policy(settings));
        let class =
            class.ok_or_else(|| io::Error::other("too many listeners for datagrams"))?;
        self.classes.insert(id, class);
        let listener = &mut receiving.listener;
        listener.register(&cx.registry, Owner::Listener(id))?;
        if may_coalesce(settings) {
            listener.coalesce();
        }
        cx.stats.udp.is_used = true;
        Ok(())
    }

    /// From now on its flows live by these settings, those that are there as well: a shorter idle
    /// time takes effect at the next look, a longer one at once.
    pub fn change_listener(
        &mut self,
        id: ListenerId,
        settings: &UdpSettings,
        cx: &mut Context,
    ) {
        let Some(class) = self.classes.get(id) else { return };
        self.flows.change_class(class, policy(settings));
        let receiving = cx.listeners.get_mut(id).and_then(Listener::receiving);
        // Never the other way round: what the kernel has put together already would then come
        // without word of where its datagrams end, as one.
        if let Some(receiving) = receiving
            && may_coalesce(settings)
        {
            receiving.listener.coalesce();
        }
    }

    /// Some of the listeners are gone, and their flows before them.
    pub fn forget_listeners(&mut self, cx: &Context) {
        self.ready.retain(|&id| cx.listeners.get(id).is_some());
        let flows = &mut self.flows;
        self.classes.forget(|id, class| {
            let is_gone = cx.listeners.get(id).is_none();
            if is_gone {
                flows.remove_class(class);
            }
            is_gone
        });
    }
}

fn policy(settings: &UdpSettings) -> Policy {
    Policy {
        idle: settings.timeout,
        responses: settings.responses,
        requests: settings.requests,
    }
}

/// Whether the kernel may put datagrams together. One message is to begin one flow, or two: where
/// each flow takes few datagrams, many in a message would make many of it.
fn may_coalesce(settings: &UdpSettings) -> bool {
    settings.requests.is_none_or(|most| most as usize >= SEGMENTS_MAX)
}
