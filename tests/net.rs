//! What kernels and networks do that ours does not do by itself: Nagle's algorithm at the other
//! end, system calls that are not there, peers that vanish.

mod common;

#[path = "net/addresses.rs"]
mod addresses;
#[path = "net/delays.rs"]
mod delays;
#[path = "net/keepalive.rs"]
mod keepalive;
#[path = "net/kernels.rs"]
mod kernels;
