//! Names of backends, at a server of ours that says what a test wants.

mod files;
mod restarted;
mod silent;
mod told;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::common::admin::Admin;
use crate::common::dns::{Dns, Says, Srv};
use crate::common::{Backend, Balancer, connect, free_port, read_to_end, until};

/// Says its address of loopback to whoever connects, at all of them.
struct Everywhere {
    port: u16,
}

impl Everywhere {
    fn start() -> Everywhere {
        let listener = TcpListener::bind("0.0.0.0:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                thread::spawn(move || {
                    let own = stream.local_addr().unwrap().ip().to_string();
                    let mut buffer = [0; 1024];
                    while let Ok(1..) = stream.read(&mut buffer) {
                        let length = own.len();
                        let head =
                            format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
                        if stream.write_all(format!("{head}{own}").as_bytes()).is_err() {
                            return;
                        }
                    }
                });
            }
        });
        Everywhere { port }
    }

    fn behind(&self, dns: &Dns, more: &[&str]) -> Admin {
        let backend = format!("dns://api.test:{}", self.port);
        start(dns, &[&["-b", &*backend][..], more].concat())
    }
}

fn start(dns: &Dns, more: &[&str]) -> Admin {
    let resolver = dns.flag();
    let fixed = ["-l", "http://127.0.0.1:0", "--resolver", &*resolver, "--check", "none"];
    Admin::start(&[&fixed[..], more].concat())
}

/// Which address answers.
fn ask(stream: &mut TcpStream) -> String {
    stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    let mut buffer = [0; 1024];
    let count = stream.read(&mut buffer).unwrap();
    let text = String::from_utf8_lossy(&buffer[..count]).into_owned();
    assert!(text.starts_with("HTTP/1.1 200"), "{text}");
    text.rsplit_once("\r\n\r\n").unwrap().1.to_owned()
}

/// Who answers, of several who are asked anew.
fn answering(admin: &Admin, times: usize) -> Vec<String> {
    let one = |_| ask(&mut connect(admin.balancer.address()));
    let mut all: Vec<String> = (0..times).map(one).collect();
    all.sort_unstable();
    all.dedup();
    all
}

fn backends(admin: &Admin) -> Vec<Value> {
    let list = admin.api.get("/api/v1/pools/main/backends?limit=1000");
    list["items"].as_array().unwrap_or_else(|| panic!("{list}")).clone()
}

fn names(admin: &Admin) -> Vec<String> {
    backends(admin).iter().map(|it| it["name"].as_str().unwrap().to_owned()).collect()
}

fn counter(admin: &Admin, name: &str) -> u64 {
    let reply = admin.api.ask("GET", "/metrics", None);
    let text = String::from_utf8(reply.body).unwrap();
    let line = text.lines().find(|it| it.starts_with(&format!("{name} ")));
    line.unwrap_or_else(|| panic!("no {name}")).rsplit_once(' ').unwrap().1.parse().unwrap()
}

#[test]
fn members_come_and_go_and_those_that_stay_keep_their_connections() {
    let dns = Dns::start();
    let origin = Everywhere::start();
    dns.set_addresses("api.test", &["127.0.0.1", "127.0.0.2"]);
    let admin = origin.behind(&dns, &["-a", "rr"]);
    assert_eq!(answering(&admin, 4), ["127.0.0.1", "127.0.0.2"]);
    let port = origin.port;
    let member = |ip: &str| format!("api.test:{port}/{ip}:{port}");
    assert_eq!(names(&admin), [member("127.0.0.1"), member("127.0.0.2")]);

    // Those of a client that goes on asking all the while.
    let is_over = Arc::new(AtomicBool::new(false));
    let asked = Arc::new(AtomicUsize::new(0));
    let address = admin.balancer.address();
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let is_over = Arc::clone(&is_over);
            let asked = Arc::clone(&asked);
            thread::spawn(move || {
                let mut stream = connect(address);
                while !is_over.load(Ordering::SeqCst) {
                    ask(&mut stream);
                    asked.fetch_add(1, Ordering::SeqCst);
                }
            })
        })
        .collect();
    dns.set_addresses("api.test", &["127.0.0.2", "127.0.0.3", "127.0.0.4"]);
    until("the members are others", || names(&admin).len() == 3);
    assert_eq!(names(&admin), ["127.0.0.2", "127.0.0.3", "127.0.0.4"].map(&member));
    until("all of them answer", || answering(&admin, 6).len() == 3);
    let before = asked.load(Ordering::SeqCst);
    until("clients go on", || asked.load(Ordering::SeqCst) > before + 100);
    is_over.store(true, Ordering::SeqCst);
    clients.into_iter().for_each(|it| it.join().expect("no request failed"));
    admin.balancer.wait_for_log("127.0.0.3:");
    admin.balancer.wait_for_log("3 members");
}

#[test]
fn services_bring_ports_weights_and_backups() {
    let dns = Dns::start();
    let srv = |priority, weight, port, target: &str, address: Option<&str>| Srv {
        priority,
        weight,
        port,
        target: target.to_owned(),
        address: address.map(|it| it.parse().unwrap()),
    };
    let light = Backend::start(serve("light"));
    let heavy = Backend::start(serve("heavy"));
    let backup = Backend::start(serve("backup"));
    let services = vec![
        srv(1, 10, light.address.port(), "one.test", Some("127.0.0.1")),
        srv(1, 30, heavy.address.port(), "two.test", None),
        srv(2, 0, backup.address.port(), "one.test", Some("127.0.0.1")),
    ];
    dns.set("_http._tcp.web.test", Says::ByTcp(Box::new(Says::Services(services, 1))));
    dns.set_addresses("two.test", &["127.0.0.1"]);
    let admin = start(&dns, &["-b", "srv://_http._tcp.web.test,name=web,weight=2", "-a", "rr"]);
    until("the name is known", || backends(&admin).len() == 3);
    let rows = backends(&admin);
    let facts =
        |it: &Value| (it["weight"]["configured"].as_u64().unwrap(), it["backup"] == true);
    let mut rows: Vec<_> = rows.iter().map(facts).collect();
    rows.sort_unstable();
    assert_eq!(rows, [(2, true), (20, false), (60, false)]);
    let mut answers = [0; 2];
    for _ in 0..40 {
        match &*ask(&mut connect(admin.balancer.address())) {
            "light" => answers[0] += 1,
            "heavy" => answers[1] += 1,
            other => panic!("{other}"),
        }
    }
    assert_eq!(answers, [10, 30]);
    assert!(dns.asked_by_tcp() > 0, "what is cut is asked for by TCP");
}

fn serve(name: &'static str) -> impl Fn(TcpStream) + Send + Sync {
    move |mut stream| {
        let mut buffer = [0; 1024];
        while let Ok(1..) = stream.read(&mut buffer) {
            let length = name.len();
            let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{name}");
            if stream.write_all(answer.as_bytes()).is_err() {
                return;
            }
        }
    }
}

#[test]
fn no_answer_takes_a_member_away() {
    let dns = Dns::start();
    let origin = Everywhere::start();
    dns.set_addresses("api.test", &["127.0.0.1", "127.0.0.2"]);
    let admin = origin.behind(&dns, &["-a", "rr"]);
    let all = ["127.0.0.1", "127.0.0.2"];
    assert_eq!(answering(&admin, 4), all);
    let bad = [Says::Nothing, Says::NoSuchName, Says::Failure, Says::Garbage];
    for says in bad {
        let before = counter(&admin, "pointsman_dns_lookups_failed_total");
        dns.set("api.test", says.clone());
        until("a look-up fails", || {
            counter(&admin, "pointsman_dns_lookups_failed_total") > before
        });
        assert_eq!(answering(&admin, 4), all, "{says:?}");
        dns.set_addresses("api.test", &all);
        admin.balancer.wait_for_log("it is found again, 2 members");
    }
    admin.balancer.wait_for_log("the 2 members of");
    dns.set("api.test", Says::Silence);
    thread::sleep(Duration::from_millis(10));
    assert_eq!(answering(&admin, 4), all);
}

#[test]
fn lies_are_not_believed_and_counted() {
    let dns = Dns::start();
    let origin = Everywhere::start();
    let lies = vec!["127.0.0.66".parse().unwrap()];
    let truth = Says::Addresses(vec!["127.0.0.1".parse().unwrap()], 1);
    dns.set("api.test", Says::LiesFirst(lies, Box::new(truth)));
    let admin = origin.behind(&dns, &[]);
    assert_eq!(answering(&admin, 4), ["127.0.0.1"]);
    until("lies are counted", || counter(&admin, "pointsman_dns_strangers_total") >= 8);
    assert_eq!(names(&admin).len(), 1);
}

/// What leads to us would come in again and again.
#[test]
fn an_answer_that_leads_to_ourselves_is_left_out() {
    let dns = Dns::start();
    let listen = free_port();
    dns.set_addresses("api.test", &["127.0.0.1"]);
    dns.set_addresses("host.test", &["127.0.0.1"]);
    let resolver = dns.flag();
    let port = listen.port();
    let set = format!("dns://api.test:{port}");
    let host = format!("host.test:{port}");
    let origin = Backend::start(serve("good"));
    let good = origin.flag();
    let at = format!("http://{listen}");
    let args = ["-l", &*at, "-b", &*set, "-b", &*host, "-b", &*good, "--resolver", &*resolver];
    let admin = Admin::start(&args);
    admin.balancer.wait_for_log("127.0.0.1:");
    admin.balancer.wait_for_log("is not used: a listener of ours is there");
    admin.balancer.wait_for_log("its name leads to listeners of ours");
    for _ in 0..6 {
        assert_eq!(ask(&mut connect(listen)), "good");
    }
}

/// A set that flaps has the same notes at each change.
#[test]
fn what_is_left_out_again_and_again_has_some_lines() {
    let began = Instant::now();
    let dns = Dns::start();
    let origin = Everywhere::start();
    let listen = free_port();
    let port = listen.port();
    dns.set_addresses("own.test", &["127.0.0.1"]);
    dns.set_addresses("api.test", &["127.0.0.1"]);
    let at = format!("http://{listen}");
    let set = format!("dns://own.test:{port}");
    let admin = origin.behind(&dns, &["-l", &at, "-b", &set, "--log-level", "info"]);
    for at in 0..6 {
        dns.set_addresses("api.test", &[["127.0.0.2", "127.0.0.3"][at % 2]]);
        let port = origin.port;
        let member = format!("api.test:{port}/127.0.0.{}:{port}", 2 + at % 2);
        until("it is another", || names(&admin).contains(&member));
    }
    let log = admin.balancer.log_so_far();
    let count = log.lines().filter(|it| it.contains("is not used: a listener")).count();
    let most = 1 + began.elapsed().as_secs() as usize / 10;
    assert!((1..=most).contains(&count), "{count} lines: {log}");
}

/// Clients wait for a while at the start; then there is nobody, and later somebody.
#[test]
fn a_name_that_is_not_there_at_the_start_may_come_later() {
    let dns = Dns::start();
    let origin = Everywhere::start();
    dns.set("api.test", Says::Silence);
    let began = Instant::now();
    let admin = origin.behind(&dns, &[]);
    let mut stream = connect(admin.balancer.address());
    stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 503");
    assert!(began.elapsed() >= Duration::from_millis(2900), "it waited for an answer");
    admin.balancer.wait_for_log("no answer within 3 s for dns://api.test:");
    let rows = backends(&admin);
    assert_eq!((rows.len(), rows[0]["state"].as_str()), (1, Some("down")), "{rows:?}");
    dns.set_addresses("api.test", &["127.0.0.1"]);
    until("it is found", || names(&admin)[0].contains("/127.0.0.1:"));
    assert_eq!(answering(&admin, 1), ["127.0.0.1"]);
}

#[test]
fn a_host_moves_and_no_request_goes_to_where_it_was() {
    let dns = Dns::start();
    let origin = Everywhere::start();
    dns.set_addresses("db.test", &["127.0.0.1"]);
    let backend = format!("db.test:{}", origin.port);
    let admin = start(&dns, &["-b", &backend]);
    let mut stream = connect(admin.balancer.address());
    assert_eq!(ask(&mut stream), "127.0.0.1");
    dns.set_addresses("db.test", &["127.0.0.9"]);
    until("it is somewhere else", || ask(&mut stream) == "127.0.0.9");
    assert_eq!(names(&admin), [&*backend], "it is one backend all the time");
    // Its name stays, and so does what it has counted.
    assert_eq!(answering(&admin, 3), ["127.0.0.9"]);
}

/// What an operator told of a member holds though DNS does not tell of it for a while.
#[test]
fn what_was_told_of_a_member_holds_when_it_comes_back() {
    let dns = Dns::start();
    let origin = Everywhere::start();
    dns.set_addresses("api.test", &["127.0.0.1", "127.0.0.2"]);
    let admin = origin.behind(&dns, &["-a", "rr"]);
    let port = origin.port;
    let drained = format!("api.test:{port}/127.0.0.2:{port}");
    assert_eq!(answering(&admin, 4), ["127.0.0.1", "127.0.0.2"]);
    let path = format!("/api/v1/pools/main/backends/{}", drained.replace('/', "%2F"));
    let reply = admin.api.ask("PATCH", &path, Some(&json!({"admin": "drain"})));
    assert_eq!(reply.status(), 200, "{}", String::from_utf8_lossy(&reply.body));
    assert_eq!(answering(&admin, 4), ["127.0.0.1"]);
    dns.set_addresses("api.test", &["127.0.0.1"]);
    until("it is gone", || names(&admin).len() == 1);
    dns.set_addresses("api.test", &["127.0.0.1", "127.0.0.2", "127.0.0.3"]);
    until("it is back", || names(&admin).len() == 3);
    assert_eq!(answering(&admin, 6), ["127.0.0.1", "127.0.0.3"]);
}

/// A name that nobody answers for keeps neither a reload nor an edit, nor a client.
#[test]
fn a_silent_server_of_names_makes_nobody_wait() {
    let dns = Dns::start();
    let origin = Everywhere::start();
    dns.set_addresses("api.test", &["127.0.0.1"]);
    let admin = origin.behind(&dns, &[]);
    assert_eq!(answering(&admin, 1), ["127.0.0.1"]);
    dns.set("slow.test", Says::Silence);
    let path = "/api/v1/pools/main/backends/slow";
    let began = Instant::now();
    let reply = admin.api.ask("PUT", path, Some(&json!({"address": "slow.test:1"})));
    assert!(reply.status() < 300, "{reply:?}");
    for _ in 0..20 {
        assert_eq!(ask(&mut connect(admin.balancer.address())), "127.0.0.1");
    }
    let took = began.elapsed();
    assert!(took < Duration::from_secs(2), "a server has 5 s to answer: {took:?}");
    let found = backends(&admin);
    let slow = found.iter().find(|it| it["name"] == "slow").expect("it is there");
    assert_eq!(slow["state"], "down");
}

/// Nothing is asked of anybody for a name of the file of hosts.
#[test]
fn hosts_are_known_without_a_server() {
    let dns = Dns::start();
    let backend = Backend::named("here");
    let at = format!("localhost:{}", backend.address.port());
    let resolver = dns.flag();
    let balancer = Balancer::start(&["-l", "127.0.0.1:0", "-b", &at, "--resolver", &resolver]);
    assert_eq!(read_to_end(&balancer.connect()).bytes(), b"here");
    assert_eq!(dns.asked(), 0);
    balancer.stop();
}

/// Nobody in particular is at these: what is sent there comes back to us, or is heard by many.
#[test]
fn answers_that_are_no_address_of_a_server_are_left_out() {
    let dns = Dns::start();
    let origin = Everywhere::start();
    let all = ["0.0.0.0", "::ffff:0.0.0.0", "224.0.0.1", "255.255.255.255", "::", "fe80::1"];
    dns.set_addresses("api.test", &[&all[..], &["127.0.0.1"]].concat());
    let admin = origin.behind(&dns, &[]);
    assert_eq!(answering(&admin, 2), ["127.0.0.1"]);
    assert_eq!(names(&admin), [format!("api.test:{0}/127.0.0.1:{0}", origin.port)]);
    admin.balancer.wait_for_log("6 more are left out: too many, or no address of a server");
}

#[test]
fn a_stop_while_names_are_awaited_is_heard_at_once() {
    let dns = Dns::start();
    dns.set("api.test", Says::Silence);
    let resolver = dns.flag();
    let args = ["-l", "127.0.0.1:0", "-b", "dns://api.test:1", "--resolver", &resolver];
    let began = Instant::now();
    let balancer = Balancer::start(&args);
    balancer.stop();
    assert!(began.elapsed() < Duration::from_millis(2500), "it waited for names");
}

/// Whoever announces an address by it would send clients to where they wait.
#[test]
fn nobody_is_told_that_it_is_ready_before_clients_are_let_in() {
    let dns = Dns::start();
    let origin = Everywhere::start();
    dns.set("api.test", Says::Silence);
    let admin = origin.behind(&dns, &[]);
    let status = |path| admin.api.ask("GET", path, None).status();
    assert_eq!((status("/ready"), status("/live")), (503, 200));
    assert_eq!(admin.api.get("/api/v1")["process"]["state"], "starting");
    dns.set_addresses("api.test", &["127.0.0.1"]);
    until("it is ready", || status("/ready") == 200);
    assert_eq!(admin.api.get("/api/v1")["process"]["state"], "serving");
}

/// A line for each name, and for each change of a set, would be all that anybody sees of the log.
#[test]
fn a_crowd_of_names_and_a_set_that_flaps_have_some_lines() {
    const NAMES: usize = 600;
    let began = Instant::now();
    let dns = Dns::start();
    let origin = Everywhere::start();
    let port = origin.port;
    let mut args: Vec<String> = Vec::new();
    for at in 0..NAMES {
        let name = format!("n{at}.test");
        let ip = std::net::Ipv4Addr::new(127, 1, (at / 250) as u8, (at % 250) as u8);
        dns.set(&name, Says::Addresses(vec![ip.into()], 60));
        args.extend(["-b".to_owned(), format!("{name}:{port}")]);
    }
    dns.set("gone.test", Says::NoSuchName);
    args.extend(["-b".to_owned(), format!("gone.test:{port}")]);
    args.extend(["-b".to_owned(), format!("dns://api.test:{port}")]);
    args.extend(["--log-level".to_owned(), "info".to_owned()]);
    dns.set_addresses("api.test", &["127.0.0.1"]);
    let admin = start(&dns, &args.iter().map(String::as_str).collect::<Vec<_>>());
    admin.balancer.wait_for_log("1 of 602 names have no address");
    for at in 0..4 {
        dns.set_addresses("api.test", &[["127.0.0.2", "127.0.0.3"][at % 2]]);
        let member = format!("api.test:{port}/127.0.0.{}:{port}", 2 + at % 2);
        until("it is another", || names(&admin).contains(&member));
    }
    let log = admin.balancer.log_so_far();
    let lines = |what: &str| log.lines().filter(|line| line.contains(what)).count();
    assert!(lines("") < 180, "{} lines for {NAMES} names: {log}", lines(""));
    assert_eq!(lines("name gone.test:"), 1, "what fails is not hidden: {log}");
    let most = 2 + began.elapsed().as_secs() as usize / 10;
    assert!(lines("generation ") <= most, "{log}");
    assert!(lines("name dns://api.test:") <= most, "{log}");
    assert!(log.contains("and 502 backends more"), "{log}");
}

/// It had services and has addresses alone, then the other way round: what is not of the kind that
/// is asked for is no answer.
#[test]
fn a_name_that_becomes_one_of_another_kind_keeps_its_members() {
    let dns = Dns::start();
    let origin = Everywhere::start();
    let port = origin.port;
    let service = |address: &str| Srv {
        priority: 1,
        weight: 1,
        port,
        target: "one.test".to_owned(),
        address: Some(address.parse().unwrap()),
    };
    let services = |address: &str| Says::Services(vec![service(address)], 1);
    dns.set("web.test", services("127.0.0.1"));
    dns.set_addresses("api.test", &["127.0.0.2"]);
    let set = format!("dns://api.test:{port}");
    let admin = start(&dns, &["-b", "srv://web.test", "-b", &set, "-a", "rr"]);
    let all = ["127.0.0.1", "127.0.0.2"];
    assert_eq!(answering(&admin, 4), all);
    dns.set_addresses("web.test", &["127.0.0.66"]);
    dns.set("api.test", services("127.0.0.66"));
    admin.balancer.wait_for_log("name srv://web.test: ");
    admin.balancer.wait_for_log(&format!("name {set}: "));
    let failed = || counter(&admin, "pointsman_dns_lookups_failed_total");
    until("look-ups fail", || failed() >= 2);
    assert_eq!(answering(&admin, 4), all);
    dns.set("web.test", services("127.0.0.3"));
    dns.set_addresses("api.test", &["127.0.0.4"]);
    until("it is what it was", || answering(&admin, 4) == ["127.0.0.3", "127.0.0.4"]);
}

/// Names that are under way go on; those that are not wanted any more are awaited by nobody.
#[test]
fn a_reload_in_the_middle_of_a_look_up_waits_for_what_is_wanted_then() {
    let dns = Dns::start();
    let origin = Everywhere::start();
    dns.set("slow.test", Says::Silence);
    dns.set("api.test", Says::Silence);
    let port = origin.port;
    let resolver = dns.flag();
    let text = |set: &str| {
        format!(
            "[global]\ndns.resolvers = [\"{resolver}\"]\n[service.web]\n\
             listen = [\"http://127.0.0.1:0\"]\npool = \"main\"\n[pool.main]\n\
             check = {{ kind = \"none\" }}\nbackends = [\"dns://{set}:{port}\"]\n"
        )
    };
    let admin = Admin::configured(&text("slow.test"));
    dns.set_addresses("api.test", &["127.0.0.1"]);
    admin.reconfigure(&text("api.test"));
    assert_eq!(answering(&admin, 1), ["127.0.0.1"]);
    let log = admin.balancer.log_so_far();
    assert!(!log.contains("no answer within"), "slow.test is not waited for: {log}");
    dns.set("api.test", Says::Silence);
    admin.reconfigure(&text("slow.test"));
    admin.reconfigure(&text("api.test"));
    dns.set_addresses("api.test", &["127.0.0.2"]);
    until("it is heard", || names(&admin) == [format!("api.test:{port}/127.0.0.2:{port}")]);
    assert_eq!(answering(&admin, 1), ["127.0.0.2"]);
}
