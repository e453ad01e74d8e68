//! What the operator has said of a backend, beside its weight.

/// Whether a backend is to have work; HAProxy's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub enum AdminState {
    /// As its weight and its health allow.
    #[default]
    Ready,
    /// No new work; what it has goes on, and it is probed.
    Drain,
    /// No work, and no probes either: somebody works on it.
    Maint,
}

impl AdminState {
    /// All of them, by their words.
    pub const WORDS: [(&'static str, AdminState); 3] = [
        ("ready", AdminState::Ready),
        ("drain", AdminState::Drain),
        ("maint", AdminState::Maint),
    ];

    /// As people and programs write it.
    pub fn word(self) -> &'static str {
        match self {
            AdminState::Ready => "ready",
            AdminState::Drain => "drain",
            AdminState::Maint => "maint",
        }
    }
}
