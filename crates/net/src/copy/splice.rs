//! Pipes to splice through, kept for the next copy. Go: `splicePipePool`.

use gopark_poll::SplicePipe;
use gopark_sched::sync::Pool;
use gopark_sys::{Errno, Result};

/// Beside the 16 of each P: a user has that many of the full size (/proc/sys/fs/pipe-user-pages-soft).
const POOLED: usize = 64;

/// As many as copies have been moving bytes at the same moment, not as many as there are copies: who waits has none.
/// What was not needed for ten seconds is closed.
static PIPES: Pool<Option<SplicePipe>> = Pool::with_limit(|| SplicePipe::new().ok(), POOLED);

/// Closes the pipes that are kept, those of the caller's P and those that all share.
pub fn clear_pipes() {
    PIPES.clear();
}

/// An empty pipe goes back, one that is not is closed: what it holds belongs to a copy that failed.
pub(super) struct PooledPipe(Option<SplicePipe>);

impl PooledPipe {
    /// # Errors
    ///
    /// `ENOSYS`: there is none, and none can be made.
    pub(super) fn get() -> Result<PooledPipe> {
        match PIPES.take() {
            Some(pipe) => Ok(PooledPipe(Some(pipe))),
            None => Err(Errno::ENOSYS),
        }
    }
}

impl AsMut<SplicePipe> for PooledPipe {
    fn as_mut(&mut self) -> &mut SplicePipe {
        self.0.as_mut().unwrap_or_else(|| unreachable!("there until it is dropped"))
    }
}

impl Drop for PooledPipe {
    fn drop(&mut self) {
        if let Some(pipe) = self.0.take()
            && pipe.held() == 0
        {
            PIPES.put(Some(pipe));
        }
    }
}
