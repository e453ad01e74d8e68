//! A format of one's own for lines of the access log: text with variables in it, as nginx has them.
//!
//! ```text
//!   $client [$time] "$request" $status $ms_total
//! ```
//!
//! Pure. Read once with the setting; `access_log` fills it in for each line. A variable between
//! double quotes may have spaces in it, all others must be one word: that is seen here.

use super::complaint::Wrong;
use super::text::quoted;
use super::value::closest;
use crate::limits::ACCESS_LOG_VARIABLES_MAX;

/// A format, read.
#[derive(Debug, Clone, PartialEq)]
pub struct LineFormat {
    /// As it was written.
    text: Box<str>,
    pieces: Vec<LinePiece>,
}

/// A piece of a format.
#[derive(Debug, Clone, PartialEq)]
pub enum LinePiece {
    /// Stands there in each line.
    Text(Box<str>),
    /// What is filled in.
    Variable {
        /// Which one.
        variable: Variable,
        /// It stands between double quotes, where spaces part nothing.
        within_quotes: bool,
    },
}

/// A row of the table of variables.
#[derive(Debug)]
pub struct VariableRow {
    /// Which one.
    pub variable: Variable,
    /// Its name without the dollar.
    pub name: &'static str,
    /// What nginx calls the same; empty where it has none.
    pub alias: &'static str,
    /// What it says, and in which unit.
    pub says: &'static str,
}

/// All variables, in the order of the manual; each stands for itself alone and for its alias.
macro_rules! variables {
    ($($variable:ident $name:literal $alias:literal $says:literal;)*) => {
        /// What can be filled in; [`VARIABLES`] says what each is.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[expect(missing_docs, reason = "the table has their words")]
        pub enum Variable {
            $($variable,)*
        }

        /// The table of variables.
        pub const VARIABLES: &[VariableRow] = &[
            $(VariableRow {
                variable: Variable::$variable,
                name: $name,
                alias: $alias,
                says: $says,
            },)*
        ];
    };
}

variables! {
    Time "time" "" "when the first byte came, as in 2026-11-28T14:43:13.123Z (UTC)";
    TimeUnix "time_unix" "" "the same in seconds since 1970, as in 1795876993.123";
    TimeIso "time_iso8601" "" "when it was over, as in 2026-11-28T14:43:13+00:00 (UTC)";
    TimeLocal "time_local" "" "the same as in 28/Nov/2026:14:43:13 +0000 (UTC); has a space";
    Msec "msec" "" "the same in seconds since 1970, as in 1795876993.123";
    Client "client" "remote_addr" "the client's address";
    ClientPort "client_port" "remote_port" "its port";
    RemoteUser "remote_user" "" "always nothing: who has logged in is not known here";
    Listener "listener" "" "where the client came in, as in https://0.0.0.0:443";
    Scheme "scheme" "" "http, https, tcp, tls, sni or udp";
    Service "service" "" "the service that took it";
    Pool "pool" "" "the pool that its backend was picked from";
    Backend "backend" "" "the backend that answered, or was tried last";
    BackendAddress "backend_address" "upstream_addr" "the address and port of that";
    Request "request" "" "the first line of the request; has spaces";
    Method "method" "request_method" "GET and the like";
    Uri "uri" "request_uri" "path and query, as the client wrote them";
    Path "path" "" "the same up to the question mark";
    Query "query" "args" "the same behind it";
    Protocol "protocol" "server_protocol" "HTTP/1.1 or HTTP/1.0";
    Host "host" "http_host" "the host asked for";
    Referer "referer" "http_referer" "the field Referer; may have spaces";
    UserAgent "user_agent" "http_user_agent" "the field User-Agent; may have spaces";
    RequestId "request_id" "" "the id of the request";
    ProxyPeer "proxy_peer" "" "the proxy in front, where it says who the client is";
    ProxyUniqueId "proxy_unique_id" "" "the id that it says";
    Status "status" "" "the status of the answer";
    BytesOut "bytes_out" "bytes_sent" "bytes to the client, heads included";
    BytesIn "bytes_in" "" "bytes to the backend, heads included";
    BodyBytes "body_bytes" "body_bytes_sent" "bytes of the answer without its head";
    DatagramsOut "datagrams_out" "" "UDP: datagrams to the client";
    DatagramsIn "datagrams_in" "" "UDP: datagrams from the client";
    MsHead "ms_head" "" "from the first byte of the request's head to its last, in milliseconds";
    MsQueue "ms_queue" "" "from there to a backend being sought";
    MsConnect "ms_connect" "" "from there to its being connected";
    MsAnswer "ms_first_byte" "" "from there to the head of its answer";
    MsTotal "ms_total" "" "all together, in milliseconds, as in 12.345";
    RequestTime "request_time" "" "the same in seconds, as in 0.012";
    ConnectTime "upstream_connect_time" "" "ms_connect in seconds";
    HeaderTime "upstream_header_time" "" "ms_connect and ms_first_byte together, in seconds";
    Tries "tries" "" "how many backends were asked";
    Retries "retries" "" "how many of them after the first";
    Ended "ended" "" "finished, refused, timeout and the like, as in JSON";
    State "state" "" "HAProxy's two letters for who ended it and when";
    Reason "reason" "" "why, in a word of the list in docs/design.md";
    Detail "detail" "" "the same in a sentence; has spaces";
    TlsVersion "tls_version" "ssl_protocol" "of the client's TLS: TLSv1.2 or TLSv1.3";
    TlsCipher "tls_cipher" "ssl_cipher" "its cipher suite, by OpenSSL's name";
    Sni "sni" "ssl_server_name" "the server name that the client asked for in TLS";
    TlsError "tls_error" "" "why a handshake failed; has spaces";
    ConnsProcess "connections" "" "clients at that time";
    ConnsListener "connections_listener" "" "the same at this listener";
    ConnsPool "connections_pool" "" "requests or connections at the backends of the pool";
    ConnsBackend "connections_backend" "" "the same at this backend";
}

impl LineFormat {
    /// Text with variables; `$$` is a dollar.
    pub fn parse(text: &str) -> Result<LineFormat, Wrong> {
        const WANT: &str = "text with variables such as $client or ${status}; $$ is a dollar";
        if text.is_empty() {
            return Err(Wrong::found(text, WANT));
        }
        if let Some(at) = text.find(|c: char| c.is_control() && c != '\t') {
            let want = "a format of one line, without control characters but tabs";
            return Err(Wrong::found(&text[at..], want));
        }
        let mut pieces = Vec::new();
        let mut words = String::new();
        let mut within_quotes = false;
        let mut variables = 0;
        let mut rest = text;
        while let Some(at) = rest.find('$') {
            let (before, dollar) = rest.split_at(at);
            note_words(before, &mut words, &mut within_quotes);
            if let Some(after) = dollar.strip_prefix("$$") {
                words.push('$');
                rest = after;
                continue;
            }
            let (name, after) =
                name_at(dollar).ok_or_else(|| Wrong::found_in(dollar, text, WANT))?;
            let variable = variable(name, text)?;
            if !words.is_empty() {
                pieces.push(LinePiece::Text(std::mem::take(&mut words).into()));
            }
            pieces.push(LinePiece::Variable { variable, within_quotes });
            variables += 1;
            if variables > ACCESS_LOG_VARIABLES_MAX {
                let want = format!("at most {ACCESS_LOG_VARIABLES_MAX} variables");
                return Err(Wrong::found(text, want));
            }
            rest = after;
        }
        note_words(rest, &mut words, &mut within_quotes);
        if !words.is_empty() {
            pieces.push(LinePiece::Text(words.into()));
        }
        Ok(LineFormat { text: text.into(), pieces })
    }

    /// As it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// In their order.
    pub fn pieces(&self) -> &[LinePiece] {
        &self.pieces
    }
}

fn note_words(more: &str, words: &mut String, within_quotes: &mut bool) {
    *within_quotes ^= more.matches('"').count() % 2 == 1;
    words.push_str(more);
}

/// The name behind a dollar, and what follows it.
fn name_at(dollar: &str) -> Option<(&str, &str)> {
    let rest = dollar.strip_prefix('$')?;
    if let Some(braced) = rest.strip_prefix('{') {
        return braced.split_once('}').filter(|(name, _)| !name.is_empty());
    }
    let is_of_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let end = rest.find(|c: char| !is_of_name(c)).unwrap_or(rest.len());
    (end > 0).then(|| rest.split_at(end))
}

fn variable(name: &str, text: &str) -> Result<Variable, Wrong> {
    let is_it = |row: &&VariableRow| row.name == name || row.alias == name && !name.is_empty();
    if let Some(row) = VARIABLES.iter().find(is_it) {
        return Ok(row.variable);
    }
    let names = VARIABLES.iter().flat_map(|row| [row.name, row.alias]);
    let names = names.filter(|name| !name.is_empty());
    let hint = match closest(name, names) {
        Some(near) => format!("; did you mean ${near}?"),
        None => " (the list is in docs/logs.md)".to_owned(),
    };
    let found = format!("{} in {}", quoted(&format!("${name}")), quoted(text));
    Err(Wrong::saying(found, format!("a variable that there is{hint}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> LinePiece {
        LinePiece::Text(text.into())
    }

    fn bare(variable: Variable) -> LinePiece {
        LinePiece::Variable { variable, within_quotes: false }
    }

    fn within(variable: Variable) -> LinePiece {
        LinePiece::Variable { variable, within_quotes: true }
    }

    #[test]
    fn text_and_variables_are_told_apart() {
        use Variable as V;
        let of = |text: &str| LineFormat::parse(text).unwrap().pieces().to_vec();
        assert_eq!(of("plain"), [words("plain")]);
        assert_eq!(of("$status"), [bare(V::Status)]);
        assert_eq!(of("$remote_addr"), of("$client"));
        assert_eq!(of("${status}ms"), [bare(V::Status), words("ms")]);
        assert_eq!(of("$status.$method"), [bare(V::Status), words("."), bare(V::Method)]);
        assert_eq!(of("$$5 $$$status"), [words("$5 $"), bare(V::Status)]);
        assert_eq!(
            of("\"$uri\"\t$uri \"a\" \"b $uri"),
            [
                words("\""),
                within(V::Uri),
                words("\"\t"),
                bare(V::Uri),
                words(" \"a\" \"b "),
                within(V::Uri)
            ]
        );
    }

    #[test]
    fn what_is_no_format_is_refused_in_words() {
        let table = [
            ("", "found nothing, want text with variables such as $client or ${status}; $$ is"),
            ("$", "found '$' in '$', want text with variables"),
            ("a $ b", "found '$ b' in 'a $ b', want text with variables"),
            ("${status", "found '${status' in '${status', want text"),
            ("${}", "found '${}' in '${}', want text"),
            ("a\nb", "found '\\nb', want a format of one line, without control characters"),
            (
                "$statsu",
                "found '$statsu' in '$statsu', want a variable that there is; did you \
                         mean $status?",
            ),
            ("$remote_adr", "; did you mean $remote_addr?"),
            ("$Client", "; did you mean $client?"),
            ("$zzzzzzzz", "want a variable that there is (the list is in docs/logs.md)"),
            ("$http_cookie", "found '$http_cookie' in"),
        ];
        for (text, says) in table {
            let wrong = LineFormat::parse(text).unwrap_err().to_string();
            assert!(wrong.contains(says), "{wrong}");
        }
    }

    #[test]
    fn no_text_is_misread_and_variables_are_bounded() {
        let words =
            ["$", "{", "}", "\"", "$status", "uri", "_", "\t", "\n", "\u{e9}", " ", "\\"];
        let mut random = fastrand::Rng::with_seed(1);
        let mut read = 0;
        for _ in 0..20_000 {
            let count = random.usize(..8);
            let text: String = (0..count).map(|_| *random.choice(&words).unwrap()).collect();
            match LineFormat::parse(&text) {
                Ok(format) => {
                    read += 1;
                    assert_eq!(format.text(), text);
                }
                Err(wrong) => assert_eq!(wrong.to_string().lines().count(), 1, "{wrong}"),
            }
        }
        assert!(read > 1000);
        assert!(LineFormat::parse(&"$uri".repeat(100)).is_ok());
        let wrong = LineFormat::parse(&"$uri".repeat(101)).unwrap_err().to_string();
        assert!(wrong.ends_with("want at most 100 variables"), "{wrong}");
    }

    #[test]
    fn each_name_is_there_once_and_in_the_manual() {
        let manual = include_str!("../../docs/logs.md");
        let mut names = Vec::new();
        for row in VARIABLES {
            names.extend([row.name, row.alias].into_iter().filter(|it| !it.is_empty()));
            let alias = if row.alias.is_empty() { "" } else { &format!("`${}`", row.alias) };
            let line = format!("| `${}` | {alias} | {} |\n", row.name, row.says);
            assert!(manual.contains(&line.replace("|  |", "| |")), "{line} is not in it");
        }
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all);
    }
}
