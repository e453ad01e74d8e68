//! Who asked, as fields have it.

use std::fmt::Write;
use std::net::IpAddr;

use super::added;
use super::outgoing::Outgoing;

/// Write who asked: of a client at a UNIX socket nothing is known (RFC 7239, section 6.2).
pub(super) fn client(address: IpAddr, out: &mut Outgoing) {
    match address.is_unspecified() {
        true => out.text(added::UNKNOWN_CLIENT),
        false => self::address(address, out),
    }
}

/// Write an address without brackets and port; an IPv4-mapped one as IPv4.
pub(super) fn address(address: IpAddr, out: &mut Outgoing) {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            let mut text = [b'.'; 16];
            let mut length = 0;
            for octet in address.octets() {
                for (divisor, least) in [(100, 100), (10, 10), (1, 0)] {
                    if octet >= least {
                        text[length] = b'0' + octet / divisor % 10;
                        length += 1;
                    }
                }
                length += 1;
            }
            out.text(&text[..length - 1]);
        }
        IpAddr::V6(address) => {
            // because: writing to an Outgoing cannot fail.
            let _ = write!(out, "{address}");
        }
    }
}
