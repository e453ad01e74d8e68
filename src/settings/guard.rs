//! The rows of the flags that say who comes in, the group "Who comes in" of the manual.
//!
//! Read through [`super::table::GROUPS`].

use super::row::{Act, Setting};
use crate::config::{DryRun, SettingKey};

pub(super) static GUARD: &[Setting] = &[Setting {
    short: "",
    long: "guard-dry-run",
    value: "all|none|RULE[,RULE]...",
    says: "Rules of the guard that refuse nobody: whom they would refuse is counted and logged. \
           RULE is the name of one, as in the log and in metrics.",
    default: |defaults| defaults.process.guard_dry_run.text(),
    show: |config| Some(config.process.guard_dry_run.text()),
    act: Act::Value(SettingKey::GUARD_DRY_RUN, |config, text| {
        config.process.guard_dry_run = DryRun::parse(text)?;
        Ok(())
    }),
}];
