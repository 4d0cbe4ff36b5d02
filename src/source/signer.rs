//! Signs texts as `minisign` does, for tests: Ed25519 over BLAKE2b, with keys that are made of a number.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use blake2::{Blake2b512, Digest as _};
use ring::signature::{Ed25519KeyPair, KeyPair as _};

/// A key pair.
pub(crate) struct Signer {
    id: u8,
    pair: Ed25519KeyPair,
}

impl Signer {
    /// Makes the key pair of a number.
    pub(crate) fn new(id: u8) -> Self {
        Self { id, pair: Ed25519KeyPair::from_seed_unchecked(&[id; 32]).expect("32 bytes") }
    }

    /// Returns the public key, as people hand it out.
    pub(crate) fn public_key(&self) -> String {
        BASE64_STANDARD.encode([b"Ed", &[self.id; 8][..], self.pair.public_key().as_ref()].concat())
    }

    /// Returns the file of a text's signature.
    pub(crate) fn sign(&self, text: &[u8], comment: &str) -> String {
        let signature = self.pair.sign(&Blake2b512::digest(text));
        let whole = self.pair.sign(&[signature.as_ref(), comment.as_bytes()].concat());
        let own = [b"ED", &[self.id; 8][..], signature.as_ref()].concat();
        let (own, whole) = (BASE64_STANDARD.encode(own), BASE64_STANDARD.encode(whole.as_ref()));
        format!("untrusted comment: of a test\n{own}\ntrusted comment: {comment}\n{whole}\n")
    }
}
