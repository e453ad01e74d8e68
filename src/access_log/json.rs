//! An object a line, with the same facts by name.

use std::time::Duration;

use super::record::{AskedFor, Record, ServedBy, What, utc, version};
use crate::json::{self, Object};

/// Append the line without its end.
pub(super) fn line(record: &Record<'_>, out: &mut Vec<u8>) {
    json::object(out, |it| {
        it.shown("time", format_args!("{:.3}Z", utc(record.began)));
        it.shown("client", record.client);
        it.text("listener", record.listener);
        for (name, value) in [("service", record.service), ("pool", record.pool)] {
            match value {
                Some(value) => it.text(name, value),
                None => it.null(name),
            }
        }
        match record.server {
            ServedBy::Backend(name) => it.text("backend", name),
            ServedBy::Nobody | ServedBy::Ourselves => it.null("backend"),
        }
        if let Some(address) = record.backend_address {
            it.shown("backend_address", address);
        }
        if let Some(name) = record.server_name {
            it.text("server_name", name);
        }
        if let Some(tls) = record.tls {
            it.text("tls_version", tls.version);
            it.text("tls_cipher", tls.cipher);
        }
        match &record.what {
            What::Tcp => {}
            What::Handshake { why } => it.text("tls_error", why),
            What::Udp { datagrams_sent, datagrams_received } => {
                it.number("datagrams_to_client", *datagrams_sent);
                it.number("datagrams_from_client", *datagrams_received);
            }
            What::Http { asked, status, body } => {
                request(it, asked.as_ref());
                match status {
                    0 => it.null("status"),
                    status => it.number("status", u64::from(*status)),
                }
                it.number("body_bytes", *body);
            }
        }
        it.number("bytes_to_client", record.sent);
        it.number("bytes_to_backend", record.received);
        it.object("ms", |it| {
            let times = &record.times;
            if let What::Http { .. } = record.what {
                millis(it, "head", times.head);
                millis(it, "answer", times.answer);
            }
            if let Some(queue) = times.queue.filter(|time| !time.is_zero()) {
                millis(it, "queue", Some(queue));
            }
            millis(it, "connect", times.connect);
            millis(it, "total", Some(times.total));
        });
        it.text("ended", record.ended_how());
        it.text("state", record.ending.letters());
        if let Some(why) = &record.why {
            it.text("reason", why.cause.word());
            it.text("detail", why.detail.as_ref());
        }
        ids(it, record);
        it.number("retries", record.retries as u64);
        if record.why.is_some() || record.retries > 0 {
            it.texts("tried", &record.tried);
        }
    });
}

fn request(it: &mut Object<'_>, asked: Option<&AskedFor<'_>>) {
    let Some(asked) = asked else { return it.null("method") };
    it.text("method", asked.method);
    it.text("target", asked.target);
    it.text("version", version(asked.version));
    for (name, value) in
        [("host", asked.host), ("referer", asked.referer), ("user_agent", asked.user_agent)]
    {
        if !value.is_empty() {
            it.text(name, value);
        }
    }
}

/// What it is found again by elsewhere.
fn ids(it: &mut Object<'_>, record: &Record<'_>) {
    if let Some(id) = record.request_id {
        it.text("request_id", id);
    }
    let Some(in_front) = &record.in_front else { return };
    it.shown("proxy_peer", in_front.peer);
    if let Some(id) = &in_front.unique_id {
        it.text("unique_id", id.as_ref());
    }
}

fn millis(it: &mut Object<'_>, name: &str, time: Option<Duration>) {
    match time {
        Some(time) => it.decimal(name, time.as_secs_f64() * 1e3),
        None => it.null(name),
    }
}
