//! How often each hash occurs: a table that is filled in one pass, without a sort.

use std::hash::{BuildHasher, RandomState};

use super::{MAX_CHARS, WIDTH, pieces};

/// The most slots of a table.
const SLOTS: usize = 1 << 14;

/// The fewest slots of a table.
const MIN_SLOTS: usize = 1 << 6;

/// A slot that no hash has taken.
const EMPTY: u16 = u16::MAX;

/// The counts whose weights are known beforehand.
const WEIGHTS: usize = 64;

// A character becomes two in lower case, at most, and a word has no more pieces of a kind than characters; a fifth of
// the slots stays free.
const _: () = assert!(pieces::PIECE_KINDS * 2 * (2 * MAX_CHARS + 1) <= SLOTS / 5 * 4);

/// The hashes that occurred, in the order of the text, each with its count.
#[derive(Debug)]
pub(super) struct HashCounts {
    /// The index of the hash that has taken a slot.
    slots: Box<[u16; SLOTS]>,
    hashes: Box<[u64; SLOTS]>,
    counts: Box<[u16; SLOTS]>,
    len: usize,
    /// The slots in use; a power of two.
    used: usize,
    /// The factor that spreads hashes over slots. Nobody knows it, so that no text can be written to collide.
    spread: u64,
    weights: [f32; WEIGHTS],
}

impl Default for HashCounts {
    fn default() -> Self {
        let weights = std::array::from_fn(|count| weight(count.max(1)));
        Self {
            slots: boxed(EMPTY),
            hashes: boxed(0),
            counts: boxed(0),
            len: 0,
            used: MIN_SLOTS,
            spread: RandomState::new().hash_one(0) | 1,
            weights,
        }
    }
}

impl HashCounts {
    /// Forgets everything, and makes room for `most` hashes.
    pub(super) fn begin(&mut self, most: usize) {
        self.used = (most + most / 4).next_power_of_two().clamp(MIN_SLOTS, SLOTS);
        self.slots[..self.used].fill(EMPTY);
        self.len = 0;
    }

    /// Counts a hash; no branch depends on whether it occurred before.
    #[inline]
    pub(super) fn add(&mut self, hash: u64) {
        let mut slot = (hash.wrapping_mul(self.spread) >> 32) as usize & (self.used - 1);
        loop {
            let known = self.slots[slot % SLOTS];
            let is_free = known == EMPTY;
            let index = if is_free { self.len } else { usize::from(known) } % SLOTS;
            // Of one that is known, this is behind the last.
            self.hashes[self.len % SLOTS] = hash;
            if self.hashes[index] == hash {
                self.slots[slot % SLOTS] = index as u16;
                self.counts[index] = if is_free { 1 } else { self.counts[index] + 1 };
                self.len += usize::from(is_free);
                return;
            }
            slot = (slot + 1) & (self.used - 1);
        }
    }

    /// Appends signed buckets whose values, `1 + ln(count)`, have length 1 together.
    pub(super) fn write(&self, entries: &mut Vec<(u32, f32)>) {
        let (hashes, counts) = (&self.hashes[..self.len], &self.counts[..self.len]);
        let weight =
            |count: &u16| self.weights.get(usize::from(*count)).copied().unwrap_or_else(|| weight((*count).into()));
        let squares: f32 = counts.iter().map(|count| weight(count).powi(2)).sum();
        let scale = 1.0 / squares.sqrt().max(1.0);
        entries.extend(hashes.iter().zip(counts).map(|(hash, count)| {
            let value = weight(count) * scale;
            ((hash % WIDTH as u64) as u32, if hash >> 63 == 0 { value } else { -value })
        }));
    }
}

fn weight(count: usize) -> f32 {
    1.0 + (count as f32).ln()
}

fn boxed<T: Copy>(value: T) -> Box<[T; SLOTS]> {
    vec![value; SLOTS].try_into().ok().expect("as many as slots")
}
