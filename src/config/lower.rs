//! From the flat view that the command line gives to the desired state: one service and one pool,
//! both called [`MAIN`], and a service and a pool for each route.
//!
//! A route is for those listeners at which a name is heard: `sni`, `tls`, `http` and `https`; one
//! with a path for the last two. Where a route leads to a listener of ours, as from an `sni://` one
//! to an `https://` one that serves some names here, it is not for that listener itself.

use super::complaint::Wrong;
use super::desired::{Desired, ListenerSpec, MAIN, PoolSpec, ServiceSpec};
use super::own::OwnListeners;
use super::route::{Destination, RouteName, plan};
use super::{BackendSpec, Config, Listen, Match, Protocol, Shared};

impl Protocol {
    /// Whether clients say there which name they want.
    pub fn hears_names(self) -> bool {
        match self {
            Protocol::Sni | Protocol::Tls | Protocol::Http | Protocol::Https => true,
            Protocol::Tcp | Protocol::Udp => false,
        }
    }
}

impl Config {
    /// The desired state that this asks for; if not, what is wrong with its routes.
    pub fn desired(&self) -> Result<Desired, Wrong> {
        let plan = plan(self)?;
        let names = self.listener_names();
        let listeners = self.listeners.iter().zip(&names).map(|(listen, name)| ListenerSpec {
            name: name.clone(),
            listen: listen.clone(),
            settings: self.listener.clone(),
        });
        let settings = Shared::from(self.pool.clone());
        let member = |&at: &usize| Shared::from(plan.backends[at].clone());
        let pools = plan.pools.iter().enumerate().map(|(at, (name, members))| PoolSpec {
            name: if at == 0 { MAIN.to_owned() } else { name.clone() },
            settings: settings.clone(),
            backends: members.iter().map(member).collect(),
        });
        let mut services = Vec::new();
        for (route, (name, to)) in self.routes.iter().zip(&plan.routes) {
            let specs = match &route.to {
                Destination::Backends(specs) => &specs[..],
                Destination::Refused => &[],
            };
            let listeners = self.listeners_of(route.path.as_deref(), specs);
            services.push(ServiceSpec {
                name: route.service_name(),
                listeners: listeners.map(|at| names[at].clone()).collect(),
                matches: vec![Match {
                    host: name.clone(),
                    path: route.path.clone(),
                    conditions: Vec::new(),
                }],
                pool: to.map(|at| plan.pools[at].0.clone()),
                settings: self.service.clone(),
                ..ServiceSpec::named("")
            });
        }
        services.retain(|service| !service.listeners.is_empty());
        services.extend(self.main_service(&names, &services));
        let has_main = services.iter().any(|it| it.pool.as_deref() == Some(MAIN));
        let pools = pools.skip(usize::from(!has_main));
        Ok(Desired {
            process: self.process.clone(),
            listeners: listeners.collect(),
            services,
            pools: pools.collect(),
        })
    }

    /// Their addresses; of several with port 0 that have the same one, each with its number.
    fn listener_names(&self) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for listen in &self.listeners {
            let name = listen.name();
            let count = names.iter().filter(|it| it.split('#').next() == Some(&*name)).count();
            names.push(if count == 0 { name } else { format!("{name}#{}", count + 1) });
        }
        names
    }

    /// For all that no route is for; not where one is for everything.
    fn main_service(&self, names: &[String], routed: &[ServiceSpec]) -> Option<ServiceSpec> {
        let takes_all = |it: &Match| it.host == RouteName::Others && it.path.is_none();
        let is_taken = |name: &String| {
            let mut all = routed.iter().filter(|it| it.matches.iter().any(takes_all));
            all.any(|it| it.listeners.contains(name))
        };
        let has_backends = !self.backends.is_empty() || self.process.demo;
        let listens =
            |(listen, _): &(&Listen, &String)| has_backends || !listen.protocol.hears_names();
        let listeners = self.listeners.iter().zip(names).filter(listens);
        let listeners: Vec<String> =
            listeners.map(|(_, name)| name.clone()).filter(|it| !is_taken(it)).collect();
        (!listeners.is_empty()).then(|| ServiceSpec {
            name: MAIN.to_owned(),
            listeners,
            matches: Vec::new(),
            pool: Some(MAIN.to_owned()),
            settings: self.service.clone(),
            ..ServiceSpec::named("")
        })
    }

    /// The places of those listeners that a route is for.
    pub(super) fn listeners_of<'a>(
        &'a self,
        path: Option<&'a str>,
        backends: &'a [BackendSpec],
    ) -> impl Iterator<Item = usize> + 'a {
        let own = OwnListeners {
            feeding: &[],
            listeners: &self.listeners,
            check: &self.pool.check.kind,
            is_of_this_machine: &|it| it.ip().is_loopback(),
        };
        let leads_back = move |listen: &Listen| {
            let mut addresses = backends.iter().filter_map(|spec| spec.at.known());
            listen.protocol.is_http() && addresses.any(|at| own.leads_to(&at, listen))
        };
        let is_for = move |listen: &Listen| {
            let protocol = listen.protocol;
            protocol.hears_names()
                && (path.is_none() || protocol.is_http())
                && !leads_back(listen)
        };
        let all = self.listeners.iter().enumerate();
        all.filter(move |(_, listen)| is_for(listen)).map(|(at, _)| at)
    }
}
