//! The bytes that travel: different for every connection, message and position, and cheap to make and to check.

/// Length of the table that messages are cut from. Prime, so that no message size divides it.
const TABLE: usize = 65_521;

/// A table of pseudo-random bytes from which every message is a slice.
#[derive(Debug)]
pub struct Pattern {
    bytes: Vec<u8>,
}

impl Pattern {
    /// A table for messages of up to `size_max` bytes.
    pub fn new(size_max: usize) -> Pattern {
        let mut state = 0x9E37_79B9_7F4A_7C15_u64;
        let bytes = (0..TABLE + size_max)
            .map(|_| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                (state >> 32) as u8
            })
            .collect();
        Pattern { bytes }
    }

    /// The message that connection `conn` sends as its `seq`th.
    ///
    /// A byte that is lost, doubled, swapped, or comes from another connection or message moves the rest to another
    /// place of the table, where a random byte agrees once in 256.
    pub fn message(&self, conn: usize, seq: u64, size: usize) -> &[u8] {
        let start =
            ((conn as u64).wrapping_mul(40_503).wrapping_add(seq.wrapping_mul(30_011))) % TABLE as u64;
        &self.bytes[start as usize..start as usize + size]
    }
}

#[cfg(test)]
mod tests;
