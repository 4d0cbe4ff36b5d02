//! The choice of a share of requests by a hash of their ids: replicas, and every part of one process, choose the same.

/// The share of requests that is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestSample {
    /// A hash is chosen below this; all are where it is the highest.
    below: u64,
}

impl RequestSample {
    /// Makes the choice of a share, 0 to 1. A smaller share is part of each larger one.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of the whole range, which saturates"
    )]
    pub fn new(share: f64) -> Self {
        Self { below: (share * 2_f64.powi(64)) as u64 }
    }

    /// Returns whether a request is chosen.
    #[must_use]
    pub fn has(self, request_id: &str) -> bool {
        self.below == u64::MAX || (self.below > 0 && hash(request_id) < self.below)
    }
}

/// FNV-1a, mixed so that its high bits depend on every byte: the same in all versions and on all machines.
fn hash(id: &str) -> u64 {
    let hashed = id
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    let mixed = (hashed ^ (hashed >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    let mixed = (mixed ^ (mixed >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    mixed ^ (mixed >> 33)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_of_ids_is_chosen_and_it_is_part_of_every_larger_share() {
        let ids: Vec<_> = (0..20_000).map(|count| format!("5f3a9c0d11223344-{count:x}")).collect();
        let chosen = |share: f64| ids.iter().filter(|id| RequestSample::new(share).has(id)).collect::<Vec<_>>();

        let (none, few, more, all) = (chosen(0.0), chosen(0.02), chosen(0.05), chosen(1.0));

        assert_eq!((none.len(), all.len()), (0, ids.len()));
        assert!((300..500).contains(&few.len()) && (850..1150).contains(&more.len()), "{} {}", few.len(), more.len());
        assert!(few.iter().all(|id| more.contains(id)));
    }

    #[test]
    fn the_hash_of_an_id_is_the_same_for_ever() {
        assert_eq!(hash("request-1"), hash("request-1"));
        assert!(RequestSample::new(1.0).has("") && !RequestSample::new(0.0).has(""));
    }
}
