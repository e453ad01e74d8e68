//! One door for change: from the desired state to what has to be done so that it runs, and what was
//! done.
//!
//! ```text
//!   Desired, as it runs --+
//!                         +-- Diff --Preparing--> Prepared --EventLoop::apply--> Receipt
//!   Desired, as wanted ---+   pure  files, names, sockets,       between two turns,
//!                                   in small pieces              all or nothing
//! ```
//!
//! All or nothing: sockets are bound, certificates read and names looked up before the first change
//! is made, and what cannot be had is told all at once. What can fail afterwards is to register a
//! socket with the poll, which comes first. The start is a diff from nothing. Nothing here touches
//! the loop: that applies what is prepared.

mod admin;
mod adopt;
mod diff;
mod directory;
pub mod history_file;
mod owner;
mod prepare;
mod receipt;
mod server_fates;
mod server_plan;
mod servers;
mod socket;
pub mod state;
#[cfg(test)]
mod tests;
mod tls;

pub use admin::{AdminBound, PreparedAdmin, PreparedAdminListener, PreparedInlet, Speaks};
pub use adopt::{Adoption, unwanted};
pub use diff::{Diff, Fate, Fates};
pub use directory::{BackendEntry, Directory, Layers, PoolEntry};
pub use prepare::{
    Ground, Own, Prepared, PreparedListener, PreparedServer, Preparing, ReadFiles, check,
    prepare,
};
pub use receipt::{Counted, PoolChange, Receipt};
pub use servers::{ServerList, ServerWanted, Servers};
pub use socket::{Socket, socket_file};
pub use tls::TlsStore;
