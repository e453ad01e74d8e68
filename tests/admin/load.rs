//! Changes while clients are served.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use serde_json::{Value, json};

use crate::common::admin::{Admin, Api};
use crate::common::free_port;
use crate::common::http::{Origin, Wire, get};

const BACKENDS: &str = "/api/v1/pools/main/backends";

/// Ends the clients when it is dropped.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// What is told of each backend: its weight and its state.
type Model = BTreeMap<String, (u64, &'static str)>;

/// Tells the balancer and the model the same.
struct Teller<'a> {
    api: &'a Api,
    /// Those that are there may be any of these; nobody listens at the last one.
    addresses: &'a [String],
    random: fastrand::Rng,
    model: Model,
}

impl Teller<'_> {
    fn path(&self, number: usize) -> String {
        format!("{BACKENDS}/n{number}")
    }

    fn tell(&mut self) {
        let number = self.random.usize(0..self.addresses.len());
        let weight = self.random.u64(1..9);
        match self.random.u8(0..8) {
            0..=2 => self.put(number, weight),
            3 => self.patch(number, &json!({"weight": weight})),
            4 | 5 => {
                let word = ["ready", "drain", "maint"][self.random.usize(0..3)];
                self.patch(number, &json!({"admin": word}));
            }
            6 => self.batch(weight),
            _ => {
                let reply = self.api.ask("DELETE", &self.path(number), None);
                assert!([202, 204].contains(&reply.status()), "{reply:?}");
                self.model.remove(&format!("n{number}"));
            }
        }
    }

    fn put(&mut self, number: usize, weight: u64) {
        let body = json!({"address": self.addresses[number], "weight": weight});
        self.api.write("PUT", &self.path(number), &body);
        self.model.insert(format!("n{number}"), (weight, "ready"));
    }

    fn patch(&mut self, number: usize, body: &Value) {
        let reply = self.api.ask("PATCH", &self.path(number), Some(body));
        let known = self.model.get_mut(&format!("n{number}"));
        assert_eq!(reply.status() == 200, known.is_some(), "{reply:?}");
        let Some(known) = known else { return };
        if let Some(weight) = body["weight"].as_u64() {
            known.0 = weight;
        }
        let word = ["ready", "drain", "maint"].into_iter().find(|it| body["admin"] == *it);
        known.1 = word.unwrap_or(known.1);
    }

    /// Each is put anew, or, if one of them is wrong, none is.
    fn batch(&mut self, weight: u64) {
        let is_good = self.random.bool();
        let numbers = 0..self.addresses.len();
        let mut changes: Vec<Value> = numbers
            .clone()
            .map(|it| {
                let body = json!({"address": self.addresses[it], "weight": weight});
                json!({"method": "PUT", "path": self.path(it), "body": body})
            })
            .collect();
        if !is_good {
            let wrong = json!({"address": self.addresses[0], "wieght": 1});
            changes.push(json!({"method": "PUT", "path": self.path(0), "body": wrong}));
        }
        let reply = self.api.ask("POST", "/api/v1/batch", Some(&json!({"changes": changes})));
        assert_eq!(reply.status(), if is_good { 200 } else { 422 }, "{reply:?}");
        if is_good {
            self.model = numbers.map(|it| (format!("n{it}"), (weight, "ready"))).collect();
        }
    }

    fn found(&self) -> Model {
        let list = self.api.get(BACKENDS);
        let items = list["items"].as_array().expect("a list").iter();
        let told = items.filter(|it| it["origin"] == "api");
        let of = |it: &Value| {
            let weight = it["weight"]["configured"].as_u64().expect("a number");
            let word =
                ["ready", "drain", "maint"].into_iter().find(|word| it["admin"] == *word);
            (it["name"].as_str().expect("a name").to_owned(), (weight, word.expect("a word")))
        };
        told.map(of).collect()
    }
}

/// Random changes against a model that is told the same, while clients ask all the time.
#[test]
fn ten_thousand_random_changes_leave_what_a_model_says_and_fail_no_request() {
    let origins: Vec<Origin> = (0..4).map(|_| Origin::named("served")).collect();
    let steady = Origin::named("served");
    let address = steady.backend.address.to_string();
    let args = ["-l", "http://127.0.0.1:0", "-b", &address, "--check", "none"];
    let admin = Admin::start(&args);
    let live = origins.iter().map(|it| it.backend.address.to_string());
    let addresses: Vec<String> = live.chain([free_port().to_string()]).collect();
    let over = AtomicBool::new(false);
    let asked = AtomicUsize::new(0);
    thread::scope(|scope| {
        // Also if something fails: nobody would end otherwise.
        let _ends = Ends(&over);
        for _ in 0..3 {
            scope.spawn(|| {
                let mut wire = Wire::to(&admin.balancer);
                while !over.load(Ordering::Relaxed) {
                    let answer = wire.ask(get("/"));
                    assert_eq!((answer.status(), &*answer.text()), (200, "served"));
                    asked.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let random = fastrand::Rng::with_seed(3);
        let mut teller =
            Teller { api: &admin.api, addresses: &addresses, random, model: Model::new() };
        for number in 1..=10_000 {
            teller.tell();
            if number % 1000 == 0 {
                assert_eq!(teller.model, teller.found(), "after {number} changes");
            }
        }
    });
    assert!(asked.load(Ordering::Relaxed) > 500, "clients were served all the time");
}
