//! Whom a listener or a service lets in, by lists of networks.

use super::Cidr;
use super::key::SettingKey;

/// Lists of networks, and files of such lists. Where something is allowed the rest is denied; of
/// several networks that hold an address the smallest decides.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct AccessLists {
    /// Who may come.
    pub allow: Vec<Cidr>,
    /// Who may not.
    pub deny: Vec<Cidr>,
    /// Files of those who may.
    pub allow_files: Vec<String>,
    /// Files of those who may not.
    pub deny_files: Vec<String>,
}

/// The settings of such lists, for listeners or for services.
#[derive(Debug, Clone, Copy)]
pub struct AccessKeys {
    /// Who may come.
    pub allow: SettingKey,
    /// Who may not.
    pub deny: SettingKey,
    /// Files of those who may.
    pub allow_files: SettingKey,
    /// Files of those who may not.
    pub deny_files: SettingKey,
}

impl AccessLists {
    /// Everybody.
    pub const NONE: AccessLists = AccessLists {
        allow: Vec::new(),
        deny: Vec::new(),
        allow_files: Vec::new(),
        deny_files: Vec::new(),
    };

    /// Whether nobody is named.
    pub fn is_empty(&self) -> bool {
        self.allow.is_empty()
            && self.deny.is_empty()
            && self.allow_files.is_empty()
            && self.deny_files.is_empty()
    }
}

impl AccessKeys {
    /// Of listeners.
    pub const LISTENER: AccessKeys = AccessKeys {
        allow: SettingKey::ALLOW,
        deny: SettingKey::DENY,
        allow_files: SettingKey::ALLOW_FILES,
        deny_files: SettingKey::DENY_FILES,
    };

    /// Of services.
    pub const SERVICE: AccessKeys = AccessKeys {
        allow: SettingKey::SERVICE_ALLOW,
        deny: SettingKey::SERVICE_DENY,
        allow_files: SettingKey::SERVICE_ALLOW_FILES,
        deny_files: SettingKey::SERVICE_DENY_FILES,
    };
}

/// The settings above by name.
#[expect(missing_docs, reason = "their paths say what they are")]
impl SettingKey {
    pub const ALLOW: SettingKey = SettingKey("listener.allow");
    pub const DENY: SettingKey = SettingKey("listener.deny");
    pub const ALLOW_FILES: SettingKey = SettingKey("listener.allow_files");
    pub const DENY_FILES: SettingKey = SettingKey("listener.deny_files");
    pub const SERVICE_ALLOW: SettingKey = SettingKey("service.allow");
    pub const SERVICE_DENY: SettingKey = SettingKey("service.deny");
    pub const SERVICE_ALLOW_FILES: SettingKey = SettingKey("service.allow_files");
    pub const SERVICE_DENY_FILES: SettingKey = SettingKey("service.deny_files");
}
