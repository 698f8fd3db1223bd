//! sendfile(2): a file to a socket, without the program seeing it. Go: `internal/poll/sendfile_unix.go`.
//!
//! Reading the disk may take as long as the disk takes, in the middle of the call: with the thread, and its P until
//! sysmon sees that it is stuck and gives the P to another thread. Not announced beforehand as a call that blocks (Go's
//! entersyscall, our `blocking`): nearly every file that is sent is in the page cache, where announcing costs more than
//! handing over does in the rare case.

use std::os::fd::AsRawFd;

use gopark_sys::splice as sys;

use super::Fd;
use crate::Error;

impl Fd {
    /// Sends at most `len` bytes of `file`, from `offset` on, which is moved, or from the file's own position; with the
    /// write lock held throughout. Returns how many it was: fewer at the end of the file. `sent` is told of each piece.
    ///
    /// # Errors
    ///
    /// Those of [`Fd::write_all`], with how much was sent; the deadline before anything is (golang/go#43822).
    /// [`is_unsupported`](gopark_sys::splice::is_unsupported) ones if it must be read and written.
    ///
    /// Go: internal/poll/sendfile_unix.go SendFile
    #[doc(alias = "SendFile")]
    pub fn send_file(
        &self,
        file: &impl AsRawFd,
        mut offset: Option<&mut u64>,
        len: u64,
        mut sent: impl FnMut(usize),
    ) -> Result<u64, (u64, Error)> {
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        let done = self.write_pieces(len, |fd, left| {
            let n = sys::sendfile(fd, file, offset.as_deref_mut(), left)?;
            sent(n);
            Ok(n)
        });
        done.map(|n| n as u64).map_err(|(n, e)| (n as u64, e))
    }
}
