//! The lists of a listener or a service, as a rule of the guard.

use std::net::IpAddr;
use std::sync::Arc;

use super::ranges::{Found, Ranges};
use super::rules::{Refused, RuleBook, RuleId, Scope};
use super::{Refusal, RefusalKind};

/// What the rule is called.
pub const RULE: &str = "deny";

/// Who may come to a listener or a service.
#[derive(Debug, Default)]
pub struct Access {
    lists: Option<(RuleId, Arc<Ranges>)>,
}

impl Access {
    /// Go by these lists from now on, if there are any.
    pub fn follow(&mut self, scope: &Scope, lists: Option<&Arc<Ranges>>, book: &mut RuleBook) {
        self.lists = lists.map(|lists| (book.enter(scope, RULE), Arc::clone(lists)));
    }

    /// Whether there are any lists.
    #[inline]
    pub fn is_on(&self) -> bool {
        self.lists.is_some()
    }

    /// What they say of this address.
    #[inline]
    pub fn find(&self, address: IpAddr) -> Found<'_> {
        match &self.lists {
            Some((_, lists)) => lists.find(address),
            None => Found::Allowed { is_listed: false },
        }
    }

    /// Whether this address may come, with so much at once.
    #[inline]
    pub fn check(
        &self,
        address: IpAddr,
        count: u64,
        book: &mut RuleBook,
    ) -> Result<(), Refusal> {
        let Some((rule, lists)) = &self.lists else { return Ok(()) };
        match lists.find(address) {
            Found::Allowed { .. } => Ok(()),
            Found::Denied(_) => match book.refuse_some(*rule, count) {
                Refused::OnlyCounted => Ok(()),
                Refused::Really => {
                    let kind = RefusalKind::Denied;
                    Err(Refusal { rule: *rule, kind, is_own: false, retry_after: None })
                }
            },
        }
    }

    /// Whether this address may not come, without counting it.
    #[inline]
    pub fn bars(&self, address: IpAddr, book: &RuleBook) -> bool {
        let Some((rule, lists)) = &self.lists else { return false };
        matches!(lists.find(address), Found::Denied(_)) && book.is_in_force(*rule)
    }

    /// Why this address may not come, in words.
    pub fn why(&self, address: IpAddr) -> Option<String> {
        match self.find(address) {
            Found::Allowed { .. } => None,
            Found::Denied(why) => Some(why.to_string()),
        }
    }
}
