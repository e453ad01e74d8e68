//! The row of `--retry-budget`.
//!
//! Apart from the other rows of its group because those are many.

use super::row::{Act, Setting};
use crate::config::{RetryBudget, SettingKey};

pub(super) const RETRY_BUDGET: Setting = Setting {
    short: "",
    long: "retry-budget",
    value: "N%|none",
    says: "Retries that a pool may have: this share of its requests and connections of the last \
           10 s, 0% to 100%, and 10 a second beside it. So backends that fail are not asked \
           several times as often as those that work. What is not tried again for want of budget \
           fails as it did the first time. none: no limit.",
    default: |_| "20%, none with --check none".to_owned(),
    show: |config| config.pool.retry_budget.show(),
    act: Act::Value(SettingKey::RETRY_BUDGET, |config, text| {
        config.pool.retry_budget = RetryBudget::parse(text)?;
        Ok(())
    }),
};
