//! Memory that is never given back: a table of `'static` objects found by index.
//!
//! Late events and late wakes may still name an object whose user is gone, so its memory has to stay what it
//! was (Go: type-stable memory, `pollCache`). An index instead of a pointer makes such a name harmless
//! without `unsafe`.

use std::sync::OnceLock;

/// log2 of the buckets per doubling of the size.
const STEP_BITS: u32 = 3;
/// log2 of the size of the first bucket.
const FIRST_BITS: u32 = 4;
/// The first index that does not exist, minus the bias. Large enough for every descriptor Linux can have.
const BUCKETS: usize = 26 << STEP_BITS;

/// Buckets that grow geometrically, eight steps to a doubling.
///
/// Plain doubling would need three bits less of a table, but on average a quarter of the memory of a program
/// with many idle connections would be unused entries; here it is at most an eighth. The look-up costs the
/// same: a count of leading zeros, two shifts, one load.
pub(crate) struct Slab<T: 'static> {
    buckets: [OnceLock<Box<[T]>>; BUCKETS],
}

/// Bucket, place in it, and size of the bucket.
#[inline]
const fn locate(index: u32) -> (usize, usize, usize) {
    let biased = index as u64 + (1 << (FIRST_BITS + STEP_BITS));
    let log2 = 63 - biased.leading_zeros();
    let size_bits = log2 - STEP_BITS;
    let step = (biased >> size_bits) as usize & ((1 << STEP_BITS) - 1);
    let octave = (size_bits - FIRST_BITS) as usize;
    (octave << STEP_BITS | step, biased as usize & ((1 << size_bits) - 1), 1 << size_bits)
}

impl<T> Slab<T> {
    pub(crate) const fn new() -> Slab<T> {
        Slab { buckets: [const { OnceLock::new() }; BUCKETS] }
    }

    /// The object at `index`, if one was ever there.
    #[inline]
    pub(crate) fn get(&'static self, index: u32) -> Option<&'static T> {
        let (bucket, offset, _) = locate(index);
        self.buckets.get(bucket)?.get()?.get(offset)
    }

    /// The object at `index`; makes its bucket, all of it, if it is the first of it. Indices are used in
    /// order.
    pub(crate) fn ensure(&'static self, index: u32, mut make: impl FnMut(u32) -> T) -> &'static T {
        let (bucket, offset, size) = locate(index);
        let Some(cell) = self.buckets.get(bucket) else {
            gopark_sys::throw!("gopark: too many descriptors");
        };
        let objects =
            cell.get_or_init(|| (0..size as u32).map(|i| make(index - offset as u32 + i)).collect());
        &objects[offset]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indices_map_to_consecutive_places_without_holes() {
        let (mut bucket, mut offset, mut size) = locate(0);
        assert_eq!((bucket, offset, size), (0, 0, 16));
        for index in 1..1_000_000 {
            let (b, o, s) = locate(index);
            if b == bucket {
                assert_eq!((o, s), (offset + 1, size));
            } else {
                assert_eq!((b, o, offset + 1), (bucket + 1, 0, size), "index {index}");
            }
            (bucket, offset, size) = (b, o, s);
        }
    }

    #[test]
    fn at_most_an_eighth_is_unused() {
        for bucket_end in [127, 1_000, 18_000, 1_000_000_u32] {
            let (_, offset, size) = locate(bucket_end);
            assert!(size - offset <= bucket_end as usize / 8 + 16);
        }
    }

    #[test]
    fn an_object_stays_where_it_is_and_unknown_indices_are_none() {
        static SLAB: Slab<u32> = Slab::new();
        assert!(SLAB.get(0).is_none());
        let first = SLAB.ensure(0, |i| i);
        for index in 0..1_000 {
            assert_eq!(*SLAB.ensure(index, |i| i), index);
        }
        assert!(std::ptr::eq(first, SLAB.get(0).unwrap()));
        assert!(SLAB.get(u32::MAX).is_none());
    }
}
