//! What survives a restart: what was told, the counters, who was down.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::common::{Backend, Balancer, free_port, until, with_deadline};

/// A directory with a configuration and a state.
struct Place {
    directory: PathBuf,
    admin: SocketAddr,
}

impl Place {
    fn new(name: &str) -> Place {
        let process = std::process::id();
        let directory = std::env::temp_dir().join(format!("pointsman-{name}-{process}"));
        let _ = fs::remove_dir_all(&directory);
        fs::create_dir(&directory).unwrap();
        Place { directory, admin: free_port() }
    }

    fn state(&self) -> PathBuf {
        self.directory.join("state")
    }

    fn configure(&self, backends: &str, more: &str) {
        let state = self.state();
        let text = format!(
            "[global]\nstate_file = {state:?}\n[admin]\nlisten = [\"http://{}\"]\n\
             [service.web]\nlisten = [\"http://127.0.0.1:0\"]\npool = \"web\"\n\
             [pool.web]\nbackends = [{backends}]\n{more}",
            self.admin
        );
        fs::write(self.directory.join("web.toml"), text).unwrap();
    }

    fn start(&self) -> Balancer {
        let file = self.directory.join("web.toml");
        Balancer::start(&["--config", file.to_str().unwrap()])
    }

    fn ask(&self, method: &str, target: &str, body: &str) -> String {
        let mut stream = with_deadline(TcpStream::connect(self.admin).unwrap());
        let length = body.len();
        let slash = if target.is_empty() { "" } else { "/" };
        let head = format!(
            "{method} /api/v1{slash}{target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
             Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 2"), "{method} {target}: {answer}");
        answer
    }

    fn wait_for_saved(&self, text: &str) {
        until(text, || fs::read_to_string(self.state()).is_ok_and(|it| it.contains(text)));
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.directory);
    }
}

#[test]
fn bans_survive_a_restart_until_they_end() {
    let place = Place::new("state-bans");
    place.configure("\"127.0.0.1:1,name=a\"", "");
    let balancer = place.start();
    place.ask("PUT", "bans/192.0.2.0%2F24", "{\"for\":\"1h\",\"why\":\"it \\\"scans\\\"\"}");
    let told = Instant::now();
    place.ask("PUT", "bans/127.0.0.3", "{\"for\":\"1s\"}");
    let before = place.ask("GET", "bans/192.0.2.0%2F24", "");
    place.wait_for_saved("192.0.2.0/24");
    balancer.stop();
    until("the shorter one is over", || told.elapsed() > Duration::from_secs(1));
    let balancer = place.start();
    balancer.wait_for_log("bans made before the restart hold: 1");
    let after = place.ask("GET", "bans/192.0.2.0%2F24", "");
    let until = |answer: &str| answer.split("\"until\":").nth(1).map(|it| it[..22].to_owned());
    assert_eq!(until(&after), until(&before));
    assert!(after.contains("it \\\"scans\\\""), "{after}");
    let all = place.ask("GET", "bans", "");
    assert!(!all.contains("127.0.0.3"), "{all}");
    balancer.stop();
}

#[test]
fn what_was_told_survives_a_restart_and_a_changed_configuration_wins() {
    let place = Place::new("state-told");
    place.configure("\"127.0.0.1:1,name=a,weight=10\", \"127.0.0.1:2,name=b\"", "");
    let balancer = place.start();
    place.ask("PATCH", "pools/web/backends/a", "{\"weight\":5}");
    place.ask("PUT", "pools/web/backends/c", "{\"address\":\"127.0.0.1:3\"}");
    place.ask("DELETE", "pools/web/backends/b", "");
    balancer.stop();

    let balancer = place.start();
    let told = place.ask("GET", "overrides", "");
    for name in ["\"a\"", "\"b\"", "\"c\""] {
        assert!(told.contains(name), "{told}");
    }
    assert!(place.ask("GET", "pools/web/backends/a", "").contains("\"override\":5"));
    balancer.stop();

    place.configure("\"127.0.0.1:1,name=a,weight=20\", \"127.0.0.1:2,name=b\"", "");
    let balancer = place.start();
    balancer.wait_for_log("weight is 20 in the configuration now, and was 10");
    assert!(place.ask("GET", "pools/web/backends/a", "").contains("\"configured\":20"));
    place.ask("GET", "pools/web/backends/c", "");
    balancer.stop();
}

/// A state file in which this stands for that.
fn edited(file: &str, old: &str, new: &str) -> String {
    let mut lines = file.lines();
    let head = lines.next().expect("a head");
    let body = lines.next().expect("a body").replace(old, new);
    let (format, _) = head.rsplit_once(' ').expect("a length");
    let sum = crc32c::crc32c(body.as_bytes());
    format!("{format} {}\n{body}\ncrc32c {sum:08x}\n", body.len())
}

#[test]
fn a_told_backend_whose_name_is_gone_does_not_keep_it_from_starting() {
    let place = Place::new("state-gone");
    place.configure("\"127.0.0.1:1,name=a\"", "");
    let balancer = place.start();
    place.ask("PUT", "pools/web/backends/b", "{\"address\":\"localhost:3\"}");
    place.ask("PUT", "pools/web/backends/c", "{\"address\":\"127.0.0.1:4\"}");
    place.ask("PATCH", "pools/web/backends/a", "{\"address\":\"localhost:5\"}");
    balancer.stop();
    let text = fs::read_to_string(place.state()).unwrap();
    assert!(text.contains("localhost"), "{text}");
    fs::write(place.state(), edited(&text, "localhost", "gone.invalid")).unwrap();
    let balancer = place.start();
    balancer.wait_for_log("name gone.invalid:3: ");
    let list = || place.ask("GET", "pools/web/backends?fields=name,address,state", "");
    let now = list();
    assert!(now.contains("127.0.0.1:4") && now.contains("gone.invalid:3"), "{now}");
    // The line comes with the answer, and a probe is what tells that nobody is there.
    until("it is down", || list().contains("\"down\""));
    balancer.stop();
}

#[test]
fn a_kill_loses_no_counter_that_was_saved_and_keeps_it_drained() {
    let place = Place::new("state-counters");
    let origin = Backend::named("a");
    place.configure(&format!("\"{},name=a\"", origin.flag()), "");
    let mut balancer = place.start();
    for _ in 0..3 {
        drop(balancer.connect());
    }
    place.ask("POST", "drain", "");
    place.wait_for_saved("\"drained\":true");
    let saved = number(&fs::read_to_string(place.state()).unwrap());
    assert!(saved >= 3, "{saved}");
    balancer.signal(Signal::KILL);
    balancer.wait();

    let balancer = place.start();
    assert!(place.ask("GET", "", "").contains("drained"));
    balancer.stop();
    assert!(number(&fs::read_to_string(place.state()).unwrap()) >= saved);
}

fn number(state: &str) -> u64 {
    let (_, rest) = state.split_once("\"connections_total\":").unwrap();
    rest.split(|it: char| !it.is_ascii_digit()).next().unwrap().parse().unwrap()
}

#[test]
fn who_was_down_starts_down_and_comes_back_by_its_probes() {
    let place = Place::new("state-health");
    let down = free_port();
    let check = "check = { kind = \"tcp\", interval = \"100ms\", rise = 1, fall = 1 }\n";
    place.configure(&format!("\"{down},name=a\""), check);
    let balancer = place.start();
    balancer.wait_for_log("backend a is down");
    balancer.stop();
    assert!(fs::read_to_string(place.state()).unwrap().contains("\"state\":\"down\""));

    let _here = Backend::start_at(down, drop);
    let balancer = place.start();
    balancer.wait_for_log("it was down before the restart");
    balancer.wait_for_log("backend a is up");
    balancer.stop();
}

#[test]
fn a_state_that_is_torn_is_set_aside_and_nothing_stops_the_start() {
    let place = Place::new("state-torn");
    place.configure("\"127.0.0.1:1,name=a\"", "");
    fs::write(place.state(), "pointsman-state 1 99\n{").unwrap();
    let balancer = place.start();
    balancer.wait_for_log("it is set aside as");
    balancer.stop();
    assert!(fs::read_to_string(place.state()).unwrap().starts_with("pointsman-state 1 "));
}

#[test]
fn what_is_saved_as_toml_makes_the_overlay_vanish_without_a_note() {
    let place = Place::new("state-toml");
    place.configure("\"127.0.0.1:1,name=a,weight=10\", \"127.0.0.1:2,name=b\"", "");
    let balancer = place.start();
    place.ask("PATCH", "pools/web/backends/a", "{\"weight\":5}");
    place.ask("PUT", "pools/web/backends/c", "{\"address\":\"127.0.0.1:3\",\"weight\":2}");
    place.ask("DELETE", "pools/web/backends/b", "");
    let answer = place.ask("GET", "overrides?format=toml", "");
    let (_, text) = answer.split_once("\r\n\r\n").unwrap();
    let list = text.strip_prefix("[pool.web]\nbackends = [").unwrap();
    place.configure(list.trim_end().strip_suffix(']').unwrap(), "");
    balancer.signal(Signal::HUP);
    until("nothing differs", || place.ask("GET", "overrides", "").contains("\"items\":[]"));
    assert!(!balancer.log_so_far().contains("dropped"));
    assert!(place.ask("GET", "pools/web/backends/a", "").contains("\"configured\":5"));
    balancer.stop();
}
