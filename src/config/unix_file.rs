//! The file of a listener's UNIX socket: whose it is, and who may connect.

use std::fmt;

use super::complaint::Wrong;
use super::key::SettingKey;

/// Who a file is to belong to: `USER`, `USER:GROUP` or `:GROUP`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SocketOwner {
    /// The user, if it is to be another one.
    pub user: Option<Named>,
    /// The group, if it is to be another one.
    pub group: Option<Named>,
}

/// A user or a group as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Named {
    /// By its name.
    Name(String),
    /// By its number.
    Number(u32),
}

/// The settings of this file by name.
#[expect(missing_docs, reason = "their paths say what they are")]
impl SettingKey {
    pub const SOCKET_MODE: SettingKey = SettingKey("listener.socket_mode");
    pub const SOCKET_OWNER: SettingKey = SettingKey("listener.socket_owner");
}

impl SocketOwner {
    /// `www-data`, `www-data:adm`, `:adm`, `33:4`.
    pub fn parse(text: &str) -> Result<SocketOwner, Wrong> {
        let want = "USER, USER:GROUP or :GROUP such as www-data:www-data, by name or number";
        let wrong = || Wrong::found(text, want);
        let (user, group) = match text.split_once(':') {
            Some((user, group)) => (user, Some(group)),
            None => (text, None),
        };
        let named = |text: &str| Named::parse(text).ok_or_else(wrong);
        let user = (!user.is_empty()).then(|| named(user)).transpose()?;
        let group = group.map(named).transpose()?;
        if user.is_none() && group.is_none() {
            return Err(wrong());
        }
        Ok(SocketOwner { user, group })
    }
}

impl Named {
    fn parse(text: &str) -> Option<Named> {
        if text.bytes().all(|b| b.is_ascii_digit()) {
            // The last number means to chown(2) that nothing is changed.
            let number = text.parse().ok().filter(|it| *it != u32::MAX);
            return number.map(Named::Number);
        }
        let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"._-$@".contains(&b);
        let good = !text.starts_with('-') && text.bytes().all(is_plain);
        good.then(|| Named::Name(text.to_owned()))
    }
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Named::Name(name) => name.fmt(f),
            Named::Number(number) => number.fmt(f),
        }
    }
}

impl fmt::Display for SocketOwner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(user) = &self.user {
            user.fmt(f)?;
        }
        match &self.group {
            Some(group) => write!(f, ":{group}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owners_are_read_as_they_are_shown() {
        for text in ["www-data", "www-data:adm", ":adm", "33:4"] {
            assert_eq!(SocketOwner::parse(text).expect(text).to_string(), text);
        }
        for text in
            ["", ":", "a:", "a b", "99999999999", "4294967295", ":4294967295", "a:b:c", "-x"]
        {
            assert!(SocketOwner::parse(text).is_err(), "{text}");
        }
    }
}
