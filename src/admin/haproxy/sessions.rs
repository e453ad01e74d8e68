//! `show sess` and `shutdown session`: the pairs of clients and backends. A flow of datagrams is
//! none.

use std::time::Duration;

use crate::backends::ServerId;
use crate::event::{Key, Slots};
use crate::limits::{HAPROXY_PLACES_PER_PIECE, HAPROXY_ROWS_PER_PIECE};
use crate::relay::Pair;

use super::super::answer::{More, Pieces};
use super::super::view::View;
use super::command::Which;
use super::step::Refusal;

const NO_SESSION: &str = "No such session (use 'show sess').";

/// The list, written some rows a piece.
pub struct Sessions {
    which: Which,
    /// The next place in the slab of pairs.
    at: usize,
}

/// The pair that was shown under this number, if it is still there.
pub fn find(number: u64, pairs: &Slots<Pair>) -> Result<Key, Refusal> {
    let place = number as u32 as usize;
    let found = pairs.at(place).filter(|(key, _)| key.number() == number);
    let lives = |(_, pair): &(Key, &Pair)| pair.client.closing.is_none();
    found.filter(lives).map(|(key, _)| key).ok_or(NO_SESSION)
}

impl Sessions {
    /// Those that are wanted, or the error.
    pub fn new(which: Which, view: &View<'_>) -> Result<Sessions, Refusal> {
        let at = match which {
            Which::One(number) => find(number, view.pairs)?.index as usize,
            Which::All | Which::Older(_) => 0,
        };
        Ok(Sessions { which, at })
    }

    fn takes(&self, key: Key, pair: &Pair, view: &View<'_>) -> bool {
        match self.which {
            Which::All => true,
            Which::Older(age) => view.ago(pair.client.opened_at(view.cx)) >= age,
            Which::One(number) => key.number() == number,
        }
    }
}

impl Pieces for Sessions {
    fn write(&mut self, view: &View<'_>, out: &mut Vec<u8>) -> More {
        let mut rows = 0;
        for _ in 0..HAPROXY_PLACES_PER_PIECE {
            if self.at >= view.pairs.places() {
                return More::Never;
            }
            if let Some((key, pair)) = view.pairs.at(self.at)
                && self.takes(key, pair, view)
            {
                out.extend_from_slice(row(key, pair, view).as_bytes());
                rows += 1;
            }
            self.at += 1;
            if matches!(self.which, Which::One(_)) {
                return More::Never;
            }
            if rows == HAPROXY_ROWS_PER_PIECE {
                break;
            }
        }
        More::Now
    }
}

/// As HAProxy has it, without what is counted only there, and with what it is doing.
fn row(key: Key, pair: &Pair, view: &View<'_>) -> String {
    let client = &pair.client;
    let source = client.address.address();
    let proto = if source.is_ipv4() { "tcpv4" } else { "tcpv6" };
    let service = client.home.service.and_then(|id| view.cx.services.get(id));
    let service = service.map_or("<NONE>", |it| &*it.name);
    let pool = client.home.pool.map_or("<NONE>", |id| view.cx.backends.pool_name(Some(id)));
    let server = server_of(pair, view).and_then(|id| view.cx.backends.get(id));
    let server = server.map_or("<none>", |it| &*it.name);
    let age = age_text(view.ago(client.opened_at(view.cx)));
    let idle = age_text(view.ago(client.active_at(view.cx)));
    let doing = pair.doing().replace(' ', "-");
    format!(
        "{:#x}: proto={proto} src={source} fe={service} be={pool} srv={server} ts=00 age={age} \
         idle={idle} state={doing} number={}\n",
        key.number(),
        client.number,
    )
}

fn server_of(pair: &Pair, view: &View<'_>) -> Option<ServerId> {
    let connection = view.cx.connections.get(pair.client.link.key()?)?;
    Some(connection.backend)
}

/// `5s`, `2m7s`, `3h9m`, `4d1h`: two units, as HAProxy has it.
fn age_text(age: Duration) -> String {
    let seconds = age.as_secs();
    let units = [("d", 86_400), ("h", 3600), ("m", 60)];
    let Some(at) = units.iter().position(|(_, size)| seconds >= *size) else {
        return format!("{seconds}s");
    };
    let (unit, size) = units[at];
    let (next, next_size) = units.get(at + 1).copied().unwrap_or(("s", 1));
    format!("{}{unit}{}{next}", seconds / size, seconds % size / next_size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_have_two_units() {
        let table = [(0, "0s"), (59, "59s"), (61, "1m1s"), (3600, "1h0m"), (90_000, "1d1h")];
        for (seconds, wanted) in table {
            assert_eq!(age_text(Duration::from_secs(seconds)), wanted);
        }
    }
}
