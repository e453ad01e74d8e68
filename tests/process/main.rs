//! The programs as processes: their flags, how they start and stop, what they write.

#[path = "../common/mod.rs"]
mod common;

mod access_log;
mod config;
mod ctl;
mod demo;
mod flags;
mod handed;
mod logs;
mod many;
mod names;
mod nonlocal;
mod privileges;
mod stage;
mod start;
mod state;
mod stop;
mod supervised;
mod top;
mod zones;
