//! Certificates that are told: begun by `set ssl cert`, shown by `commit`, given up by `abort`.
//!
//! ```text
//!   set --> Transaction, one a file --commit--> shown, by the loop --> forgotten
//!                      \--abort, time--> forgotten
//!   new --> Store: an empty place of a name that nothing shows --del--> gone
//! ```
//!
//! What is wrong is told in HAProxy's own texts, for tools compare them.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use rustls::pki_types::CertificateDer;

use crate::control::TlsStore;
use crate::limits::{
    CERTIFICATE_NAME_BYTES_MAX, CERTIFICATE_STORES_MAX, CERTIFICATE_TRANSACTION_TIME,
    CERTIFICATE_TRANSACTIONS_MAX,
};
use crate::net::tls::files::Certificate;
use crate::net::tls::told::{Misfit, Told};

/// What is told of a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// A place for one that nothing shows yet.
    New(String),
    /// This is to be its certificate, its key, or both.
    Set(String, Secret),
    /// It is to be shown.
    Commit(String),
    /// What was told is given up.
    Abort(String),
    /// A place that nothing shows is given up.
    Delete(String),
}

/// What may have a key in it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub Vec<u8>);

/// What is told and not shown yet.
#[derive(Debug, Default)]
pub struct Shelf {
    transactions: Vec<Transaction>,
    stores: Vec<Store>,
    /// Counted up with each that is set.
    number: u64,
}

#[derive(Debug)]
struct Transaction {
    name: String,
    told: Told,
    number: u64,
    at: Instant,
}

/// What has a name that no listener shows.
#[derive(Debug)]
struct Store {
    name: String,
    held: Option<Arc<Certificate>>,
}

/// A certificate that is to be shown.
#[derive(Debug, Clone)]
pub struct Committed {
    /// It.
    pub certificate: Arc<Certificate>,
    number: u64,
}

/// What comes of a commit.
#[derive(Debug)]
pub enum Commit {
    /// The loop has to show it.
    Shows(Committed),
    /// It is of no listener, and lies there.
    Held,
}

/// When it is.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    /// For what ends by itself.
    pub now: Instant,
    /// For certificates.
    pub wall: SystemTime,
}

/// What a payload has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Bundle,
    Key,
}

const UNREFERENCED: &str =
    "Can't replace a certificate which is not referenced by the configuration!";

impl Act {
    /// As it stands in the log: never what was told.
    pub fn text(&self) -> String {
        let (verb, name) = match self {
            Act::New(name) => ("new", name),
            Act::Set(name, _) => ("set", name),
            Act::Commit(name) => ("commit", name),
            Act::Abort(name) => ("abort", name),
            Act::Delete(name) => ("del", name),
        };
        format!("{verb} ssl cert {name}")
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({} bytes)", self.0.len())
    }
}

impl Shelf {
    /// What is told, but for a commit: what is answered, or what is wrong.
    pub fn tell(&mut self, act: Act, store: &TlsStore, now: Instant) -> Result<String, String> {
        self.forget_old(now);
        match act {
            Act::New(name) => self.open(name, store),
            Act::Set(name, Secret(text)) => {
                let set = self.set(&name, &text, store, now);
                set.map_err(|why| format!("{why}\nCan't update {name}!"))
            }
            Act::Abort(name) => self.abort(&name),
            Act::Delete(name) => {
                let deleted = self.delete(&name, store);
                deleted.map_err(|why| format!("Can't remove the certificate: {why}"))
            }
            Act::Commit(name) => Err(format!("Can't commit {name}!")),
        }
    }

    fn open(&mut self, name: String, store: &TlsStore) -> Result<String, String> {
        if self.knows(&name, store) {
            return Err(format!("Certificate '{name}' already exists!"));
        }
        if name.len() > CERTIFICATE_NAME_BYTES_MAX {
            return Err("The name is too long!".to_owned());
        }
        if self.stores.len() >= CERTIFICATE_STORES_MAX {
            return Err(format!(
                "There are {CERTIFICATE_STORES_MAX} that nothing shows already!"
            ));
        }
        let answer = format!("New empty certificate store '{name}'!");
        self.stores.push(Store { name, held: None });
        Ok(answer)
    }

    fn set(
        &mut self,
        said: &str,
        text: &[u8],
        store: &TlsStore,
        now: Instant,
    ) -> Result<String, String> {
        let (name, part) = self.meant(said, store).ok_or(UNREFERENCED)?;
        let told = match part {
            Part::Bundle => Told::bundle(text),
            Part::Key => Told::key(text),
        };
        let what = if part == Part::Key { "private key" } else { "certificate" };
        let told = told.map_err(|why| {
            format!("unable to load {what} from file '{said}'.\n{why}\nCan't load the payload")
        })?;
        self.number += 1;
        let number = self.number;
        if let Some(known) = self.transactions.iter_mut().find(|it| it.name == name) {
            known.told.add(told);
            known.number = number;
            known.at = now;
            return Ok(format!("Transaction updated for certificate {name}!"));
        }
        if self.transactions.len() >= CERTIFICATE_TRANSACTIONS_MAX {
            return Err(format!(
                "There are {CERTIFICATE_TRANSACTIONS_MAX} ongoing transactions already!"
            ));
        }
        let answer = format!("Transaction created for certificate {name}!");
        self.transactions.push(Transaction { name, told, number, at: now });
        Ok(answer)
    }

    /// Whose certificate or key that is: `F`, the file of its key, or `F.key`.
    fn meant(&self, said: &str, store: &TlsStore) -> Option<(String, Part)> {
        if self.knows(said, store) {
            return Some((said.to_owned(), Part::Bundle));
        }
        let of_key = store.certificate_of_key(said);
        let of_key = of_key.or_else(|| {
            let name = said.strip_suffix(".key")?;
            self.knows(name, store).then_some(name)
        });
        of_key.map(|name| (name.to_owned(), Part::Key))
    }

    fn abort(&mut self, name: &str) -> Result<String, String> {
        let at = self.transactions.iter().position(|it| it.name == name);
        let at = at.ok_or("No ongoing transaction!")?;
        self.transactions.remove(at);
        Ok(format!("Transaction aborted for certificate '{name}'!"))
    }

    fn delete(&mut self, name: &str, store: &TlsStore) -> Result<String, String> {
        if self.transaction(name).is_some() {
            return Err(format!("ongoing transaction for the certificate '{name}'"));
        }
        if store.certificate(name).is_some() {
            return Err(format!("certificate '{name}' in use, can't be deleted!"));
        }
        let at = self.stores.iter().position(|it| it.name == name);
        let at = at.ok_or_else(|| format!("certificate '{name}' doesn't exist!"))?;
        self.stores.remove(at);
        Ok(format!("Certificate '{name}' deleted!"))
    }

    /// All is checked, and nothing has changed but for a store that nothing shows.
    pub fn commit(
        &mut self,
        name: &str,
        store: &TlsStore,
        clock: Clock,
    ) -> Result<Commit, String> {
        self.forget_old(clock.now);
        let committed = self.joined(name, store, clock.wall);
        let committed = committed.map_err(|why| format!("{why}\nCan't commit {name}!"))?;
        if store.certificate(name).is_some() {
            return Ok(Commit::Shows(committed));
        }
        self.finish(&committed);
        if let Some(place) = self.stores.iter_mut().find(|it| it.name == name) {
            place.held = Some(committed.certificate);
        }
        Ok(Commit::Held)
    }

    fn joined(
        &self,
        name: &str,
        store: &TlsStore,
        wall: SystemTime,
    ) -> Result<Committed, String> {
        let Some(Transaction { told, number, .. }) = self.transaction(name) else {
            return Err("No ongoing transaction! !".to_owned());
        };
        if !self.knows(name, store) {
            // It was there when it was set.
            return Err(UNREFERENCED.to_owned());
        }
        let shown = self.certificate(name, store);
        let joined = told.certificate(name, shown.as_deref(), wall);
        let certificate = joined.map_err(|misfit| match misfit {
            Misfit::Incomplete => {
                "The transaction must contain at least a certificate and a private key!"
                    .to_owned()
            }
            Misfit::Mismatch => {
                format!("inconsistencies between private key and certificate loaded '{name}'.")
            }
            Misfit::Other(why) => why,
        })?;
        Ok(Committed { certificate: Arc::new(certificate), number: *number })
    }

    /// It is shown: it was no transaction since, if nothing more was told.
    pub fn finish(&mut self, committed: &Committed) {
        self.transactions.retain(|it| it.number != committed.number);
    }

    /// What was told and never committed: nobody may wait for it, and it has a key.
    pub fn forget_old(&mut self, now: Instant) {
        let is_old =
            |at: Instant| now.saturating_duration_since(at) >= CERTIFICATE_TRANSACTION_TIME;
        self.transactions.retain(|it| !is_old(it.at));
    }

    fn transaction(&self, name: &str) -> Option<&Transaction> {
        self.transactions.iter().find(|it| it.name == name)
    }

    fn knows(&self, name: &str, store: &TlsStore) -> bool {
        store.certificate(name).is_some() || self.stores.iter().any(|it| it.name == name)
    }

    /// What is there of this name.
    fn certificate(&self, name: &str, store: &TlsStore) -> Option<Arc<Certificate>> {
        let held = || self.stores.iter().find(|it| it.name == name)?.held.clone();
        store.certificate(name).or_else(held)
    }
}

/// What is there of a name.
#[derive(Debug)]
pub enum Known<'a> {
    /// Nothing yet.
    Empty,
    /// This chain was told.
    Told(&'a [CertificateDer<'static>]),
    /// This one is shown, or lies there.
    Certificate(Arc<Certificate>, bool),
}

impl Shelf {
    /// The lists of names: of transactions, and of all that is known.
    pub fn list(&self, store: &TlsStore) -> String {
        let mut text = String::new();
        if !self.transactions.is_empty() {
            text += "# transaction\n";
            self.transactions.iter().for_each(|it| text += &format!("*{}\n", it.name));
        }
        text += "# filename\n";
        let shown = store.pairs().map(|it| &*it.cert);
        let names: BTreeSet<&str> =
            shown.chain(self.stores.iter().map(|it| &*it.name)).collect();
        names.iter().for_each(|name| text += &format!("{name}\n"));
        text
    }

    /// What is known of a name, or with a `*` before it of its transaction.
    pub fn known(&self, said: &str, store: &TlsStore) -> Option<Known<'_>> {
        if let Some(name) = said.strip_prefix('*') {
            let chain = self.transaction(name)?.told.chain();
            return Some(chain.map_or(Known::Empty, Known::Told));
        }
        match self.certificate(said, store) {
            Some(found) => {
                let is_shown = store.certificate(said).is_some();
                Some(Known::Certificate(found, is_shown))
            }
            None => self.knows(said, store).then_some(Known::Empty),
        }
    }
}

#[cfg(test)]
#[path = "certificates/tests.rs"]
mod tests;
