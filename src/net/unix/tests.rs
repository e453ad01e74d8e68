//! Somebody else may write the directory of a socket.

use super::*;
use std::os::unix::fs::{PermissionsExt, symlink};

/// A directory of its own that goes with the test.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Place {
        let name = format!("pointsman-unix-{name}-{}", std::process::id());
        let place = std::env::temp_dir().join(name);
        let _ = fs::remove_dir_all(&place);
        fs::create_dir_all(&place).expect("a directory");
        Place(place)
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn mode_of(path: &Path) -> u32 {
    fs::symlink_metadata(path).expect("a file").permissions().mode() & 0o7777
}

fn file(mode: u32) -> SocketFile {
    let user = rustix::process::getuid();
    let group = rustix::process::getgid();
    let owner = FileOwner { user: Some(user.as_raw()), group: Some(group.as_raw()) };
    SocketFile { mode, owner: Some(owner) }
}

/// Another file is there between the look and the change, as an attacker would want it.
fn change_after_a_swap(place: &Place, swap: impl FnOnce(&Path)) -> io::Result<()> {
    let path = place.at("s");
    let (_socket, mut own) = bind(&path, &file(0o600)).expect("bound");
    fs::rename(&path, place.at("elsewhere")).expect("moved");
    swap(&path);
    // As if it had been swapped after these were compared.
    let there = fs::symlink_metadata(&path).expect("something is there");
    own.id = (there.dev(), there.ino());
    let changed = own.become_like(&file(0o666));
    own.disown();
    changed
}

#[test]
fn the_target_of_a_link_in_its_place_keeps_its_permission() {
    let place = Place::new("link");
    let secret = place.at("secret");
    fs::write(&secret, "precious").expect("written");
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).expect("changed");
    change_after_a_swap(&place, |path| symlink(&secret, path).expect("a link"))
        .expect_err("it is another");
    assert_eq!(mode_of(&secret), 0o600);
    fs::remove_file(place.at("s")).expect("removed");
    change_after_a_swap(&place, |path| fs::hard_link(&secret, path).expect("a link"))
        .expect_err("it is no socket");
    assert_eq!(mode_of(&secret), 0o600);
}

#[test]
fn a_socket_with_another_name_is_somebody_elses() {
    let place = Place::new("names");
    let (_socket, theirs) = bind(&place.at("theirs"), &file(0o600)).expect("bound");
    let swap = |path: &Path| fs::hard_link(theirs.path(), path).expect("a link");
    change_after_a_swap(&place, swap).expect_err("it has two names");
    assert_eq!(mode_of(theirs.path()), 0o600);
}

#[test]
fn its_own_file_is_as_it_is_asked_for() {
    let place = Place::new("own");
    for mode in [0o600, 0o620, 0o666] {
        let (_socket, own) = bind(&place.at("s"), &file(mode)).expect("bound");
        assert_eq!(mode_of(own.path()), mode);
        own.become_like(&file(0o640)).expect("changed");
        assert_eq!(mode_of(own.path()), 0o640);
    }
}
