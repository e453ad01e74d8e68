//! Who comes in and who does not, as tables.
