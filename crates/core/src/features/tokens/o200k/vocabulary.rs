//! The tokens of `o200k_base` by their bytes.

use super::layout::{RANK_BITS, SLOTS, place};

static BYTES: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/o200k_bytes"));
static STARTS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/o200k_starts"));
static SLOT_WORDS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/o200k_slots"));

/// Returns the rank of the token that `bytes` are, if they are one: the lower, the sooner it is merged.
pub(super) fn rank(bytes: &[u8]) -> Option<u32> {
    let (mut index, sought) = place(bytes);
    loop {
        let word = word(SLOT_WORDS, index);
        if word == 0 {
            return None;
        }
        let rank = (word & ((1 << RANK_BITS) - 1)) - 1;
        if word >> RANK_BITS == sought >> RANK_BITS && token(rank) == bytes {
            return Some(rank);
        }
        index = (index + 1) % SLOTS;
    }
}

fn token(rank: u32) -> &'static [u8] {
    let rank = rank as usize;
    &BYTES[word(STARTS, rank) as usize..word(STARTS, rank + 1) as usize]
}

fn word(table: &[u8], index: usize) -> u32 {
    let (words, _) = table.as_chunks::<4>();
    u32::from_le_bytes(words[index])
}
