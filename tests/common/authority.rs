//! Certificates for a test, from an authority of its own, and what speaks TLS with them.

use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256, SignatureAlgorithm,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, StreamOwned};

use super::servers::Home;
use super::{Balancer, connect};

/// An authority, and the directory in which everything lies.
pub struct Authority {
    pub home: Home,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate and its key.
#[derive(Clone)]
pub struct Pair {
    pub cert: String,
    pub key: String,
}

/// A client's end of TLS, over a socket with deadlines.
pub type Client = StreamOwned<ClientConnection, TcpStream>;

impl Authority {
    pub fn new(name: &str) -> Authority {
        let home = Home::new(&format!("tls-{name}"));
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        params.distinguished_name.push(DnType::CommonName, format!("the authority {name}"));
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        std::fs::write(home.0.join("ca.crt"), certificate.pem()).unwrap();
        Authority { home, issuer: Issuer::new(params, key) }
    }

    /// The file of its own certificate.
    pub fn file(&self) -> String {
        self.path("ca.crt").display().to_string()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.home.0.join(name)
    }

    /// A file with this in it.
    pub fn write(&self, name: &str, text: &str) -> String {
        std::fs::write(self.path(name), text).unwrap();
        self.path(name).display().to_string()
    }

    /// An ECDSA certificate for these names, the first of which names its files.
    pub fn pair(&self, names: &[&str]) -> Pair {
        self.pair_with(&PKCS_ECDSA_P256_SHA256, names, |_| {})
    }

    /// The same with an RSA key.
    pub fn rsa_pair(&self, names: &[&str]) -> Pair {
        self.pair_with(&PKCS_RSA_SHA256, names, |_| {})
    }

    pub fn pair_with(
        &self,
        algorithm: &'static SignatureAlgorithm,
        names: &[&str],
        change: impl FnOnce(&mut CertificateParams),
    ) -> Pair {
        let key = KeyPair::generate_for(algorithm).unwrap();
        let names: Vec<String> = names.iter().map(|name| name.to_string()).collect();
        let mut params = CertificateParams::new(names.clone()).unwrap();
        params.distinguished_name.push(DnType::CommonName, names[0].clone());
        change(&mut params);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let stem = names[0].replace('*', "any");
        Pair {
            cert: self.write(&format!("{stem}.crt"), &certificate.pem()),
            key: self.write(&format!("{stem}.key"), &key.serialize_pem()),
        }
    }

    /// What a client of rustls needs that trusts this authority.
    pub fn client_config(&self) -> ClientConfig {
        ClientConfig::builder().with_root_certificates(self.roots()).with_no_client_auth()
    }

    /// Its certificate as the one that is trusted.
    pub fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(self.path("ca.crt")).unwrap()).unwrap();
        roots
    }

    /// A client that has shaken hands.
    pub fn client(&self, balancer: &Balancer) -> Client {
        self.client_of(self.client_config(), balancer.address())
    }

    pub fn client_of(&self, config: ClientConfig, address: SocketAddr) -> Client {
        let name = ServerName::try_from("localhost").unwrap();
        let mut tls = ClientConnection::new(Arc::new(config), name).unwrap();
        let mut stream = connect(address);
        while tls.is_handshaking() {
            tls.complete_io(&mut stream).expect("a handshake");
        }
        StreamOwned::new(tls, stream)
    }

    /// What a client says first.
    pub fn hello(&self) -> Vec<u8> {
        let name = ServerName::try_from("localhost").unwrap();
        let mut tls = ClientConnection::new(Arc::new(self.client_config()), name).unwrap();
        let mut hello = Vec::new();
        tls.write_tls(&mut hello).unwrap();
        hello
    }

    /// What a server of rustls needs that shows this certificate.
    pub fn server_config(&self, pair: &Pair) -> ServerConfig {
        let chain = CertificateDer::pem_file_iter(&pair.cert).unwrap();
        let chain = chain.collect::<Result<_, _>>().unwrap();
        let key = PrivateKeyDer::from_pem_file(&pair.key).unwrap();
        ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key).unwrap()
    }
}

impl Pair {
    /// The flags for it.
    pub fn flags(&self) -> [&str; 4] {
        ["--cert", &self.cert, "--key", &self.key]
    }
}

/// curl's standard output and what it complained of.
pub fn curl(args: &[&str]) -> (bool, String, String) {
    let mut command = Command::new("curl");
    command.args(["-sS", "--max-time", "20"]).args(args).stdin(Stdio::null());
    run(command)
}

/// `openssl s_client`, given this to say.
pub fn s_client(address: SocketAddr, says: &str, args: &[&str]) -> String {
    let script = "(sleep 0.3; printf \"$SAYS\"; sleep 0.3) | \
                  timeout 20 openssl s_client -connect \"$@\" 2>&1";
    let mut command = Command::new("sh");
    command.env("SAYS", says).args(["-c", script, "sh", &address.to_string()]).args(args);
    run(command).1
}

fn run(mut command: Command) -> (bool, String, String) {
    let output = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.success(), text(&output.stdout), text(&output.stderr))
}
