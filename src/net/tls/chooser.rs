//! Which certificate a client is shown: by the name that it asks for, then by what it can verify.
//!
//! ```text
//!   a name  ->  those for exactly it, those for *. and the rest of it; the first, if there is none
//!           ->  of these the first whose key the client can verify, ECDSA before RSA
//! ```
//!
//! Two certificates for one name with keys of different kinds are both used: a signature by ECDSA
//! costs us a tenth of one by RSA, and RSA is for clients that know nothing else. Made by `server`.

use std::collections::HashMap;
use std::sync::Arc;

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{SignatureAlgorithm, SignatureScheme};

use crate::config::UnknownName;

use super::files::Certificate;

/// Certificates for one name, the preferred kind of key first, each kind once.
type CertifiedKeys = Vec<Arc<CertifiedKey>>;

/// What there is to choose from.
#[derive(Debug)]
pub(super) struct Chooser {
    exact: HashMap<String, CertifiedKeys>,
    /// By what follows on `*.`.
    wildcards: HashMap<String, CertifiedKeys>,
    /// The first certificate, and those of other kinds that share a name with it.
    first: CertifiedKeys,
    unknown_name: UnknownName,
}

impl Chooser {
    pub fn new(certificates: &[Arc<Certificate>], unknown_name: UnknownName) -> Chooser {
        let mut exact = HashMap::new();
        let mut wildcards = HashMap::new();
        for certificate in certificates {
            for name in certificate.names() {
                let (names, name) = match name.strip_prefix("*.") {
                    Some(rest) => (&mut wildcards, rest),
                    None => (&mut exact, name.as_str()),
                };
                add(names.entry(name.to_owned()).or_default(), certificate.key());
            }
        }
        let mut first = Vec::new();
        if let [head, others @ ..] = certificates {
            add(&mut first, head.key());
            let related = |it: &&Arc<Certificate>| {
                it.names().iter().any(|name| head.names().contains(name))
            };
            others.iter().filter(related).for_each(|it| add(&mut first, it.key()));
        }
        Chooser { exact, wildcards, first, unknown_name }
    }

    /// Whether both names are shown the same certificate.
    pub fn is_same(&self, one: &str, other: &str) -> bool {
        let shown = |name| self.choose(Some(name), &[]);
        match (shown(one), shown(other)) {
            (Some(one), Some(other)) => Arc::ptr_eq(&one, &other),
            _ => false,
        }
    }

    fn choose(
        &self,
        name: Option<&str>,
        schemes: &[SignatureScheme],
    ) -> Option<Arc<CertifiedKey>> {
        let Some(name) = name else { return best(self.first.iter(), schemes) };
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        let exact = self.exact.get(&name).into_iter().flatten();
        let below = name.split_once('.').and_then(|(_, rest)| self.wildcards.get(rest));
        let mut found = exact.chain(below.into_iter().flatten()).peekable();
        match (found.peek(), self.unknown_name) {
            (Some(_), _) => best(found, schemes),
            (None, UnknownName::Refuse) => None,
            (None, UnknownName::First) => best(self.first.iter(), schemes),
        }
    }
}

impl ResolvesServerCert for Chooser {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.choose(hello.server_name(), hello.signature_schemes())
    }
}

/// Those certificates that no client is ever shown: for all their names others come first that have
/// a key of the same kind. Each with the file of one of those.
pub(super) fn never_shown(
    certificates: &[Arc<Certificate>],
) -> Vec<(&Certificate, &Certificate)> {
    let mut taken: HashMap<(&str, KeyKind), &Certificate> = HashMap::new();
    let mut unused = Vec::new();
    for (index, certificate) in certificates.iter().map(|it| &**it).enumerate() {
        let kind = kind(certificate.key());
        let mut before = None;
        let mut is_new = index == 0;
        for name in certificate.names() {
            match taken.get(&(name.as_str(), kind)) {
                Some(earlier) => before = before.or(Some(*earlier)),
                None => {
                    is_new = true;
                    taken.insert((name, kind), certificate);
                }
            }
        }
        match before.or_else(|| certificates.first().map(|it| &**it)) {
            Some(before) if !is_new => unused.push((certificate, before)),
            _ => {}
        }
    }
    unused
}

/// Of two with the same kind of key the first stays.
fn add(candidates: &mut CertifiedKeys, key: &Arc<CertifiedKey>) {
    if candidates.iter().any(|known| kind(known) == kind(key)) {
        return;
    }
    let rank = |key: &Arc<CertifiedKey>| match key.key.algorithm() {
        SignatureAlgorithm::RSA => 1,
        _ => 0,
    };
    let at = candidates.iter().position(|known| rank(known) > rank(key));
    candidates.insert(at.unwrap_or(candidates.len()), Arc::clone(key));
}

/// The first that the client can verify. If it can verify none the handshake fails on its own.
fn best<'a>(
    candidates: impl Iterator<Item = &'a Arc<CertifiedKey>>,
    schemes: &[SignatureScheme],
) -> Option<Arc<CertifiedKey>> {
    let mut candidates = candidates.peekable();
    let preferred = candidates.peek().copied();
    let fits = candidates.find(|it| it.key.choose_scheme(schemes).is_some());
    fits.or(preferred).cloned()
}

/// Keys of a kind sign by the same scheme: ECDSA on another curve is another kind.
type KeyKind = Option<u16>;

fn kind(key: &CertifiedKey) -> KeyKind {
    const SCHEMES: [SignatureScheme; 5] = [
        SignatureScheme::ECDSA_NISTP256_SHA256,
        SignatureScheme::ECDSA_NISTP384_SHA384,
        SignatureScheme::ECDSA_NISTP521_SHA512,
        SignatureScheme::ED25519,
        SignatureScheme::RSA_PSS_SHA256,
    ];
    key.key.choose_scheme(&SCHEMES).map(|signer| signer.scheme().into())
}
