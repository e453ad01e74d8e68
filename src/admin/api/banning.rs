//! Bans in the API: the list, in pieces, for there may be many; one; and what is asked about them.

use std::net::IpAddr;

use serde_json::Value;

use crate::config::{Cidr, duration, duration_text, quoted};
use crate::http::Method;
use crate::limits::{
    BAN_PREFIX_V4_MIN, BAN_PREFIX_V6_MIN, BAN_TIME_DEFAULT, BAN_TIME_MIN, BAN_WHY_BYTES_MAX,
};

use super::super::answer::{Answer, JSON, More, Pieces, some_steps};
use super::super::ban::{BanAsked, BanDone, BanOrder, row};
use super::super::change::Asked;
use super::super::problem::{Kind, Mistakes, Problem};
use super::super::request::Request;
use super::super::view::View;
use super::lists::unknown_parameter;
use super::reading::{self, Members, finish};

/// Bans that are looked at in a piece.
const BANS_PER_PIECE: usize = 64;

const KNOWN: &[&str] = &["for", "why", "force", "close"];

/// The list.
struct BanList {
    /// Only those that hold this one.
    address: Option<IpAddr>,
    last: Option<Cidr>,
    has_begun: bool,
    /// A row was written.
    has_rows: bool,
}

/// All bans, or those that hold an address.
pub(super) fn list(request: &Request) -> Result<Answer, Problem> {
    let known = &["address"];
    if let Some((name, _)) = request.query.iter().find(|(it, _)| it != "address") {
        return Err(unknown_parameter(name, known));
    }
    let address = match request.parameter("address") {
        None => None,
        Some(text) => Some(text.parse::<IpAddr>().map_err(|_| {
            let detail = format!("address: found {}, want an IP address", quoted(text));
            Problem::new(Kind::INVALID, detail)
        })?),
    };
    let list = BanList { address, last: None, has_begun: false, has_rows: false };
    Ok(Answer::pieces(JSON, Box::new(list)))
}

/// The ban of a network.
pub(super) fn one(text: &str, view: &View<'_>) -> Result<Answer, Problem> {
    let network = network_of(text)?;
    Ok(Answer::json(200, &shown(network, view).ok_or_else(|| not_banned(network))?))
}

fn shown(network: Cidr, view: &View<'_>) -> Option<Value> {
    let now = view.cx.now;
    let ban = view.cx.guard.banning.bans.get(network)?;
    (ban.until > now).then(|| row(network, ban, now))
}

/// Nobody banned this network.
pub(in crate::admin) fn not_banned(network: Cidr) -> Problem {
    let detail = format!("{network} is not banned; another network that holds it may be");
    Problem::new(Kind::NOT_FOUND, detail)
}

/// What a write asks of the loop.
pub(super) fn asked(
    text: &str,
    request: &Request,
    dry_run: bool,
    view: &View<'_>,
) -> Result<Asked, Problem> {
    let network = network_of(text)?;
    let asked = if request.method == Method::Put {
        let value = reading::parse(&request.body)?;
        let mut mistakes = Mistakes::default();
        let order = order(&value, network, &request.who.name, &mut mistakes);
        BanAsked::Ban(finish(order, mistakes)?)
    } else {
        shown(network, view).ok_or_else(|| not_banned(network))?;
        BanAsked::Unban(network)
    };
    if dry_run {
        return Ok(Asked::Rehearse(match &asked {
            BanAsked::Ban(it) => format!("ban {network} for {}", duration_text(it.time)),
            BanAsked::Unban(_) => format!("lift the ban of {network}"),
        }));
    }
    Ok(Asked::Ban(Box::new(asked)))
}

/// What it is answered once it is done.
pub(super) fn after(text: &str, done: BanDone, view: &View<'_>) -> Answer {
    let BanDone::Made { is_new, closes } = done else { return Answer::empty(204) };
    let row = network_of(text).ok().and_then(|network| shown(network, view));
    let Some(mut row) = row else { return Answer::empty(204) };
    if closes {
        row["closing"] = Value::Bool(true);
    }
    Answer::json(if is_new { 201 } else { 200 }, &row)
}

fn network_of(text: &str) -> Result<Cidr, Problem> {
    Cidr::parse(text).map_err(|wrong| Problem::new(Kind::INVALID, wrong.to_string()))
}

fn order(value: &Value, network: Cidr, by: &str, mistakes: &mut Mistakes) -> Option<BanOrder> {
    let mut members = Members::of(value, "", KNOWN, mistakes)?;
    let time = match members.text("for").map(|text| duration(text, BAN_TIME_MIN)) {
        None => BAN_TIME_DEFAULT,
        Some(Ok(time)) => time,
        Some(Err(wrong)) => {
            members.complain("for", wrong.to_string());
            BAN_TIME_DEFAULT
        }
    };
    let why = members.text("why").unwrap_or_default();
    if why.len() > BAN_WHY_BYTES_MAX || why.chars().any(char::is_control) {
        let want = format!("want at most {BAN_WHY_BYTES_MAX} bytes of text on one line");
        members.complain("why", format!("found {}, {want}", quoted(why)));
    }
    let is_forced = members.truth("force").unwrap_or(false);
    let least = if network.address.is_ipv4() { BAN_PREFIX_V4_MIN } else { BAN_PREFIX_V6_MIN };
    if network.prefix < least && !is_forced {
        let want = format!("want a prefix of at least {least} bits, or force");
        members.complain("force", format!("found none, and {network} is large; {want}"));
    }
    let closes = members.truth("close").unwrap_or(false);
    Some(BanOrder { network, time, why: why.to_owned(), by: by.to_owned(), closes })
}

impl BanList {
    fn row(&mut self, value: &Value, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.has_rows, true) {
            out.push(b',');
        }
        out.extend_from_slice(value.to_string().as_bytes());
    }
}

impl Pieces for BanList {
    fn write(&mut self, view: &View<'_>, out: &mut Vec<u8>) -> More {
        let now = view.cx.now;
        let bans = &view.cx.guard.banning.bans;
        if !std::mem::replace(&mut self.has_begun, true) {
            out.extend_from_slice(b"{\"items\":[");
        }
        let more = if let Some(address) = self.address {
            for (network, ban) in bans.all_of(address).filter(|(_, ban)| ban.until > now) {
                self.row(&row(network, ban, now), out);
            }
            More::Never
        } else {
            some_steps(BANS_PER_PIECE, out, |out| {
                let Some((network, ban)) = bans.behind(self.last).next() else { return false };
                self.last = Some(network);
                if ban.until > now {
                    self.row(&row(network, ban, now), out);
                }
                true
            })
        };
        if more == More::Never {
            out.extend_from_slice(b"],\"next\":null}\n");
        }
        more
    }
}
