//! Who a file belongs to: users and groups by the names that the files of this machine give them.

use std::fs;

use crate::config::{Named, SocketOwner};
use crate::net::FileOwner;

/// The numbers of an owner.
pub(super) fn look_up(owner: &SocketOwner) -> Result<FileOwner, String> {
    let user = owner.user.as_ref().map(|it| number(it, "/etc/passwd", "user")).transpose()?;
    let group = owner.group.as_ref().map(|it| number(it, "/etc/group", "group")).transpose()?;
    Ok(FileOwner { user, group })
}

fn number(named: &Named, file: &str, what: &str) -> Result<u32, String> {
    let name = match named {
        Named::Number(number) => return Ok(*number),
        Named::Name(name) => name,
    };
    let text = fs::read(file).map_err(|error| format!("cannot read {file}: {error}"))?;
    let text = String::from_utf8_lossy(&text);
    found(&text, name)
        .ok_or_else(|| format!("{file} has no {what} '{name}'; want one of it, or a number"))
}

/// Of lines like `www-data:x:33:...` the number of this name.
fn found(text: &str, name: &str) -> Option<u32> {
    text.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next()? == name).then(|| fields.nth(1)?.parse().ok()).flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_known_by_name_or_number() {
        let text = "root:x:0:0:root:/root:/bin/sh\nwww-data:x:33:33::/:/bin/false\nodd:x:y:1\n";
        assert_eq!(found(text, "www-data"), Some(33));
        assert_eq!(found(text, "www"), None);
        assert_eq!(found(text, "odd"), None);
        let root = SocketOwner::parse("root:0").expect("an owner");
        assert_eq!(look_up(&root), Ok(FileOwner { user: Some(0), group: Some(0) }));
        let nobody = SocketOwner::parse(":no-such-group").expect("an owner");
        let why = look_up(&nobody).expect_err("it is not there");
        assert!(why.starts_with("/etc/group has no group 'no-such-group'"), "{why}");
    }
}
