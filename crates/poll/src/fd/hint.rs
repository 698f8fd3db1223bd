//! Reading without the call that only says `EAGAIN`. Not in Go; 10 to 13 % of a whole echo request.
//!
//! After a read that returned less than it was asked for, the socket's queue is empty, so that the next read
//! may wait for an event first. That is only right if every byte that comes afterwards makes an event that is
//! still to be seen, so:
//!
//! 1. READY is cleared before the call (`prepare`), and never between the call and the next decision. An event that
//!    came before the clearing was of bytes that the call found; a later one leaves its mark for the next read.
//! 2. A read that waits on the hint takes the mark and does not discard it.
//! 3. Only on plain TCP. A Unix stream ends a read at passed descriptors with data left in the queue and no further
//!    event; so does kTLS at a record.
//! 4. TCP itself does so at an urgent byte, which any peer can send, and a FIN that comes with data makes no event of
//!    its own. Therefore the priority interest is registered, and once the poller has seen priority, read-closed,
//!    hang-up or an error on the descriptor, no call is skipped any more (`SPOILED` in `poll_info.rs`, set before
//!    READY).
//! 5. What takes READY without emptying the queue clears the hint: `peek`, `readable`, a raw read. What lets unknown
//!    code at the descriptor (`dup`, `raw_control`, `fd`) disables it for good.

use crate::poll_desc::PollDesc;
use crate::sync::atomic::{AtomicU8, Ordering::Relaxed};

/// | value | meaning | set by | cleared by |
/// |---|---|---|---|
/// | UNKNOWN | the queue may have data | `clear`, under the read lock | |
/// | DRAINED | it had none when READY had been cleared | `drained`, under the read lock | |
/// | DISABLED | nothing can be concluded on this descriptor | `new`, `disable` (any time) | never |
///
/// All `Relaxed`: the read lock orders the first two, and the third may come a read late, since whoever calls
/// `disable` beside a read in progress cannot know which of the two is first.
#[derive(Debug)]
pub(super) struct Hint(AtomicU8);

const UNKNOWN: u8 = 0;
const DRAINED: u8 = 1;
const DISABLED: u8 = 2;

impl Hint {
    pub(super) fn new(allowed: bool) -> Hint {
        Hint(AtomicU8::new(if allowed { UNKNOWN } else { DISABLED }))
    }

    /// Whether the next read would only get `EAGAIN` unless an event has come. Under the read lock.
    #[inline]
    pub(super) fn may_wait(&self, pd: &PollDesc) -> bool {
        self.0.load(Relaxed) == DRAINED && !pd.info().spoiled()
    }

    /// The queue is empty, by a call before which READY was cleared. Under the read lock.
    #[inline]
    pub(super) fn drained(&self) {
        self.change(UNKNOWN, DRAINED);
    }

    /// Under the read lock.
    #[inline]
    pub(super) fn clear(&self) {
        self.change(DRAINED, UNKNOWN);
    }

    #[inline]
    fn change(&self, from: u8, to: u8) {
        // The exchange, and not a store, because of `disable`; the load saves it in a steady state.
        if self.0.load(Relaxed) == from {
            let _ = self.0.compare_exchange(from, to, Relaxed, Relaxed);
        }
    }

    pub(super) fn disable(&self) {
        self.0.store(DISABLED, Relaxed);
    }
}
