//! Bodies that are much to read, or mistaken many times, hold nobody.

use serde_json::{Value, json};

use crate::common::Backend;
use crate::common::admin::Admin;

const POOL: &str = "/api/v1/pools/main/backends";

#[test]
fn of_a_body_with_thousands_of_mistakes_a_hundred_are_told() {
    let a = Backend::named("a");
    let admin = Admin::before(&[&a], &[]);
    let members = (0..3000).map(|at| (format!("weihgt{at}"), json!(1)));
    let body = Value::Object(members.collect());
    let reply = admin.api.ask("PUT", &format!("{POOL}/b"), Some(&body));
    let errors = reply.json()["errors"].as_array().expect("errors").clone();
    assert_eq!(reply.status(), 422);
    assert_eq!(errors.len(), 101);
    // Its address is missing as well.
    assert_eq!(errors[100]["detail"], "and 2901 more");
    let changes = vec![json!({"method": "PUT", "path": "/x"}); 3000];
    let body = json!({"changes": changes});
    let reply = admin.api.ask("POST", "/api/v1/batch", Some(&body));
    let errors = reply.json()["errors"].as_array().expect("errors").clone();
    assert_eq!((errors.len(), &errors[100]["detail"]), (101, &json!("and 2900 more")));
}

#[test]
fn a_batch_that_takes_many_turns_is_all_or_nothing() {
    let a = Backend::named("a");
    let admin = Admin::before(&[&a], &[]);
    let put = |at: usize| {
        let address = format!("127.1.{}.{}:9", at / 250, at % 250);
        json!({"method": "PUT", "path": format!("{POOL}/b{at}"), "body": {"address": address}})
    };
    let mut changes: Vec<Value> = (0..2000).map(put).collect();
    changes
        .push(json!({"method": "PATCH", "path": format!("{POOL}/c"), "body": {"weight": 2}}));
    let reply = admin.api.ask("POST", "/api/v1/batch", Some(&json!({"changes": changes})));
    assert_eq!(reply.status(), 404);
    assert_eq!(reply.json()["errors"][0]["pointer"], "/changes/2000");
    let count =
        || admin.api.get("/api/v1/pools/main/backends")["items"].as_array().map(Vec::len);
    assert_eq!(count(), Some(1), "none of it");
    changes.pop();
    let batch = json!({"changes": changes});
    let done = admin.api.write("POST", "/api/v1/batch", &batch);
    assert_eq!(done["receipt"]["members"][0]["backends"]["added"], 2000, "{done}");
    assert_eq!(count(), Some(2001), "all of it");
    let again = admin.api.ask("POST", "/api/v1/batch", Some(&batch));
    assert_eq!(again.status(), 200);
    let changes: Vec<Value> = (0..2000)
        .map(|at| json!({"method": "DELETE", "path": format!("{POOL}/b{at}")}))
        .collect();
    admin.api.write("POST", "/api/v1/batch", &json!({"changes": changes}));
    assert_eq!(count(), Some(1), "all of it, back again");
}
