//! What rules and pages of the operator's make of requests and answers.

use std::sync::Arc;

use super::reload::{Client, change, pool, real_server, service, state};
use super::*;
use crate::config::PoolSpec;

fn with_rules(rules: &str, pools: Vec<PoolSpec>) -> Desired {
    let text = format!(
        "[service.main]\nlisten = [\"http://127.0.0.1:0\"]\npool = \"one\"\nrules = [{rules}]\n\
         [pool.one]\nbackends = []\n[pool.two]\nbackends = []\n"
    );
    let read = crate::file::parse("rules.toml", &text, &|_| None);
    let mut loaded = read.unwrap_or_else(|(wrong, _)| panic!("{wrong:?}"));
    loaded.desired.pools = pools;
    loaded.desired
}

#[test]
fn rules_are_asked_in_their_order() {
    let one = [real_server("one")];
    let two = [real_server("two")];
    let pools = vec![pool("one", &one), pool("two", &two)];
    let rules = "
        { when = 'host == \"gone.test\"', respond = 410 },
        { when = 'host ^= \"old.\"', redirect = \"308 https://new.test{uri}\" },
        { response = { set = { X-Rule = \"{host}\" } } },
        { when = 'host == \"b.test\"', pool = \"two\" },
        { when = 'host == \"b.test\"', respond = 500 },
    ";
    let mut looping = loop_for(with_rules(rules, pools));
    let mut client = Client::new(&looping);
    for (host, status, body) in [
        ("gone.test", 410, "410 Gone\n"),
        ("a.test", 200, "one"),
        ("b.test", 200, "two"),
        ("old.test", 308, "over there: https://new.test/\n"),
        ("a.test", 200, "one"),
    ] {
        assert_eq!(client.ask(&mut looping, host), (status, body.to_owned()), "{host}");
    }
    assert!(client.head.contains("X-Rule: a.test\r\n"), "{}", client.head);
}

#[test]
fn an_error_page_stands_for_answers_of_ours() {
    let home = std::env::temp_dir().join(format!("pointsman-page-{}", std::process::id()));
    std::fs::create_dir_all(&home).unwrap();
    let file = home.join("503.html");
    std::fs::write(&file, "<p>back soon</p>").unwrap();
    let mut desired = state(vec![service("main", "*", Some("p"))], vec![pool("p", &[])]);
    desired.services[0].error_pages.insert(503, file.display().to_string());
    let mut looping = loop_for(desired.clone());
    let mut client = Client::new(&looping);
    assert_eq!(client.ask(&mut looping, "a"), (503, "<p>back soon</p>".to_owned()));
    assert!(client.head.contains("Content-Type: text/html"), "{}", client.head);
    // It is read again with all the rest.
    std::fs::write(&file, "<p>soon</p>").unwrap();
    change(&mut looping, desired.clone());
    assert_eq!(client.ask(&mut looping, "a").1, "<p>soon</p>");
    std::fs::remove_dir_all(&home).unwrap();
    let wrong = looping.prepare(desired).err().unwrap();
    assert!(wrong[0].spelled(Spelling::PATHS).contains("503.html: there is no such file"));
    assert_eq!(client.ask(&mut looping, "a").1, "<p>soon</p>");
}

#[test]
fn answers_that_rules_give_are_edited_as_those_of_backends_and_errors_are_not() {
    let rules = "
        { response = { set = { X-Rule = \"{path}\", Cache-Control = \"max-age=60\" } } },
        { when = 'path == \"/there\"', redirect = \"302 /here\" },
        { when = 'path == \"/no\"', respond = 403, response = { add = { X-No = \"1\" } } },
        { when = 'path == \"/none\"', pool = \"two\" },
    ";
    let pools = vec![pool("one", &[real_server("one")]), pool("two", &[])];
    let mut looping = loop_for(with_rules(rules, pools));
    let mut client = Client::new(&looping);
    for (path, status, is_edited) in
        [("/", 200, true), ("/there", 302, true), ("/no", 403, true), ("/none", 503, false)]
    {
        let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(client.say(&mut looping, &request).0, status);
        let head = &client.head;
        assert_eq!(head.contains(&format!("X-Rule: {path}\r\n")), is_edited, "{head}");
        assert_eq!(head.contains("Cache-Control: max-age=60\r\n"), is_edited, "{head}");
        assert_eq!(head.contains("Cache-Control: no-store\r\n"), !is_edited, "{head}");
        assert_eq!(head.contains("X-No: 1\r\n"), path == "/no", "{head}");
    }
}

#[test]
fn a_redirect_of_a_request_without_a_host_leads_to_where_it_came() {
    let rules = "{ redirect = \"301 http://{host}:81{uri}\" },";
    let mut looping = loop_for(with_rules(rules, vec![pool("one", &[])]));
    for (request, to) in [
        ("GET /a HTTP/1.0\r\n\r\n", "http://127.0.0.1:81/a"),
        ("GET /a HTTP/1.0\r\nHost: b:80\r\n\r\n", "http://b:81/a"),
        ("GET http://c:80/a HTTP/1.0\r\n\r\n", "http://c:81/a"),
    ] {
        let mut client = Client::new(&looping);
        assert_eq!(client.say(&mut looping, request).0, 301);
        assert!(client.head.contains(&format!("Location: {to}\r\n")), "{}", client.head);
    }
    // An empty one is no host of a URL of HTTP.
    let mut client = Client::new(&looping);
    assert_eq!(client.say(&mut looping, "GET /a HTTP/1.1\r\nHost:\r\n\r\n").0, 400);
}

#[test]
fn clients_that_read_slowly_share_one_page_and_get_it_whole_whatever_is_reloaded() {
    let file = std::env::temp_dir().join(format!("pointsman-large-{}", std::process::id()));
    let page = "0123456789abcdef".repeat(65_536);
    std::fs::write(&file, &page).unwrap();
    let mut desired = state(vec![service("main", "*", Some("p"))], vec![pool("p", &[])]);
    desired.services[0].error_pages.insert(503, file.display().to_string());
    let mut looping = loop_for(desired.clone());
    let shared = {
        let mut services = looping.cx.services.iter();
        let rules = services.find_map(|(_, service)| service.rules.clone()).unwrap();
        Arc::downgrade(&rules.pages[&503])
    };
    let before = shared.strong_count();
    let mut clients: Vec<Client> = (0..5).map(|_| Client::new(&looping)).collect();
    for client in &mut clients {
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    }
    let until = Instant::now() + Duration::from_secs(10);
    while shared.strong_count() < before + clients.len() {
        assert!(Instant::now() < until, "{} have it", shared.strong_count() - before);
        looping.turn(Some(Duration::from_millis(1))).unwrap();
    }
    std::fs::write(&file, "another").unwrap();
    change(&mut looping, desired);
    std::fs::remove_file(&file).unwrap();
    for client in &mut clients {
        let (status, body) = client.hear(&mut looping);
        assert!(status == 503 && body == page, "{} bytes", body.len());
        assert_eq!(client.ask(&mut looping, "a"), (503, "another".to_owned()));
    }
    // What ran before is freed a turn later, by who asked for the change.
    looping.outdated = None;
    assert_eq!(shared.strong_count(), 0);
}
