//! The layout of the tables that the build script writes and the counter reads.

use std::hash::Hasher;

use rustc_hash::FxHasher;

/// Places of the table that finds a token by its bytes: under half are taken, so a miss is known at the first or second.
pub(crate) const SLOTS: usize = 1 << 19;
/// The bits of a place that hold a token's rank plus one; the others hold a fingerprint of its bytes.
pub(crate) const RANK_BITS: u32 = 18;
/// Characters whose classes lie together.
pub(crate) const BLOCK: usize = 256;

/// Returns the place at which the search for a token starts, and the bits of its place that are not its rank.
#[expect(clippy::cast_possible_truncation, reason = "parts of a hash")]
pub(crate) fn place(token: &[u8]) -> (usize, u32) {
    let mut hasher = FxHasher::default();
    hasher.write(token);
    let hash = hasher.finish();
    ((hash >> 45) as usize, (hash as u32) << RANK_BITS)
}
