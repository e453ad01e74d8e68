//! Numbers of services, pools and backends: what is new gets a new one, and none is used twice.

use std::collections::HashMap;

use crate::config::Desired;

/// The numbers.
#[derive(Debug, Default)]
pub struct Ids {
    generation: Option<u64>,
    frontends: HashMap<String, u32>,
    backends: HashMap<String, Backend>,
    last: u32,
}

#[derive(Debug, Default)]
struct Backend {
    id: u32,
    servers: HashMap<String, u32>,
    last: u32,
}

impl Ids {
    /// Number what is new, and forget what is gone.
    pub fn learn(&mut self, desired: &Desired, generation: u64) {
        if self.generation == Some(generation) {
            return;
        }
        self.generation = Some(generation);
        if self.last == 0 {
            // As in HAProxy: the first is the process's own.
            self.last = 1;
        }
        let mut frontends = std::mem::take(&mut self.frontends);
        for service in &desired.services {
            let id = frontends.remove(&service.name).unwrap_or_else(|| self.next());
            self.frontends.insert(service.name.clone(), id);
        }
        let mut backends = std::mem::take(&mut self.backends);
        for pool in &desired.pools {
            let known = backends.remove(&pool.name);
            let mut backend =
                known.unwrap_or_else(|| Backend { id: self.next(), ..Backend::default() });
            let mut servers = std::mem::take(&mut backend.servers);
            for spec in &pool.backends {
                let id = servers.remove(&spec.name).unwrap_or_else(|| {
                    backend.last += 1;
                    backend.last
                });
                backend.servers.insert(spec.name.clone(), id);
            }
            self.backends.insert(pool.name.clone(), backend);
        }
    }

    fn next(&mut self) -> u32 {
        self.last += 1;
        self.last
    }

    /// Of a service.
    pub fn frontend(&self, name: &str) -> u32 {
        self.frontends.get(name).copied().unwrap_or_default()
    }

    /// Of a pool.
    pub fn backend(&self, name: &str) -> u32 {
        self.backends.get(name).map_or(0, |it| it.id)
    }

    /// Of a backend of a pool.
    pub fn server(&self, pool: &str, name: &str) -> u32 {
        let pool = self.backends.get(pool);
        pool.and_then(|it| it.servers.get(name)).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{PoolSettings, PoolSpec};

    fn desired(pools: &[&str]) -> Desired {
        let pools = pools.iter().map(|name| PoolSpec {
            name: (*name).to_owned(),
            settings: PoolSettings::DEFAULT.into(),
            backends: Vec::new(),
        });
        Desired { pools: pools.collect(), ..Desired::nothing() }
    }

    #[test]
    fn a_number_stays_and_is_never_given_to_another() {
        let mut ids = Ids::default();
        ids.learn(&desired(&["a", "b"]), 1);
        assert_eq!((ids.backend("a"), ids.backend("b")), (2, 3));
        ids.learn(&desired(&["c", "b"]), 2);
        assert_eq!((ids.backend("a"), ids.backend("b"), ids.backend("c")), (0, 3, 4));
        ids.learn(&desired(&["a", "b"]), 3);
        assert_eq!(ids.backend("a"), 5, "it is another one");
    }
}
