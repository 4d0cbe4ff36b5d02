//! The hash of a sealed text: the same in either alphabet of base64, padded or not, because SDKs decode and encode seals
//! anew on their way back.

use sha2::{Digest, Sha256};

use super::{StateKind, StateName};

/// A hash of a sealed text that comes piece by piece.
#[derive(Debug, Default)]
pub struct SealHash(Sha256);

impl SealHash {
    /// Takes more of the text.
    pub fn update(&mut self, text: &[u8]) {
        let mut plain = [0; 256];
        for piece in text.chunks(plain.len()) {
            let mut length = 0;
            for byte in piece {
                plain[length] = match byte {
                    b'-' => b'+',
                    b'_' => b'/',
                    other => *other,
                };
                length += usize::from(*byte != b'=');
            }
            self.0.update(&plain[..length]);
        }
    }

    /// Returns the name of the text that has come, and begins anew.
    #[must_use]
    pub fn take(&mut self) -> StateName {
        StateName::of_hash(StateKind::Sealed, &self.0.finalize_reset())
    }

    /// Begins anew.
    pub fn reset(&mut self) {
        self.0.reset();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seal_has_one_name_in_both_alphabets_and_in_whatever_pieces_it_comes() {
        let name = StateName::new(StateKind::Sealed, b"Cs4B/AVS+oXO==");
        assert_eq!(StateName::new(StateKind::Sealed, b"Cs4B_AVS-oXO"), name);

        let mut hash = SealHash::default();
        [&b"Cs4B_A"[..], b"VS-oXO=", b"="].into_iter().for_each(|piece| hash.update(piece));
        assert_eq!(hash.take(), name);
        let long = [b"_".repeat(700), b"==".to_vec()].concat();
        hash.update(&long);
        assert_eq!(hash.take(), StateName::new(StateKind::Sealed, &b"/".repeat(700)));
    }

    #[test]
    fn ids_keep_their_alphabet() {
        assert_ne!(StateName::new(StateKind::File, b"file-1"), StateName::new(StateKind::File, b"file+1"));
    }
}
