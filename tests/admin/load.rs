//! Changes while clients are served.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use serde_json::{Value, json};

use crate::common::admin::Admin;
use crate::common::http::{Origin, Wire, get};

const BACKENDS: &str = "/api/v1/pools/main/backends";

/// Ends the clients when it is dropped.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Random changes against a model that is told the same, while clients ask all the time.
#[test]
fn a_thousand_random_changes_leave_what_a_model_says_and_fail_no_request() {
    let origins: Vec<Origin> = (0..4).map(|_| Origin::named("served")).collect();
    let steady = Origin::named("served");
    let address = steady.backend.address.to_string();
    let args = ["-l", "http://127.0.0.1:0", "-b", &address, "--check", "none"];
    let admin = Admin::start(&args);
    let over = AtomicBool::new(false);
    let asked = AtomicUsize::new(0);
    let mut model: std::collections::BTreeMap<String, u64> = Default::default();
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
        let mut random = fastrand::Rng::with_seed(3);
        for _ in 0..1000 {
            let number = random.usize(0..4);
            let path = format!("{BACKENDS}/n{number}");
            let weight = random.u64(1..9);
            match random.u8(0..4) {
                0 | 1 => {
                    let address = origins[number].backend.address.to_string();
                    let body = json!({"address": address, "weight": weight});
                    admin.api.write("PUT", &path, &body);
                    model.insert(format!("n{number}"), weight);
                }
                2 => {
                    let reply = admin.api.ask("PATCH", &path, Some(&json!({"weight": weight})));
                    let known = model.get_mut(&format!("n{number}"));
                    assert_eq!(reply.status() == 200, known.is_some(), "{reply:?}");
                    if let Some(known) = known {
                        *known = weight;
                    }
                }
                _ => {
                    let reply = admin.api.ask("DELETE", &path, None);
                    assert!([202, 204].contains(&reply.status()), "{reply:?}");
                    model.remove(&format!("n{number}"));
                }
            }
        }
    });
    let list = admin.api.get(BACKENDS);
    let items = list["items"].as_array().expect("a list").iter();
    let told = items.filter(|it| it["origin"] == "api");
    let weight = |it: &Value| it["weight"]["configured"].as_u64().expect("a number");
    let found = told.map(|it| (it["name"].as_str().unwrap().to_owned(), weight(it))).collect();
    assert_eq!(model, found);
    assert!(asked.load(Ordering::Relaxed) > 500, "clients were served all the time");
}
