//! Numbers that nobody can foresee: the ids of queries, and the order of servers of equal weight.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// A number that only who knows the process's key can tell.
///
/// SipHash of a counter, under a key that std has from the system: a keyed pseudo-random function is just that. One
/// key for the process, and not a new `RandomState` each time: those take theirs from a thread-local and count it up.
/// A crate for sixteen bits would be one more to trust.
pub(super) fn random() -> u64 {
    static KEY: OnceLock<RandomState> = OnceLock::new();
    static COUNT: AtomicU64 = AtomicU64::new(0);
    // Relaxed: each number is taken once, and in which order is all the same.
    KEY.get_or_init(RandomState::new).hash_one(COUNT.fetch_add(1, Ordering::Relaxed))
}

/// One of `0..n`; `n` is not 0. (Not quite even: by less than one in a thousand million for what it is used for.)
pub(super) fn random_below(n: u64) -> u64 {
    random() % n
}

/// The id of a query.
pub(super) fn random_id() -> u16 {
    (random() >> 48) as u16
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn ids_do_not_repeat_and_do_not_count() {
        let ids: Vec<u16> = (0..4096).map(|_| random_id()).collect();
        // 4,096 of 65,536: some 3,970 different ones are to be expected, with a deviation of 11.
        assert!(ids.iter().collect::<HashSet<_>>().len() > 3_800);
        let steps = ids.windows(2).filter(|pair| pair[1].wrapping_sub(pair[0]) == 1).count();
        assert!(steps < 10, "{steps} of them follow their predecessor");
        assert!((0..1000).all(|_| random_below(7) < 7));
    }
}
