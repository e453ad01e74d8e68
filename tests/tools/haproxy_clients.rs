//! Programs that watch and lead a HAProxy, unpatched, at our socket and at our statistics over
//! HTTP: what they make of our numbers has to be our numbers.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::haproxy_ours::{Beside, Ours, ask, ours, ours_with, output, python_with};
use crate::common::{DEADLINE, free_port, until};

/// What a Debian package has; `.ci/run` unpacks it. Nothing, if it is not there.
pub fn unpacked(package: &str) -> Option<PathBuf> {
    let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join("debian").join(package);
    if home.is_dir() {
        return Some(home);
    }
    let is_ci = std::env::var("CI").as_deref() == Ok("true");
    assert!(!is_ci, "{package} is not there: .ci/run unpacks it");
    println!("skipped: there is no {package}");
    None
}

/// Runs until its output has all that is wanted.
fn runs_until_it_says(
    mut command: Command,
    home: &Path,
    wanted: &[String],
    has: fn(&str, &str) -> bool,
) {
    let [out, err] = ["out", "err"].map(|it| home.join(it));
    command.stdin(Stdio::null()).stdout(File::create(&out).unwrap());
    let _process = Beside(command.stderr(File::create(&err).unwrap()).spawn().unwrap());
    let read = |it| fs::read_to_string(it).unwrap();
    let end = Instant::now() + DEADLINE;
    loop {
        let text = read(&out);
        let Some(lacking) = wanted.iter().find(|it| !has(&text, it)) else { return };
        assert!(Instant::now() < end, "no {lacking} in {text}; {}", read(&err));
        sleep(Duration::from_millis(50));
    }
}

/// What a column of the statistics has for the whole pool.
fn of_pool(ours: &Ours, column: &str) -> String {
    let text = ask(&ours.socket, "show stat");
    let (header, _) = text.split_once('\n').unwrap();
    let at = header.split(',').position(|it| it == column).expect("a column");
    let row = text.lines().find(|it| it.starts_with("main,BACKEND,")).expect("a row");
    row.split(',').nth(at).unwrap().to_owned()
}

/// netdata's own plugin for Python, with its module for HAProxy, by both ways that it has.
#[test]
fn netdata_charts_our_numbers_by_the_socket_and_over_http() {
    let Some(python) = python_with("yaml, urllib3") else { return };
    let Some(netdata) = unpacked("netdata-plugins-python") else { return };
    let ours = ours_with("netdata", &["--check", "tcp", "--check-interval", "50ms"]);
    ours.serve(5);
    until("a is up", || of_pool(&ours, "act") == "2");
    assert_eq!(ask(&ours.socket, "disable server main/b"), "\n");
    let home = &ours.home.0;
    fs::create_dir_all(home.join("user/python.d")).unwrap();
    let jobs = format!(
        "told:\n  socket: '{}'\nasked:\n  url: 'http://{}/haproxy;csv;norefresh'\n",
        ours.socket.display(),
        ours.web
    );
    fs::write(home.join("user/python.d/haproxy.conf"), jobs).unwrap();
    let netdata = netdata.join("usr/lib/netdata");
    let mut command = Command::new(python);
    command.arg(netdata.join("plugins.d/python.d.plugin")).args(["1", "nolock", "haproxy"]);
    for (name, folder) in [
        ("NETDATA_USER_CONFIG_DIR", home.join("user")),
        ("NETDATA_STOCK_CONFIG_DIR", netdata.join("conf.d")),
        ("NETDATA_PLUGINS_DIR", netdata.join("plugins.d")),
        ("NETDATA_LIB_DIR", home.join("lib")),
        ("NETDATA_LOCK_DIR", home.join("lock")),
    ] {
        command.env(name, folder);
    }
    let number = |column| of_pool(&ours, column);
    assert_eq!(number("hrsp_2xx"), "5");
    let charts = ["bin", "bout", "scur", "hrsp_2xx", "hrsp_4xx"]
        .map(|it| (format!("b{it}"), format!("backend_{it}"), number(it)));
    let more = [
        ("health_sup", "hsup", "1"),
        ("health_sdown", "hsdown", "0"),
        ("health_bdown", "hbdown", "0"),
        ("bhrsp_total", "backend_hrsp_total", "5"),
        ("fscur", "frontend_scur", "0"),
    ];
    let more = more.map(|(chart, name, it)| (chart.into(), name.into(), it.into()));
    let wanted = charts.into_iter().chain(more).flat_map(|(chart, name, it)| {
        ["told", "asked"].map(|job| {
            format!("BEGIN haproxy_{job}.{chart} 0\nSET '{name}_main' = {it}\nEND\n")
        })
    });
    let wanted: Vec<String> = wanted.collect();
    runs_until_it_says(command, home, &wanted, |text, wanted| text.contains(wanted));
}

/// collectd has nothing of its own for HAProxy: its plugin for Python runs `collectd-haproxy`.
#[test]
fn collectd_gathers_our_numbers() {
    let Some(python) = python_with("collectd_haproxy") else { return };
    let Some(collectd) = unpacked("collectd-core") else { return };
    let ours = ours("collectd");
    ours.serve(5);
    let home = &ours.home.0;
    let mut command = Command::new(python);
    command.args(["-c", "import sysconfig; print(sysconfig.get_path('purelib'), end='')"]);
    let config = format!(
        "Hostname test\nFQDNLookup false\nInterval 1\nBaseDir \"{home}\"\n\
         PIDFile \"{home}/pid\"\nPluginDir \"{collectd}/usr/lib/collectd\"\n\
         TypesDB \"{collectd}/usr/share/collectd/types.db\"\n\
         LoadPlugin csv\n<Plugin csv>\n DataDir stdout\n</Plugin>\n\
         <LoadPlugin python>\n</LoadPlugin>\n<Plugin python>\n ModulePath \"{modules}\"\n \
         LogTraces true\n Import collectd_haproxy\n <Module haproxy>\n  Socket \"{socket}\"\n \
         </Module>\n</Plugin>\n",
        home = home.display(),
        collectd = collectd.display(),
        modules = output(command),
        socket = ours.socket.display(),
    );
    fs::write(home.join("collectd.conf"), config).unwrap();
    let mut command = Command::new(collectd.join("usr/sbin/collectd"));
    command.arg("-f").arg("-C").arg(home.join("collectd.conf"));
    let number = |column| of_pool(&ours, column);
    let wanted = [
        ("main.BACKEND/counter-session_count", "5".to_owned()),
        ("main.BACKEND/counter-http_response_2xx", "5".to_owned()),
        ("main.BACKEND/gauge-bytes_in", number("bin") + ".000000"),
        ("main.BACKEND/gauge-bytes_out", number("bout") + ".000000"),
        ("main.BACKEND/gauge-active_server_count", "2.000000".to_owned()),
        ("main.a/gauge-server_weight", "10.000000".to_owned()),
        ("main.FRONTEND/gauge-current_session_count", "0.000000".to_owned()),
        ("haproxy/counter-request_count", "5".to_owned()),
        ("haproxy/gauge-num_processes", "1.000000".to_owned()),
    ];
    let wanted = wanted.map(|(name, value)| format!("PUTVAL test/haproxy-{name} {value}"));
    runs_until_it_says(command, home, &wanted, |text, wanted| {
        let (name, value) = wanted.rsplit_once(' ').unwrap();
        let starts = format!("{name} interval=");
        let ends = format!(":{value}");
        text.lines().any(|it| it.starts_with(&starts) && it.ends_with(&ends))
    });
}

/// What `haproxy-cli` says.
fn cli(python: &Path, ours: &Ours, command: &str, more: &[&str]) -> String {
    let mut process = Command::new(python.with_file_name("haproxy-cli"));
    process.arg("-k").arg(&ours.socket).args(["-c", command]).args(more);
    output(process)
}

#[test]
fn haproxy_cli_lists_and_leads() {
    let Some(python) = python_with("haproxy.cmds") else { return };
    let ours = ours("haproxy-cli");
    ours.serve(3);
    let a = ["-b", "main", "-s", "a"];
    let say = |command: &str, more: &[&str]| cli(&python, &ours, command, more);
    for (command, wanted) in [("frontends", "main\n"), ("backends", "main\n")] {
        assert_eq!(say(command, &[]), wanted, "{command}");
    }
    let info = say("info", &[]);
    assert!(info.contains("\nVersion: 2.6.0-pointsman-"), "{info}");
    assert_eq!(say("get-weight", &a), "10 (initial 10)\n\n\n");
    assert_eq!(say("set-weight", &[&a[..], &["-w", "7"]].concat()), "None\n");
    assert_eq!(say("get-weight", &a), "7 (initial 10)\n\n\n");
    assert_eq!(say("disable", &a), "None\n");
    let servers = say("servers", &["-b", "main"]);
    assert!(servers.contains("Name: a Status: MAINT Weight: 7 bIn: "), "{servers}");
    let counted = format!("bIn: {} bOut: {}", of_pool(&ours, "bin"), of_pool(&ours, "bout"));
    assert!(servers.contains(&counted) || servers.contains("bIn: 0 bOut: 0"), "{servers}");
    assert_eq!(say("enable", &a), "None\n");
    assert!(say("servers", &["-b", "main"]).contains("Name: a Status: no check Weight: 7"));
    assert_eq!(say("get-weight", &["-b", "main", "-s", "x"]), "No such server.\n\n\n");
    let held = ours.balancer.connect();
    until("it is listed", || say("sessions", &[]).contains("fe=main"));
    drop(held);
}

/// What `haproxytool` says, line by line, with its columns parted by one space.
fn tool(python: &Path, ours: &Ours, of: &str, more: &str) -> Vec<String> {
    let mut process = Command::new(python.with_file_name("haproxytool"));
    process.arg(of).arg("-F").arg(&ours.socket).args(more.split(' '));
    let text = output(process);
    let tidy = |it: &str| it.split_whitespace().collect::<Vec<_>>().join(" ");
    text.lines().map(tidy).filter(|it| !it.starts_with('#')).collect()
}

#[test]
fn haproxytool_shows_and_leads_servers_and_frontends() {
    let Some(python) = python_with("haproxytool") else { return };
    let ours = ours("haproxytool");
    ours.serve(4);
    for (of, more, wanted) in [
        ("haproxy", "-r", &["4"][..]),
        ("haproxy", "-A", &["OK"]),
        ("haproxy", "-o", &["ratelimitconn = 0", "ratelimitsess = 0", "ratelimitsslsess = 0"]),
        ("frontend", "-l", &["main"]),
        ("frontend", "-r", &["main 4"]),
        ("frontend", "-d main", &["main disabled"]),
        ("frontend", "-s", &["main PAUSED"]),
        ("frontend", "-e main", &["main enabled"]),
        ("frontend", "-s", &["main OPEN"]),
        ("backend", "-S", &["main", "a", "b"]),
        ("backend", "-s", &["main UP"]),
        ("backend", "-m stot", &["main 4"]),
        ("server", "-s", &["main a no check", "main b no check"]),
        ("server", "-w 5 a", &["a backend set weight to 5 in main backend"]),
        ("server", "-W", &["main a 5", "main b 1"]),
        ("server", "-n a", &["a set to drain in main backend"]),
        ("server", "-s a", &["main a DRAIN"]),
        ("server", "-f -d a", &["a disabled in main backend"]),
        ("server", "-s a", &["main a MAINT"]),
        ("server", "-e a", &["a enabled in main backend"]),
        ("server", "-c a", &["main a"]),
        ("dump", "-b", &["main,UP,4,a,b"]),
        ("dump", "-f", &["main,OPEN,4,[1]"]),
    ] {
        let said = tool(&python, &ours, of, more);
        let said = if more == "-o" { &said[1..] } else { &said };
        assert_eq!(said, wanted, "haproxytool {of} {more}");
    }
}

/// The check of the Nagios plugins of Debian.
#[test]
fn nagios_is_told_what_is_down() {
    let Some(plugins) = unpacked("monitoring-plugins-contrib") else { return };
    let down = format!("{},name=c", free_port());
    let more = ["-b", &down, "--check", "tcp", "--check-interval", "50ms"];
    let ours = ours_with("nagios", &more);
    until("c is down", || of_pool(&ours, "act") == "2");
    let check = |more: &[&str]| {
        let mut process = Command::new("perl");
        process.arg(plugins.join("usr/lib/nagios/plugins/check_haproxy_stats")).args(more);
        let output = process.stdin(Stdio::null()).output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let socket = ours.socket.display().to_string();
    let url = format!("http://{}/haproxy", ours.web);
    for place in [["-s", &socket], ["-U", &url]] {
        let (status, text) = check(&place);
        assert_eq!(status, Some(2), "{text}");
        let wanted = "Check haproxy CRITICAL - server: main:c is DOWN (check status: connection \
                      error); |main-FRONTEND=0;";
        assert!(text.starts_with(wanted), "{text}");
    }
    assert_eq!(ask(&ours.socket, "disable server main/c"), "\n");
    let (status, text) = check(&["-m", "-s", &socket]);
    assert_eq!(status, Some(0), "{text}");
    assert!(text.starts_with("Check haproxy OK - checked 4 proxies."), "{text}");
    assert_eq!(ask(&ours.socket, "disable frontend main"), "\n");
    let (status, text) = check(&["-m", "-s", &socket]);
    assert_eq!(status, Some(2), "{text}");
    assert!(text.starts_with("Check haproxy CRITICAL - FRONTEND: main is "), "{text}");
}
