//! From names that stand for many backends to those backends.
//!
//! ```text
//!   written   web = [dns://api.example:8080, 10.9.0.1:80]
//!                     | expanded, with what the name stands for now
//!   base      web = [api.example:8080/10.0.0.1:8080, api.example:8080/10.0.0.2:8080, 10.9.0.1:80]
//! ```
//!
//! Pure: what a name stands for is told. Until it is known for the first time, the set itself is
//! the one backend of it: one without an address, which is down.

use std::collections::HashSet;
use std::net::SocketAddr;

use super::{BackendSpec, Desired, MemberOf, NameSet, PoolSpec, SetKind, Shared, Target};
use crate::limits::{BACKENDS_MAX, WEIGHT_MAX};

/// One of those that a name stands for, as DNS tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetMember {
    /// Where it is.
    pub address: SocketAddr,
    /// The host that has the address: the name itself, or the target of its service.
    pub host: String,
    /// Its share among the others, if the name says anything of it; at least 1.
    pub weight: Option<u32>,
    /// It is there for when none of the others is.
    pub is_backup: bool,
}

impl BackendSpec {
    /// The backend that a member of a set is.
    fn of_set(set: &Shared<BackendSpec>, names: &NameSet, member: &SetMember) -> BackendSpec {
        let SetMember { address, host, weight, is_backup } = member;
        let target = Target::Host { host: address.ip().to_string(), port: address.port() };
        // Where nobody said otherwise, a certificate is for the host that has the address.
        let is_usual = |tls: &String| {
            names.kind == SetKind::Services && Some(&**tls) == set.at.name_for_tls()
        };
        let tls = set.tls.as_ref();
        let tls = tls.map(|tls| if is_usual(tls) { host.clone() } else { tls.clone() });
        BackendSpec {
            name: format!("{}/{address}", set.name),
            at: target,
            weight: set.weight.saturating_mul(weight.unwrap_or(1)).min(WEIGHT_MAX),
            backup: set.backup || *is_backup,
            tls,
            member_of: Some(MemberOf { set: set.clone(), host: host.clone() }),
            ..(**set).clone()
        }
    }
}

impl Desired {
    /// The names that stand for backends, each place in which they do.
    pub fn name_sets(&self) -> impl Iterator<Item = &NameSet> {
        self.pools.iter().flat_map(|pool| &pool.backends).filter_map(|spec| spec.set())
    }

    /// With the members of its sets, as `members` knows them, in the place of the sets; and lines
    /// about what is left out. Where a set takes not all of them, those that are in `before` stay.
    pub fn expanded(
        &self,
        before: &Desired,
        members: impl Fn(&NameSet) -> Vec<SetMember>,
    ) -> (Desired, Vec<String>) {
        let mut notes = Vec::new();
        let mut expanded = self.clone();
        for pool in &mut expanded.pools {
            if pool.backends.iter().any(|spec| spec.set().is_some()) {
                let old = before.pools.iter().find(|it| it.name == pool.name);
                pool.expand(old, &members, &mut notes);
            }
        }
        (expanded, notes)
    }
}

impl Desired {
    /// With the sets in the place of their members, as they were asked for.
    #[must_use]
    pub fn collapsed(&self) -> Desired {
        Desired { pools: self.pools.iter().map(PoolSpec::collapsed).collect(), ..self.clone() }
    }
}

impl PoolSpec {
    /// With the sets in the place of their members, each once.
    #[must_use]
    pub fn collapsed(&self) -> PoolSpec {
        let mut seen = HashSet::new();
        let written = |spec: &Shared<BackendSpec>| match &spec.member_of {
            None => Some(spec.clone()),
            Some(it) => seen.insert(it.set.name.clone()).then(|| it.set.clone()),
        };
        let backends = self.backends.iter().filter_map(written).collect();
        PoolSpec { backends, ..self.clone() }
    }

    fn expand(
        &mut self,
        before: Option<&PoolSpec>,
        members: impl Fn(&NameSet) -> Vec<SetMember>,
        notes: &mut Vec<String>,
    ) {
        let old: HashSet<&str> = before.iter().flat_map(|it| it.member_names()).collect();
        let mut room = BACKENDS_MAX.saturating_sub(self.backends.len());
        let mut all = Vec::new();
        for spec in std::mem::take(&mut self.backends) {
            let Some(names) = spec.set() else {
                all.push(spec);
                continue;
            };
            let told = members(names);
            if told.is_empty() {
                all.push(spec);
                continue;
            }
            let mut its: Vec<BackendSpec> =
                told.iter().map(|it| BackendSpec::of_set(&spec, names, it)).collect();
            let wanted = names.at_most.map_or(usize::MAX, |it| it as usize);
            // The place of the set itself is free as well.
            if its.len() > wanted.min(room + 1) {
                its.sort_by_key(|it| !old.contains(&*it.name));
                if wanted > room + 1 {
                    notes.push(format!(
                        "pool {}: {} has {} members, of which {} are left out: a pool has at \
                         most {BACKENDS_MAX} backends",
                        self.name,
                        spec.name,
                        its.len(),
                        its.len() - (room + 1),
                    ));
                }
                its.truncate(wanted.min(room + 1));
            }
            room = (room + 1).saturating_sub(its.len());
            all.extend(its.into_iter().map(Shared::from));
        }
        self.backends = all;
    }

    /// The names of the sets that are expanded here, or wait to be.
    pub(super) fn set_names(&self) -> HashSet<String> {
        let name = |spec: &Shared<BackendSpec>| match &spec.member_of {
            Some(it) => Some(it.set.name.clone()),
            None => spec.set().map(|_| spec.name.clone()),
        };
        self.backends.iter().filter_map(name).collect()
    }

    /// The names of those that come from sets.
    fn member_names(&self) -> impl Iterator<Item = &str> {
        let members = self.backends.iter().filter(|it| it.member_of.is_some());
        members.map(|it| &*it.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::MAIN;
    use crate::config::PoolSettings;

    fn spec(text: &str) -> BackendSpec {
        BackendSpec::parse(text).unwrap_or_else(|wrong| panic!("{text}: {wrong}"))
    }

    fn of(backends: &[&str]) -> Desired {
        let backends = backends.iter().map(|it| spec(it).into()).collect();
        let pool = PoolSpec {
            name: MAIN.to_owned(),
            settings: PoolSettings::DEFAULT.into(),
            backends,
        };
        Desired { pools: vec![pool], ..Desired::nothing() }
    }

    fn member(address: &str, host: &str, weight: Option<u32>, is_backup: bool) -> SetMember {
        let address = address.parse().expect("an address");
        SetMember { address, host: host.to_owned(), weight, is_backup }
    }

    fn names(desired: &Desired) -> Vec<&str> {
        desired.pools[0].backends.iter().map(|it| &*it.name).collect()
    }

    #[test]
    fn a_name_that_stands_for_many_is_written_with_a_scheme() {
        let set = |text: &str| spec(text).set().expect("a set").clone();
        let api = set("dns://api.example:8080");
        assert_eq!((&*api.host, api.kind), ("api.example", SetKind::Addresses(8080)));
        assert_eq!(spec("DNS://api.example:8080").name, "api.example:8080");
        let http = set("srv://_http._tcp.api.example.,at-most=8");
        assert_eq!((http.kind, http.at_most), (SetKind::Services, Some(8)));
        assert_eq!(http.bare_host(), "_http._tcp.api.example");
        assert_eq!(spec("dns://api:1,name=a,weight=3").name, "a");
        let wrong = [
            ("dns://api.example", "did you mean dns://api.example:80?"),
            ("dns://10.0.0.1:80", "did you mean 10.0.0.1:80?"),
            ("dns://[::1]:80", "did you mean [::1]:80?"),
            ("dns://api.example:0", "1 to 65535"),
            ("dns://a b:80", "dns://NAME:PORT"),
            ("srv://api.example:80", "did you mean srv://api.example?"),
            ("srv://10.0.0.1", "a name of DNS"),
            ("srv://", "srv://NAME"),
            ("10.0.0.1:80,at-most=3", "dns:// or srv://"),
            ("dns://a:80,at-most=0", "at-most=N"),
        ];
        for (text, want) in wrong {
            let told = BackendSpec::parse(text).expect_err(text).to_string();
            assert!(told.contains(want), "{text}: {told}");
        }
    }

    #[test]
    fn members_have_what_their_set_has_and_their_own_place_and_share() {
        let written = of(&["srv://_a._tcp.x,weight=2,tls,max-connections=7", "10.9.0.1:80"]);
        let members = [
            member("10.0.0.1:81", "one.x", Some(30), false),
            member("[2001:db8::1]:82", "two.x", Some(100_000), true),
        ];
        let (base, notes) = written.expanded(&Desired::nothing(), |_| members.to_vec());
        assert_eq!(notes, [""; 0]);
        let want = ["_a._tcp.x/10.0.0.1:81", "_a._tcp.x/[2001:db8::1]:82", "10.9.0.1:80"];
        assert_eq!(names(&base), want);
        let one = &base.pools[0].backends[0];
        assert_eq!((one.weight, one.backup, one.max_connections), (60, false, Some(7)));
        assert_eq!(one.tls.as_deref(), Some("one.x"));
        assert_eq!(one.at, Target::Host { host: "10.0.0.1".to_owned(), port: 81 });
        let two = &base.pools[0].backends[1];
        assert_eq!((two.weight, two.backup), (WEIGHT_MAX, true));
        assert_eq!(base.collapsed(), written);
        let (same, _) = written.expanded(&base, |_| members.to_vec());
        assert_eq!(same, base, "nothing is another for the same answer");
    }

    #[test]
    fn what_is_said_of_the_certificate_holds_for_all_members() {
        let member = [member("10.0.0.1:443", "one.x", None, false)];
        let tls = |text: &str| {
            let (base, _) = of(&[text]).expanded(&Desired::nothing(), |_| member.to_vec());
            base.pools[0].backends[0].tls.clone()
        };
        assert_eq!(tls("srv://x,tls,sni=own.example").as_deref(), Some("own.example"));
        assert_eq!(tls("dns://api.example:443,tls").as_deref(), Some("api.example"));
        assert_eq!(tls("dns://api.example:443"), None);
    }

    #[test]
    fn until_a_name_is_known_the_set_stands_for_itself() {
        let written = of(&["dns://api.example:80"]);
        let (base, _) = written.expanded(&Desired::nothing(), |_| Vec::new());
        assert_eq!(base, written);
    }

    #[test]
    fn where_not_all_are_taken_those_that_are_there_stay() {
        let written = of(&["dns://a:80,at-most=2"]);
        let told = |ips: &[u8]| -> Vec<SetMember> {
            ips.iter().map(|it| member(&format!("10.0.0.{it}:80"), "a", None, false)).collect()
        };
        let (first, _) = written.expanded(&Desired::nothing(), |_| told(&[3, 4, 5]));
        assert_eq!(names(&first), ["a:80/10.0.0.3:80", "a:80/10.0.0.4:80"]);
        let (then, _) = written.expanded(&first, |_| told(&[1, 2, 4, 5]));
        assert_eq!(names(&then), ["a:80/10.0.0.4:80", "a:80/10.0.0.1:80"]);
    }

    #[test]
    fn a_pool_never_has_more_than_it_may() {
        let written = of(&["10.9.0.1:80", "dns://a:80", "dns://b:80"]);
        let told: Vec<SetMember> = (0..BACKENDS_MAX as u32)
            .map(|it| {
                let ip = std::net::Ipv4Addr::from(0x0a00_0000 + it);
                member(&format!("{ip}:80"), "a", None, false)
            })
            .collect();
        let (base, notes) = written.expanded(&Desired::nothing(), |_| told.clone());
        assert_eq!(base.pools[0].backends.len(), BACKENDS_MAX);
        assert_eq!(notes.len(), 2, "{notes:?}");
    }
}
