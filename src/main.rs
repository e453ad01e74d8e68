//! Flags to configuration to run; exit codes; nothing else.
fn main() {}
