//! Backends, and what else is counted, by their names, for what another process or a file says of
//! very many of them: to look each one up among all would take the square of their number.

use std::collections::HashMap;

use crate::context::CountedOf;
use crate::control::Directory;
use crate::event::ServerId;

use super::EventLoop;

/// The names of one generation.
#[derive(Default)]
pub(super) struct ByName {
    generation: u64,
    /// By pool.
    servers: HashMap<String, HashMap<String, ServerId>>,
    counted: Option<HashMap<String, CountedOf>>,
}

impl ByName {
    /// The server of a backend. Names are collected when the first one is asked for after a change.
    pub fn server(
        &mut self,
        directory: &Directory,
        pool: &str,
        backend: &str,
    ) -> Option<ServerId> {
        self.renew(directory);
        self.servers.get(pool)?.get(backend).copied()
    }

    /// Names are those of this generation.
    fn renew(&mut self, directory: &Directory) {
        if self.generation != directory.generation {
            self.generation = directory.generation;
            self.servers = names(directory);
            self.counted = None;
        }
    }
}

fn names(directory: &Directory) -> HashMap<String, HashMap<String, ServerId>> {
    let pools = (0..).map_while(|at| directory.pool_at(at));
    let all = pools.map(|pool| {
        let backends = (0..).map_while(move |at| directory.backend_at(pool, at));
        let servers = backends.map(|it| (it.spec.name.clone(), it.server));
        (pool.spec.name.clone(), servers.collect())
    });
    all.collect()
}

impl EventLoop {
    /// The server of the backend of this name.
    pub(super) fn server_named(&mut self, pool: &str, backend: &str) -> Option<ServerId> {
        self.by_name.server(&self.directory, pool, backend)
    }

    /// What is counted under this name: see [`EventLoop::summed_by_name`].
    pub(super) fn counted_named(&mut self, name: &str) -> Option<CountedOf> {
        self.by_name.renew(&self.directory);
        if self.by_name.counted.is_none() {
            self.by_name.counted = Some(self.summed_by_name());
        }
        self.by_name.counted.as_ref()?.get(name).copied()
    }

    /// Nobody asks for one soon.
    pub(super) fn forget_names(&mut self) {
        self.by_name = ByName::default();
    }
}
