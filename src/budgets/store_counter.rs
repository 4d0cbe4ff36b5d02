//! Counters in the store: a hash for each holder and period, changed by one script, which a server runs as a whole.
//!
//! Its fields `d`, `t` and `r` hold what was spent and what processes hold unused, together; `x`, `y` and `z` what they hold
//! of it; `l` the time from which on an account may be over, `s` the time since when the counter is there. Every process
//! has a field with its account. An account that its process does not renew in time is closed: what it held unused is
//! everybody's again. Accounts are looked through only when one may be over, so that an exchange takes as long with a
//! hundred processes as with one.
//!
//! A store that has lost a counter is told by each process what all had used when it last heard: `s` is another then.

use std::sync::Arc;

use super::amounts::{BudgetAmounts, BudgetUnit};
use super::counter::PeriodCounter;
use super::lease::{LeaseAnswer, LeaseReport};
use crate::store::{SharedStore, StoreScript, StoreUnavailable};

/// Seconds that a counter is kept after its period: requests that began in it may end later.
const KEPT_AFTER: u64 = 24 * 60 * 60;

/// Units of a counter.
const UNITS: usize = BudgetUnit::ALL.len();

/// Numbers of the answer for each counter.
const ANSWER: usize = 4 * UNITS + 1;

/// Takes reports on accounts in, and grants what is asked for in all counters, or in none where one has too little left.
///
/// The arguments are the process, and 1 where a request waits; then for each key three needs, three bounds (-1 for
/// none), three targets, three sums spent, three returned, three of which the store certainly knew, the report's
/// number, the milliseconds that the account is kept, the second in which the counter is forgotten, the time since when
/// the process knows the counter to be there (0 for never), and three sums that all had spent when it last heard. Answers
/// with the position of the key and of the unit that has too little left, or zeros, and for every key three sums granted,
/// three spent by all, three held by others, three that the process may hold, and the time since when the counter is
/// there.
///
/// A process may hold an eighth of what is left, and nothing once that is less than a turn of its requests takes.
///
/// Lua counts in doubles, which are exact up to 2^53: bounds are smaller, and additions are the server's own.
const EXCHANGE: StoreScript = StoreScript {
    text: "local units = {'d', 't', 'r'}
local process, waits = ARGV[1], ARGV[2] == '1'
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local whole = function(number) return string.format('%.0f', number) end
local read = function(value)
  -- 1 to 3 spent, 4 to 6 returned, 7 to 9 granted, 10 the report, 11 the end
  local account = {}
  for word in string.gmatch(value, '%S+') do account[#account + 1] = tonumber(word) end
  return account
end
local lead = function(account, u) return account[6 + u] - account[3 + u] - account[u] end
local counters, key, unit = {}, 0, 0
for i = 1, #KEYS do
  local given = function(n) return tonumber(ARGV[2 + (i - 1) * 25 + n]) end
  local known = redis.call('HMGET', KEYS[i], 'd', 't', 'r', 'x', 'y', 'z', 'l', 's', process)
  local all, others, change = {}, {}, {0, 0, 0}
  local own = known[9] and read(known[9])
  local look, since = tonumber(known[7] or 0), tonumber(known[8] or now)
  for u = 1, 3 do
    all[u], others[u] = tonumber(known[u] or 0), tonumber(known[3 + u] or 0)
    if own then others[u] = others[u] - lead(own, u) end
  end
  if look <= now then
    look, others = now + given(20), {0, 0, 0}
    local fields = redis.call('HGETALL', KEYS[i])
    for f = 1, #fields, 2 do
      local name = fields[f]
      if name ~= process and string.find(name, '^%d') then
        local account = read(fields[f + 1])
        local is_over = account[11] <= now
        if is_over then redis.call('HDEL', KEYS[i], name) else look = math.min(look, account[11]) end
        for u = 1, 3 do
          local held = lead(account, u)
          if is_over then change[u] = change[u] - held else others[u] = others[u] + held end
        end
      end
    end
  end
  if not own then
    own = {}
    for u = 1, 3 do
      own[u], own[3 + u], own[6 + u] = given(15 + u), given(12 + u), given(15 + u) + given(12 + u)
      -- Another counter than the one that the process knew: that one was lost.
      local missing = given(22 + u) + others[u] - all[u] - change[u]
      if given(22) ~= 0 and given(22) ~= since and missing > 0 then change[u] = change[u] + missing end
    end
    own[10] = 0
  end
  if given(19) > own[10] then
    own[10] = given(19)
    for u = 1, 3 do
      local returned = given(12 + u) - own[3 + u]
      local back = math.max(0, math.min(returned, own[6 + u] - own[3 + u] - own[u]))
      change[u] = change[u] - back
      own[3 + u], own[6 + u] = own[3 + u] + returned, own[6 + u] + returned - back
      own[u] = given(9 + u)
      local owed = own[u] + own[3 + u] - own[6 + u]
      if owed > 0 then own[6 + u], change[u] = own[6 + u] + owed, change[u] + owed end
    end
  end
  for u = 1, 3 do
    local used, bound = all[u] + change[u], given(3 + u)
    if waits and key == 0 and bound >= 0 and (used >= bound or used + given(u) > bound) then key, unit = i, u end
  end
  counters[i] = {own = own, all = all, others = others, change = change, look = look, since = since}
end
local answer = {key, unit}
for i = 1, #KEYS do
  local given = function(n) return tonumber(ARGV[2 + (i - 1) * 25 + n]) end
  local c, most, is_far = counters[i], {0, 0, 0}, true
  local grants = waits and key == 0
  for u = 1, 3 do
    local target = given(6 + u)
    if target > 0 then
      local need = grants and given(u) or 0
      most[u] = math.min(target, math.floor((given(3 + u) - c.all[u] - c.change[u] - need) / 8))
      is_far = is_far and most[u] * 4 >= target
    end
  end
  for u = 1, 3 do
    if not is_far then most[u] = 0 end
    local own, grant = c.own, 0
    if grants then grant = given(u) end
    if key == 0 then grant = grant + math.max(0, most[u] - lead(own, u)) end
    own[6 + u], c.change[u] = own[6 + u] + grant, c.change[u] + grant
    if c.change[u] ~= 0 then redis.call('HINCRBY', KEYS[i], units[u], whole(c.change[u])) end
    c.all[u] = c.all[u] + c.change[u]
    local held = lead(own, u) + c.others[u]
    c.others[u] = held
    local first = 2 + (i - 1) * 13
    answer[first + u], answer[first + 3 + u] = own[6 + u], c.all[u] - held
    answer[first + 6 + u], answer[first + 9 + u] = held - lead(own, u), most[u]
  end
  answer[2 + i * 13] = c.since
  c.own[11] = now + given(20)
  local words = {}
  for n = 1, 11 do words[n] = whole(c.own[n]) end
  local held, look = c.others, math.min(c.look, c.own[11])
  redis.call('HSET', KEYS[i], process, table.concat(words, ' '), 'x', whole(held[1]), 'y', whole(held[2]), 'z', whole(held[3]),
    'l', whole(look), 's', whole(c.since))
  redis.call('EXPIREAT', KEYS[i], whole(given(21)))
end
return answer",
};

/// The reason why the store is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ExchangePurpose {
    /// A request waits for what it needs.
    Reserve = 1,
    /// A turn of the exchange has come.
    Report = 0,
}

/// The store's answer to the reports of several counters.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ExchangeAnswer {
    /// The position of the report whose counter has too little left, and the unit.
    pub(super) refused: Option<(usize, BudgetUnit)>,
    pub(super) accounts: Vec<LeaseAnswer>,
}

/// Reports on the accounts of several counters, and asks for what they need: for all of it, or none.
///
/// # Errors
/// When the store does not answer in time; it may have taken the reports in or not.
pub(super) async fn exchange(
    store: &SharedStore,
    process: i64,
    purpose: ExchangePurpose,
    reports: &[(Arc<PeriodCounter>, LeaseReport)],
) -> Result<ExchangeAnswer, StoreUnavailable> {
    let keys: Vec<&str> = reports.iter().map(|(counter, _)| &*counter.key).collect();
    let mut arguments = vec![process, purpose as i64];
    for (counter, report) in reports {
        arguments.extend(report.need.0);
        arguments.extend(report.bounds.0.map(|bound| bound.unwrap_or(-1)));
        for amounts in [report.target, report.spent, report.returned, report.told] {
            arguments.extend(amounts.0);
        }
        let whole = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        let kept = u64::try_from(report.kept().as_millis()).unwrap_or(u64::MAX);
        arguments.extend([whole(report.number), whole(kept), whole(counter.span.end + KEPT_AFTER), report.since]);
        arguments.extend(report.heard.0);
    }
    let answer = store.run(&EXCHANGE, &keys, arguments).await?;
    ExchangeAnswer::read(&answer, keys.len()).ok_or(StoreUnavailable)
}

impl ExchangeAnswer {
    fn read(answer: &[i64], counters: usize) -> Option<Self> {
        let (&[key, unit], accounts) = answer.split_first_chunk()?;
        if accounts.len() != counters * ANSWER {
            return None;
        }
        let refused = match (usize::try_from(key).ok()?, usize::try_from(unit).ok()?) {
            (0, _) => None,
            (key, unit) if key <= counters => Some((key - 1, *BudgetUnit::ALL.get(unit.checked_sub(1)?)?)),
            _ => return None,
        };
        let amounts =
            |account: &[i64], of: usize| BudgetAmounts(std::array::from_fn(|unit| account[of * UNITS + unit]));
        let account = |account: &[i64]| {
            let [granted, used, others, most] = [0, 1, 2, 3].map(|of| amounts(account, of));
            LeaseAnswer { granted, used, others, most, since: account[ANSWER - 1] }
        };
        Some(Self { refused, accounts: accounts.chunks_exact(ANSWER).map(account).collect() })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Returns the commands that a script gives.
    fn commands(text: &str) -> BTreeSet<&str> {
        text.split("redis.call('").skip(1).filter_map(|rest| rest.split('\'').next()).collect()
    }

    #[test]
    fn the_documents_list_every_command_of_the_script_and_the_doctor_tries_it() {
        let used = commands(EXCHANGE.text);
        let page = include_str!("../../docs/store.md");
        let listed = page.lines().find(|line| line.starts_with("| all |")).expect("the commands of all layouts");

        assert!(used.len() > 5, "{used:?}");
        for command in &used {
            assert!(listed.contains(&format!("`{command}`")), "{command} is not in: {listed}");
        }
        #[cfg(feature = "redis")]
        assert_eq!(commands(crate::store::TRIAL.text), used);
    }

    #[test]
    fn an_answer_of_another_shape_is_none() {
        let numbers: Vec<i64> = [1, 3].into_iter().chain(1..=13).collect();
        let refused = ExchangeAnswer::read(&numbers, 1).expect("an answer");

        assert_eq!(refused.refused, Some((0, BudgetUnit::Requests)));
        let [granted, used, others, most] = [[1, 2, 3], [4, 5, 6], [7, 8, 9], [10, 11, 12]].map(BudgetAmounts);
        assert_eq!(refused.accounts, [LeaseAnswer { granted, used, others, most, since: 13 }]);
        let of = |first: i64, second: i64, length: usize| [vec![first, second], vec![0; length]].concat();
        for bad in [vec![], of(0, 0, 0), of(0, 0, 12), of(1, 9, 13), of(2, 1, 13), of(1, 0, 13), of(-1, 0, 13)] {
            assert_eq!(ExchangeAnswer::read(&bad, 1), None, "{bad:?}");
        }
    }
}
