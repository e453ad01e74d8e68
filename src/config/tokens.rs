//! The file of tokens: who may what, by the SHA-256 of what they show.
//!
//! ```text
//!   # name     role          what is shown, hashed; or the key of signatures
//!   deploy     admin         9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
//!   grafana    read          60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752
//!   web        register:web  hmac:6b6579...
//!   ops        operate       cert:CN=ops,O=Example Ltd
//! ```

use std::fmt;

use aws_lc_rs::{constant_time, digest};

use super::complaint::Wrong;
use super::text::counted;
use super::value::closest;
use crate::limits::{HMAC_KEY_BYTES_MAX, HMAC_KEY_BYTES_MIN, TOKEN_NAME_BYTES_MAX, TOKENS_MAX};

/// What somebody may.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Role {
    /// Look at everything.
    Read,
    /// And set weights, drain, close connections.
    Operate,
    /// And everything else.
    Admin,
    /// Register itself in the pool of this name, and nothing else.
    Register(String),
}

/// What a request needs its sender to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs<'a> {
    /// Anybody may who comes here.
    Nothing,
    /// It looks at something.
    Read,
    /// It changes how much goes where.
    Operate,
    /// It changes what there is.
    Admin,
    /// It registers a server in the pool of this name.
    Register(&'a str),
}

/// A line of the file.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    /// Whose it is.
    pub name: String,
    /// What that one may.
    pub role: Role,
    secret: Secret,
}

#[derive(Clone, PartialEq, Eq)]
enum Secret {
    /// The SHA-256 of what is shown.
    Shown([u8; digest::SHA256_OUTPUT_LEN]),
    /// The key of signatures.
    Key(Vec<u8>),
    /// The subject of a verified client certificate, as RFC 4514 writes it.
    Subject(String),
}

/// All of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tokens {
    list: Vec<Token>,
}

impl Role {
    /// Whether this suffices.
    pub fn may(&self, needs: Needs<'_>) -> bool {
        match (self, needs) {
            (_, Needs::Nothing) | (Role::Admin, _) => true,
            (Role::Operate, Needs::Read | Needs::Operate) => true,
            (Role::Read, Needs::Read) => true,
            (Role::Register(pool), Needs::Register(wanted)) => pool == wanted,
            _ => false,
        }
    }

    fn parse(text: &str) -> Result<Role, Wrong> {
        const WANT: &str = "read, operate, admin or register:POOL";
        match text {
            "read" => Ok(Role::Read),
            "operate" => Ok(Role::Operate),
            "admin" => Ok(Role::Admin),
            _ => match text.strip_prefix("register:") {
                Some(pool) if !pool.is_empty() => Ok(Role::Register(pool.to_owned())),
                _ => {
                    let known = closest(text, ["read", "operate", "admin", "register:POOL"]);
                    let hint = known.map(|it| format!("; did you mean {it}?"));
                    Err(Wrong::found(text, format!("{WANT}{}", hint.unwrap_or_default())))
                }
            },
        }
    }
}

impl fmt::Display for Needs<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Needs::Nothing => f.write_str("no role"),
            Needs::Read => f.write_str("the role read"),
            Needs::Operate => f.write_str("the role operate"),
            Needs::Admin => f.write_str("the role admin"),
            Needs::Register(pool) => write!(f, "the role register:{pool}"),
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Role::Read => f.write_str("read"),
            Role::Operate => f.write_str("operate"),
            Role::Admin => f.write_str("admin"),
            Role::Register(pool) => write!(f, "register:{pool}"),
        }
    }
}

/// Without the secret, which no log is to have.
impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({} {})", self.name, self.role)
    }
}

impl Tokens {
    /// Nobody has one.
    pub const NONE: Tokens = Tokens { list: Vec::new() };

    /// The text of a file; if not, all that is wrong with it, by the numbers of the lines.
    pub fn parse(text: &str) -> Result<Tokens, Vec<(usize, Wrong)>> {
        let mut tokens = Tokens::default();
        let mut mistakes = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let words = line.split('#').next().unwrap_or_default().split_ascii_whitespace();
            let words: Vec<&str> = words.collect();
            if words.is_empty() {
                continue;
            }
            match Token::parse(&words) {
                Ok(token) if tokens.list.iter().any(|it| it.name == token.name) => {
                    let wrong = Wrong::found(&token.name, "each name once");
                    mistakes.push((index + 1, wrong));
                }
                Ok(_) if tokens.list.len() >= TOKENS_MAX => {
                    let want = format!("at most {TOKENS_MAX} tokens");
                    mistakes.push((index + 1, Wrong::saying("one more", want)));
                    break;
                }
                Ok(token) => tokens.list.push(token),
                Err(wrong) => mistakes.extend(wrong.into_iter().map(|it| (index + 1, it))),
            }
        }
        if mistakes.is_empty() { Ok(tokens) } else { Err(mistakes) }
    }

    /// Whose token it is. How long it takes says nothing of which one is near.
    pub fn find(&self, bearer: &[u8]) -> Option<&Token> {
        let shown = digest::digest(&digest::SHA256, bearer);
        let mut found = None;
        for token in &self.list {
            if let Secret::Shown(hash) = &token.secret
                && constant_time::verify_slices_are_equal(hash, shown.as_ref()).is_ok()
            {
                found = found.or(Some(token));
            }
        }
        found
    }

    /// Who signs by this name, and with which key.
    pub fn signer(&self, name: &str) -> Option<(&Token, &[u8])> {
        let token = self.list.iter().find(|it| it.name == name)?;
        match &token.secret {
            Secret::Key(key) => Some((token, key)),
            Secret::Shown(_) | Secret::Subject(_) => None,
        }
    }

    /// Who has a certificate for this subject, which was verified.
    pub fn of_subject(&self, subject: &str) -> Option<&Token> {
        let is_it = |it: &&Token| matches!(&it.secret, Secret::Subject(of) if of == subject);
        self.list.iter().find(is_it)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }
}

impl Token {
    fn parse(words: &[&str]) -> Result<Token, Vec<Wrong>> {
        let (name, role, secret) = match *words {
            [name, role, secret] => (name, role, secret.to_owned()),
            // A subject may have spaces.
            [name, role, first, ..] if first.starts_with("cert:") => {
                (name, role, words[2..].join(" "))
            }
            _ => {
                let found = counted(words.len(), "word");
                let want =
                    "three: NAME ROLE and the SHA-256 in hex, or hmac:HEX, or cert:SUBJECT";
                return Err(vec![Wrong::saying(found, want)]);
            }
        };
        let checked = check_name(name);
        let role = Role::parse(role);
        let secret = match &role {
            Ok(role) => Secret::parse(&secret, matches!(role, Role::Register(_))),
            Err(_) => Secret::parse(&secret, true),
        };
        match (checked, role, secret) {
            (Ok(()), Ok(role), Ok(secret)) => Ok(Token { name: name.to_owned(), role, secret }),
            (name, role, secret) => {
                Err([name.err(), role.err(), secret.err()].into_iter().flatten().collect())
            }
        }
    }
}

fn check_name(name: &str) -> Result<(), Wrong> {
    let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b'@');
    if name.len() <= TOKEN_NAME_BYTES_MAX && name.bytes().all(fits) {
        return Ok(());
    }
    let want =
        format!("a name of letters, digits, . - _ and @, at most {TOKEN_NAME_BYTES_MAX}");
    Err(Wrong::found(name, want))
}

impl Secret {
    fn parse(text: &str, registers: bool) -> Result<Secret, Wrong> {
        if let Some(subject) = text.strip_prefix("cert:") {
            if !subject.contains('=') {
                let want = "cert: and a subject such as CN=ops,O=Example, as the log has it";
                return Err(Wrong::found(text, want));
            }
            return Ok(Secret::Subject(subject.to_owned()));
        }
        // What is wrong is not quoted: it may be the secret itself.
        if let Some(key) = text.strip_prefix("hmac:") {
            if !registers {
                let want = "the SHA-256 of a token: signatures are for register:POOL alone";
                return Err(Wrong::saying("hmac:", want));
            }
            let sizes = HMAC_KEY_BYTES_MIN..=HMAC_KEY_BYTES_MAX;
            let key = from_hex(key).filter(|key| sizes.contains(&key.len()));
            let want = format!(
                "hmac: and a key of {HMAC_KEY_BYTES_MIN} to {HMAC_KEY_BYTES_MAX} bytes in hex"
            );
            return key.map(Secret::Key).ok_or_else(|| Wrong::saying("something else", want));
        }
        let hash = from_hex(text).and_then(|it| it.try_into().ok());
        hash.map(Secret::Shown).ok_or_else(|| {
            let found = format!("{} characters", text.chars().count());
            let want =
                "64 digits in hex, the SHA-256 of the token: printf %s TOKEN | sha256sum";
            Wrong::saying(found, want)
        })
    }
}

/// Bytes out of pairs of digits.
pub fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |b: u8| char::from(b).to_digit(16).map(|it| it as u8);
    let bytes = text.as_bytes();
    if !bytes.len().is_multiple_of(2) {
        return None;
    }
    bytes.chunks_exact(2).map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?)).collect()
}

/// The reverse of [`from_hex`].
pub fn to_hex(bytes: &[u8]) -> String {
    let digit = |it: u8| char::from_digit(u32::from(it), 16).unwrap_or('0');
    bytes.iter().flat_map(|&b| [digit(b >> 4), digit(b & 15)]).collect()
}
