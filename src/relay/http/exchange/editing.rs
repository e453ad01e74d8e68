//! What the rules of a service make of a request and of its answer, before a backend is looked for:
//! what cannot be had is answered before anything is sent.

use crate::context::Context;
use crate::http::RequestHead;
use crate::http::edits::{Edits, Unfit};
use crate::relay::client::Client;
use crate::relay::routing::{self, AppliedRules};

use super::Exchange;

impl Exchange {
    /// What rules make of the request and of its answer, as far as that is known now.
    #[inline]
    pub(super) fn edit(
        &mut self,
        head: &RequestHead,
        rules: &AppliedRules,
        client: &Client,
        cx: &mut Context,
    ) -> Result<(), Unfit> {
        let edits = rules.edits();
        if edits.is_empty() { Ok(()) } else { self.edit_by(edits, head, client, cx) }
    }

    #[cold]
    fn edit_by(
        &mut self,
        edits: Edits<'_>,
        head: &RequestHead,
        client: &Client,
        cx: &mut Context,
    ) -> Result<(), Unfit> {
        let mut request = std::mem::take(&mut cx.http.edits);
        let with = routing::with(head, client, cx);
        let edited = edits.request(&with, &mut request);
        let edited = edited.and_then(|()| edits.response(&with, &mut self.edits));
        self.is_edited = !request.is_empty();
        cx.http.edits = request;
        edited
    }
}
