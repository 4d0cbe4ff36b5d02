//! The hash of an n-gram: the same on every machine and in every release, as bundles hold weights by it.

/// The state before any byte, for n-grams of one kind.
pub(super) const fn start(kind: u64) -> u64 {
    0xcbf2_9ce4_8422_2325 ^ kind.wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

/// Takes one byte: FNV-1a over 64 bits.
#[inline]
pub(super) const fn step(state: u64, byte: u8) -> u64 {
    (state ^ byte as u64).wrapping_mul(0x0100_0000_01b3)
}

/// Returns the hash of a state.
#[inline]
pub(super) const fn finish(state: u64) -> u64 {
    let mixed = (state ^ (state >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    mixed ^ (mixed >> 33)
}

/// Returns the states after each first byte, for n-grams of one kind.
pub(super) const fn first_bytes(kind: u64) -> [u64; 256] {
    let mut states = [0; 256];
    let mut byte = 0;
    while byte < states.len() {
        states[byte] = step(start(kind), byte as u8);
        byte += 1;
    }
    states
}
