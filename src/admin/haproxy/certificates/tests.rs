//! What is told of certificates, and what is answered.

use std::time::Duration;

use super::*;
use crate::config::{CertificatePair, Config};
use crate::control::{Ground, Preparing};
use crate::net::tls::files::tests::Files;

const DAY: Duration = Duration::from_secs(24 * 3600);

struct Here {
    files: Files,
    cert: String,
    key: String,
    store: TlsStore,
    shelf: Shelf,
    now: Instant,
}

fn here(name: &str) -> Here {
    let files = Files::new(name);
    let (cert, key) = files.pair("a.test", 90 * DAY);
    let mut config = Config::defaults();
    let pair = CertificatePair { cert: cert.clone(), key: key.clone() };
    config.listener.tls.certificates.push(pair);
    config.listeners.push(crate::config::Listen::parse("https://127.0.0.1:0").unwrap());
    let mut preparing = Preparing::to_check(config.desired().unwrap());
    let prepared = Ground::with_nothing(&|_| Vec::new(), |ground| {
        while preparing.step(ground) {}
        preparing.finish().unwrap()
    });
    let now = Instant::now();
    Here { files, cert, key, store: prepared.store, shelf: Shelf::default(), now }
}

impl Here {
    fn tell(&mut self, act: Act) -> Result<String, String> {
        self.shelf.tell(act, &self.store, self.now)
    }

    fn set(&mut self, name: &str, text: &str) -> Result<String, String> {
        self.tell(Act::Set(name.to_owned(), Secret(text.as_bytes().to_vec())))
    }

    fn commit(&mut self, name: &str) -> Result<Commit, String> {
        let clock = Clock { now: self.now, wall: SystemTime::now() };
        self.shelf.commit(name, &self.store, clock)
    }

    /// A new certificate, and its key.
    fn other(&self, name: &str) -> [String; 2] {
        let (cert, key) = self.files.pair(name, 90 * DAY);
        [cert, key].map(|file| std::fs::read_to_string(file).unwrap())
    }
}

#[test]
fn a_certificate_is_set_listed_and_committed() {
    let mut here = here("told-set");
    let file = here.cert.clone();
    let [certificate, key] = here.other("b.test");
    let created = here.set(&file, &format!("{certificate}{key}")).unwrap();
    assert_eq!(created, format!("Transaction created for certificate {file}!"));
    let updated = here.set(&file, &format!("{certificate}{key}")).unwrap();
    assert_eq!(updated, format!("Transaction updated for certificate {file}!"));
    let list = here.shelf.list(&here.store);
    assert_eq!(list, format!("# transaction\n*{file}\n# filename\n{file}\n"));
    let Commit::Shows(committed) = here.commit(&file).unwrap() else { panic!("it is shown") };
    assert_eq!(committed.certificate.names(), ["b.test"]);
    here.shelf.finish(&committed);
    assert_eq!(here.shelf.list(&here.store), format!("# filename\n{file}\n"));
    let again = here.commit(&file).unwrap_err();
    assert_eq!(again, format!("No ongoing transaction! !\nCan't commit {file}!"));
}

/// By the name of HAProxy, and by that of the file as it is configured.
#[test]
fn a_key_in_a_file_of_its_own_is_set_by_itself() {
    for by_file in [false, true] {
        let mut here = here(&format!("told-key-{by_file}"));
        let file = here.cert.clone();
        let name = if by_file { here.key.clone() } else { format!("{file}.key") };
        let [certificate, key] = here.other("b.test");
        here.set(&file, &certificate).unwrap();
        let wrong = here.commit(&file).unwrap_err();
        let why = format!(
            "inconsistencies between private key and certificate loaded '{file}'.\n\
             Can't commit {file}!"
        );
        assert_eq!(wrong, why, "the old key");
        let updated = here.set(&name, &key).unwrap();
        assert_eq!(updated, format!("Transaction updated for certificate {file}!"));
        assert!(matches!(here.commit(&file), Ok(Commit::Shows(_))));
    }
}

#[test]
fn what_is_wrong_changes_nothing_and_is_told_in_the_words_of_haproxy() {
    let mut here = here("told-wrong");
    let file = here.cert.clone();
    let [certificate, key] = here.other("b.test");
    let unknown = here.set("/nope", &certificate).unwrap_err();
    assert_eq!(unknown, format!("{UNREFERENCED}\nCan't update /nope!"));
    let junk = here.set(&file, "junk\n").unwrap_err();
    assert!(junk.starts_with(&format!("unable to load certificate from file '{file}'.\n")));
    let end = format!("\nCan't load the payload\nCan't update {file}!");
    assert!(junk.ends_with(&end), "{junk}");
    let no_key = here.set(&format!("{file}.key"), &certificate).unwrap_err();
    assert!(no_key.starts_with("unable to load private key from file"), "{no_key}");
    let abort = here.tell(Act::Abort(file.clone())).unwrap_err();
    assert_eq!(abort, "No ongoing transaction!");
    assert_eq!(here.shelf.list(&here.store), format!("# filename\n{file}\n"));
    here.set(&file, &format!("{certificate}{key}")).unwrap();
    assert!(here.set(&file, "junk\n").is_err());
    assert!(matches!(here.commit(&file), Ok(Commit::Shows(_))), "as it was set before");
    let aborted = here.tell(Act::Abort(file.clone())).unwrap();
    assert_eq!(aborted, format!("Transaction aborted for certificate '{file}'!"));
    assert!(here.commit(&file).is_err());
}

#[test]
fn a_place_that_nothing_shows_is_made_filled_and_given_up() {
    let mut here = here("told-new");
    let name = "/new.pem".to_owned();
    let known = here.tell(Act::New(here.cert.clone())).unwrap_err();
    assert_eq!(known, format!("Certificate '{}' already exists!", here.cert));
    let new = here.tell(Act::New(name.clone())).unwrap();
    assert_eq!(new, "New empty certificate store '/new.pem'!");
    assert!(matches!(here.shelf.known(&name, &here.store), Some(Known::Empty)));
    let [certificate, key] = here.other("b.test");
    here.set(&name, &certificate).unwrap();
    let why = "The transaction must contain at least a certificate and a private key!\n\
               Can't commit /new.pem!";
    assert_eq!(here.commit(&name).unwrap_err(), why);
    let delete = |here: &mut Here| here.tell(Act::Delete("/new.pem".to_owned()));
    let why = "Can't remove the certificate: ongoing transaction for the certificate \
               '/new.pem'";
    assert_eq!(delete(&mut here).unwrap_err(), why);
    here.set("/new.pem.key", &key).unwrap();
    assert!(matches!(here.commit(&name), Ok(Commit::Held)));
    assert!(matches!(here.shelf.known(&name, &here.store), Some(Known::Certificate(_, false))));
    assert_eq!(delete(&mut here).unwrap(), "Certificate '/new.pem' deleted!");
    let why = "Can't remove the certificate: certificate '/new.pem' doesn't exist!";
    assert_eq!(delete(&mut here).unwrap_err(), why);
    let used = here.tell(Act::Delete(here.cert.clone())).unwrap_err();
    assert!(used.ends_with("in use, can't be deleted!"), "{used}");
}

#[test]
fn transactions_and_places_are_bounded_and_end_by_themselves() {
    let mut here = here("told-bounds");
    let [certificate, key] = here.other("b.test");
    for at in 0..CERTIFICATE_STORES_MAX {
        here.tell(Act::New(format!("/{at}"))).unwrap();
    }
    assert!(here.tell(Act::New("/one-more".to_owned())).is_err());
    let text = format!("{certificate}{key}");
    for at in 0..CERTIFICATE_TRANSACTIONS_MAX {
        here.set(&format!("/{at}"), &text).unwrap();
    }
    let file = here.cert.clone();
    assert!(here.set(&file, &text).unwrap_err().contains("ongoing transactions already"));
    here.now += CERTIFICATE_TRANSACTION_TIME;
    let created = here.set(&file, &text).unwrap();
    assert!(created.contains("created"), "those before are forgotten: {created}");
    assert_eq!(here.shelf.transactions.len(), 1);
}

/// What was told while a commit was under way is another transaction.
#[test]
fn a_commit_ends_only_what_it_took() {
    let mut here = here("told-race");
    let file = here.cert.clone();
    let [certificate, key] = here.other("b.test");
    here.set(&file, &format!("{certificate}{key}")).unwrap();
    let Ok(Commit::Shows(committed)) = here.commit(&file) else { panic!("it is shown") };
    here.set(&file, &certificate).unwrap();
    here.shelf.finish(&committed);
    assert!(here.shelf.transaction(&file).is_some());
}

#[test]
fn a_key_is_in_no_text() {
    let act = Act::Set("/f.pem".to_owned(), Secret(b"PRIVATE".to_vec()));
    assert_eq!(act.text(), "set ssl cert /f.pem");
    assert_eq!(format!("{act:?}"), "Set(\"/f.pem\", Secret(7 bytes))");
}
