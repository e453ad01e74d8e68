//! nginx: its stream module for TCP and UDP, its http module for HTTP; one process.

use std::fmt::Write;
use std::io;
use std::path::{Path, PathBuf};

use crate::identity;

use super::{
    BACKLOG, IDLE_MAX, Launch, Protocol, Scene, all_lines, clients_max, find, quotable,
};

/// What is tuned differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Variant {
    /// Buffers as they are by themselves: 16 KiB for a stream, 4 KiB and eight of 4 KiB for HTTP.
    Usual,
    /// Buffers of 64 KiB.
    Buffers64k,
    /// Heads pass with what must be changed and nothing more: nothing is told of the client.
    Plain,
    /// A stream ends for both when it ends for one, as it is by itself.
    ClosesBoth,
}

const HINT: &str = "apt-get install nginx-light libnginx-mod-stream brings it";

pub fn version(protocols: &[Protocol]) -> Result<String, String> {
    let program = find("nginx").ok_or(format!("no nginx here; {HINT}"))?;
    let about = all_lines(&program, "-V")?;
    if protocols != [Protocol::Http] {
        stream_module(&about).map_err(|missing| format!("nginx has {missing}; {HINT}"))?;
    }
    // "nginx version: nginx/1.22.1"
    let line = about.lines().next().unwrap_or_default();
    Ok(line.rsplit(' ').next().unwrap_or_default().replace('/', " "))
}

pub fn launch(scene: &Scene<'_>, variant: Variant) -> io::Result<Launch> {
    let program = find("nginx").ok_or(io::ErrorKind::NotFound)?;
    let about = all_lines(&program, "-V").map_err(io::Error::other)?;
    let file = scene.directory.join("nginx.conf");
    let log = scene.directory.join("error.log");
    // -e: until it has read where the log is, it would take a file of the system's.
    let arguments = ["-e", &log.display().to_string(), "-c", &file.display().to_string()];
    let text = configuration(scene, variant, &about)?;
    Launch::by_file(program, &file, text, &arguments)
}

/// The module that speaks TCP: a file to be loaded, nothing if it is compiled in, or why neither.
fn stream_module(about: &str) -> Result<Option<PathBuf>, String> {
    let mut options = about.split_whitespace();
    if options.any(|option| option == "--with-stream") {
        return Ok(None);
    }
    let told = about.split_whitespace().find_map(|word| word.strip_prefix("--modules-path="));
    let usual = ["/usr/lib/nginx/modules", "/usr/lib64/nginx/modules"];
    let file = told
        .into_iter()
        .chain(usual)
        .map(|place| Path::new(place).join("ngx_stream_module.so"))
        .find(|file| file.is_file());
    file.map(Some).ok_or_else(|| "no stream module".to_owned())
}

fn configuration(scene: &Scene<'_>, variant: Variant, about: &str) -> io::Result<String> {
    let at = quotable(scene.directory)?;
    let mut text = String::new();
    if !scene.protocol.is_http()
        && let Some(module) = stream_module(about).map_err(io::Error::other)?
    {
        // because: writing to a String cannot fail; so below.
        let _ = writeln!(text, "load_module \"{}\";", quotable(&module)?);
    }
    // One process that is its own worker: nothing else to measure, nobody left when it ends.
    let _ = write!(
        text,
        "daemon off;\nmaster_process off;\nworker_processes 1;\npid \"{at}/nginx.pid\";\n\
         error_log \"{at}/error.log\" warn;\n\
         events {{ worker_connections {}; }}\n\n",
        2 * clients_max() + 128
    );
    match scene.protocol {
        Protocol::Tcp => stream(scene, variant, about, &mut text),
        Protocol::Udp => datagrams(scene, &mut text),
        Protocol::Http | Protocol::Https => http(scene, variant, about, &at, &mut text)?,
    }
    Ok(text)
}

fn upstream(scene: &Scene<'_>, text: &mut String) {
    text.push_str("    upstream backends {\n        least_conn;\n");
    for address in scene.backends {
        // Like the others it is not to judge a backend by its connects.
        let _ = writeln!(text, "        server {address} max_fails=0;");
    }
}

fn stream(scene: &Scene<'_>, variant: Variant, about: &str, text: &mut String) {
    text.push_str("stream {\n");
    upstream(scene, text);
    let _ = write!(
        text,
        "    }}\n    server {{\n        listen {} backlog={BACKLOG};\n        \
         proxy_pass backends;\n        proxy_timeout 1h;\n",
        scene.listen
    );
    if variant == Variant::Buffers64k {
        text.push_str("        proxy_buffer_size 64k;\n");
    }
    // Without it the rest of an answer is lost for a client that has finished asking.
    if variant != Variant::ClosesBoth && knows_half_close(about) {
        text.push_str("        proxy_half_close on;\n");
    }
    text.push_str("    }\n}\n");
}

/// Its buffers as large as pointsman's, for the queues are to be full and not to overflow.
fn datagrams(scene: &Scene<'_>, text: &mut String) {
    text.push_str("stream {\n");
    upstream(scene, text);
    let _ = write!(
        text,
        "    }}\n    server {{\n        listen {} udp rcvbuf=4m sndbuf=4m;\n        \
         proxy_pass backends;\n        proxy_timeout 1h;\n    }}\n}}\n",
        scene.listen
    );
}

/// Since 1.21.4.
fn knows_half_close(about: &str) -> bool {
    let line = about.lines().next().unwrap_or_default();
    let version = line.rsplit('/').next().unwrap_or_default();
    let mut numbers = version.split(['.', ' ']).map(|part| part.parse::<u32>().unwrap_or(0));
    let mut number = || numbers.next().unwrap_or(0);
    (number(), number(), number()) >= (1, 21, 4)
}

fn http(
    scene: &Scene<'_>,
    variant: Variant,
    about: &str,
    at: &str,
    text: &mut String,
) -> io::Result<()> {
    text.push_str("http {\n    access_log off;\n");
    // It makes these when it starts, wherever it was told to.
    for kind in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"] {
        let is_left_out = about.contains(&format!("--without-http_{kind}_module"));
        if !is_left_out {
            let _ = writeln!(text, "    {kind}_temp_path \"{at}/{kind}\";");
        }
    }
    text.push_str(
        "    keepalive_timeout 1h;\n    keepalive_requests 1000000000;\n    \
         client_header_timeout 1h;\n    client_max_body_size 0;\n",
    );
    upstream(scene, text);
    let _ = write!(
        text,
        "        keepalive {IDLE_MAX};\n        keepalive_timeout 1h;\n        \
         keepalive_time 24h;\n        keepalive_requests 1000000000;\n    }}\n    \
         server {{\n        listen {} backlog={BACKLOG}{};\n",
        scene.listen,
        if scene.protocol == Protocol::Https { " ssl" } else { "" }
    );
    if scene.protocol == Protocol::Https {
        tls(scene, text)?;
    }
    text.push_str("        location / {\n");
    for line in LOCATION {
        let _ = writeln!(text, "            {line}");
    }
    if variant == Variant::Buffers64k {
        text.push_str("            proxy_buffer_size 64k;\n            proxy_buffers 8 64k;\n");
        text.push_str("            proxy_busy_buffers_size 128k;\n");
    }
    if variant != Variant::Plain {
        for line in TELL_OF_CLIENT {
            let _ = writeln!(text, "            {line}");
        }
    }
    text.push_str("        }\n    }\n}\n");
    Ok(())
}

/// Its tickets are on by themselves.
fn tls(scene: &Scene<'_>, text: &mut String) -> io::Result<()> {
    let _ = write!(
        text,
        "        ssl_certificate \"{}\";\n        ssl_certificate_key \"{}\";\n",
        quotable(&identity::certificate_file(scene.directory))?,
        quotable(&identity::key_file(scene.directory))?
    );
    for line in TLS {
        let _ = writeln!(text, "        {line}");
    }
    Ok(())
}

const TLS: [&str; 3] = [
    "ssl_protocols TLSv1.2 TLSv1.3;",
    "ssl_conf_command Ciphersuites TLS_AES_128_GCM_SHA256;",
    "ssl_ecdh_curve X25519;",
];

/// To keep connections to the backends it has to be told so twice; bodies stay out of files, in
/// both directions.
const LOCATION: [&str; 8] = [
    "proxy_pass http://backends;",
    "proxy_http_version 1.1;",
    "proxy_set_header Connection \"\";",
    "proxy_set_header Host $http_host;",
    "proxy_max_temp_file_size 0;",
    "proxy_request_buffering off;",
    "proxy_read_timeout 1h;",
    "proxy_send_timeout 1h;",
];

/// What pointsman says of a client by itself: the same work.
const TELL_OF_CLIENT: [&str; 4] = [
    "proxy_set_header X-Forwarded-For $remote_addr;",
    "proxy_set_header X-Forwarded-Proto $scheme;",
    "proxy_set_header X-Forwarded-Host $http_host;",
    "proxy_set_header Via \"1.1 nginx\";",
];
