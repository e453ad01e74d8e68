//! pointsman: a load balancer on one thread.
//!
//! A pointsman is the officer on point duty at a crossing: one person, one whistle, every car waved
//! to the lane that can take it. So is this: one thread, one poll, one turn at a time.
//!
//! # The rooms, from the ground up
//!
//! A room uses those below it, never one above; what needs doing above is returned as a value.
//!
//! | room | what it owns |
//! |---|---|
//! | [`limits`], [`config`] | constants with their reasons; what the operator asked for |
//! | [`event`] | whose an event is, what is ready, what is due, whose turn it is |
//! | [`json`], [`outlet`] | writing it; lines for a descriptor that may not take them |
//! | [`service_manager`] | what systemd is told of the process: ready, reloading, stopping, alive |
//! | [`takeover`] | what a process says to the one whose place it takes, and the reverse |
//! | [`net`] | sockets, buffers, pipes; errors sorted into small enums |
//! | [`net::tls`] | TLS around a wire: handshakes, records, certificates |
//! | [`http`] | HTTP/1.1 without sockets: heads, bodies, rewriting, our own answers |
//! | [`dns`] | DNS without sockets: questions, answers, look-ups, a name that changes |
//! | [`hello`] | the ClientHello of TLS without sockets: which server name the client asks for |
//! | [`flow`] | UDP's flows: whose datagram belongs to which, who gives way |
//! | [`balance`] | one file an algorithm, one trait |
//! | [`guard`] | who comes in, how much, how often: rules, and what they counted |
//! | [`access_log`] | a line for each exchange: a format, one file |
//! | [`stats`] | counters, histograms; the table of what is shown of them |
//! | [`backends`] | servers, pools and their seats: who is there, how busy, who is picked |
//! | [`services`] | listeners, services and their rules; which service takes a request |
//! | [`picks`] | the last picks, for whoever asks why |
//! | [`context`] | what a room may use while a pair or a probe acts |
//! | [`health`] | probes: what is asked, what an answer means |
//! | [`relay`] | what happens between a client and a backend |
//! | [`relay::http`] | the same where HTTP is spoken, request by request |
//! | [`relay::udp`] | what carries the flows: sockets, batches, answers |
//! | [`relay::mirror`] | copies of requests, sent to another pool |
//! | [`status`], [`logging`] | the status page; a log that cannot block |
//! | [`control`] | from the desired state to what has to be done so that it runs |
//! | [`event_loop`] | the turn, and the one place where what is there is changed |
//! | [`settings`] | the one table of settings, for all who write them |
//! | [`mod@file`] | configuration files, and the places of mistakes in them |
//! | [`wanted`] | from the command line and a file to one desired state |
//! | [`startup`], [`flags`], `main` | names, ports and descriptors; the command line; exit codes |
//! | [`terminal`] | a terminal that is drawn on in place: frames, keys, and the way back |
//! | [`ctl`] | asks and changes a pointsman that runs, from a process of its own |
//! | [`top`] | watches those that run, in place, from a process of its own |
//! | [`demo`] | backends and a client to try it with, on plain blocking threads |
//!
//! # One connection's walk
//!
//! ```text
//!   event_loop::accept   a client is taken in, and a pair is made for it
//!     relay::guard         the phase of all listeners: may it come in?
//!     relay::act           no other phase is asked for at tcp://, so it becomes a TCP talk
//!       relay::tcp::open     a backend is picked (backends, balance) and connected to (net)
//!     relay::pump          what the client has sent already goes out at once
//!   -- next turns --
//!   event_loop::mark     an event sets readiness bits and queues the pair
//!   event_loop::act
//!     relay::tcp::act      connected? failed, then another backend
//!       relay::pump        client to backend, backend to client
//!       relay::duplex      both directions done? then the verdict is Close
//!   event_loop::follow_up  signals, backends that went down: what concerns more than one pair
//!   event_loop::reap     the sockets are dropped and the slots freed
//! ```
//!
//! At an `sni://` listener `relay::hello` comes first: it reads the ClientHello ([`hello`]). Then
//! `relay::routing` asks the listener for the service of that name, which has a pool. What came is
//! the first that goes out.
//!
//! At a `tls://` or `https://` listener `relay::handshake` comes first, until the client has shaken
//! hands ([`net::tls`]); from then on nobody above `net::stream` knows that TLS is there.
//!
//! # One HTTP request's walk
//!
//! ```text
//!   event_loop::act        or accept, for a new client
//!     relay::http::head      read until the head is whole (http::request)
//!     relay::http::exchange  a backend: the cookie's, or picked; an idle connection, or a new one
//!       http::rewrite          what the backend is to be told, as a list of slices
//!       relay::http::carry     the body: chunks framed afresh, all else by relay::pump
//!   -- next turns --
//!   event_loop::act
//!     relay::http::exchange  no byte of an answer? asked again, where that harms nobody
//!       relay::http::response  the answer's head (http::response, rewrite), then its body
//!     context::park          whole: the connection goes to its backend's idle list
//!     relay::http::head      and the client may ask on; if not:
//!     relay::parting         FIN, read and drop for a moment, close
//! ```
//!
//! # One datagram's walk
//!
//! ```text
//!   event_loop::receive_datagrams
//!     relay::udp             many are taken from a listener at once (net::datagram)
//!       flow::Table          whose is it? a known flow's, or a backend is picked for a new one
//!       relay::udp           sorted by flow, each flow's share leaves in one call
//!   -- next turns --
//!   event_loop::act
//!     relay::udp             answers are heard, flow by flow, and leave together
//!   event_loop::reap         the sockets of flows that are over are closed
//! ```
//!
//! # The words
//!
//! The two sides are the *client* and the *backend*. A *pair* is a client and what is done for it;
//! a *backend connection* is a socket to a backend; a *pool* is some of the backends, and a
//! *service* says which clients or requests go to one, and how; a *direction* is the request's or
//! the response's, and in the pump each has a *source* and a *target*. An *exchange* is an HTTP
//! request and its answer; an *idle* connection to a backend waits for the next one. A *flow* is a
//! UDP client's address and its backend, its *upstream* the socket towards that. A *turn* is one
//! iteration of the loop, a *budget* what one may do in it, a *probe* a health check.
//! `docs/glossary.md` has the field's words beside these.

pub mod access_log;
pub mod admin;
pub mod backends;
pub mod balance;
pub mod config;
pub mod context;
pub mod control;
pub mod ctl;
pub mod demo;
pub mod dns;
pub mod event;
pub mod event_loop;
pub mod file;
pub mod flags;
pub mod flow;
pub mod guard;
pub mod health;
pub mod hello;
pub mod history;
pub mod http;
pub mod json;
pub mod limits;
pub mod logging;
pub mod net;
pub mod outlet;
pub mod picks;
pub mod privileges;
pub mod proxy_header;
pub mod relay;
pub mod resolver;
pub mod service_manager;
pub mod services;
pub mod settings;
pub mod startup;
pub mod stats;
pub mod status;
pub mod takeover;
pub mod terminal;
pub mod top;
pub mod wanted;
