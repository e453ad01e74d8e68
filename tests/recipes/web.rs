//! Web sites: TLS, names and paths.

use std::net::SocketAddr;

use crate::authority::curl;
use crate::common::connect;
use crate::common::http::{Message, Origin, Wire, get, post};
use crate::common::servers::missing;
use crate::page::Trial;

/// An answer to curl, which takes the name for one of this machine.
#[derive(Debug)]
pub struct Got {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Got {
    /// The value of a field, or nothing.
    pub fn field(&self, name: &str) -> &str {
        let mut fields = self.head.lines().filter_map(|line| line.split_once(':'));
        let found = fields.find(|(it, _)| it.eq_ignore_ascii_case(name));
        found.map_or("", |(_, value)| value.trim())
    }
}

/// Ask for a place, which is a scheme, a host and a path; the host has this address.
#[track_caller]
pub fn ask(trial: &Trial, at: SocketAddr, place: (&str, &str, &str), more: &[&str]) -> Got {
    let (scheme, host, path) = place;
    let resolve = format!("{host}:{}:127.0.0.1", at.port());
    let url = format!("{scheme}://{host}:{}{path}", at.port());
    let ca = trial.authority.file();
    let args = ["-i", "--cacert", &ca, "--resolve", &resolve, &url];
    let (good, said, wrong) = curl(&[&args[..], more].concat());
    assert!(good, "{url}: {wrong}");
    let (head, body) = said.split_once("\r\n\r\n").expect("a head");
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
    Got { status, head: head.to_owned(), body: body.to_owned() }
}

/// Servers in place of those at these addresses, all of one name.
pub fn servers(trial: &mut Trial, places: &[&str], name: &'static str) -> Vec<Origin> {
    let start = |place: &&str| {
        let origin = Origin::named(name);
        trial.put(place, &origin.backend.address);
        origin
    };
    places.iter().map(start).collect()
}

/// What these were asked for beside probes, those that came last at the end.
fn asked(origins: &[Origin], path: &str) -> Vec<Message> {
    let all = origins.iter().flat_map(Origin::seen);
    all.filter(|message| message.target() == path).collect()
}

pub fn web_site(mut trial: Trial) {
    if missing(&["curl"]) {
        return;
    }
    let http = trial.listen("0.0.0.0:80");
    let https = trial.listen("0.0.0.0:443");
    let file = "/etc/pointsman/www.example.com";
    trial.certificate(&format!("{file}.crt"), &format!("{file}.key"), &["www.example.com"]);
    let origins = servers(&mut trial, &["10.0.0.1:8080", "10.0.0.2:8080"], "site");
    let balancer = trial.start();
    const PLACE: &str = "/news?page=2";
    let redirect = ask(&trial, http, ("http", "www.example.com", PLACE), &[]);
    assert_eq!(redirect.status, 301);
    let port = https.port();
    let target = format!("https://www.example.com:{port}{PLACE}");
    assert_eq!(redirect.field("location"), target, "the port is named, as it is not 443");
    assert!(asked(&origins, PLACE).is_empty(), "no server is asked");
    let page = ask(&trial, https, ("https", "www.example.com", PLACE), &[]);
    assert_eq!((page.status, &*page.body), (200, "site"));
    assert_eq!(page.field("strict-transport-security"), "max-age=31536000");
    let asked = asked(&origins, PLACE);
    let [asked] = &asked[..] else { panic!("{asked:?}") };
    assert_eq!(asked.field("x-forwarded-proto"), "https");
    assert_eq!(asked.field("x-forwarded-for"), "127.0.0.1");
    balancer.stop();
}

pub fn several_sites(mut trial: Trial) {
    if missing(&["curl"]) {
        return;
    }
    let at = trial.listen("0.0.0.0:443");
    for name in ["www.example.com", "shop.example.org"] {
        let file = format!("/etc/pointsman/{name}");
        let wild = format!("*.{name}");
        trial.certificate(&format!("{file}.crt"), &format!("{file}.key"), &[name, &wild]);
    }
    let _www = servers(&mut trial, &["10.0.0.1:8080", "10.0.0.2:8080"], "www");
    let _shop = servers(&mut trial, &["10.0.0.3:8080", "10.0.0.4:8080"], "shop");
    let balancer = trial.start();
    for (name, says) in [
        ("www.example.com", "www"),
        ("shop.example.org", "shop"),
        ("a.shop.example.org", "shop"),
    ] {
        let got = ask(&trial, at, ("https", name, "/"), &[]);
        assert_eq!((got.status, &*got.body), (200, says), "{name}");
    }
    let bare = ask(&trial, at, ("https", "example.com", "/about"), &["-k"]);
    assert_eq!(bare.status, 301);
    assert_eq!(bare.field("location"), "https://www.example.com/about");
    let other = ask(&trial, at, ("https", "other.example.net", "/"), &["-k"]);
    assert_eq!(other.status, 404);
    let verbose = ["-v", "-k", "--resolve"];
    let url = format!("https://other.example.net:{}/", at.port());
    let resolve = format!("other.example.net:{}:127.0.0.1", at.port());
    let (_, _, said) = curl(&[&verbose[..], &[&resolve, &url]].concat());
    assert!(said.contains("CN=www.example.com"), "the first certificate: {said}");
    balancer.stop();
}

pub fn api_by_path(mut trial: Trial) {
    let at = trial.listen("0.0.0.0:80");
    let site = servers(&mut trial, &["10.0.0.1:8080", "10.0.0.2:8080"], "site");
    let api = servers(&mut trial, &["10.0.0.3:9000", "10.0.0.4:9000"], "api");
    let balancer = trial.start();
    let mut wire = Wire::new(connect(at));
    for (path, status, says) in [
        ("/", 200, "site"),
        ("/apiary", 200, "site"),
        ("/api", 200, "api"),
        ("/api/v1/users?limit=10", 200, "api"),
    ] {
        let answer = wire.ask(get(path));
        assert_eq!((answer.status(), &*answer.text()), (status, says), "{path}");
    }
    let asked_api = asked(&api, "/v1/users?limit=10");
    let [asked_once] = &asked_api[..] else { panic!("{asked_api:?}") };
    assert_eq!(asked_once.field("x-api-prefix"), "/api");
    assert_eq!(wire.ask(get("/api/internal/keys")).status(), 403);
    let secret = |origins: &[Origin]| {
        origins.iter().flat_map(Origin::seen).any(|it| it.target().contains("internal"))
    };
    assert!(!secret(&api) && !secret(&site), "no server is asked");
    let large = vec![b'x'; (1 << 20) + 1];
    assert_eq!(Wire::new(connect(at)).ask(post("/upload", &large)).status(), 200);
    let asks = Wire::new(connect(at));
    // The refusal may come before all of the body was sent.
    asks.try_say(&post("/api/upload", &large)[..1000]);
    assert_eq!({ asks }.answer().status(), 413);
    balancer.stop();
}
