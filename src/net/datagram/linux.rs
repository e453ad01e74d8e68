//! Linux: `recvmmsg` and `sendmmsg`, GRO and GSO, and packet information.
//!
//! nix's prepared headers keep the lengths that the kernel wrote into them, so that they can be
//! used again only where no control message comes; elsewhere they are made for each call, which
//! brings many datagrams.
//!
//! Where the calls for many are not there or forbidden, one by one has to do.

use std::io::{IoSlice, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsRawFd;

use mio::net::UdpSocket;
use nix::cmsg_space;
use nix::errno::Errno;
use nix::libc::{in_addr, in_pktinfo, in6_addr, in6_pktinfo};
use nix::sys::socket::sockopt::{Ipv4PacketInfo, Ipv6RecvPacketInfo, UdpGroSegment};
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, MultiHeaders, RecvMsg, SockaddrStorage,
    recvmmsg, recvmsg, sendmmsg, sendmsg, setsockopt,
};

use crate::limits::{MESSAGES_PER_CALL, SLOT_BYTES};

use super::sender::{Message, SendRefusal};
use super::{Fault, Piece, RecvMeta, RecvOutcome};

/// Free slots, and where in the memory they begin.
type Free<'a> = (&'a mut [u8], usize);

/// What the kernel is handed with each call.
pub struct Headers {
    /// For sockets that bring no control messages.
    plain: MultiHeaders<SockaddrStorage>,
    /// For sending, by what is said beside the bytes: see [`Headers::kind`].
    sending: [Option<MultiHeaders<SockaddrStorage>>; 6],
    addresses: Vec<Option<SockaddrStorage>>,
    /// The kernel does not take several messages in one call.
    one_by_one: bool,
}

/// Ask for what is needed of a listener's datagrams.
pub fn prepare(socket: &socket2::Socket, address: SocketAddr) {
    if !address.ip().is_unspecified() {
        return;
    }
    let asked = match address {
        SocketAddr::V4(_) => setsockopt(socket, Ipv4PacketInfo, &true),
        SocketAddr::V6(_) => setsockopt(socket, Ipv6RecvPacketInfo, &true),
    };
    if let Err(errno) = asked {
        log::warn!(
            "udp://{address}: the system does not say to which of its addresses datagrams came, \
             so answers may leave from another one: {errno}"
        );
    }
}

/// Let the kernel put datagrams together; whether it does. An old one cannot: then each comes by
/// itself.
pub fn coalesce(socket: &UdpSocket) -> bool {
    setsockopt(socket, UdpGroSegment, &true).is_ok()
}

/// Ports that the system chooses from for sockets that ask for none.
pub fn ports() -> Option<usize> {
    let text = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").ok()?;
    let mut ends = text.split_whitespace().map(|word| word.parse::<u16>().ok());
    let first = ends.next()??;
    let last = ends.next()??;
    Some(usize::from(last.checked_sub(first)?) + 1)
}

impl Headers {
    /// None used yet.
    pub fn new() -> Headers {
        Headers {
            plain: MultiHeaders::preallocate(MESSAGES_PER_CALL, None),
            sending: [const { None }; 6],
            addresses: Vec::new(),
            one_by_one: false,
        }
    }

    /// There are no such calls here: said once, and never tried again.
    fn go_one_by_one(one_by_one: &mut bool, errno: Errno) {
        if !std::mem::replace(one_by_one, true) {
            log::warn!("datagrams go one by one: calls for many do not work here: {errno}");
        }
    }

    /// Receive from a listener.
    pub fn take(
        &mut self,
        socket: &UdpSocket,
        free: Free<'_>,
        most: usize,
        list: &mut Vec<RecvMeta>,
    ) -> RecvOutcome {
        let mut headers = told_headers(most);
        receive(socket, &mut headers, &mut self.one_by_one, free, most, |start, message| {
            let (size, local) = told(message);
            let from = message.address.and_then(|address| plain_address(&address));
            list.push(RecvMeta { piece: Piece::new(start, message.bytes, size), from, local });
        })
    }

    /// Receive from a connected socket.
    pub fn hear(
        &mut self,
        socket: &UdpSocket,
        coalesces: bool,
        free: Free<'_>,
        most: usize,
        list: &mut Vec<RecvMeta>,
    ) -> RecvOutcome {
        let meta = |piece| RecvMeta { piece, from: None, local: None };
        if !coalesces {
            return receive(
                socket,
                &mut self.plain,
                &mut self.one_by_one,
                free,
                most,
                |start, message| {
                    list.push(meta(Piece::new(start, message.bytes, 0)));
                },
            );
        }
        let mut headers = told_headers(most);
        receive(socket, &mut headers, &mut self.one_by_one, free, most, |start, message| {
            list.push(meta(Piece::new(start, message.bytes, told(message).0)));
        })
    }

    /// Send messages that all say the same beside their bytes; how many were taken.
    pub fn send(
        &mut self,
        socket: &UdpSocket,
        slices: &[IoSlice<'_>],
        messages: &[Message],
    ) -> Result<usize, SendRefusal> {
        let Some(first) = messages.first() else { return Ok(0) };
        let mut together = messages.iter().take(if self.one_by_one { 1 } else { usize::MAX });
        let segment = together.find_map(|message| message.segment);
        self.addresses.clear();
        self.addresses.extend(messages.iter().map(|message| message.to.map(Into::into)));
        let v4 = source_v4(first.from);
        let v6 = source_v6(first.from);
        let said: [Option<ControlMessage<'_>>; 3] = [
            segment.as_ref().map(ControlMessage::UdpGsoSegments),
            v4.as_ref().map(ControlMessage::Ipv4PacketInfo),
            v6.as_ref().map(ControlMessage::Ipv6PacketInfo),
        ];
        let said: Vec<ControlMessage<'_>> = said.into_iter().flatten().collect();
        let fd = socket.as_raw_fd();
        if self.one_by_one {
            let part = slices.get(first.slices.clone()).unwrap_or_default();
            let to = self.addresses.first().and_then(Option::as_ref);
            return match sendmsg(fd, part, &said, MsgFlags::empty(), to) {
                Ok(_) => Ok(1),
                Err(errno) => refusal(errno, segment),
            };
        }
        let headers = Headers::kind(&mut self.sending, segment.is_some(), first.from);
        let empty: &[IoSlice<'_>] = &[];
        let mut parts = [empty; MESSAGES_PER_CALL];
        for (part, message) in parts.iter_mut().zip(messages) {
            *part = slices.get(message.slices.clone()).unwrap_or_default();
        }
        let parts = &parts[..messages.len().min(MESSAGES_PER_CALL)];
        match sendmmsg(fd, headers, parts, &self.addresses, &said, MsgFlags::empty()) {
            Ok(sent) => Ok(sent.count()),
            Err(errno @ Errno::ENOSYS) => {
                Headers::go_one_by_one(&mut self.one_by_one, errno);
                Ok(0)
            }
            Err(errno) => refusal(errno, segment),
        }
    }

    /// The headers must have exactly the room for what is said.
    fn kind(
        sending: &mut [Option<MultiHeaders<SockaddrStorage>>; 6],
        segmented: bool,
        from: Option<IpAddr>,
    ) -> &mut MultiHeaders<SockaddrStorage> {
        let (kind, room) = match (segmented, from) {
            (false, None) => (0, None),
            (true, None) => (1, Some(cmsg_space!(u16))),
            (false, Some(IpAddr::V4(_))) => (2, Some(cmsg_space!(in_pktinfo))),
            (true, Some(IpAddr::V4(_))) => (3, Some(cmsg_space!(u16, in_pktinfo))),
            (false, Some(IpAddr::V6(_))) => (4, Some(cmsg_space!(in6_pktinfo))),
            (true, Some(IpAddr::V6(_))) => (5, Some(cmsg_space!(u16, in6_pktinfo))),
        };
        sending[kind].get_or_insert_with(|| MultiHeaders::preallocate(MESSAGES_PER_CALL, room))
    }
}

/// Why messages were not taken; nothing, if they are to be tried again at once.
fn refusal(errno: Errno, segment: Option<u16>) -> Result<usize, SendRefusal> {
    match errno {
        Errno::EINTR => Ok(0),
        Errno::EAGAIN => Err(SendRefusal::Later),
        Errno::EIO | Errno::EOPNOTSUPP | Errno::ENOPROTOOPT if segment.is_some() => {
            Err(SendRefusal::Segments)
        }
        Errno::EINVAL | Errno::EMSGSIZE if segment.is_some() => Err(SendRefusal::Segment),
        errno => Err(SendRefusal::Fault(Fault::of(&errno.into()))),
    }
}

fn told_headers(most: usize) -> MultiHeaders<SockaddrStorage> {
    MultiHeaders::preallocate(most, Some(cmsg_space!(i32, in6_pktinfo)))
}

fn receive(
    socket: &UdpSocket,
    headers: &mut MultiHeaders<SockaddrStorage>,
    one_by_one: &mut bool,
    (free, start): Free<'_>,
    most: usize,
    mut each: impl FnMut(usize, &RecvMsg<'_, '_, SockaddrStorage>),
) -> RecvOutcome {
    if *one_by_one {
        return receive_one_by_one(socket, (free, start), most, each);
    }
    let mut slots = free.chunks_mut(SLOT_BYTES).take(most);
    let mut parts: [[IoSliceMut<'_>; 1]; MESSAGES_PER_CALL] =
        std::array::from_fn(|_| [IoSliceMut::new(slots.next().unwrap_or_default())]);
    let fd = socket.as_raw_fd();
    let flags = MsgFlags::MSG_DONTWAIT;
    match recvmmsg(fd, headers, parts.iter_mut().take(most), flags, None) {
        Ok(messages) => {
            let mut count = 0;
            for message in messages {
                each(start + count * SLOT_BYTES, &message);
                count += 1;
            }
            // Fewer than asked for: there were no more, and the next one makes an event.
            if count < most { RecvOutcome::All(count) } else { RecvOutcome::Some(count) }
        }
        Err(Errno::EAGAIN) => RecvOutcome::All(0),
        Err(Errno::EINTR) => RecvOutcome::Some(0),
        Err(errno @ (Errno::ENOSYS | Errno::EPERM)) => {
            Headers::go_one_by_one(one_by_one, errno);
            RecvOutcome::Some(0)
        }
        Err(error) => RecvOutcome::Failed(Fault::of(&error.into())),
    }
}

fn receive_one_by_one(
    socket: &UdpSocket,
    (free, start): Free<'_>,
    most: usize,
    mut each: impl FnMut(usize, &RecvMsg<'_, '_, SockaddrStorage>),
) -> RecvOutcome {
    let mut said = cmsg_space!(i32, in6_pktinfo);
    for (index, slot) in free.chunks_mut(SLOT_BYTES).take(most).enumerate() {
        let mut part = [IoSliceMut::new(slot)];
        let fd = socket.as_raw_fd();
        let flags = MsgFlags::MSG_DONTWAIT;
        match recvmsg(fd, &mut part, Some(&mut said), flags) {
            Ok(message) => each(start + index * SLOT_BYTES, &message),
            Err(Errno::EAGAIN) => return RecvOutcome::All(index),
            // What came before is handed on first; the next turn goes on.
            Err(_) if index > 0 => return RecvOutcome::Some(index),
            Err(Errno::EINTR) => return RecvOutcome::Some(0),
            Err(error) => return RecvOutcome::Failed(Fault::of(&error.into())),
        }
    }
    RecvOutcome::Some(most)
}

/// The length of each datagram, if several were put together, and the address that they came to.
/// That is one which answers may leave from, also where they were sent to everybody.
fn told(message: &RecvMsg<'_, '_, SockaddrStorage>) -> (usize, Option<IpAddr>) {
    let mut size = 0;
    let mut local = None;
    for said in message.cmsgs().into_iter().flatten() {
        match said {
            ControlMessageOwned::UdpGroSegments(bytes) => {
                size = usize::try_from(bytes).unwrap_or(0);
            }
            ControlMessageOwned::Ipv4PacketInfo(info) => {
                let octets = info.ipi_spec_dst.s_addr.to_ne_bytes();
                local = Some(IpAddr::V4(Ipv4Addr::from(octets)));
            }
            ControlMessageOwned::Ipv6PacketInfo(info) => {
                let address = Ipv6Addr::from(info.ipi6_addr.s6_addr);
                local = Some(IpAddr::V6(address)).filter(|ip| !ip.is_multicast());
            }
            _ => {}
        }
    }
    (size, local)
}

fn plain_address(address: &SockaddrStorage) -> Option<SocketAddr> {
    if let Some(v4) = address.as_sockaddr_in() {
        return Some(SocketAddr::V4((*v4).into()));
    }
    address.as_sockaddr_in6().map(|v6| SocketAddr::V6((*v6).into()))
}

fn source_v4(from: Option<IpAddr>) -> Option<in_pktinfo> {
    let Some(IpAddr::V4(address)) = from else { return None };
    let ipi_spec_dst = in_addr { s_addr: u32::from_ne_bytes(address.octets()) };
    Some(in_pktinfo { ipi_ifindex: 0, ipi_spec_dst, ipi_addr: in_addr { s_addr: 0 } })
}

fn source_v6(from: Option<IpAddr>) -> Option<in6_pktinfo> {
    let Some(IpAddr::V6(address)) = from else { return None };
    let ipi6_addr = in6_addr { s6_addr: address.octets() };
    Some(in6_pktinfo { ipi6_addr, ipi6_ifindex: 0 })
}
