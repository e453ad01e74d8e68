//! What kernels and networks do that ours does not do by itself: Nagle's algorithm at the other
//! end, system calls that are not there, peers that vanish.

mod addresses;
mod delays;
mod keepalive;
mod kernels;
