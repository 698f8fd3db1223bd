//! The word that says, without a lock, whether an operation on a descriptor may go on. Go: `atomicInfo`.
//!
//! | bits | meaning | set by | cleared by |
//! |---|---|---|---|
//! | 0 CLOSING | the descriptor is being closed, or the slot is free | evict, free (under `lock`) | open |
//! | 1 EVENT_ERR | the poller reported an error and nothing else | netpoll | netpoll, free |
//! | 2 READ_EXPIRED | the read deadline has passed | deadline code, under `lock` | the same, evict, free |
//! | 3 WRITE_EXPIRED | the write deadline has passed | deadline code, under `lock` | the same, evict, free |
//! | 4 SPOILED | an event came after which a short read proves nothing | netpoll, before READY | free |
//! | 5 READ_CANCELED | a context attached to the direction was canceled | cancel code, under `lock` | the same, free |
//! | 6 WRITE_CANCELED | the same for writing | cancel code, under `lock` | the same, free |
//! | 7 READ_OVERDUE | a context attached to the direction ran out of time | cancel code, under `lock` | the same, free |
//! | 8 WRITE_OVERDUE | the same for writing | cancel code, under `lock` | the same, free |
//! | 9 ERRORS_TELL | an error alone is an event like others | `open`, before any event | free |
//! | 32..63 | generation of the slot, never 0 | free, under `lock` | |
//!
//! Every change is a read-modify-write, and netpoll changes the word only in an exchange that compares the
//! generation as well (golang/go#59545, #60133: an error event of a closed descriptor hit the next user of its
//! slot).

use crate::sync::atomic::{
    AtomicU64,
    Ordering::{AcqRel, Acquire, Relaxed},
};

const CLOSING: u64 = 1;
const EVENT_ERR: u64 = 1 << 1;
const READ_EXPIRED: u64 = 1 << 2;
const WRITE_EXPIRED: u64 = 1 << 3;
const SPOILED: u64 = 1 << 4;
const READ_CANCELED: u64 = 1 << 5;
const WRITE_CANCELED: u64 = 1 << 6;
const READ_OVERDUE: u64 = 1 << 7;
const WRITE_OVERDUE: u64 = 1 << 8;
const ERRORS_TELL: u64 = 1 << 9;
/// What stops an operation of each direction.
const READ_STOP: u64 = CLOSING | READ_EXPIRED | READ_CANCELED | READ_OVERDUE | EVENT_ERR;
const WRITE_STOP: u64 = CLOSING | WRITE_EXPIRED | WRITE_CANCELED | WRITE_OVERDUE;
const SEQ_SHIFT: u32 = 32;
const SEQ_MAX: u32 = (1 << 31) - 1;

/// One direction of a descriptor.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub enum Mode {
    /// Reading and accepting.
    Read,
    /// Writing and connecting.
    Write,
}

/// Why an operation on a descriptor may not go on.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) enum Refusal {
    Closing,
    /// The deadline of the direction, or of a context attached to it, has passed.
    Expired,
    /// A context attached to the direction was canceled.
    Canceled,
    /// The poller reported an error for the descriptor; it cannot be waited for.
    EventErr,
}

/// Why a [`Canceler`](crate::Canceler) ends the operations of a descriptor.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub enum CancelReason {
    /// Somebody wants them to end: they fail with [`Error::Canceled`](crate::Error::Canceled).
    Canceled,
    /// Their time is up: they fail with [`Error::DeadlineExceeded`](crate::Error::DeadlineExceeded).
    DeadlineExceeded,
}

/// A value of the word.
#[derive(Copy, Clone, PartialEq, Eq)]
pub(crate) struct Info(u64);

impl Info {
    #[inline]
    pub(crate) fn seq(self) -> u32 {
        (self.0 >> SEQ_SHIFT) as u32
    }

    #[inline]
    pub(crate) fn closing(self) -> bool {
        self.0 & CLOSING != 0
    }

    #[inline]
    pub(crate) fn event_err(self) -> bool {
        self.0 & EVENT_ERR != 0
    }

    #[inline]
    pub(crate) fn spoiled(self) -> bool {
        self.0 & SPOILED != 0
    }

    /// Whether an error that comes alone is an event that ends waits, and no state: the room to write that would have
    /// come with it is not reported.
    #[inline]
    pub(crate) fn errors_tell(self) -> bool {
        self.0 & ERRORS_TELL != 0
    }

    /// Go: runtime/netpoll.go netpollcheckerr. An error event is not reported on writes: the call itself will say
    /// more.
    #[doc(alias = "netpollcheckerr")]
    #[inline]
    pub(crate) fn check(self, mode: Mode) -> Result<(), Refusal> {
        let stop = match mode {
            Mode::Read => READ_STOP,
            Mode::Write => WRITE_STOP,
        };
        if self.0 & stop == 0 { Ok(()) } else { Err(self.refusal(mode)) }
    }

    #[cold]
    fn refusal(self, mode: Mode) -> Refusal {
        if self.closing() {
            Refusal::Closing
        } else if self.0 & cancel_bit(mode, CancelReason::Canceled) != 0 {
            Refusal::Canceled
        } else if self.0 & (expired_bit(mode) | cancel_bit(mode, CancelReason::DeadlineExceeded)) != 0 {
            Refusal::Expired
        } else {
            Refusal::EventErr
        }
    }
}

const fn expired_bit(mode: Mode) -> u64 {
    match mode {
        Mode::Read => READ_EXPIRED,
        Mode::Write => WRITE_EXPIRED,
    }
}

const fn cancel_bit(mode: Mode, reason: CancelReason) -> u64 {
    match (mode, reason) {
        (Mode::Read, CancelReason::Canceled) => READ_CANCELED,
        (Mode::Write, CancelReason::Canceled) => WRITE_CANCELED,
        (Mode::Read, CancelReason::DeadlineExceeded) => READ_OVERDUE,
        (Mode::Write, CancelReason::DeadlineExceeded) => WRITE_OVERDUE,
    }
}

/// The word itself. See the module's table.
pub(crate) struct PollInfo(AtomicU64);

impl PollInfo {
    /// Of a slot that was never used: free, generation 1.
    pub(crate) fn new() -> PollInfo {
        PollInfo(AtomicU64::new(1 << SEQ_SHIFT | CLOSING))
    }

    #[inline]
    pub(crate) fn load(&self) -> Info {
        // Acquire pairs with the release half of every change.
        Info(self.0.load(Acquire))
    }

    /// Starts a use of the slot. Under `lock`; no event can carry the present generation yet.
    pub(crate) fn open(&self) -> Info {
        let new = self.0.load(Relaxed) >> SEQ_SHIFT << SEQ_SHIFT;
        self.0.swap(new, AcqRel);
        Info(new)
    }

    /// For a descriptor that is not registered for writing. After `open`, before it is registered.
    pub(crate) fn let_errors_tell(&self) {
        self.set_bit(ERRORS_TELL, true);
    }

    /// Under `lock`. Before `unblock(Evict)` on both words.
    pub(crate) fn set_closing(&self) {
        self.0.fetch_or(CLOSING, AcqRel);
    }

    /// Under `lock`. If `expired`, before `unblock(Evict)`.
    pub(crate) fn set_expired(&self, mode: Mode, expired: bool) {
        self.set_bit(expired_bit(mode), expired);
    }

    /// Under `lock`. If `canceled`, before `unblock(Evict)`.
    pub(crate) fn set_canceled(&self, mode: Mode, reason: CancelReason, canceled: bool) {
        self.set_bit(cancel_bit(mode, reason), canceled);
    }

    /// AcqRel: pairs with the load of who waits or prepares, who sees the reason once he sees the bit.
    fn set_bit(&self, bit: u64, set: bool) {
        // Both: pairs with `load`, and keeps what earlier changes released.
        if set {
            self.0.fetch_or(bit, AcqRel);
        } else {
            self.0.fetch_and(!bit, AcqRel);
        }
    }

    /// Ends a use of the slot and makes every event of it stale. Under `lock`.
    ///
    /// The swap may overwrite what netpoll is just setting for the old use; netpoll's exchange in turn fails
    /// when it comes after the swap.
    pub(crate) fn free(&self) {
        let seq = Info(self.0.load(Relaxed)).seq();
        // 0 is never a generation, so that no event with a token of 0 fits a slot.
        let next = if seq >= SEQ_MAX { 1 } else { seq + 1 };
        self.0.swap(u64::from(next) << SEQ_SHIFT | CLOSING, AcqRel);
    }

    /// Notes what an event of generation `seq` says about the descriptor. False: the event is stale.
    #[must_use]
    pub(crate) fn note_event(&self, seq: u32, event_err: bool, spoils: bool) -> bool {
        let mut old = self.0.load(Relaxed);
        loop {
            if Info(old).seq() != seq {
                return false;
            }
            let mut new = if event_err { old | EVENT_ERR } else { old & !EVENT_ERR };
            if spoils {
                new |= SPOILED;
            }
            // The release half pairs with `load`; the acquire half keeps what earlier changes released.
            match self.0.compare_exchange_weak(old, new, AcqRel, Relaxed) {
                Ok(_) => return true,
                Err(now) => old = now,
            }
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn refusals_have_gos_order_and_an_error_event_stops_readers_only() {
        let info = PollInfo::new();
        assert_eq!(info.load().check(Mode::Read), Err(Refusal::Closing));
        let seq = info.open().seq();
        assert_eq!(info.load().check(Mode::Read), Ok(()));
        assert!(info.note_event(seq, true, false));
        assert_eq!(info.load().check(Mode::Read), Err(Refusal::EventErr));
        assert_eq!(info.load().check(Mode::Write), Ok(()));
        info.set_expired(Mode::Read, true);
        assert_eq!(info.load().check(Mode::Read), Err(Refusal::Expired));
        assert_eq!(info.load().check(Mode::Write), Ok(()));
        info.set_canceled(Mode::Read, CancelReason::Canceled, true);
        assert_eq!(info.load().check(Mode::Read), Err(Refusal::Canceled));
        assert_eq!(info.load().check(Mode::Write), Ok(()));
        info.set_closing();
        assert_eq!(info.load().check(Mode::Read), Err(Refusal::Closing));
    }

    #[test]
    fn a_context_out_of_time_is_an_expired_deadline_until_it_is_taken_off() {
        let info = PollInfo::new();
        info.open();
        info.set_canceled(Mode::Write, CancelReason::DeadlineExceeded, true);
        assert_eq!(info.load().check(Mode::Write), Err(Refusal::Expired));
        assert_eq!(info.load().check(Mode::Read), Ok(()));
        info.set_expired(Mode::Write, true);
        info.set_canceled(Mode::Write, CancelReason::DeadlineExceeded, false);
        assert_eq!(info.load().check(Mode::Write), Err(Refusal::Expired), "the descriptor's own");
        info.set_expired(Mode::Write, false);
        assert_eq!(info.load().check(Mode::Write), Ok(()));
    }

    #[test]
    fn a_stale_event_marks_nothing() {
        let info = PollInfo::new();
        let old = info.open().seq();
        info.set_closing();
        info.free();
        assert!(!info.note_event(old, true, true));
        let now = info.open();
        assert_ne!(now.seq(), old);
        assert!(!info.note_event(old, true, true));
        assert_eq!(info.load().check(Mode::Read), Ok(()));
        assert!(!info.load().spoiled());
    }

    #[test]
    fn generations_wrap_past_zero() {
        let info = PollInfo(AtomicU64::new(u64::from(SEQ_MAX) << SEQ_SHIFT));
        info.free();
        assert_eq!(info.load().seq(), 1);
    }

    #[test]
    fn an_error_event_is_forgotten_when_the_next_event_has_none() {
        let info = PollInfo::new();
        let seq = info.open().seq();
        assert!(info.note_event(seq, true, true));
        assert!(info.note_event(seq, false, false));
        assert!(!info.load().event_err());
        assert!(info.load().spoiled(), "but that a short read proves nothing is remembered for good");
    }
}
