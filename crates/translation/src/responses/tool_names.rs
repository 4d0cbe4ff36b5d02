//! Names of tools that other APIs cannot write: those of a namespace.

use std::borrow::Cow;

/// The longest name of a function that every API takes.
const LONGEST: usize = 64;

/// Returns the name of a tool in a namespace, for APIs without namespaces.
pub(super) fn joined<'b>(namespace: Option<&str>, name: Cow<'b, str>) -> Cow<'b, str> {
    let Some(namespace) = namespace else { return name };
    let whole = format!("{namespace}__{name}");
    if whole.len() <= LONGEST {
        return Cow::Owned(whole);
    }
    let hash = format!("_{:08x}", hash(&whole) as u32);
    // The end says more than the beginning, which many tools of a server share.
    let mut from = whole.len() + hash.len() - LONGEST;
    while !whole.is_char_boundary(from) {
        from += 1;
    }
    Cow::Owned(format!("{}{hash}", &whole[from..]))
}

/// Returns an id of a call that `OpenAI` takes: at most 64 bytes, the same on every turn.
pub(super) fn call_id(id: &str) -> Cow<'_, str> {
    if id.len() <= LONGEST {
        return Cow::Borrowed(id);
    }
    Cow::Owned(format!("call_{:032x}", hash(id)))
}

/// The FNV-1a hash of 128 bits: small, and the same in every build.
pub(super) fn hash(text: &str) -> u128 {
    const BASIS: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    text.bytes().fold(BASIS, |hash, byte| (hash ^ u128::from(byte)).wrapping_mul(PRIME))
}
