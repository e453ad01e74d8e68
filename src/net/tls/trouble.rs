//! What goes wrong with TLS, as far as anybody acts on the difference or reads of it.

use std::fmt;

use rustls::{AlertDescription, CertificateError, Error, InvalidMessage, PeerMisbehaved};

use crate::net::Fault;

/// How rustls says that a certificate for signing was shown.
const AUTHORITY: &str = "CaUsedAsEndEntity";

/// Why the two could not agree, or did not go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// Nobody whom we trust has signed the peer's certificate.
    Untrusted,
    /// The peer's certificate is over, or not in force yet.
    Expired,
    /// The peer's certificate is for another name.
    WrongName,
    /// The peer's certificate is one for signing others.
    Authority,
    /// The peer shows more certificates, or more of one name, than are looked at.
    LongChain,
    /// Something else about the peer's certificate.
    BadCertificate,
    /// The peer shows no certificate, and has to.
    NoCertificate,
    /// A client asks for a name that nobody serves.
    UnknownName,
    /// No version, cipher or protocol that both speak.
    NothingInCommon,
    /// What came is not TLS.
    NotTls,
    /// What came was changed on the way.
    Tampered,
    /// The peer broke the rules.
    Misbehaved,
    /// The peer does not trust our certificate.
    Distrusted,
    /// The peer wants our certificate, and we have none that it takes.
    CertificateWanted,
    /// The peer does not know the name that we asked for.
    NameRefused,
    /// The peer speaks nothing of what we offered inside (ALPN).
    AlpnRefused,
    /// The peer gave up with an alert.
    Refused,
    /// Anything else.
    Other,
}

impl Trouble {
    /// Sort an error of rustls.
    pub fn of(error: &Error) -> Trouble {
        match error {
            Error::InvalidCertificate(wrong) => Trouble::of_certificate(wrong),
            Error::NoCertificatesPresented => Trouble::NoCertificate,
            Error::PeerIncompatible(_) | Error::NoApplicationProtocol => {
                Trouble::NothingInCommon
            }
            Error::InvalidMessage(_) | Error::PeerSentOversizedRecord => Trouble::NotTls,
            Error::DecryptError => Trouble::Tampered,
            Error::PeerMisbehaved(_)
            | Error::InappropriateMessage { .. }
            | Error::InappropriateHandshakeMessage { .. } => Trouble::Misbehaved,
            Error::AlertReceived(alert) => Trouble::of_alert(*alert),
            error if super::server::is_unknown_name(error) => Trouble::UnknownName,
            _ => Trouble::Other,
        }
    }

    /// Whether it was the peer that gave up, and said so.
    pub fn is_their_word(self) -> bool {
        matches!(
            self,
            Trouble::Distrusted
                | Trouble::CertificateWanted
                | Trouble::NameRefused
                | Trouble::Refused
        )
    }

    /// The same as a fault of the connection.
    pub fn fault(error: &Error) -> Fault {
        log::debug!("TLS: {error}");
        Fault::Tls(Trouble::of(error))
    }

    fn of_certificate(wrong: &CertificateError) -> Trouble {
        use CertificateError as Wrong;
        match wrong {
            Wrong::Expired
            | Wrong::ExpiredContext { .. }
            | Wrong::NotValidYet
            | Wrong::NotValidYetContext { .. } => Trouble::Expired,
            Wrong::UnknownIssuer => Trouble::Untrusted,
            Wrong::NotValidForName | Wrong::NotValidForNameContext { .. } => Trouble::WrongName,
            wrong if super::chain::is_too_long(wrong) => Trouble::LongChain,
            // The error is of a package of rustls' own; its words are what there is to go by.
            Wrong::Other(why) if why.to_string() == AUTHORITY => Trouble::Authority,
            _ => Trouble::BadCertificate,
        }
    }

    fn of_alert(alert: AlertDescription) -> Trouble {
        use AlertDescription as Alert;
        match alert {
            Alert::UnknownCA
            | Alert::BadCertificate
            | Alert::CertificateUnknown
            | Alert::CertificateExpired
            | Alert::UnsupportedCertificate => Trouble::Distrusted,
            Alert::CertificateRequired => Trouble::CertificateWanted,
            Alert::UnrecognisedName => Trouble::NameRefused,
            Alert::NoApplicationProtocol => Trouble::AlpnRefused,
            Alert::HandshakeFailure | Alert::ProtocolVersion | Alert::InsufficientSecurity => {
                Trouble::NothingInCommon
            }
            _ => Trouble::Refused,
        }
    }
}

/// What the peer should be told of this, where rustls says something else or nothing.
pub(super) fn better_alert(error: &Error) -> Option<AlertDescription> {
    use AlertDescription as Alert;
    match error {
        error if super::server::is_unknown_name(error) => Some(Alert::UnrecognisedName),
        Error::InvalidMessage(InvalidMessage::MessageTooLarge) => Some(Alert::RecordOverflow),
        Error::InvalidMessage(InvalidMessage::HandshakePayloadTooLarge) => {
            Some(Alert::DecodeError)
        }
        Error::PeerMisbehaved(PeerMisbehaved::MessageInterleavedWithHandshakeMessage) => {
            Some(Alert::UnexpectedMessage)
        }
        _ => None,
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Trouble::Untrusted => "nobody whom we trust signed its certificate",
            Trouble::Expired => "its certificate is expired, or not valid yet",
            Trouble::WrongName => "its certificate is for another name",
            Trouble::Authority => "its certificate is one for signing others (CA:TRUE)",
            Trouble::LongChain => {
                "it shows more certificates than are looked at, or more of one name"
            }
            Trouble::BadCertificate => "its certificate is bad",
            Trouble::NoCertificate => "it shows no certificate",
            Trouble::UnknownName => "it asks for a name that is not served",
            Trouble::NothingInCommon => "no version, cipher or protocol in common",
            Trouble::NotTls => "what it says is not TLS",
            Trouble::Tampered => "what it said was changed on the way",
            Trouble::Misbehaved => "it breaks the rules",
            Trouble::Distrusted => "it does not trust our certificate",
            Trouble::CertificateWanted => "it wants a certificate of ours",
            Trouble::NameRefused => "it does not know the name",
            Trouble::AlpnRefused => "it speaks nothing of what we offered (ALPN)",
            Trouble::Refused => "it gave up with an alert",
            Trouble::Other => "it cannot go on",
        })
    }
}
