//! What runs, by the desired state that it was made from: the names of everything, and its ids.

use std::collections::HashMap;
use std::sync::Arc;

use crate::config::{BackendSpec, Desired, Overlay, PoolSpec};
use crate::event::{ListenerId, PoolId, ServerId, ServiceId};
use crate::net::descriptors::Needs;

use super::prepare::ReadFiles;
use super::servers::{ServerList, Servers};
use super::tls::TlsStore;

/// What runs. Whoever reads it finds each thing by its name.
pub struct Directory {
    /// Counted up with each change.
    pub generation: u64,
    /// What flags or the file want, as they say it.
    pub written: Arc<Desired>,
    /// The same with the members of its sets, before anything was told while it runs.
    pub base: Desired,
    /// What was told since.
    pub overlay: Overlay,
    /// Both together: what runs.
    pub desired: Desired,
    /// Which servers that are.
    pub server_list: ServerList,
    /// Who needs descriptors.
    pub needs: Needs,
    /// Each in the order of its list in the desired state.
    pub listeners: Vec<ListenerId>,
    /// The same.
    pub services: Vec<ServiceId>,
    /// The same.
    pub pools: Vec<PoolId>,
    /// In the order of the list of servers.
    pub servers: Vec<ServerId>,
    /// What was read for TLS.
    pub store: TlsStore,
    /// What else was read.
    pub files: ReadFiles,
    /// When this process began, which tells its generations from those of others.
    pub epoch: u64,
    /// The generation in which each backend was changed last, by pool and name, but for those of
    /// the first.
    pub revisions: HashMap<String, HashMap<String, u64>>,
}

/// What a desired state is made of.
#[derive(Debug)]
pub struct Layers {
    /// What flags or the file want, as they say it.
    pub written: Arc<Desired>,
    /// The same with the members of its sets.
    pub base: Desired,
    /// What was told since.
    pub overlay: Overlay,
}

/// A pool that runs.
#[derive(Debug, Clone, Copy)]
pub struct PoolEntry<'a> {
    /// Its place.
    pub at: usize,
    /// Its id.
    pub id: PoolId,
    /// As it is wanted.
    pub spec: &'a PoolSpec,
}

/// A backend of a pool that runs.
#[derive(Debug, Clone, Copy)]
pub struct BackendEntry<'a> {
    /// Its place in the pool.
    pub at: usize,
    /// The server that it is.
    pub server: ServerId,
    /// As it is wanted.
    pub spec: &'a BackendSpec,
}

impl Directory {
    /// Nothing runs.
    pub fn empty() -> Directory {
        Directory {
            generation: 0,
            written: Arc::new(Desired::nothing()),
            base: Desired::nothing(),
            overlay: Overlay::default(),
            desired: Desired::nothing(),
            server_list: ServerList::default(),
            needs: Needs::default(),
            listeners: Vec::new(),
            services: Vec::new(),
            pools: Vec::new(),
            servers: Vec::new(),
            store: TlsStore::default(),
            files: ReadFiles::default(),
            epoch: 0,
            revisions: HashMap::new(),
        }
    }

    /// What it is made of.
    pub fn layers(&self) -> Layers {
        let Directory { written, base, overlay, .. } = self;
        Layers { written: Arc::clone(written), base: base.clone(), overlay: overlay.clone() }
    }

    /// The servers that run.
    pub fn wanted(&self) -> Servers<'_> {
        Servers::new(&self.desired, &self.server_list)
    }

    /// The ETag of the whole.
    pub fn whole_tag(&self) -> String {
        format!("\"{:x}-{}\"", self.epoch, self.generation)
    }

    /// The generation in which a backend was changed last.
    pub fn revision(&self, pool: &str, name: &str) -> u64 {
        self.revisions.get(pool).and_then(|all| all.get(name)).copied().unwrap_or(1)
    }

    /// The ETag of a backend.
    pub fn tag(&self, pool: &str, name: &str) -> String {
        format!("\"{:x}-{}\"", self.epoch, self.revision(pool, name))
    }

    /// The pool at a place.
    pub fn pool_at(&self, at: usize) -> Option<PoolEntry<'_>> {
        Some(PoolEntry { at, id: *self.pools.get(at)?, spec: self.desired.pools.get(at)? })
    }

    /// The pool of this name.
    pub fn pool(&self, name: &str) -> Option<PoolEntry<'_>> {
        self.pool_at(self.desired.pools.iter().position(|pool| pool.name == name)?)
    }

    /// The backend at a place of a pool.
    pub fn backend_at(&self, pool: PoolEntry<'_>, at: usize) -> Option<BackendEntry<'_>> {
        let spec = self.desired.pools.get(pool.at)?.backends.get(at)?;
        let server = *self.servers.get(self.server_list.server_of(pool.at, at)?)?;
        Some(BackendEntry { at, server, spec })
    }

    /// The backend of this name.
    pub fn backend(&self, pool: PoolEntry<'_>, name: &str) -> Option<BackendEntry<'_>> {
        let backends = &self.desired.pools.get(pool.at)?.backends;
        self.backend_at(pool, backends.iter().position(|it| it.name == name)?)
    }
}
