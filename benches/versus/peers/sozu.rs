//! Sozu: one worker beside its main process; without its splicing, which is no default of it.

use std::fmt::Write;
use std::io;

use super::{Launch, Protocol, Scene, clients_max, find, first_line, quotable};

/// A path to a socket of the system has no room for more.
const SOCKET_PATH_MAX: usize = 107;

pub fn version() -> Result<String, String> {
    let hint =
        "cargo install sozu --locked builds it in five minutes; it needs protobuf-compiler";
    let program = find("sozu").ok_or(format!("no sozu here; {hint}"))?;
    // "sozu 2.3.3 ()"
    Ok(first_line(&program, "--version")?.trim_end_matches(['(', ')', ' ']).to_owned())
}

pub fn launch(scene: &Scene<'_>) -> io::Result<Launch> {
    let program = find("sozu").ok_or(io::ErrorKind::NotFound)?;
    let file = scene.directory.join("sozu.toml");
    let arguments = ["start", "--config", &file.display().to_string()];
    Launch::by_file(program, &file, configuration(scene)?, &arguments)
}

fn configuration(scene: &Scene<'_>) -> io::Result<String> {
    let at = quotable(scene.directory)?;
    let socket = format!("{at}/sozu.sock");
    if socket.len() > SOCKET_PATH_MAX {
        return Err(io::Error::other(format!("{socket}: too long a path for a socket")));
    }
    let clients = clients_max();
    let mut text = format!(
        "command_socket = \"{socket}\"\npid_file_path = \"{at}/sozu.pid\"\n\
         log_level = \"error\"\nlog_target = \"file://{at}/sozu.log\"\n\
         worker_count = 1\nworker_automatic_restart = false\nactivate_listeners = true\n\
         max_connections = {clients}\nmax_buffers = {}\n\
         front_timeout = 3600\nback_timeout = 3600\nrequest_timeout = 3600\n\
         disable_cluster_metrics = true\n",
        2 * clients
    );
    let plain = format!("{{ address = \"{}\" }}", scene.listen);
    let named = format!("{{ address = \"{}\", hostname = \"*\" }}", scene.listen);
    // What a cluster of its TCP kind carries is for the listener to say.
    let (listens, protocol, frontend) = match scene.protocol {
        Protocol::Tcp => ("tcp", "tcp", plain),
        // TLS no row asks of it.
        Protocol::Http | Protocol::Https => ("http", "http", named),
        Protocol::Udp => ("udp", "tcp", plain),
    };
    // because: writing to a String cannot fail; so below.
    let _ = write!(
        text,
        "\n[[listeners]]\nprotocol = \"{listens}\"\naddress = \"{}\"\n\
         front_timeout = 3600\nback_timeout = 3600\nrequest_timeout = 3600\n\
         \n[clusters.backends]\nprotocol = \"{protocol}\"\nload_balancing = \"LEAST_LOADED\"\n\
         frontends = [ {frontend} ]\nbackends = [\n",
        scene.listen
    );
    for address in scene.backends {
        let _ = writeln!(text, "    {{ address = \"{address}\" }},");
    }
    text.push_str("]\n");
    Ok(text)
}
