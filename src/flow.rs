//! UDP's flows: whose datagram belongs to which, when one is over, and which gives way to which.
//!
//! A *flow* is a client's address, the address of ours that it wrote to, and a backend. This is a
//! pure room: no socket, no clock. A datagram and the time go in; what comes out is the flow that
//! takes it, or that a new one is wanted, or that there is no room. What a flow carries (a socket
//! and a backend) is the business of `relay::udp`, and only kept here.
//!
//! ```text
//!   datagrams --> Taken(key, n)                       n of them go with this flow
//!             --> Wanted   --open--> key              and the longest idle one may have given way
//!             --> Full                                all that are here answered a moment ago
//!   answers   --> is_over? --close--> the flow
//!   expire    --> a flow on which nothing moved for the idle time
//! ```
//!
//! There is no timer for a flow. Two lists hold all of them in the order in which something last
//! moved: those that never carried an answer, and those that did. So who was idle for longest, and
//! when the next one expires, stands at the heads. A datagram costs a look-up and, once a turn, a
//! move to the end of a list.

mod shunned;
#[cfg(test)]
mod simulation;
mod table;

pub use shunned::Shunned;
pub use table::{Flow, Placement, Policy, Table};

use std::net::{IpAddr, SocketAddr};

use crate::event::ListenerId;

/// Who sends, and to which address of ours: answers leave from there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FlowKey {
    /// At which listener.
    pub listener: ListenerId,
    /// Where it is, as the listener's socket says it.
    pub address: SocketAddr,
    /// Which of our addresses it wrote to, where a listener has several.
    pub local: Option<IpAddr>,
}
