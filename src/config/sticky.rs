//! The cookie that keeps a client on its backend.

use super::complaint::{Phrase, Wrong};
use super::key::SettingKey;
use super::text::quoted;
use super::{Config, Protocol};

/// What is asked of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sticky {
    /// Its name; without one there is none.
    pub cookie: Option<String>,
    /// The file of the secret that it is made with; without one a secret is drawn.
    pub key: Option<String>,
    /// What it says of requests that other sites cause.
    pub same_site: SameSite,
    /// What becomes of clients whose backend drains.
    pub drain: StickyDrain,
}

/// Which requests caused by another site a browser sends the cookie with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SameSite {
    /// Those that open a page.
    Lax,
    /// None of them.
    Strict,
    /// All of them; browsers want the cookie to be Secure then.
    None,
}

/// What becomes of a client that sticks to a backend that the operator drains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StickyDrain {
    /// It goes to another one, and sticks to that.
    Rehome,
    /// It stays for as long as the backend is up, as with HAProxy.
    Keep,
}

impl StickyDrain {
    /// The words for it.
    pub const ALL: &'static [(&'static str, StickyDrain)] =
        &[("rehome", StickyDrain::Rehome), ("keep", StickyDrain::Keep)];
}

impl Sticky {
    /// No cookie.
    pub const DEFAULT: Sticky = Sticky {
        cookie: None,
        key: None,
        same_site: SameSite::Lax,
        drain: StickyDrain::Rehome,
    };
}

impl SameSite {
    /// The words for them.
    pub const ALL: &[(&str, SameSite)] =
        &[("lax", SameSite::Lax), ("strict", SameSite::Strict), ("none", SameSite::None)];

    /// What Set-Cookie says.
    pub fn attribute(self) -> &'static str {
        match self {
            SameSite::Lax => "; SameSite=Lax",
            SameSite::Strict => "; SameSite=Strict",
            SameSite::None => "; SameSite=None",
        }
    }
}

/// What goes with a sticky cookie alone.
pub fn check_sticky(config: &Config) -> Result<(), Wrong> {
    match &config.pool.sticky.cookie {
        Some(_) => Ok(()),
        None => Err(Wrong::without(SettingKey::STICKY_COOKIE, "NAME")),
    }
}

/// A browser drops a cookie that says `SameSite=None` and is not Secure, and sends no Secure one in
/// the clear; behind a proxy it may be HTTPS that it speaks after all.
pub fn check_same_site(config: &Config) -> Result<(), Wrong> {
    check_sticky(config)?;
    let mut listeners = config.listeners.iter();
    let clear = listeners.find(|listen| listen.protocol == Protocol::Http);
    match (config.pool.sticky.same_site, clear) {
        (SameSite::None, Some(clear)) if config.listener.trusted_proxies.is_empty() => {
            let found = format!("'none' with {}", quoted(&format!("http://{}", clear.address)));
            let want =
                Phrase::from("https:// listeners alone, or ").name(SettingKey::TRUSTED_PROXIES);
            Err(Wrong::saying(found, want.text(" that speak HTTPS before this one")))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Cidr, Listen};
    use super::*;

    #[test]
    fn none_needs_https() {
        let mut config = Config::defaults();
        config.pool.sticky.same_site = SameSite::None;
        let wrong = check_same_site(&config).unwrap_err().to_string();
        assert!(wrong.starts_with("found no pool.sticky.cookie, want"), "{wrong}");
        config.pool.sticky.cookie = Some("SRV".to_owned());
        config.listeners.push(Listen::parse("https://*:443").unwrap());
        assert_eq!(check_same_site(&config), Ok(()));
        config.listeners.push(Listen::parse("http://*:80").unwrap());
        let wrong = check_same_site(&config).unwrap_err().to_string();
        assert!(
            wrong.starts_with("found 'none' with 'http://0.0.0.0:80', want https"),
            "{wrong}"
        );
        config.listener.trusted_proxies = Cidr::parse_list("10.0.0.0/8").unwrap();
        assert_eq!(check_same_site(&config), Ok(()));
        config.listener.trusted_proxies.clear();
        config.pool.sticky.same_site = SameSite::Strict;
        assert_eq!(check_same_site(&config), Ok(()));
    }
}
