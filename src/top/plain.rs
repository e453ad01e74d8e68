//! One table or one document, for pipes and programs.

use serde_json::{Value, json};

use crate::ctl::client::Client;
use crate::ctl::failure::{Failure, Outcome};
use crate::ctl::reading::{all_backends, print};
use crate::ctl::table::Table;

use super::sample::Sample;
use super::view::{millis, short, uptime, wrong};
use super::world::{Seen, World};

/// What one process says now, as the API has it.
fn document(client: &Client) -> Outcome<Value> {
    let process = client.get("/api/v1")?;
    let services = client.get("/api/v1/services")?;
    let pools = client.get("/api/v1/pools")?;
    let backends = all_backends(client)?;
    let backends: Vec<Value> = backends.into_iter().flat_map(|it| it.1).collect();
    Ok(json!({
        "socket": client.place(),
        "process": process["process"],
        "services": services["items"],
        "pools": pools["items"],
        "backends": backends,
    }))
}

fn sample(document: &Value) -> Sample {
    let list = |name: &str| json!({"items": document[name]});
    let mut sample = Sample::default();
    sample.set_process(document);
    sample.set_services(&list("services"));
    sample.set_pools(&list("pools"));
    sample.add_backends(document["backends"].as_array().map(Vec::as_slice).unwrap_or_default());
    sample
}

/// `--json`: a document, or a list of them for several processes.
pub fn documents(clients: &[Client]) -> Outcome {
    let (all, failures) = ask_all(clients);
    if let [one] = all.as_slice()
        && clients.len() == 1
    {
        return print(&format!("{one}\n"));
    }
    if !all.is_empty() {
        print(&format!("{}\n", Value::Array(all)))?;
    }
    failed(failures)
}

/// `--once`: what is wrong, and a table of backends; numbers are sums over the processes.
pub fn table(clients: &[Client]) -> Outcome {
    let (all, failures) = ask_all(clients);
    if !all.is_empty() {
        let seen: Vec<Seen> = all
            .iter()
            .map(|document| {
                let place = document["socket"].as_str().unwrap_or_default();
                let mut seen = Seen::new(place.to_owned());
                seen.on_sample(sample(document), std::time::Instant::now());
                seen
            })
            .collect();
        print(&text(&seen))?;
    }
    failed(failures)
}

fn ask_all(clients: &[Client]) -> (Vec<Value>, Vec<String>) {
    let mut all = Vec::new();
    let mut failures = Vec::new();
    for client in clients {
        match document(client) {
            Ok(document) => all.push(document),
            Err(Failure::Failed(lines)) => failures.extend(lines),
            Err(_) => failures.push(format!("{}: no answer", client.place())),
        }
    }
    (all, failures)
}

fn failed(failures: Vec<String>) -> Outcome {
    if failures.is_empty() { Ok(()) } else { Err(Failure::Failed(failures)) }
}

/// All of it, without a colour or a glyph.
fn text(seen: &[Seen]) -> String {
    let plain = |text: &str| crate::config::escaped(text).to_string();
    let world = World::of(seen, None);
    let rows = world.rows();
    let mut out = String::new();
    for one in seen {
        let head = one.head();
        let process = &head.process;
        let limit = head.limit.map(|it| format!("/{it}")).unwrap_or_default();
        out += &format!(
            "{}: pointsman {}, {}, up {}, generation {}, clients {}{limit}, {}/s\n",
            plain(&one.place),
            plain(&process.version),
            plain(&process.state),
            uptime(process.uptime),
            process.generation,
            head.active,
            short(head.rate)
        );
    }
    for it in wrong(&world, &rows, &world.pools(&rows)) {
        out += &format!("! {}\n", plain(&it.text));
    }
    let mut table = Table::new(&[
        "BACKEND", "STATE", "ADMIN", ">WEIGHT", ">ACTIVE", ">RATE", ">P50", ">P99", ">SHARE",
        ">ERRORS", "REASON",
    ]);
    let ui = super::ui::Ui::new(std::time::Duration::ZERO, seen.len());
    for row in ui.arrange(rows) {
        let it = &row.backend;
        table.row(vec![
            plain(&it.name.to_string()),
            it.state.word().to_owned(),
            plain(&it.admin),
            super::view::weight(it.weight),
            it.active.to_string(),
            short(it.rate),
            millis(it.p50),
            millis(it.p99),
            super::view::percent(row.share),
            it.totals.errors().to_string(),
            plain(it.reason.as_deref().unwrap_or_default()),
        ]);
    }
    out + &table.text()
}
