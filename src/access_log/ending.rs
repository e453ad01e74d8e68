//! Who ended an exchange before its time, and at which stage: HAProxy's termination state.

/// Who ended it before its time, and what it was doing then: HAProxy's termination state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ending {
    /// The first letter of HAProxy's two.
    pub who: Who,
    /// The second letter: the stage that it was at.
    pub when: When,
}

/// Who ended it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// Nobody: it came to its end.
    Nobody,
    /// The client broke off.
    Client,
    /// The client took too long.
    ClientTimeout,
    /// The backend refused, or broke off.
    Server,
    /// The backend took too long.
    ServerTimeout,
    /// We refused to pass it on.
    Proxy,
    /// We answered it.
    Local,
    /// We had no descriptor, memory or port left.
    Resource,
    /// Its backend went down.
    Down,
    /// The operator stopped us.
    Killed,
}

/// What was going on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// Nothing: it was over.
    Over,
    /// The request's head was awaited, or looked at.
    Request,
    /// It waited until a backend had room.
    Queue,
    /// A backend was sought and connected to.
    Connect,
    /// The answer's head was awaited.
    Head,
    /// Bytes were on their way.
    Data,
}

impl Ending {
    /// It came to its end.
    pub const WELL: Ending = Ending { who: Who::Nobody, when: When::Over };

    /// HAProxy's two letters.
    pub fn letters(self) -> [u8; 2] {
        let who = match self.who {
            Who::Nobody => b'-',
            Who::Client => b'C',
            Who::ClientTimeout => b'c',
            Who::Server => b'S',
            Who::ServerTimeout => b's',
            Who::Proxy => b'P',
            Who::Local => b'L',
            Who::Resource => b'R',
            Who::Down => b'D',
            Who::Killed => b'K',
        };
        let when = match self.when {
            When::Over => b'-',
            When::Request => b'R',
            When::Queue => b'Q',
            When::Connect => b'C',
            When::Head => b'H',
            When::Data => b'D',
        };
        [who, when]
    }
}
