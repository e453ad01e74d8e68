//! Routes as people write them, `NAME[/PATH]=BACKEND[,OPTION]...[,BACKEND...]`, and what follows
//! from them for who is a backend and who sits in which pool.
//!
//! A backend is known by its name, wherever it is mentioned: at `--backend`, in one route or in
//! several, it is one backend. Its options stand at one of its mentions, or are the same at each.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::fmt;

use super::complaint::{Phrase, Wrong};
use super::host::{is_host, want_of_host};
use super::key::SettingKey;
use super::text::quoted;
use super::{BackendSpec, Config, MAIN, Match, Protocol};
use crate::limits;

const ROUTE_WANT: &str =
    "NAME[/PATH]=BACKEND[,BACKEND]... such as www.example.com=10.0.0.1:443";
const NAME_WANT: &str = "a host name, *.DOMAIN or * before the =";
const PATH_WANT: &str =
    "a path without a query behind the name, such as api.example.com/v1=...";

/// Instead of backends: nobody serves this name.
const REFUSE: &str = "refuse";

/// Where clients go that ask for a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Which names.
    pub name: RouteName,
    /// What the paths of its requests begin with, at a slash; `None`: any.
    pub path: Option<String>,
    /// Where to.
    pub to: Destination,
}

/// The names that a route is for, in lower case and without a dot at their end.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum RouteName {
    /// This one.
    Exact(String),
    /// All below this one, however deep.
    Below(String),
    /// All that no other route is for, and whoever says no name.
    Others,
}

/// Where a route leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// Nowhere: the client is told that nobody has that name.
    Refused,
    /// To one of these, at least one.
    Backends(Vec<BackendSpec>),
}

/// Who there is, and who sits where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoutePlan {
    /// Everybody, each once; those that belong to no route first.
    pub backends: Vec<BackendSpec>,
    /// The pools by name, their members as places in that list. The first is that of the backends
    /// that belong to no route.
    pub pools: Vec<(String, Vec<usize>)>,
    /// Names, and the places of their pools; `None` is refused.
    pub routes: Vec<(RouteName, Option<usize>)>,
}

impl Route {
    /// `NAME[/PATH]=BACKEND[,OPTION]...[,BACKEND...]` or `NAME=refuse`. What stands between two
    /// commas is an option of the backend before it if it is `backup` or has a `=`.
    pub fn parse(text: &str) -> Result<Route, Wrong> {
        let wrong = || Wrong::found(text, ROUTE_WANT);
        let (front, backends) = text.split_once('=').ok_or_else(wrong)?;
        let (name, path) = match front.find('/') {
            Some(at) => (&front[..at], Some(&front[at..])),
            None => (front, None),
        };
        let unless = || Wrong::found(text, RouteName::want(name, NAME_WANT));
        let name = RouteName::parse(name).ok_or_else(unless)?;
        let path =
            path.map(|path| Match::parse_path(path).map_err(|_| Wrong::found(text, PATH_WANT)));
        let path = path.transpose()?.flatten();
        let to = match backends {
            "" => return Err(wrong()),
            REFUSE => Destination::Refused,
            _ => Destination::Backends(parse_backends(backends)?),
        };
        Ok(Route { name, path, to })
    }
}

impl RouteName {
    /// What is wanted instead of this, which is none of them.
    pub(crate) fn want(text: &str, want: &str) -> String {
        want_of_host(want, text.strip_prefix("*.").unwrap_or(text))
    }

    /// A host name, `*.DOMAIN` or `*`; `None` if it is none of them.
    pub(crate) fn parse(text: &str) -> Option<RouteName> {
        let tidy = |name: &str| {
            let name = name.strip_suffix('.').unwrap_or(name);
            // An address is no name: who connects to one says none.
            let good = is_host(name) && name.parse::<std::net::Ipv4Addr>().is_err();
            good.then(|| name.to_ascii_lowercase())
        };
        match text.strip_prefix("*.") {
            _ if text == "*" => Some(RouteName::Others),
            Some(domain) => tidy(domain).map(RouteName::Below),
            None => tidy(text).map(RouteName::Exact),
        }
    }
}

impl fmt::Display for RouteName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RouteName::Exact(name) => f.write_str(name),
            RouteName::Below(name) => write!(f, "*.{name}"),
            RouteName::Others => f.write_str("*"),
        }
    }
}

fn parse_backends(text: &str) -> Result<Vec<BackendSpec>, Wrong> {
    let is_option = |part: &str| part == "backup" || part.contains('=');
    let mut specs: Vec<String> = Vec::new();
    for part in text.split(',') {
        match specs.last_mut().filter(|_| is_option(part)) {
            Some(spec) => *spec = format!("{spec},{part}"),
            None => specs.push(part.to_owned()),
        }
    }
    let all: Result<Vec<_>, Wrong> =
        specs.iter().map(|spec| BackendSpec::parse_all(spec)).collect();
    Ok(all?.concat())
}

/// Routes are for listeners that hear a name.
pub fn check_route_listener(config: &Config) -> Result<(), Wrong> {
    let protocols = || config.listeners.iter().map(|listen| listen.protocol);
    if config.routes.is_empty() {
        return Ok(());
    }
    if !protocols().any(Protocol::hears_names) {
        let want = Phrase::such_as(SettingKey::LISTEN, "sni://0.0.0.0:443").text(" with it");
        return Err(Wrong::saying("no sni://, tls://, http:// or https:// listener", want));
    }
    let has_path = config.routes.iter().find(|route| route.path.is_some());
    match has_path {
        Some(route) if !protocols().any(Protocol::is_http) => {
            let want =
                Phrase::such_as(SettingKey::LISTEN, "http://0.0.0.0:80").text(" with it");
            let found = format!("the path of {} without", quoted(&route.title()));
            Err(Wrong::saying(format!("{found} an http:// listener"), want))
        }
        _ => Ok(()),
    }
}

impl Route {
    /// What complaints call it: its name and its path.
    pub fn title(&self) -> String {
        format!("{}{}", self.name, self.path.as_deref().unwrap_or_default())
    }

    /// What its service and its pool are called: its title, unless [`MAIN`] has that name.
    pub fn service_name(&self) -> String {
        let title = self.title();
        if title == MAIN { format!("{MAIN}#route") } else { title }
    }
}

/// Each route is for other names, and backends are the same wherever they are mentioned.
pub fn check_routes(config: &Config) -> Result<(), Wrong> {
    if config.routes.len() > limits::ROUTES_MAX {
        let want = format!("at most {}", limits::ROUTES_MAX);
        return Err(Wrong::saying(format!("{} routes", config.routes.len()), want));
    }
    let mut seen = HashSet::new();
    for route in &config.routes {
        if !seen.insert((&route.name, &route.path)) {
            let found = format!("{} twice", quoted(&route.title()));
            return Err(Wrong::saying(found, "each name once, with all its backends"));
        }
    }
    plan(config).map(|_| ())
}

/// Who is a backend, and who sits in which pool.
pub fn plan(config: &Config) -> Result<RoutePlan, Wrong> {
    let mut plan = RoutePlan { backends: Vec::new(), pools: Vec::new(), routes: Vec::new() };
    let mut places = HashMap::new();
    plan.add_pool(MAIN.to_owned(), &config.backends, &mut places)?;
    for route in &config.routes {
        let pool = match &route.to {
            Destination::Refused => None,
            Destination::Backends(specs) => {
                Some(plan.add_pool(route.service_name(), specs, &mut places)?)
            }
        };
        plan.routes.push((route.name.clone(), pool));
    }
    let count = plan.backends.len();
    if count > limits::BACKENDS_MAX {
        let want = format!("at most {}", limits::BACKENDS_MAX);
        return Err(Wrong::saying(format!("{count} backends"), want));
    }
    Ok(plan)
}

impl RoutePlan {
    fn add_pool(
        &mut self,
        name: String,
        specs: &[BackendSpec],
        places: &mut HashMap<String, usize>,
    ) -> Result<usize, Wrong> {
        let mut members = Vec::new();
        let mut seen = HashSet::new();
        for spec in specs {
            let place = self.place_of(spec, places)?;
            if !seen.insert(place) {
                let found = format!("the backend {} twice at {name}", quoted(&spec.name));
                return Err(Wrong::saying(found, "it once"));
            }
            members.push(place);
        }
        self.pools.push((name, members));
        Ok(self.pools.len() - 1)
    }

    /// The place of a backend that may have been mentioned before.
    fn place_of(
        &mut self,
        spec: &BackendSpec,
        places: &mut HashMap<String, usize>,
    ) -> Result<usize, Wrong> {
        let place = match places.entry(spec.name.clone()) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(new) => {
                self.backends.push(spec.clone());
                return Ok(*new.insert(self.backends.len() - 1));
            }
        };
        let known = &mut self.backends[place];
        if known.at != spec.at {
            let found = format!("the name {} at two addresses", quoted(&spec.name));
            return Err(Wrong::saying(found, "names that differ, set by ,name=NAME"));
        }
        match (known.is_bare(), spec.is_bare()) {
            (true, _) => *known = spec.clone(),
            (false, true) => {}
            (false, false) if known == spec => {}
            (false, false) => {
                let found = format!("the backend {} with other options", quoted(&spec.name));
                let want = "its options once, or the same wherever it stands";
                return Err(Wrong::saying(found, want));
            }
        }
        Ok(place)
    }
}

impl BackendSpec {
    /// Whether it says no more than who it is.
    fn is_bare(&self) -> bool {
        self.weight == limits::WEIGHT_DEFAULT
            && self.max_connections.is_none()
            && !self.backup
            && self.tls.is_none()
            && self.check_port.is_none()
            && self.proxy.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Listen, Match};

    fn config(backends: &[&str], routes: &[&str]) -> Config {
        let mut config = Config::defaults();
        config.listeners.push(Listen::parse("sni://*:443").unwrap());
        config.backends = backends.iter().map(|b| BackendSpec::parse(b).unwrap()).collect();
        config.routes = routes.iter().map(|route| Route::parse(route).unwrap()).collect();
        config
    }

    #[test]
    fn names_are_exact_or_below_or_all() {
        let exact = |name: &str| RouteName::Exact(name.to_owned());
        let below = |name: &str| RouteName::Below(name.to_owned());
        let table = [
            ("www.example.com", exact("www.example.com")),
            ("WWW.Example.com.", exact("www.example.com")),
            ("localhost", exact("localhost")),
            ("*.example.com", below("example.com")),
            ("*.COM", below("com")),
            ("*.a_b.com", below("a_b.com")),
            ("*", RouteName::Others),
        ];
        for (text, name) in table {
            assert_eq!(Route::parse(&format!("{text}=refuse")).unwrap().name, name, "{text}");
            assert_eq!(RouteName::parse(&name.to_string()), Some(name));
        }
        for text in [
            "",
            ".",
            "*.",
            "**",
            "*a.com",
            "a.*.com",
            "www.*",
            "*.*.com",
            "-a",
            "a b",
            "a..b",
            "10.0.0.1",
            "::1",
            "[::1]",
            "*.0.0.1",
            "b\u{fc}cher.de",
            "a:443",
        ] {
            let wrong = Route::parse(&format!("{text}=a:1")).unwrap_err().to_string();
            assert!(wrong.contains(&format!("want {NAME_WANT}")), "{text}: {wrong}");
        }
    }

    #[test]
    fn backends_have_their_options_behind_them() {
        let route = Route::parse("a.example=b1:443,weight=3,backup,[::1]:443,b2:1,name=x");
        let names = |specs: &[BackendSpec]| -> Vec<(String, u32, bool)> {
            specs.iter().map(|b| (b.name.clone(), b.weight, b.backup)).collect()
        };
        let Ok(Route { to: Destination::Backends(specs), .. }) = route else {
            panic!("{route:?}")
        };
        let wanted = [("b1:443", 3, true), ("[::1]:443", 1, false), ("x", 1, false)];
        let wanted = wanted.map(|(name, weight, backup)| (name.to_owned(), weight, backup));
        assert_eq!(names(&specs), wanted);
        let refused = Route::parse("a.example=refuse").map(|route| route.to);
        assert_eq!(refused, Ok(Destination::Refused));
    }

    #[test]
    fn routes_refuse_the_rest_in_words() {
        let table = [
            ("", ROUTE_WANT),
            ("a.example", ROUTE_WANT),
            ("a.example=", ROUTE_WANT),
            ("=b:1", NAME_WANT),
            ("a.example=b", "HOST:PORT such as"),
            ("a.example=b:0", "a port from 1 to 65535"),
            ("a.example=b:1,", "HOST:PORT such as"),
            ("a.example=backup", "HOST:PORT such as"),
            ("a.example=b:1,weight=x", "weight=N"),
            ("a.example=b:1,refuse", "HOST:PORT such as"),
            ("a.example=sni://b:1", "'sni' is not"),
        ];
        for (text, want) in table {
            let wrong = Route::parse(text).unwrap_err().to_string();
            assert!(wrong.contains(want), "{text}: {wrong}");
        }
    }

    #[test]
    fn a_backend_is_one_wherever_it_is_mentioned() {
        let config = config(
            &["a:1", "b:1,weight=2"],
            &["x.example=b:1,c:1", "*.y.example=refuse", "z.example=c:1,backup,a:1"],
        );
        let plan = plan(&config).unwrap();
        let names: Vec<&str> = plan.backends.iter().map(|b| b.name.as_str()).collect();
        assert_eq!(names, ["a:1", "b:1", "c:1"]);
        assert!(plan.backends[2].backup && plan.backends[1].weight == 2);
        let pools: Vec<(&str, &[usize])> =
            plan.pools.iter().map(|(name, members)| (&**name, &**members)).collect();
        let wanted: [(&str, &[usize]); 3] =
            [("main", &[0, 1]), ("x.example", &[1, 2]), ("z.example", &[2, 0])];
        assert_eq!(pools, wanted);
        let leads: Vec<Option<usize>> = plan.routes.iter().map(|(_, to)| *to).collect();
        assert_eq!(leads, [Some(1), None, Some(2)]);
    }

    #[test]
    fn the_others_have_a_route_or_the_backends_of_none_or_nobody() {
        let others = |backends, routes| {
            let desired = config(backends, routes).desired().unwrap();
            let is_all = |it: &Match| it.host == RouteName::Others;
            let mut services = desired.services.into_iter();
            services.find(|it| it.all_matches().any(|it| is_all(&it))).and_then(|it| it.pool)
        };
        assert_eq!(others(&["a:1"], &["x.example=b:1"]).as_deref(), Some("main"));
        assert_eq!(others(&["a:1"], &["*=b:1"]).as_deref(), Some("*"));
        assert_eq!(others(&["a:1"], &["*=refuse"]), None);
        assert_eq!(others(&[], &["x.example=b:1"]), None);
        assert_eq!(others(&[], &["*=b:1"]).as_deref(), Some("*"));
    }

    #[test]
    fn a_route_for_main_is_not_mixed_up_with_the_rest() {
        let desired = config(&["a:1"], &["main=b:1"]).desired().unwrap();
        let names: Vec<&str> = desired.services.iter().map(|it| &*it.name).collect();
        let pools: Vec<&str> = desired.pools.iter().map(|it| &*it.name).collect();
        assert_eq!((names, pools), (vec!["main#route", "main"], vec!["main", "main#route"]));
    }

    #[test]
    fn what_does_not_go_together_is_said() {
        let table: [(&[&str], &[&str], &str); 6] = [
            (&[], &["a.example=b:1", "A.example.=c:1"], "'a.example' twice, want each name"),
            (&[], &["a.example=b:1,b:1"], "the backend 'b:1' twice at a.example, want it once"),
            (&["b:1,weight=2"], &["*=b:1,weight=3"], "the backend 'b:1' with other options"),
            (&["b:1,name=x"], &["*=b:2,name=x"], "the name 'x' at two addresses"),
            (&["b:1"], &["*=b:1,weight=3", "x.example=b:1,backup"], "with other options"),
            (&["b:1,check-port=2"], &["*=b:1,check-port=3"], "with other options"),
        ];
        for (backends, routes, says) in table {
            let wrong = check_routes(&config(backends, routes)).unwrap_err().to_string();
            assert!(wrong.contains(says), "{wrong}");
        }
        let mut config = config(&[], &["*=b:1"]);
        assert_eq!((check_routes(&config), check_route_listener(&config)), (Ok(()), Ok(())));
        config.listeners = vec![Listen::parse("*:443").unwrap()];
        let wrong = check_route_listener(&config).unwrap_err().to_string();
        assert!(wrong.starts_with("found no sni://, tls://, http:// or https://"), "{wrong}");
        config.routes = vec![Route::parse("a.test/b=b:1").unwrap()];
        for (listen, is_good) in
            [("sni://*:1", false), ("tls://*:1", false), ("http://*:1", true)]
        {
            config.listeners = vec![Listen::parse(listen).unwrap()];
            assert_eq!(check_route_listener(&config).is_ok(), is_good, "{listen}");
        }
    }

    #[test]
    fn a_path_ends_at_a_slash_or_is_none() {
        let table = [
            ("a/b=a:1", Some("/b")),
            ("a/b/=a:1", Some("/b")),
            ("a/=a:1", None),
            ("*/b/c=a:1", Some("/b/c")),
        ];
        for (text, path) in table {
            assert_eq!(Route::parse(text).unwrap().path.as_deref(), path, "{text}");
        }
        for text in ["a//b=a:1", "a/b?c=a:1", "a/b c=a:1"] {
            let wrong = Route::parse(text).unwrap_err().to_string();
            assert!(wrong.ends_with(PATH_WANT), "{wrong}");
        }
    }
}
