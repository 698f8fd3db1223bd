//! Control data beside a message: descriptors, credentials, segment sizes, where a datagram came in. cmsg(3).
//!
//! The macros of cmsg(3) in safe terms: a header of a length, a level and a type, then the data, each part aligned to
//! a word. Reading checks every length against what is there, so that data from wherever can do no harm.

use std::mem::size_of;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

const HEADER: usize = align(size_of::<libc::cmsghdr>());

const fn align(len: usize) -> usize {
    len.next_multiple_of(size_of::<usize>())
}

/// One piece of control data.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct ControlMessage<'a> {
    /// The protocol: `SOL_SOCKET`, `IPPROTO_IP`, ….
    pub level: i32,
    /// What it is.
    pub kind: i32,
    /// The data, not aligned.
    pub data: &'a [u8],
}

/// The pieces in what a call to `recv_msg` wrote.
#[derive(Clone, Debug)]
pub struct Control<'a>(&'a [u8]);

impl<'a> Control<'a> {
    /// `bytes`: the control buffer, cut to the length that was written.
    pub fn new(bytes: &'a [u8]) -> Control<'a> {
        Control(bytes)
    }
}

impl<'a> Iterator for Control<'a> {
    type Item = ControlMessage<'a>;

    fn next(&mut self) -> Option<ControlMessage<'a>> {
        let bytes = self.0;
        // The length field is a size_t on Linux and a socklen_t elsewhere; level and type are the two ints at its end.
        let len = length(bytes.get(..HEADER)?);
        let ints = size_of::<libc::cmsghdr>() - 8;
        let data = bytes.get(HEADER..len)?;
        self.0 = bytes.get(align(len)..).unwrap_or_default();
        Some(ControlMessage { level: int(&bytes[ints..]), kind: int(&bytes[ints + 4..]), data })
    }
}

fn length(header: &[u8]) -> usize {
    if size_of::<libc::cmsghdr>() == 16 {
        let mut len = [0; 8];
        len.copy_from_slice(&header[..8]);
        return usize::try_from(u64::from_ne_bytes(len)).unwrap_or(usize::MAX);
    }
    int(header).unsigned_abs() as usize
}

/// The first four bytes as an int of the machine; 0 if there are fewer.
fn int(bytes: &[u8]) -> i32 {
    bytes.first_chunk().map_or(0, |b| i32::from_ne_bytes(*b))
}

impl ControlMessage<'_> {
    /// The data as an int, for the many kinds that are one.
    pub fn as_int(&self) -> Option<i32> {
        self.data.first_chunk().map(|b| i32::from_ne_bytes(*b))
    }

    /// The length of the datagrams that the system has put together, if that is what it is. UDP_GRO.
    pub fn as_segment_size(&self) -> Option<usize> {
        #[cfg(any(target_os = "linux", target_os = "android"))]
        if self.level == libc::SOL_UDP && self.kind == libc::UDP_GRO {
            return self.as_int().and_then(|size| usize::try_from(size).ok());
        }
        None
    }

    /// The numbers of passed descriptors, if it is `SCM_RIGHTS`.
    fn rights(&self) -> impl Iterator<Item = RawFd> + '_ {
        let is_rights = self.level == libc::SOL_SOCKET && self.kind == libc::SCM_RIGHTS;
        self.data.chunks_exact(4).filter(move |_| is_rights).map(int)
    }
}

/// Takes the descriptors that came with a message: every one of `SCM_RIGHTS` in `control` becomes the caller's.
///
/// # Safety
/// `control` was written by one call to `recv_msg`, and its descriptors were not taken before.
#[allow(unsafe_code)]
pub(super) unsafe fn take_rights(control: &[u8]) -> Vec<OwnedFd> {
    let mut fds = Vec::new();
    for message in Control::new(control) {
        // SAFETY: the kernel has put fresh descriptors there, and the caller takes them once.
        fds.extend(message.rights().filter(|fd| *fd >= 0).map(|fd| unsafe { OwnedFd::from_raw_fd(fd) }));
    }
    fds
}

/// The room that `fds` passed descriptors take, and not one more (CMSG_LEN: with the padding of CMSG_SPACE, Linux would
/// put a second one there).
pub const fn rights_len(fds: usize) -> usize {
    HEADER + fds * size_of::<RawFd>()
}

/// Control data to send.
#[derive(Clone, Default, Debug)]
pub struct ControlBuf(Vec<u8>);

impl ControlBuf {
    /// Nothing yet.
    pub fn new() -> ControlBuf {
        ControlBuf::default()
    }

    /// As the call wants it.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Adds a piece.
    pub fn push(&mut self, level: i32, kind: i32, data: &[u8]) {
        let start = self.0.len();
        let len = HEADER + data.len();
        self.0.resize(start + align(len), 0);
        let at = &mut self.0[start..];
        if size_of::<libc::cmsghdr>() == 16 {
            at[..8].copy_from_slice(&(len as u64).to_ne_bytes());
        } else {
            at[..4].copy_from_slice(&(len as u32).to_ne_bytes());
        }
        let ints = size_of::<libc::cmsghdr>() - 8;
        at[ints..ints + 4].copy_from_slice(&level.to_ne_bytes());
        at[ints + 4..ints + 8].copy_from_slice(&kind.to_ne_bytes());
        at[HEADER..len].copy_from_slice(data);
    }

    /// Adds descriptors to pass on; the receiver gets duplicates. unix(7): at most 253 a message.
    pub fn push_rights(&mut self, fds: &[BorrowedFd<'_>]) {
        let numbers: Vec<u8> = fds.iter().flat_map(|fd| fd.as_raw_fd().to_ne_bytes()).collect();
        self.push(libc::SOL_SOCKET, libc::SCM_RIGHTS, &numbers);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_pushed_is_read_back() {
        let mut buf = ControlBuf::new();
        buf.push(1, 2, &7i32.to_ne_bytes());
        buf.push(3, 4, b"odd");
        buf.push(5, 6, b"");
        let found: Vec<_> =
            Control::new(buf.as_bytes()).map(|m| (m.level, m.kind, m.data.to_vec())).collect();
        assert_eq!(found, [(1, 2, 7i32.to_ne_bytes().to_vec()), (3, 4, b"odd".to_vec()), (5, 6, vec![])]);
        assert_eq!(Control::new(buf.as_bytes()).next().and_then(|m| m.as_int()), Some(7));
    }

    #[test]
    fn lengths_that_lie_end_the_list() {
        let mut buf = ControlBuf::new();
        buf.push(1, 2, b"four");
        for cut in 0..buf.as_bytes().len() {
            assert!(Control::new(&buf.as_bytes()[..cut]).count() <= 1, "{cut}");
        }
        for len in [0u64, 1, 15, 1 << 40, u64::MAX] {
            let mut bytes = buf.as_bytes().to_vec();
            bytes[..8].copy_from_slice(&len.to_ne_bytes());
            assert_eq!(Control::new(&bytes).count(), 0, "{len}");
        }
    }
}
