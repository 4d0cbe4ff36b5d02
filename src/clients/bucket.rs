//! A token bucket as one number: the time at which it will be full again (the generic cell rate algorithm).
//!
//! Pure: the caller knows the time and keeps the number, so that an atomic integer is all the state there is.

const MINUTE: u64 = 60_000_000_000;

/// A bucket's size and how fast it fills: empty to full in a minute.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TokenBucket {
    per_minute: u64,
}

impl TokenBucket {
    /// Makes a rate; `per_minute` is at least 1.
    pub(crate) const fn per_minute(per_minute: u64) -> Self {
        Self { per_minute }
    }

    pub(super) const fn limit(self) -> u64 {
        self.per_minute
    }

    /// Takes `amount` out of a bucket that is full at `full_at` and returns when it is full then. More than the bucket
    /// holds may be taken when it is full.
    ///
    /// # Errors
    /// How long to wait, when there is less in it.
    pub(crate) fn take(self, full_at: u64, now: u64, amount: u64) -> Result<u64, u64> {
        let full_at = full_at.max(now);
        let owed = (full_at - now).saturating_add(self.cost(amount.min(self.per_minute)));
        if owed > MINUTE { Err(owed - MINUTE) } else { Ok(full_at.saturating_add(self.cost(amount))) }
    }

    /// Replaces the taking of `debited` by that of `actual`; the bucket may owe then.
    pub(super) fn correct(self, full_at: u64, now: u64, debited: u64, actual: u64) -> u64 {
        if actual >= debited {
            full_at.max(now).saturating_add(self.cost(actual - debited))
        } else {
            full_at.saturating_sub(self.cost(debited - actual))
        }
    }

    /// Returns what is in a bucket that is full in `owed` nanoseconds.
    pub(super) fn remaining(self, owed: u64) -> u64 {
        let filled = u128::from(MINUTE.saturating_sub(owed));
        u64::try_from(filled * u128::from(self.per_minute) / u128::from(MINUTE)).unwrap_or(u64::MAX)
    }

    /// Returns how long `amount` takes to come back.
    fn cost(self, amount: u64) -> u64 {
        u64::try_from(u128::from(amount) * u128::from(MINUTE) / u128::from(self.per_minute)).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: u64 = 7 * MINUTE;

    #[test]
    fn a_full_bucket_holds_a_minute_s_worth_and_no_more() {
        let rate = TokenBucket::per_minute(3);
        let mut full_at = 0;

        for left in [2, 1, 0] {
            full_at = rate.take(full_at, NOW, 1).expect("enough");
            assert_eq!(rate.remaining(full_at - NOW), left);
        }

        assert_eq!(rate.take(full_at, NOW, 1), Err(MINUTE / 3));
        assert!(rate.take(full_at, NOW + MINUTE / 3, 1).is_ok());
        assert!(rate.take(full_at, NOW + MINUTE / 3 - 1, 1).is_err());
    }

    #[test]
    fn more_than_the_bucket_holds_goes_through_when_it_is_full_and_is_owed() {
        let rate = TokenBucket::per_minute(60);

        let full_at = rate.take(0, NOW, 180).expect("full");

        assert_eq!(rate.take(full_at, NOW, 1), Err(2 * MINUTE + MINUTE / 60));
        assert_eq!(rate.remaining(full_at - NOW), 0);
        assert!(rate.take(rate.take(0, NOW, 1).expect("full"), NOW, 180).is_err(), "not full");
    }

    #[test]
    fn a_correction_gives_back_and_takes_more() {
        let rate = TokenBucket::per_minute(60);
        let full_at = rate.take(0, NOW, 10).expect("full");

        assert_eq!(rate.remaining(rate.correct(full_at, NOW, 10, 4) - NOW), 56);
        assert_eq!(rate.remaining(rate.correct(full_at, NOW, 10, 100) - NOW), 0);
    }

    proptest! {
        #[test]
        fn never_more_than_two_minutes_worth_goes_through_in_a_minute(
            per_minute in 1u64..1000, steps in prop::collection::vec((0u64..MINUTE / 50, 1u64..5), 1..200)
        ) {
            let rate = TokenBucket::per_minute(per_minute);
            let (mut now, mut full_at, mut taken) = (NOW, 0, 0);
            for (step, amount) in steps {
                now += step;
                if now > NOW + MINUTE {
                    break;
                }
                if let Ok(next) = rate.take(full_at, now, amount) {
                    (full_at, taken) = (next, taken + amount);
                }
            }
            prop_assert!(taken <= 2 * per_minute + 5);
        }
    }
}
