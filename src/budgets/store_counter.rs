//! Counters in the store: a hash for each holder and period, changed by one script, which a server runs as a whole.

use pointsman_core::config::BudgetSpan;

use super::amounts::{BudgetAmounts, BudgetBounds, BudgetUnit};
use crate::store::{SharedStore, StoreScript, StoreUnavailable};

/// Seconds that a counter is kept after its period: requests that began in it may end later.
const KEPT_AFTER: u64 = 24 * 60 * 60;

/// Units of a counter.
const UNITS: usize = BudgetUnit::ALL.len();

/// Adds to every counter, or to none where one has too little left. For each key there are three amounts, three bounds
/// (-1 for none) and the second in which it is forgotten. Answers with the position of the key and of the unit that has
/// too little left, or zeros, and what every counter holds then.
///
/// Lua counts in doubles, which are exact up to 2^53: bounds are smaller, and additions are the server's own.
const ADD: StoreScript = StoreScript {
    text: "local fields = {'d', 't', 'r'}
local used, key, unit = {}, 0, 0
for i = 1, #KEYS do
  local held = redis.call('HMGET', KEYS[i], 'd', 't', 'r')
  for u = 1, 3 do
    local now = tonumber(held[u] or '0')
    local bound = tonumber(ARGV[(i - 1) * 7 + 3 + u])
    if key == 0 and bound >= 0 and (now >= bound or now + tonumber(ARGV[(i - 1) * 7 + u]) > bound) then
      key, unit = i, u
    end
    used[(i - 1) * 3 + u] = now
  end
end
if key == 0 then
  for i = 1, #KEYS do
    for u = 1, 3 do
      local amount = ARGV[(i - 1) * 7 + u]
      if amount ~= '0' then
        used[(i - 1) * 3 + u] = redis.call('HINCRBY', KEYS[i], fields[u], amount)
      end
    end
    redis.call('EXPIREAT', KEYS[i], ARGV[i * 7])
  end
end
local answer = {key, unit}
for i = 1, #used do answer[i + 2] = used[i] end
return answer",
};

/// An addition to one counter.
pub(super) struct StoredAddition {
    pub(super) key: Box<str>,
    pub(super) amounts: BudgetAmounts,
    pub(super) bounds: BudgetBounds,
    pub(super) span: BudgetSpan,
}

/// The store's answer to additions: the one that has too little left, and what each counter holds then.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct StoredAnswer {
    pub(super) refused: Option<(usize, BudgetUnit)>,
    pub(super) used: Vec<BudgetAmounts>,
}

impl StoredAddition {
    /// Makes all additions, or none where one has too little left.
    ///
    /// # Errors
    /// When the store does not answer in time; it may have made them or not.
    pub(super) async fn add_all(
        store: &SharedStore,
        additions: impl Iterator<Item = Self>,
    ) -> Result<StoredAnswer, StoreUnavailable> {
        let (mut keys, mut arguments) = (Vec::new(), Vec::new());
        for Self { key, amounts, bounds, span } in additions {
            keys.push(key);
            arguments.extend(amounts.0);
            arguments.extend(bounds.0.map(|bound| bound.unwrap_or(-1)));
            arguments.push(i64::try_from(span.end + KEPT_AFTER).unwrap_or(i64::MAX));
        }
        let answer = store.run(&ADD, &keys, arguments).await?;
        StoredAnswer::read(&answer, keys.len()).ok_or(StoreUnavailable)
    }
}

impl StoredAnswer {
    fn read(answer: &[i64], counters: usize) -> Option<Self> {
        let (&[key, unit], used) = answer.split_first_chunk()?;
        if used.len() != counters * UNITS {
            return None;
        }
        let refused = match (usize::try_from(key).ok()?, usize::try_from(unit).ok()?) {
            (0, _) => None,
            (key, unit) => Some((key - 1, *BudgetUnit::ALL.get(unit.checked_sub(1)?)?)),
        };
        let used = used.chunks_exact(UNITS).map(|used| BudgetAmounts(std::array::from_fn(|unit| used[unit])));
        Some(Self { refused, used: used.collect() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_of_another_shape_is_none() {
        let refused = StoredAnswer::read(&[1, 3, 5, 6, 7], 1).expect("an answer");

        assert_eq!(refused.refused, Some((0, BudgetUnit::Requests)));
        assert_eq!(refused.used, [BudgetAmounts([5, 6, 7])]);
        for bad in [&[][..], &[0, 0], &[0, 0, 1, 2], &[1, 9, 1, 2, 3], &[-1, 0, 1, 2, 3]] {
            assert_eq!(StoredAnswer::read(bad, 1), None, "{bad:?}");
        }
    }
}
