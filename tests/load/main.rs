//! Much at once, or too little of something: crowds, floods, no descriptors.
//!
//! These load the machine or judge by the clock, so they have a binary to themselves.

#[path = "../common/mod.rs"]
mod common;

mod attack;
mod crowds;
mod limits;
mod overload;
