//! splice(2): bytes from one descriptor to another by way of a pipe, without the program seeing them. Go:
//! `internal/poll/splice_linux.go`.
//!
//! Each half holds the lock of its own direction, and for itself only: with both held at a time, two copies in opposite
//! directions between the same two connections keep a `close` of either waiting for the other (golang/go#25985).

use std::os::fd::AsRawFd;

use gopark_sys::{Errno, SysFd, rw, splice as sys};

use super::{Fd, Partial};
use crate::Error;

/// What a pipe is made to hold, and one call moves at most: the limit of what a user without privileges may ask for
/// (/proc/sys/fs/pipe-max-size).
const PIPE_SIZE: usize = 1 << 20;

/// A pipe of the kernel that bytes are on their way through.
///
/// Go: internal/poll/splice_linux.go splicePipe
#[derive(Debug)]
#[doc(alias = "splicePipe")]
pub struct SplicePipe {
    from: SysFd,
    to: SysFd,
    /// What is in it.
    held: usize,
}

impl SplicePipe {
    /// An empty one.
    ///
    /// # Errors
    ///
    /// No descriptor is free; the system has no splice(2).
    ///
    /// Go: internal/poll/splice_linux.go newPipe
    pub fn new() -> Result<SplicePipe, Error> {
        let (from, to) = sys::pipe()?;
        // A smaller one does as well, with more calls. A user gets 64 of the full size, then the common 64 KiB.
        let _ = sys::set_pipe_size(&to, PIPE_SIZE);
        Ok(SplicePipe { from: SysFd::new(from), to: SysFd::new(to), held: 0 })
    }

    /// How many bytes are in it.
    pub fn held(&self) -> usize {
        self.held
    }

    /// Moves what is in it to `file`, a regular one: its own position, and no waiting but for the disk.
    ///
    /// # Errors
    ///
    /// What was moved before, and what splice(2) says: `EINVAL` for a file that is open to append.
    pub fn empty_to_file(&mut self, file: &impl AsRawFd) -> Result<usize, Partial> {
        let mut done = 0;
        while self.held > 0 {
            match sys::splice(&self.from, file, self.held) {
                Ok(0) => return Err((done, Error::UnexpectedEof)),
                Ok(n) => {
                    self.held -= n;
                    done += n;
                }
                Err(Errno::EINTR) => {}
                Err(errno) => return Err((done, errno.into())),
            }
        }
        Ok(done)
    }

    /// Reads what is in it, if it cannot be moved on.
    ///
    /// # Errors
    ///
    /// What read(2) says; `EAGAIN` if there is nothing.
    pub fn read(&mut self, buf: &mut [u8]) -> Result<usize, Error> {
        let n = rw::read(&self.from, buf)?;
        self.held -= n;
        Ok(n)
    }
}

impl Fd {
    /// Moves at most `max` bytes that were received into a pipe, and waits for there to be some. The pipe comes from
    /// `pipe`, which is asked again after each wait: who waits for a silent peer holds none. 0: the end.
    ///
    /// # Errors
    ///
    /// Those of [`Fd::read_with`]; what `pipe` says; `EINVAL` if splice(2) cannot read this kind of descriptor. Nothing
    /// was moved.
    ///
    /// # Panics
    ///
    /// If the pipe is not empty: a full one would look like a silent peer.
    ///
    /// Go: internal/poll/splice_linux.go spliceDrain
    #[doc(alias = "spliceDrain")]
    pub fn splice_to<P: AsMut<SplicePipe>>(
        &self,
        max: usize,
        mut pipe: impl FnMut() -> gopark_sys::Result<P>,
    ) -> Result<(P, usize), Error> {
        self.read_with(|fd| {
            let mut owner = pipe()?;
            let pipe = owner.as_mut();
            assert!(pipe.held == 0, "gopark: a pipe to splice through is not empty");
            let n = sys::splice(fd, &pipe.to, max.min(PIPE_SIZE))?;
            pipe.held = n;
            Ok((owner, n))
        })
    }

    /// Sends all that is in the pipe, with the write lock held throughout.
    ///
    /// # Errors
    ///
    /// Those of [`Fd::write_all`], with how much was sent; the rest is in the pipe.
    ///
    /// Go: internal/poll/splice_linux.go splicePump
    #[doc(alias = "splicePump")]
    pub fn splice_from(&self, pipe: &mut SplicePipe) -> Result<usize, Partial> {
        let len = pipe.held;
        let sent = self.write_pieces(len, |fd, left| match sys::splice(&pipe.from, fd, left)? {
            // There are `held` bytes in it, and nobody else takes any.
            0 => Err(Errno::EIO),
            n => {
                pipe.held -= n;
                Ok(n)
            }
        })?;
        debug_assert!(sent == len && pipe.held == 0);
        Ok(sent)
    }
}
