//! What is different between two desired states.

use crate::config::{
    BackendSpec, CertificatePair, Check, Config, Desired, Listen, ListenerSettings,
    ListenerSpec, Match, PoolSettings, PoolSpec, ServiceSettings, ServiceSpec, Shared,
};

use super::diff::{Diff, Fate, Fates};
use super::server_fates::ServerFates;
use super::{
    Ground, PreparedServer, Preparing, ReadFiles, ServerList, ServerWanted, Servers, prepare,
};

fn pool(name: &str, backends: &[&str]) -> PoolSpec {
    let backends =
        backends.iter().map(|text| BackendSpec::parse(text).unwrap().into()).collect();
    PoolSpec { name: name.to_owned(), settings: PoolSettings::DEFAULT.into(), backends }
}

fn listener(name: &str, listen: &str) -> ListenerSpec {
    ListenerSpec {
        name: name.to_owned(),
        listen: Listen::parse(listen).unwrap(),
        settings: ListenerSettings::DEFAULT,
    }
}

fn service(name: &str, pool: &str) -> ServiceSpec {
    ServiceSpec {
        name: name.to_owned(),
        listeners: vec!["public".to_owned()],
        matches: vec![Match::all()],
        pool: Some(pool.to_owned()),
        settings: ServiceSettings::DEFAULT,
        ..ServiceSpec::named(name)
    }
}

fn state(pools: Vec<PoolSpec>) -> Desired {
    Desired {
        listeners: vec![listener("public", "http://127.0.0.1:8000")],
        services: vec![service("site", "a")],
        pools,
        ..Desired::nothing()
    }
}

fn all_kept(fates: &Fates) -> bool {
    let kept = |(at, fate): (usize, &Fate)| *fate == Fate::Kept(at);
    fates.removed.is_empty() && fates.wanted.iter().enumerate().all(kept)
}

fn of_servers(old: &[PoolSpec], new: &[PoolSpec]) -> Fates {
    between(&state(old.to_vec()), &state(new.to_vec())).servers
}

fn between(old: &Desired, new: &Desired) -> Diff {
    let lists = [old, new].map(ServerList::of);
    let servers = [Servers::new(old, &lists[0]), Servers::new(new, &lists[1])];
    let mut fates = ServerFates::default();
    while fates.step(servers[0], servers[1]) {}
    Diff { servers: fates.finish(), ..Diff::between(old, new) }
}

#[test]
fn nothing_is_different_from_itself() {
    let state = state(vec![pool("a", &["a:80", "b:80,weight=3"]), pool("b", &["a:80"])]);
    let diff = between(&state, &state.clone());
    let all = [&diff.listeners, &diff.services, &diff.pools, &diff.servers];
    assert!(all.into_iter().all(all_kept), "{diff:?}");
    let start = between(&Desired::nothing(), &state);
    assert!(start.servers.wanted.iter().all(|fate| *fate == Fate::Added));
    let end = between(&state, &Desired::nothing());
    assert_eq!(end.servers.removed, [0, 1]);
}

#[test]
fn the_order_in_a_file_means_nothing() {
    let old = state(vec![pool("a", &["a:80", "b:80"]), pool("b", &["c:80"])]);
    let new = state(vec![pool("b", &["c:80"]), pool("a", &["b:80", "a:80"])]);
    let diff = between(&old, &new);
    assert_eq!(diff.pools.wanted, [Fate::Kept(1), Fate::Kept(0)]);
    assert_eq!(diff.servers.wanted, [Fate::Kept(2), Fate::Kept(1), Fate::Kept(0)]);
}

#[test]
fn the_same_backend_in_several_pools_is_one_server_if_all_agrees() {
    let one = state(vec![pool("a", &["a:80,weight=2"]), pool("b", &["a:80,backup"])]);
    let server_list = ServerList::of(&one);
    assert_eq!(server_list.len(), 1);
    let seats: Vec<(&str, u32, bool)> = Servers::new(&one, &server_list)
        .at(0)
        .seats()
        .map(|(pool, seat)| (pool, seat.weight, seat.backup))
        .collect();
    assert_eq!(seats, [("a", 2, false), ("b", 1, true)]);
    let limited = state(vec![pool("a", &["a:80"]), pool("b", &["a:80,max-connections=3"])]);
    assert_eq!(ServerList::of(&limited).len(), 2, "with another limit it is another server");
    let mut checked = one.clone();
    checked.pools[1].settings.check.kind = Check::None;
    assert_eq!(ServerList::of(&checked).len(), 2, "and with another check");
}

#[test]
fn a_backend_is_known_again_by_name_and_address() {
    let old = [pool("a", &["a:80", "b:80"])];
    let table: [(&[&str], &[Fate], &[usize]); 6] = [
        (&["a:80", "b:80", "c:80"], &[Fate::Kept(0), Fate::Kept(1), Fate::Added], &[]),
        (&["b:80"], &[Fate::Kept(1)], &[0]),
        (&["a:80,weight=7", "b:80"], &[Fate::Changed(0), Fate::Kept(1)], &[]),
        (&["a:80,max-connections=7", "b:80"], &[Fate::Changed(0), Fate::Kept(1)], &[]),
        // Another address under a name is another server, another name for an address is not.
        (&["a:81,name=a:80", "b:80"], &[Fate::Added, Fate::Kept(1)], &[0]),
        (&["a:80,name=first", "b:80"], &[Fate::Changed(0), Fate::Kept(1)], &[]),
    ];
    for (backends, wanted, removed) in table {
        let fates = of_servers(&old, &[pool("a", backends)]);
        assert_eq!((&*fates.wanted, &*fates.removed), (wanted, removed), "{backends:?}");
    }
}

#[test]
fn a_server_that_parts_from_another_pool_s_becomes_two() {
    let old = [pool("a", &["a:80"]), pool("b", &["a:80"])];
    let fates = of_servers(&old, &[pool("a", &["a:80"]), pool("b", &["a:80,check-port=9"])]);
    assert_eq!(fates.wanted, [Fate::Changed(0), Fate::Added]);
    assert!(fates.removed.is_empty());
    // And becomes one again: the first stays, the second goes.
    let fates = of_servers(&[pool("a", &["a:80"]), pool("b", &["a:80,check-port=9"])], &old);
    assert_eq!((&*fates.wanted, &*fates.removed), (&[Fate::Changed(0)][..], &[1][..]));
}

#[test]
fn listeners_are_known_again_by_their_address() {
    let mut old = state(vec![pool("a", &["a:80"])]);
    old.listeners = vec![listener("one", "http://127.0.0.1:80"), listener("two", "udp://:53")];
    let mut new = old.clone();
    new.listeners[0].name = "renamed".to_owned();
    new.listeners[1].listen = Listen::parse(":53").unwrap();
    let diff = between(&old, &new).listeners;
    assert_eq!(diff.wanted, [Fate::Changed(0), Fate::Added], "TCP is no UDP");
    assert_eq!(diff.removed, [1]);
    // The system chooses the port: then the name has to do.
    old.listeners = vec![listener("one", ":0"), listener("two", ":0")];
    new.listeners = vec![listener("two", ":0"), listener("three", ":0")];
    let diff = between(&old, &new).listeners;
    assert_eq!((diff.wanted, diff.removed), (vec![Fate::Kept(1), Fate::Added], vec![0]));
}

#[test]
fn settings_change_what_has_them_and_nothing_else() {
    let old = state(vec![pool("a", &["a:80"])]);
    let mut new = old.clone();
    new.services[0].settings.via = true;
    new.pools[0].settings.retries = 9;
    let diff = between(&old, &new);
    assert_eq!(diff.services.wanted, [Fate::Changed(0)]);
    assert_eq!(diff.pools.wanted, [Fate::Changed(0)]);
    assert!(all_kept(&diff.listeners) && all_kept(&diff.servers), "{diff:?}");
}

/// One service and one pool of the command line, and one of each for a route.
#[test]
fn flags_are_the_smallest_front_end() {
    let mut config = Config::defaults();
    for listen in ["http://127.0.0.1:80", "sni://127.0.0.1:443", "tcp://127.0.0.1:9"] {
        config.listeners.push(Listen::parse(listen).unwrap());
    }
    config.backends.push(BackendSpec::parse("a:80").unwrap());
    for route in ["www.a.test/api/=b:80", "*.a.test=c:80,a:80", "b.test=refuse"] {
        config.routes.push(crate::config::Route::parse(route).unwrap());
    }
    let desired = config.desired().unwrap();
    let services: Vec<(&str, usize, Option<&str>)> = desired
        .services
        .iter()
        .map(|it| (&*it.name, it.listeners.len(), it.pool.as_deref()))
        .collect();
    let expected = [
        ("www.a.test/api", 1, Some("www.a.test/api")),
        ("*.a.test", 2, Some("*.a.test")),
        ("b.test", 2, None),
        ("main", 3, Some("main")),
    ];
    assert_eq!(services, expected);
    let pools: Vec<&str> = desired.pools.iter().map(|pool| &*pool.name).collect();
    assert_eq!(pools, ["main", "www.a.test/api", "*.a.test"]);
    assert_eq!(ServerList::of(&desired).len(), 3, "a:80 is one server");
}

/// A CA whose file is another is another, though its name is the same.
#[test]
fn the_roots_for_backends_are_read_again() {
    let name = format!("pointsman-roots-{}", std::process::id());
    let file = std::env::temp_dir().join(name);
    let write = || {
        let made = rcgen::generate_simple_self_signed(vec!["ca".to_owned()]).unwrap();
        std::fs::write(&file, made.cert.pem()).unwrap();
    };
    write();
    let mut wanted = state(vec![pool("a", &["https://127.0.0.1:9"])]);
    wanted.pools[0].settings.tls.ca = Some(file.display().to_string());
    let first = Ground::with_nothing(&|_| Vec::new(), |ground| prepare(ground, wanted.clone()))
        .ok()
        .unwrap();
    let again = || {
        let ground = Ground {
            files: &ReadFiles::default(),
            servers: first.wanted(),
            store: &first.store,
            address: &|_| Some(std::net::SocketAddr::from(([127, 0, 0, 1], 1)).into()),
            holds: &|_, _| false,
            handed: &crate::net::HandedSockets::default(),
            known: &|_| Vec::new(),
        };
        prepare(&ground, wanted.clone()).map(|it| {
            let PreparedServer { plan, is_outdated } = &it.servers[0];
            (plan.is_some(), *is_outdated)
        })
    };
    assert_eq!(again(), Ok((false, false)), "the same file");
    write();
    assert_eq!(again(), Ok((true, true)), "another certificate in it");
    std::fs::write(&file, "none").unwrap();
    assert!(again().is_err());
    std::fs::remove_file(file).unwrap();
}

/// Of servers at random: each that runs becomes at most one that is wanted, or goes; who is kept is
/// as it was.
#[test]
fn each_server_becomes_one_or_goes() {
    let mut random = fastrand::Rng::with_seed(14);
    let some = |random: &mut fastrand::Rng| {
        let mut pools = Vec::new();
        for name in ["a", "b", "c"] {
            let mut backends: Vec<Shared<BackendSpec>> = Vec::new();
            for _ in 0..random.usize(..600) {
                let host = random.u16(..400);
                let name = random.choice(["", ",name=x", ",name=y"]).unwrap();
                let more = random.choice(["", ",weight=2", ",max-connections=9"]).unwrap();
                let name =
                    if name.is_empty() { String::new() } else { format!("{name}{host}") };
                let spec = BackendSpec::parse(&format!("h{host}:80{name}{more}")).unwrap();
                if backends.iter().all(|it| it.name != spec.name) {
                    backends.push(Shared::from(spec));
                }
            }
            pools.push(PoolSpec { backends, ..pool(name, &[]) });
        }
        state(pools)
    };
    for _ in 0..30 {
        let old = some(&mut random);
        let new = some(&mut random);
        let fates = between(&old, &new).servers;
        let lists = [&old, &new].map(ServerList::of);
        let mut became: Vec<usize> = fates.wanted.iter().filter_map(|it| it.before()).collect();
        became.extend(&fates.removed);
        became.sort_unstable();
        assert!(became.iter().copied().eq(0..lists[0].len()), "each once: {became:?}");
        let servers = [Servers::new(&old, &lists[0]), Servers::new(&new, &lists[1])];
        for (at, fate) in fates.wanted.iter().enumerate() {
            let wanted = servers[1].at(at);
            let was_there = |it: &ServerWanted<'_>| it.is_like(&wanted);
            match *fate {
                Fate::Kept(before) => assert!(was_there(&servers[0].at(before))),
                _ => assert!(!servers[0].iter().any(|it| was_there(&it)), "{wanted:?}"),
            }
        }
    }
}

#[test]
fn the_certificates_of_a_listener_are_read_one_after_the_other() {
    let mut wanted = state(vec![pool("a", &["127.0.0.1:1"])]);
    let mut public = listener("public", "https://127.0.0.1:0");
    let file = |at: usize| format!("/nowhere/{at}.pem");
    public.settings.tls.certificates =
        (0..50).map(|at| CertificatePair { cert: file(at), key: file(at) }).collect();
    wanted.listeners = vec![public];
    let mut preparing = Preparing::to_run(wanted);
    let mut steps = 0;
    Ground::with_nothing(&|_| Vec::new(), |ground| {
        while preparing.step(ground) {
            steps += 1;
        }
    });
    assert!(steps > 50, "{steps} steps");
    let wrong = preparing.finish().err().unwrap();
    assert!(
        (0..50).all(|at| wrong.iter().any(|it| it.file() == Some(&*file(at)))),
        "{wrong:?}"
    );
}
