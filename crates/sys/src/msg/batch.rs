//! Many datagrams a call. recvmmsg(2), sendmmsg(2); elsewhere than on Linux one after the other.
//!
//! # Safety
//! The headers of a batch point into its own arrays, which have a fixed length on the heap, and, while a call lasts,
//! into the caller's slices. They are set anew before each call, so a batch may move in between.
#![allow(unsafe_code)]

use std::io::IoSlice;

use socket2::SockAddr;

use super::Control;
use crate::errno::Result;
use crate::sysfd::SysFd;

/// Room for datagrams to receive: as many as it was made for, each of up to a fixed size.
pub struct RecvBatch {
    size: usize,
    control_size: usize,
    bytes: Box<[u8]>,
    control: Box<[u8]>,
    messages: Vec<Message>,
    filled: usize,
    #[cfg(target_os = "linux")]
    raw: linux::Raw,
}

/// What is known of one received datagram, its bytes apart.
#[derive(Clone, Default)]
struct Message {
    len: usize,
    control_len: usize,
    flags: i32,
    from: Option<SockAddr>,
}

impl std::fmt::Debug for RecvBatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RecvBatch").field("filled", &self.filled).finish_non_exhaustive()
    }
}

impl RecvBatch {
    /// Room for `count` datagrams of up to `size` bytes with up to `control_size` bytes of control data.
    pub fn new(count: usize, size: usize, control_size: usize) -> RecvBatch {
        RecvBatch {
            size,
            control_size,
            bytes: vec![0; count * size].into_boxed_slice(),
            control: vec![0; count * control_size].into_boxed_slice(),
            messages: vec![Message::default(); count],
            filled: 0,
            #[cfg(target_os = "linux")]
            raw: linux::Raw::new(count),
        }
    }

    /// How many datagrams it can take.
    pub fn capacity(&self) -> usize {
        self.messages.len()
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
        let message = self.message(i);
        &self.bytes[i * self.size..][..message.len.min(self.size)]
    }

    /// Who sent datagram `i`.
    pub fn from(&self, i: usize) -> Option<&SockAddr> {
        self.message(i).from.as_ref()
    }

    /// Whether datagram `i` was longer than its room.
    pub fn is_truncated(&self, i: usize) -> bool {
        self.message(i).flags & libc::MSG_TRUNC != 0
    }

    /// The control data of datagram `i`.
    pub fn control(&self, i: usize) -> Control<'_> {
        let len = self.message(i).control_len.min(self.control_size);
        Control::new(&self.control[i * self.control_size..][..len])
    }

    fn message(&self, i: usize) -> &Message {
        &self.messages[..self.filled][i]
    }

    /// Receives as many datagrams as are there, one at least, and returns how many.
    ///
    /// # Errors
    /// EAGAIN if there is none.
    pub fn recv(&mut self, fd: &SysFd) -> Result<usize> {
        self.filled = 0;
        self.filled = self.recv_some(fd)?;
        Ok(self.filled)
    }

    #[cfg(not(target_os = "linux"))]
    fn recv_some(&mut self, fd: &SysFd) -> Result<usize> {
        for i in 0..self.messages.len() {
            let mut bufs = [std::io::IoSliceMut::new(&mut self.bytes[i * self.size..][..self.size])];
            let control = &mut self.control[i * self.control_size..][..self.control_size];
            match super::recv_msg(fd, &mut bufs, control, 0) {
                Ok(r) => {
                    let super::Received { len, control_len, flags, from, fds: _ } = r;
                    self.messages[i] = Message { len, control_len, flags, from };
                }
                Err(err) if i == 0 => return Err(err),
                Err(_) => return Ok(i),
            }
        }
        Ok(self.messages.len())
    }
}

/// Room for the headers of datagrams to send.
pub struct SendBatch {
    #[cfg(target_os = "linux")]
    raw: linux::Raw,
    #[cfg(not(target_os = "linux"))]
    count: usize,
}

impl std::fmt::Debug for SendBatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SendBatch").finish_non_exhaustive()
    }
}

/// A datagram to send: its bytes, to whom (none: the peer), and control data.
pub type Outgoing<'a> = (IoSlice<'a>, Option<&'a SockAddr>, &'a [u8]);

impl SendBatch {
    /// Room for `count` datagrams a call.
    pub fn new(count: usize) -> SendBatch {
        SendBatch {
            #[cfg(target_os = "linux")]
            raw: linux::Raw::new(count),
            #[cfg(not(target_os = "linux"))]
            count,
        }
    }

    /// Sends the first of `datagrams`, as many as there is room for, and returns how many.
    ///
    /// # Errors
    /// What happened to the very first; what happens to a later one is reported when it is the first of a call.
    pub fn send(&mut self, fd: &SysFd, datagrams: &[Outgoing<'_>]) -> Result<usize> {
        self.send_some(fd, datagrams)
    }

    #[cfg(not(target_os = "linux"))]
    fn send_some(&mut self, fd: &SysFd, datagrams: &[Outgoing<'_>]) -> Result<usize> {
        for (i, (bytes, to, control)) in datagrams.iter().take(self.count).enumerate() {
            match super::send_msg(fd, &[*bytes], control, *to) {
                Ok(_) => {}
                Err(err) if i == 0 => return Err(err),
                Err(_) => return Ok(i),
            }
        }
        Ok(datagrams.len().min(self.count))
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use std::mem;

    use super::*;
    use crate::errno::check;

    /// The arrays that the two calls work on.
    pub(super) struct Raw {
        headers: Box<[libc::mmsghdr]>,
        iovecs: Box<[libc::iovec]>,
        names: Box<[libc::sockaddr_storage]>,
    }

    // SAFETY: the pointers in the headers are used within one call with exclusive access to the batch only.
    unsafe impl Send for Raw {}
    // SAFETY: as above.
    unsafe impl Sync for Raw {}

    fn zeroed<T: Copy>(count: usize) -> Box<[T]> {
        // SAFETY: used for mmsghdr, iovec and sockaddr_storage, for all of which zero is a value.
        vec![unsafe { mem::zeroed::<T>() }; count].into_boxed_slice()
    }

    impl Raw {
        pub(super) fn new(count: usize) -> Raw {
            Raw { headers: zeroed(count), iovecs: zeroed(count), names: zeroed(count) }
        }
    }

    impl RecvBatch {
        pub(super) fn recv_some(&mut self, fd: &SysFd) -> Result<usize> {
            let count = self.messages.len();
            for i in 0..count {
                let iov_base = self.bytes[i * self.size..].as_mut_ptr().cast();
                self.raw.iovecs[i] = libc::iovec { iov_base, iov_len: self.size };
                let hdr = &mut self.raw.headers[i].msg_hdr;
                hdr.msg_name = (&raw mut self.raw.names[i]).cast();
                hdr.msg_namelen = mem::size_of::<libc::sockaddr_storage>() as libc::socklen_t;
                hdr.msg_iov = &raw mut self.raw.iovecs[i];
                hdr.msg_iovlen = 1;
                hdr.msg_control = self.control[i * self.control_size..].as_mut_ptr().cast();
                hdr.msg_controllen = self.control_size;
            }
            let (headers, flags) = (self.raw.headers.as_mut_ptr(), libc::MSG_CMSG_CLOEXEC);
            // SAFETY: `count` headers, each with places in our arrays, writable for the lengths given.
            let n =
                check(unsafe { libc::recvmmsg(fd.raw(), headers, count as _, flags, std::ptr::null_mut()) })?;
            let n = n.unsigned_abs() as usize;
            for i in 0..n {
                self.messages[i] = self.message_of(i);
            }
            Ok(n)
        }

        fn message_of(&self, i: usize) -> Message {
            let libc::mmsghdr { msg_hdr: hdr, msg_len } = &self.raw.headers[i];
            let (storage, len) = (self.raw.names[i], hdr.msg_namelen);
            let init = |to: *mut socket2::SockAddrStorage, to_len: *mut libc::socklen_t| {
                // SAFETY: both are a sockaddr_storage; the kernel wrote `len` bytes of ours.
                unsafe {
                    to.cast::<libc::sockaddr_storage>().write(storage);
                    *to_len = len;
                }
                Ok(())
            };
            // SAFETY: initialised by the closure.
            let from = unsafe { SockAddr::try_init(init) }.ok().map(|(_, addr)| addr);
            let from = from.filter(|_| len > 0);
            // A datagram of UDP carries no descriptors, so there are none to take.
            Message { len: *msg_len as usize, control_len: hdr.msg_controllen, flags: hdr.msg_flags, from }
        }
    }

    impl SendBatch {
        pub(super) fn send_some(&mut self, fd: &SysFd, datagrams: &[Outgoing<'_>]) -> Result<usize> {
            let count = datagrams.len().min(self.raw.headers.len());
            for (i, (bytes, to, control)) in datagrams.iter().take(count).enumerate() {
                let iov_base = bytes.as_ptr().cast_mut().cast();
                self.raw.iovecs[i] = libc::iovec { iov_base, iov_len: bytes.len() };
                let hdr = &mut self.raw.headers[i].msg_hdr;
                let (name, len) = crate::msg::raw(*to);
                hdr.msg_name = name.cast_mut().cast();
                hdr.msg_namelen = len;
                hdr.msg_iov = &raw mut self.raw.iovecs[i];
                hdr.msg_iovlen = 1;
                let control = (!control.is_empty()).then_some(*control);
                hdr.msg_control = control.map_or(std::ptr::null_mut(), |c| c.as_ptr().cast_mut().cast());
                hdr.msg_controllen = control.map_or(0, <[u8]>::len);
            }
            let headers = self.raw.headers.as_mut_ptr();
            // SAFETY: `count` headers, whose places live as long as `datagrams` and are only read.
            let n = check(unsafe { libc::sendmmsg(fd.raw(), headers, count as _, crate::msg::SEND_FLAGS) })?;
            Ok(n.unsigned_abs() as usize)
        }
    }
}
