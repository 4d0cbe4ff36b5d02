//! Prices: dollars that are some, lengths that a prompt can have, factors that are no percentages.

use super::{CONTEXT, ConfigChecker};
use crate::config::{KeyPath, TokenPrice};

/// The largest factor of a service tier; beyond it, somebody has written per cent.
const MAX_TIER_FACTOR: f64 = 20.0;

impl ConfigChecker<'_> {
    pub(super) fn price(&mut self, path: &KeyPath, price: &TokenPrice) {
        for (key, dollars) in price.figures() {
            self.dollars(&path.key(key), dollars);
        }
        for (index, step) in price.above.iter().enumerate() {
            let path = path.key("above").index(index);
            self.within(&path.key("tokens"), &step.tokens, &CONTEXT);
            for (key, dollars) in step.figures() {
                self.dollars(&path.key(key), dollars);
            }
        }
        for (tier, factor) in price.service_tiers.figures() {
            if !(factor.is_finite() && (0.0..=MAX_TIER_FACTOR).contains(&factor)) {
                let path = path.key("service_tiers").key(tier);
                self.wrong(&path, format!("{factor} is out of bounds (allowed: 0 to {MAX_TIER_FACTOR})"));
            }
        }
    }

    fn dollars(&mut self, path: &KeyPath, dollars: f64) {
        if !(dollars.is_finite() && dollars >= 0.0) {
            self.wrong(path, format!("must be 0 or more US dollars per million tokens, got {dollars}"));
        }
    }
}
