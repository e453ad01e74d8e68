//! Settings of the guard as a whole: which of its rules are only tried.

use super::complaint::Wrong;
use super::key::SettingKey;
use crate::limits::RULE_NAME_BYTES_MAX;

const DRY_WANT: &str = "all, none, or names of rules such as deny,request-rate";

/// Which rules refuse nobody, and only count whom they would refuse.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum DryRun {
    /// None of them: all are in force.
    #[default]
    None,
    /// Those of these names.
    Rules(Vec<String>),
    /// All of them.
    All,
}

impl DryRun {
    /// `all`, `none`, or names with commas between them.
    pub fn parse(text: &str) -> Result<DryRun, Wrong> {
        match text {
            "all" => return Ok(DryRun::All),
            "none" => return Ok(DryRun::None),
            _ => {}
        }
        let is_one = |name: &str| is_rule_name(name) && !["all", "none"].contains(&name);
        let names = text.split(',').map(|name| match is_one(name) {
            true => Ok(name.to_owned()),
            false => Err(Wrong::found(text, DRY_WANT)),
        });
        Ok(DryRun::Rules(names.collect::<Result<_, _>>()?))
    }

    /// The names that it has.
    pub fn names(&self) -> &[String] {
        match self {
            DryRun::Rules(names) => names,
            DryRun::None | DryRun::All => &[],
        }
    }

    /// Whether the rule of this name is only tried.
    pub fn holds_for(&self, name: &str) -> bool {
        match self {
            DryRun::None => false,
            DryRun::Rules(names) => names.iter().any(|it| it == name),
            DryRun::All => true,
        }
    }

    /// As it is written.
    pub fn text(&self) -> String {
        match self {
            DryRun::None => "none".to_owned(),
            DryRun::Rules(names) => names.join(","),
            DryRun::All => "all".to_owned(),
        }
    }
}

/// Whether a rule may be called this: in logs and metrics it stands as it is.
pub fn is_rule_name(name: &str) -> bool {
    let is_fit = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    let is_short = name.len() <= RULE_NAME_BYTES_MAX;
    !name.is_empty() && is_short && !name.starts_with('-') && name.bytes().all(is_fit)
}

/// The names of rules that no limit of requests may have for its own.
pub const OWN_RULES: &[&str] = &[
    "all",
    "ban",
    "bandwidth",
    "connection-rate",
    "connections",
    "datagram-rate",
    "datagram-total",
    "deny",
    "flows",
    "handshake-rate",
    "none",
];

/// The settings of this file by name.
#[expect(missing_docs, reason = "their paths say what they are")]
impl SettingKey {
    pub const GUARD_DRY_RUN: SettingKey = SettingKey("global.guard_dry_run");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_only_tried_is_read_and_shown_alike() {
        for text in ["all", "none", "deny", "deny,request-rate,login"] {
            assert_eq!(DryRun::parse(text).unwrap().text(), text);
        }
        for text in ["", "deny,", "deny, x", "a b", &"x".repeat(RULE_NAME_BYTES_MAX + 1)] {
            let wrong = DryRun::parse(text).unwrap_err().to_string();
            assert!(wrong.contains(DRY_WANT), "{wrong}");
        }
        let some = DryRun::parse("deny").unwrap();
        assert!(some.holds_for("deny") && !some.holds_for("ban"));
        assert!(DryRun::All.holds_for("ban") && !DryRun::None.holds_for("ban"));
    }
}
