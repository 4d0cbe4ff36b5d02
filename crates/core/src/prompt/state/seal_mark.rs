//! Texts in the place of a seal that tell by themselves whose they are: the seal of another vendor that a translation has
//! carried there, and the word of Google's API for no seal at all. Neither is a name of state.

use std::sync::LazyLock;

use memchr::memmem;

/// The beginning of every seal that a translation has carried in a field of another vendor's API.
const CARRIED: &[u8] = b"cG0xL";

/// Finds that beginning.
static CARRIED_SEAL: LazyLock<memmem::Finder<'static>> = LazyLock::new(|| memmem::Finder::new(CARRIED));

/// The texts that Google's API takes in place of a signature for a call that its models have not made: the documented one
/// in base64, as it is, and as it becomes where an SDK takes it for base64 and encodes it in the other alphabet.
const ABSENT: [&[u8]; 3] = [
    b"c2tpcF90aG91Z2h0X3NpZ25hdHVyZV92YWxpZGF0b3I",
    b"skip_thought_signature_validator",
    b"skip/thought/signature/validator",
];

/// Finds the first of these, which translated answers have.
static ABSENT_SEAL: LazyLock<memmem::Finder<'static>> = LazyLock::new(|| memmem::Finder::new(ABSENT[0]));

/// Tells whether a body may hold seals that a translation has carried.
#[must_use]
pub fn carries_seals(body: &[u8]) -> bool {
    CARRIED_SEAL.find(body).is_some()
}

/// Tells whether a sealed text is one that a translation has carried: its maker is known by itself.
#[must_use]
pub fn is_carried_seal(text: &[u8]) -> bool {
    text.starts_with(CARRIED)
}

/// Tells whether a body of Google's may hold the signature of calls that nobody has signed.
#[must_use]
pub fn carries_absent_seals(body: &[u8]) -> bool {
    ABSENT_SEAL.find(body).is_some()
}

/// Tells whether a sealed text says that nobody has sealed anything.
#[must_use]
pub fn is_absent_seal(text: &[u8]) -> bool {
    let padding = text.iter().rev().take_while(|byte| **byte == b'=').count();
    ABSENT.contains(&&text[..text.len() - padding])
}
