//! Many datagrams a call. recvmmsg(2), sendmmsg(2); elsewhere than on Linux one after the other.
//!
//! # Safety
//! The headers of a batch point into its own arrays, which have a fixed length on the heap, and, while a call lasts,
//! into the caller's slices. They are set anew before each call, so a batch may move in between.
#![allow(unsafe_code)]

use std::net::SocketAddr;

use super::Control;
use crate::errno::Result;
use crate::sysfd::SysFd;

#[cfg(target_os = "linux")]
use linux as imp;
#[cfg(not(target_os = "linux"))]
use plain as imp;

/// Room for datagrams over IP to receive: as many as it was made for, each of up to a fixed size.
pub struct RecvBatch {
    room: Room,
    filled: usize,
    raw: imp::RawRecv,
}

/// Where bytes and control data go: a part of the same size for each datagram.
struct Room {
    count: usize,
    size: usize,
    control_size: usize,
    bytes: Box<[u8]>,
    control: Box<[u8]>,
}

/// What is known of one received datagram, its bytes apart.
#[derive(Copy, Clone, Default)]
struct Message {
    len: usize,
    control_len: usize,
    flags: i32,
}

impl std::fmt::Debug for RecvBatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RecvBatch").field("filled", &self.filled).finish_non_exhaustive()
    }
}

impl RecvBatch {
    /// Room for `count` datagrams of up to `size` bytes with up to `control_size` bytes of control data, which is
    /// rounded up to whole words.
    ///
    /// # Panics
    /// If that is more than there can be.
    pub fn new(count: usize, size: usize, control_size: usize) -> RecvBatch {
        let control_size = control_size.next_multiple_of(size_of::<usize>());
        let total = |each: usize| count.checked_mul(each).expect("a batch that fits into memory");
        let room = Room {
            count,
            size,
            control_size,
            bytes: vec![0; total(size)].into_boxed_slice(),
            control: vec![0; total(control_size)].into_boxed_slice(),
        };
        RecvBatch { room, filled: 0, raw: imp::RawRecv::new(count) }
    }

    /// How many datagrams it can take.
    pub fn capacity(&self) -> usize {
        self.room.count
    }

    /// How many the last call brought.
    pub fn len(&self) -> usize {
        self.filled
    }

    /// Whether the last call brought none.
    pub fn is_empty(&self) -> bool {
        self.filled == 0
    }

    /// The bytes of datagram `i`.
    ///
    /// # Panics
    /// If `i` is not less than `len`; so for the other methods with a number.
    pub fn bytes(&self, i: usize) -> &[u8] {
        let len = self.message(i).len.min(self.room.size);
        &self.room.bytes[i * self.room.size..][..len]
    }

    /// Who sent datagram `i`.
    pub fn from(&self, i: usize) -> Option<SocketAddr> {
        assert!(i < self.filled, "datagram {i} of a batch of {}", self.filled);
        self.raw.from(i)
    }

    /// Whether datagram `i` was longer than its room.
    pub fn is_truncated(&self, i: usize) -> bool {
        self.message(i).flags & libc::MSG_TRUNC != 0
    }

    /// The control data of datagram `i`.
    pub fn control(&self, i: usize) -> Control<'_> {
        let len = self.message(i).control_len.min(self.room.control_size);
        Control::new(&self.room.control[i * self.room.control_size..][..len])
    }

    fn message(&self, i: usize) -> Message {
        assert!(i < self.filled, "datagram {i} of a batch of {}", self.filled);
        self.raw.message(i)
    }

    /// Receives as many datagrams as are there, one at least, and returns how many.
    ///
    /// # Errors
    /// EAGAIN if there is none.
    pub fn recv(&mut self, fd: &SysFd) -> Result<usize> {
        self.filled = 0;
        self.filled = self.raw.recv(fd, &mut self.room)?;
        Ok(self.filled)
    }
}

/// Room for the headers and addresses of datagrams over IP to send.
pub struct SendBatch {
    count: usize,
    raw: imp::RawSend,
}

impl std::fmt::Debug for SendBatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SendBatch").field("capacity", &self.capacity()).finish_non_exhaustive()
    }
}

/// A datagram to send.
#[derive(Copy, Clone, Debug)]
pub struct Outgoing<'a> {
    /// Its bytes.
    pub bytes: &'a [u8],
    /// To whom; none: the peer.
    pub to: Option<SocketAddr>,
}

impl SendBatch {
    /// Room for `count` datagrams a call.
    pub fn new(count: usize) -> SendBatch {
        SendBatch { count, raw: imp::RawSend::new(count) }
    }

    /// How many datagrams a call can send.
    pub fn capacity(&self) -> usize {
        self.count
    }

    /// Sends the first of `count` datagrams, as many as there is room for, and returns how many. `get` is asked for
    /// each, once and in order, maybe for more than were sent.
    ///
    /// Those that go to one address one after the other and have one length, the last maybe a shorter one, are given to
    /// the system in one piece if that length is less than `merge_below`; 0: none are. UDP_SEGMENT; ask
    /// [`has_udp_segment`](crate::sockopt::has_udp_segment) first whether it knows that.
    ///
    /// # Errors
    /// What happened to the very first, or to the piece that it is in; what happens to a later one is reported when it
    /// is the first of a call.
    pub fn send<'a>(
        &mut self,
        fd: &SysFd,
        count: usize,
        merge_below: usize,
        get: impl FnMut(usize) -> Outgoing<'a>,
    ) -> Result<usize> {
        self.raw.send(fd, count.min(self.count), merge_below, get)
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use std::mem;

    use super::*;
    use crate::errno::check;
    use crate::msg::ip::{IpName, Segment};
    use crate::msg::{SEGMENT_BYTES_MAX, SEGMENTS_MAX};

    /// The arrays that the two calls work on.
    struct Raw {
        headers: Box<[libc::mmsghdr]>,
        iovecs: Box<[libc::iovec]>,
        names: Box<[IpName]>,
    }

    // SAFETY: the pointers in the headers are used within one call with exclusive access to the batch only.
    unsafe impl Send for Raw {}
    // SAFETY: as above.
    unsafe impl Sync for Raw {}

    impl Raw {
        fn new(count: usize) -> Raw {
            // SAFETY: zero is a value of both, an empty one.
            let (header, iovec) = unsafe { (mem::zeroed::<libc::mmsghdr>(), mem::zeroed::<libc::iovec>()) };
            Raw {
                headers: vec![header; count].into_boxed_slice(),
                iovecs: vec![iovec; count].into_boxed_slice(),
                names: vec![IpName::NONE; count].into_boxed_slice(),
            }
        }
    }

    pub(super) struct RawRecv(Raw);

    impl RawRecv {
        pub(super) fn new(count: usize) -> RawRecv {
            RawRecv(Raw::new(count))
        }

        pub(super) fn recv(&mut self, fd: &SysFd, room: &mut Room) -> Result<usize> {
            let Raw { headers, iovecs, names } = &mut self.0;
            for (i, header) in headers.iter_mut().enumerate() {
                let iov_base = room.bytes[i * room.size..].as_mut_ptr().cast();
                iovecs[i] = libc::iovec { iov_base, iov_len: room.size };
                let hdr = &mut header.msg_hdr;
                (hdr.msg_name, hdr.msg_namelen) = names[i].as_mut_ptr();
                hdr.msg_iov = &raw mut iovecs[i];
                hdr.msg_iovlen = 1;
                hdr.msg_control = room.control[i * room.control_size..].as_mut_ptr().cast();
                hdr.msg_controllen = room.control_size as _;
                hdr.msg_flags = 0;
            }
            let (list, count) = (headers.as_mut_ptr(), headers.len());
            let (flags, wait) = (libc::MSG_CMSG_CLOEXEC, std::ptr::null_mut());
            // SAFETY: `count` headers, each with places in our arrays, writable for the lengths given.
            let n = check(unsafe { libc::recvmmsg(fd.raw(), list, count as _, flags as _, wait) })?;
            let n = n.unsigned_abs() as usize;
            for (name, header) in names.iter_mut().zip(&headers[..n]) {
                name.set_len(header.msg_hdr.msg_namelen);
            }
            Ok(n)
        }

        pub(super) fn message(&self, i: usize) -> Message {
            let libc::mmsghdr { msg_hdr: hdr, msg_len } = &self.0.headers[i];
            // A datagram of UDP carries no descriptors, so there are none to take.
            Message { len: *msg_len as usize, control_len: hdr.msg_controllen as _, flags: hdr.msg_flags }
        }

        pub(super) fn from(&self, i: usize) -> Option<SocketAddr> {
            self.0.names[i].get()
        }
    }

    pub(super) struct RawSend {
        raw: Raw,
        segments: Box<[Segment]>,
        /// How many datagrams each header stands for.
        counts: Box<[usize]>,
    }

    /// Datagrams that go in one piece, as far as it has come.
    struct Piece {
        to: Option<SocketAddr>,
        size: usize,
        bytes: usize,
        count: usize,
    }

    impl Piece {
        fn new(first: &Outgoing<'_>) -> Piece {
            Piece { to: first.to, size: first.bytes.len(), bytes: first.bytes.len(), count: 1 }
        }

        /// Whether it takes `next` too.
        fn takes(&self, next: &Outgoing<'_>, merge_below: usize) -> bool {
            let len = next.bytes.len();
            let is_whole = self.bytes == self.size * self.count;
            (1..=self.size).contains(&len)
                && is_whole
                && self.size < merge_below
                && self.count < SEGMENTS_MAX
                && self.bytes + len <= SEGMENT_BYTES_MAX
                && self.to == next.to
        }

        fn add(&mut self, next: &Outgoing<'_>) {
            self.bytes += next.bytes.len();
            self.count += 1;
        }
    }

    impl RawSend {
        pub(super) fn new(count: usize) -> RawSend {
            let segments = vec![Segment::new(0); count].into_boxed_slice();
            RawSend { raw: Raw::new(count), segments, counts: vec![0; count].into_boxed_slice() }
        }

        pub(super) fn send<'a>(
            &mut self,
            fd: &SysFd,
            count: usize,
            merge_below: usize,
            mut get: impl FnMut(usize) -> Outgoing<'a>,
        ) -> Result<usize> {
            let mut pieces = 0;
            let mut open: Option<Piece> = None;
            for i in 0..count {
                let next = get(i);
                let bytes = next.bytes;
                self.raw.iovecs[i] =
                    libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
                match &mut open {
                    Some(piece) if piece.takes(&next, merge_below) => piece.add(&next),
                    _ => {
                        if let Some(piece) = open.replace(Piece::new(&next)) {
                            self.finish(pieces, i, &piece);
                            pieces += 1;
                        }
                    }
                }
            }
            let Some(last) = open else { return Ok(0) };
            self.finish(pieces, count, &last);
            pieces += 1;
            let (list, flags) = (self.raw.headers.as_mut_ptr(), crate::msg::SEND_FLAGS);
            // SAFETY: `pieces` headers, whose places live as long as what `get` lends and are only read.
            let n = check(unsafe { libc::sendmmsg(fd.raw(), list, pieces as _, flags as _) })?;
            Ok(self.counts[..n.unsigned_abs() as usize].iter().sum())
        }

        /// Header `at` is for `piece`, whose last datagram is the one before `end`.
        fn finish(&mut self, at: usize, end: usize, piece: &Piece) {
            let Raw { headers, iovecs, names } = &mut self.raw;
            names[at] = piece.to.as_ref().map_or(IpName::NONE, IpName::new);
            let hdr = &mut headers[at].msg_hdr;
            let (name, name_len) = names[at].as_ptr();
            (hdr.msg_name, hdr.msg_namelen) = (name.cast_mut(), name_len);
            hdr.msg_iov = iovecs[end - piece.count..].as_mut_ptr();
            hdr.msg_iovlen = piece.count as _;
            (hdr.msg_control, hdr.msg_controllen) = (std::ptr::null_mut(), 0);
            if piece.count > 1 {
                // No longer than a datagram can be, or `takes` would have refused.
                self.segments[at] = Segment::new(u16::try_from(piece.size).unwrap_or(u16::MAX));
                hdr.msg_control = (&raw mut self.segments[at]).cast();
                hdr.msg_controllen = size_of::<Segment>() as _;
            }
            self.counts[at] = piece.count;
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod plain {
    use std::io::{IoSlice, IoSliceMut};

    use socket2::SockAddr;

    use super::*;
    use crate::msg::{Received, recv_msg, send_msg};

    #[derive(Clone, Default)]
    struct Got {
        message: Message,
        from: Option<SocketAddr>,
    }

    pub(super) struct RawRecv(Vec<Got>);

    impl RawRecv {
        pub(super) fn new(count: usize) -> RawRecv {
            RawRecv(vec![Got::default(); count])
        }

        pub(super) fn recv(&mut self, fd: &SysFd, room: &mut Room) -> Result<usize> {
            for (i, got) in self.0.iter_mut().enumerate() {
                let mut bufs = [IoSliceMut::new(&mut room.bytes[i * room.size..][..room.size])];
                let control = &mut room.control[i * room.control_size..][..room.control_size];
                match recv_msg(fd, &mut bufs, control, 0) {
                    Ok(Received { len, control_len, flags, from, fds: _ }) => {
                        got.message = Message { len, control_len, flags };
                        got.from = from.and_then(|addr| addr.as_socket());
                    }
                    Err(err) if i == 0 => return Err(err),
                    Err(_) => return Ok(i),
                }
            }
            Ok(self.0.len())
        }

        pub(super) fn message(&self, i: usize) -> Message {
            self.0[i].message
        }

        pub(super) fn from(&self, i: usize) -> Option<SocketAddr> {
            self.0[i].from
        }
    }

    pub(super) struct RawSend;

    impl RawSend {
        pub(super) fn new(_count: usize) -> RawSend {
            RawSend
        }

        pub(super) fn send<'a>(
            &mut self,
            fd: &SysFd,
            count: usize,
            _merge_below: usize,
            mut get: impl FnMut(usize) -> Outgoing<'a>,
        ) -> Result<usize> {
            for i in 0..count {
                let Outgoing { bytes, to } = get(i);
                match send_msg(fd, &[IoSlice::new(bytes)], &[], to.map(SockAddr::from).as_ref()) {
                    Ok(_) => {}
                    Err(err) if i == 0 => return Err(err),
                    Err(_) => return Ok(i),
                }
            }
            Ok(count)
        }
    }
}
