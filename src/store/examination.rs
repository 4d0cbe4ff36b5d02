//! A trial of the store: every kind of command that a process gives it, on keys of its own that are gone a second later.

use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::client::SharedStore;
use super::{StoreScript, StoreUnavailable};

/// The key of the trial. That of the script is in the slot of the budgets.
const KEY: &str = "trial";
const SCRIPT_KEY: &str = "{budget}:trial";

/// The time that the keys are kept.
const KEPT: Duration = Duration::from_secs(1);

/// The pause between two looks whether the store answers.
const PAUSE: Duration = Duration::from_millis(20);

/// Gives every command that the budgets' script gives.
pub(crate) const TRIAL: StoreScript = StoreScript {
    text: "local time = redis.call('TIME')
redis.call('HSET', KEYS[1], 'd', 0, 's', time[1])
redis.call('EXPIREAT', KEYS[1], string.format('%.0f', time[1] + 1))
redis.call('HINCRBY', KEYS[1], 'd', 1)
redis.call('HMGET', KEYS[1], 'd', 's')
redis.call('HGETALL', KEYS[1])
redis.call('HDEL', KEYS[1], 's')
return {1}",
};

impl SharedStore {
    /// Tries what a process asks of the store: whether it lets us in, answers in time, and does all that it is asked. The
    /// store has `patience` to answer at all.
    ///
    /// # Errors
    /// Says why the store is of no use, or of less use, in its own words.
    pub(crate) async fn examine(&self, patience: Duration) -> Result<(), String> {
        self.look();
        let answers = async {
            while self.trouble().is_some() {
                sleep(PAUSE).await;
            }
        };
        let is_late = timeout(patience, answers).await.is_err();
        if let Some(trouble) = self.trouble().filter(|_| is_late) {
            return Err(trouble.to_string());
        }
        self.put(KEY, b"0".to_vec(), KEPT);
        let replaced = self.replace(KEY, Some(b"0".to_vec()), b"1".to_vec(), KEPT).await.map(drop);
        let tried =
            [self.get(KEY).await.map(drop), replaced, self.run(&TRIAL, &[SCRIPT_KEY], Vec::new()).await.map(drop)];
        let said = self.trouble().or_else(|| self.shortfall());
        let silent = || tried.contains(&Err(StoreUnavailable)).then(|| StoreUnavailable.to_string());
        said.map(|said| said.to_string()).or_else(silent).map_or(Ok(()), Err)
    }
}
