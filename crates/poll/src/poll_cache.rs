//! Where poll descriptors come from and go to. Go: `pollCache`.

use crate::poll_desc::PollDesc;
use crate::slab::Slab;

static DESCS: Slab<PollDesc> = Slab::new();

/// What is free, last in first out: the slot used last is the one whose lines are in the cache.
///
/// One lock for the process: it is taken once per open and once per close, beside two or more system calls
/// each.
static FREE: parking_lot::Mutex<FreeList> =
    parking_lot::Mutex::new(FreeList { indices: Vec::new(), next: 0 });

struct FreeList {
    indices: Vec<u32>,
    /// The first index never handed out.
    next: u32,
}

/// The descriptor of an event. None only for a token that we never gave out.
#[inline]
pub(crate) fn get(index: u32) -> Option<&'static PollDesc> {
    DESCS.get(index)
}

/// How many slots were ever handed out.
#[cfg(not(loom))]
pub(crate) fn len() -> u32 {
    FREE.lock().next
}

/// Go: runtime/netpoll.go pollCache.alloc
pub(crate) fn alloc() -> &'static PollDesc {
    let mut free = FREE.lock();
    if let Some(index) = free.indices.pop()
        && let Some(pd) = DESCS.get(index)
    {
        return pd;
    }
    let pd = DESCS.ensure(free.next, PollDesc::new);
    free.next += 1;
    pd
}

/// `pd` must have been made stale by `PollInfo::free`.
///
/// Go: runtime/netpoll.go pollCache.free
pub(crate) fn free(pd: &'static PollDesc) {
    FREE.lock().indices.push(pd.index());
}
