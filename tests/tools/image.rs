//! The root file system of an image, assembled as `docs/deploy/Containerfile` has it done, and the
//! program at work in it as a user who may do nothing else.

use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::common::measure::skip;
use super::common::servers::{Home, missing};
use super::common::{Backend, Balancer};

const USER: u32 = 65_532;

/// Every file below a folder, and every folder without one, as in the image.
fn contents(root: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut waiting: Vec<PathBuf> = vec![root.to_owned()];
    while let Some(folder) = waiting.pop() {
        let entries: Vec<_> = fs::read_dir(&folder).expect("a folder").flatten().collect();
        if entries.is_empty() {
            found.insert(format!("{}/", inner(root, &folder)));
        }
        for path in entries.iter().map(fs::DirEntry::path) {
            if path.is_dir() {
                waiting.push(path);
            } else {
                found.insert(inner(root, &path));
            }
        }
    }
    found
}

fn inner(root: &Path, path: &Path) -> String {
    let inner = path.strip_prefix(root).expect("it is below");
    format!("/{}", inner.display())
}

#[test]
fn an_image_has_what_the_program_needs_and_nothing_else() {
    if missing(&["ldd"]) {
        return;
    }
    if !rustix::process::getuid().is_root() {
        skip("only root may change the root of a process");
        return;
    }
    let home =
        Home(std::env::temp_dir().join(format!("pointsman-image-{}", std::process::id())));
    let root = home.0.join("root");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/deploy/root.sh");
    let output = Command::new("sh")
        .arg(&script)
        .args([env!("CARGO_BIN_EXE_pointsman"), root.to_str().expect("text")])
        .arg(USER.to_string())
        .output()
        .expect("it starts");
    assert!(output.status.success(), "{output:?}");
    let found = contents(&root);
    let is_library = |path: &&String| {
        let name = path.rsplit('/').next().unwrap_or_default();
        ["libc.", "libm.", "libgcc_s.", "ld-"].iter().any(|begin| name.starts_with(begin))
    };
    let rest: Vec<&String> = found.iter().filter(|path| !is_library(path)).collect();
    let wanted = [
        "/etc/pointsman/",
        "/run/pointsman/",
        "/usr/bin/pointsman",
        "/var/lib/pointsman/",
        "/var/log/pointsman/",
    ];
    assert_eq!(rest, wanted);
    let folder = fs::metadata(root.join("run/pointsman")).expect("it is there");
    assert_eq!((folder.uid(), folder.permissions().mode() & 0o777), (USER, 0o755));
    serves_in(&home, &root);
}

/// Traffic, the admin socket and a log, by a user who owns nothing but three folders.
fn serves_in(home: &Home, root: &Path) {
    // The folders above are for the one who runs the test alone, and are not seen from inside.
    fs::set_permissions(&home.0, fs::Permissions::from_mode(0o755)).expect("ours");
    let mut command = Command::new("chroot");
    command.arg(format!("--userspec={USER}:{USER}")).args([root.as_os_str()]);
    command.arg("/usr/bin/pointsman");
    let backend = Backend::named("one");
    let backend = backend.flag();
    let mut args = vec!["--listen", "127.0.0.1:0", "--backend", &backend];
    args.extend(["--admin", "unix:/run/pointsman/api.sock"]);
    args.extend(["--access-log", "/var/log/pointsman/access.log"]);
    args.extend(["--state-file", "/var/lib/pointsman/state"]);
    let mut balancer = Balancer::start_command(command, &args);
    let mut answer = String::new();
    let _ = balancer.connect().read_to_string(&mut answer);
    assert_eq!(answer.trim(), "one");
    let process = fs::metadata(format!("/proc/{}", balancer.pid())).expect("it runs");
    assert_eq!(process.uid(), USER);
    let place = format!("--admin=unix:{}", root.join("run/pointsman/api.sock").display());
    let ctl = Command::new(env!("CARGO_BIN_EXE_pointsman"))
        .args(["ctl", "stop", &place])
        .output()
        .expect("it starts");
    assert!(ctl.status.success(), "{ctl:?}");
    assert!(balancer.wait().success());
    let log = fs::read_to_string(root.join("var/log/pointsman/access.log")).expect("a log");
    assert_eq!(log.lines().count(), 1, "{log}");
    assert!(root.join("var/lib/pointsman/state").exists());
}
