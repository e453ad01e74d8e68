//! The rows of the flags about TLS, the group "TLS" of the manual.
//!
//! Apart from the other rows because they are many. Read through [`super::table::GROUPS`].

use super::row::{Act, Setting, list, named, switch};
use crate::config::{
    BackendVerify, ClientCert, Config, Redirect, SettingKey, UnknownName, Wrong, alpn_names,
    number, one_of, word_of,
};
use crate::limits;

pub(super) static TLS: &[Setting] = &[
    Setting {
        short: "",
        long: "cert",
        value: "FILE",
        says: "Certificate for https:// and tls:// listeners, in PEM, followed by those that \
               lead to its root. Can be repeated: a client is shown the one for the name that it \
               asks for, exact or by *., and the first if there is none; of an ECDSA and an RSA \
               one for the same name the ECDSA one, if the client can verify it. Read again at \
               SIGHUP; a broken file changes nothing then. Needs a --key.",
        default: |_| "none, https:// and tls:// listeners need one".to_owned(),
        show: |_| None,
        act: Act::Values(
            SettingKey::CERT,
            |config, text| {
                config.listener.tls.add_cert(file(text)?);
                Ok(())
            },
            |config| config.listener.tls.certificates.clear(),
        ),
    },
    Setting {
        short: "",
        long: "key",
        value: "FILE",
        says: "Private key of a certificate, in PEM without a passphrase; RSA, ECDSA or Ed25519. \
               As many as --cert, in the same order.",
        default: |_| "none, each --cert needs one".to_owned(),
        show: |_| None,
        act: Act::Values(
            SettingKey::CERT_KEY,
            |config, text| {
                config.listener.tls.add_key(file(text)?);
                Ok(())
            },
            |config| config.listener.tls.certificates.clear(),
        ),
    },
    Setting {
        short: "",
        long: "alpn",
        value: "NAME[,NAME]...",
        says: "What is spoken inside TLS at tls:// listeners, by its name in ALPN, the preferred \
               one first: PostgreSQL 17 asks for postgresql. A client that asks for none is \
               served all the same, one that asks for others alone is refused with the alert \
               no_application_protocol. Backends that speak TLS are asked for what the client \
               chose, and by probes with a text for the first. At https:// listeners it is \
               http/1.1, always.",
        default: |_| "none, whatever a client asks for is passed over".to_owned(),
        show: |config| list(&config.listener.tls.alpn),
        act: Act::Value(SettingKey::ALPN, |config, text| {
            config.listener.tls.alpn = alpn_names(text)?;
            Ok(())
        }),
    },
    Setting {
        short: "",
        long: "sni-strict",
        value: "",
        says: "Refuse clients that ask for a name which no certificate is for, with the alert \
               unrecognized_name. Those that ask for none get the first certificate all the same.",
        default: |_| String::new(),
        show: |config| Some(switch(config.listener.tls.unknown_name == UnknownName::Refuse)),
        act: Act::Switch(SettingKey::SNI_STRICT, |config, on| {
            config.listener.tls.unknown_name =
                if on { UnknownName::Refuse } else { UnknownName::First };
        }),
    },
    Setting {
        short: "",
        long: "client-ca",
        value: "FILE",
        says: "Clients show a certificate that leads to one in this file, in PEM; sessions \
               are not resumed then, so that none outlives its certificate. Whom it names \
               is told to backends over HTTP in X-SSL-Client-S-DN; a field of that name from a \
               client is thrown away.",
        default: |_| "none, clients are not asked for a certificate".to_owned(),
        show: |config| config.listener.tls.client_ca.clone(),
        act: Act::Value(SettingKey::CLIENT_CA, |config, text| {
            config.listener.tls.client_ca = Some(file(text)?.to_owned());
            if config.listener.tls.client_cert == ClientCert::None {
                config.listener.tls.client_cert = ClientCert::Required;
            }
            Ok(())
        }),
    },
    Setting {
        short: "",
        long: "client-cert",
        value: "required|optional",
        says: "Whether clients have to show a certificate, or may. Needs --client-ca.",
        default: |_| word_of(&ClientCert::Required, ClientCert::ALL).to_owned(),
        show: |config| shown_client_cert(config),
        act: Act::Value(SettingKey::CLIENT_CERT, |config, text| {
            config.listener.tls.client_cert = one_of(text, ClientCert::ALL)?;
            Ok(())
        }),
    },
    Setting {
        short: "",
        long: "ticket-keys",
        value: "FILE",
        says: "Keys of TLS session tickets, one a line, as 'openssl rand -hex 32' writes them: \
               processes with the same file resume each other's sessions, and so does this one \
               after a restart. The first key makes tickets, all of them open tickets. Read \
               again at SIGHUP. To change the key, put a new one at the end of all files, then \
               at their beginning, and take the oldest out 12 hours later; who has a key can \
               read what was recorded of sessions of TLS 1.2.",
        default: |_| "drawn at start, and anew every 6 hours".to_owned(),
        show: |config| config.listener.tls.ticket_keys.clone(),
        act: Act::Value(SettingKey::TICKET_KEYS, |config, text| {
            config.listener.tls.ticket_keys = Some(file(text)?.to_owned());
            Ok(())
        }),
    },
    Setting {
        short: "",
        long: "redirect-https",
        value: "",
        says: "Answer every request at http:// listeners with a redirect to the same place at \
               the first https:// listener, whose port is named unless it is 443. Needs both.",
        default: |_| String::new(),
        show: |config| Some(switch(config.service.redirect == Redirect::Https)),
        act: Act::Switch(SettingKey::REDIRECT_HTTPS, |config, on| {
            config.service.redirect = if on { Redirect::Https } else { Redirect::No };
        }),
    },
    Setting {
        short: "",
        long: "hsts",
        value: "SECONDS",
        says: "Tell browsers in answers at https:// listeners to come by HTTPS alone for so \
               long (Strict-Transport-Security), instead of what backends say of it. 0: at once \
               no longer.",
        default: |_| "nothing is said".to_owned(),
        show: |config| config.service.hsts.map(|seconds| seconds.to_string()),
        act: Act::Value(SettingKey::HSTS, |config, text| {
            config.service.hsts = Some(number(text, 0..=limits::HSTS_SECONDS_MAX)?);
            Ok(())
        }),
    },
    Setting {
        short: "",
        long: "backend-ca",
        value: "FILE",
        says: "Certificates of backends that speak TLS lead to one in this file, in PEM. One for \
               signing others (CA:TRUE), as 'openssl req -x509' makes them, is no server's. Read \
               again at SIGHUP: where it is another, connections are made anew.",
        default: |_| "those that the system trusts".to_owned(),
        show: |config| config.pool.tls.ca.clone(),
        act: Act::Value(SettingKey::BACKEND_CA, |config, text| {
            config.pool.tls.ca = Some(file(text)?.to_owned());
            Ok(())
        }),
    },
    Setting {
        short: "",
        long: "backend-cert",
        value: "FILE",
        says: "Certificate that is shown to backends that ask for one, probes included, in PEM, \
               followed by those that lead to its root. Read again at SIGHUP. Sessions with \
               backends are not resumed then. Needs a --backend-key.",
        default: |_| "none is shown".to_owned(),
        show: |config| named(&config.pool.tls.identity.cert),
        act: Act::Value(SettingKey::BACKEND_CERT, |config, text| {
            file(text)?.clone_into(&mut config.pool.tls.identity.cert);
            Ok(())
        }),
    },
    Setting {
        short: "",
        long: "backend-key",
        value: "FILE",
        says: "Private key of --backend-cert, as at --key.",
        default: |_| "none, --backend-cert needs one".to_owned(),
        show: |config| named(&config.pool.tls.identity.key),
        act: Act::Value(SettingKey::BACKEND_KEY, |config, text| {
            file(text)?.clone_into(&mut config.pool.tls.identity.key);
            Ok(())
        }),
    },
    Setting {
        short: "",
        long: "backend-verify",
        value: "required|none",
        says: "Whether the certificates of backends are verified. none: whoever stands between \
               us and them can read and change everything; there is a warning at every start.",
        default: |defaults| word_of(&defaults.pool.tls.verify, BackendVerify::ALL).to_owned(),
        show: |config| Some(word_of(&config.pool.tls.verify, BackendVerify::ALL).to_owned()),
        act: Act::Value(SettingKey::BACKEND_VERIFY, |config, text| {
            config.pool.tls.verify = one_of(text, BackendVerify::ALL)?;
            Ok(())
        }),
    },
];

/// Where certificates are asked for at all.
fn shown_client_cert(config: &Config) -> Option<String> {
    let asked = config.listener.tls.client_cert;
    (asked != ClientCert::None).then(|| word_of(&asked, ClientCert::ALL).to_owned())
}

/// The name of a file: anything that can be one.
pub(super) fn file(text: &str) -> Result<&str, Wrong> {
    match text {
        "" => Err(Wrong::found(text, "the path of a file")),
        _ if text.starts_with('-') => {
            Err(Wrong::found(text, "the path of a file, ./ before it if it begins with a dash"))
        }
        text => Ok(text),
    }
}
