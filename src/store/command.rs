//! The commands of callers, and their form on the wire.

use std::time::Duration;

use redis::cluster_routing::Slot;
use redis::{Cmd, FromRedisValue, RedisError, Value};
use tokio::sync::oneshot;

use super::StoreScript;
use super::health::StoreHealth;

/// The time that a command may take that nobody waits for.
pub(super) const UNHURRIED: Duration = Duration::from_millis(250);

/// Sets a key if its value is the one that is expected, an empty one standing for none. Atomic, as every script is.
const REPLACE: &str = "if (redis.call('GET', KEYS[1]) or '') ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1";

/// Something to be done for a caller. Keys are whole.
#[derive(Debug)]
pub(super) enum StoreCommand {
    /// For a sign of life.
    Look,
    Get {
        key: String,
        /// The copies of the value that will do.
        copy: CopyChoice,
        answer: oneshot::Sender<Option<Vec<u8>>>,
    },
    Put {
        key: String,
        value: Vec<u8>,
        keep: Duration,
    },
    Replace {
        key: String,
        before: Option<Vec<u8>>,
        value: Vec<u8>,
        keep: Duration,
        answer: oneshot::Sender<bool>,
    },
    Run {
        script: &'static StoreScript,
        keys: Vec<String>,
        arguments: Vec<i64>,
        answer: oneshot::Sender<Vec<i64>>,
    },
}

/// The copies of a value that answer a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CopyChoice {
    /// The master's, which is the latest.
    Master,
    /// A nearer one, which may lag behind.
    Near,
}

/// The kind of a caller's command.
#[derive(Debug, Clone, Copy)]
pub(super) enum StoreOperation {
    Get,
    Put,
    Replace,
    Run,
}

/// A command in the words of the protocol.
pub(super) struct StoreCall {
    pub(super) words: Cmd,
    /// The slot of a cluster that its keys are in; all keys of a script share one.
    pub(super) slot: Option<Slot>,
    pub(super) copy: CopyChoice,
    /// The longest that it may take.
    pub(super) patience: Duration,
    asker: StoreAsker,
}

/// The caller who waits for the answer.
enum StoreAsker {
    Nobody,
    /// Nobody, but a failure counts.
    Writer,
    Value(oneshot::Sender<Option<Vec<u8>>>),
    Verdict(oneshot::Sender<bool>),
    Numbers(oneshot::Sender<Vec<i64>>),
}

impl StoreOperation {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Put => "put",
            Self::Replace => "replace",
            Self::Run => "script",
        }
    }
}

impl StoreCommand {
    /// Returns the command in words. `patience` is the time that callers wait.
    ///
    /// Scripts go as text with every call: a server that has just become the master, or another one of a cluster, knows
    /// none by its hash.
    pub(super) fn into_call(self, patience: Duration) -> StoreCall {
        let of = |words: Cmd, key: Option<&str>, asker| StoreCall {
            words,
            slot: key.map(Slot::for_key),
            copy: CopyChoice::Master,
            patience: UNHURRIED,
            asker,
        };
        match self {
            Self::Look => of(redis::cmd("PING"), None, StoreAsker::Nobody),
            Self::Get { key, copy, answer } => {
                let words = redis::cmd("GET").arg(&key).take();
                StoreCall { copy, patience, ..of(words, Some(&key), StoreAsker::Value(answer)) }
            }
            Self::Put { key, value, keep } => {
                let words = redis::cmd("SET").arg(&key).arg(value).arg("PX").arg(milliseconds(keep)).take();
                of(words, Some(&key), StoreAsker::Writer)
            }
            Self::Replace { key, before, value, keep, answer } => {
                let mut words = redis::cmd("EVAL");
                words.arg(REPLACE).arg(1).arg(&key).arg(before.unwrap_or_default()).arg(value).arg(milliseconds(keep));
                of(words, Some(&key), StoreAsker::Verdict(answer))
            }
            Self::Run { script, keys, arguments, answer } => {
                let mut words = redis::cmd("EVAL");
                words.arg(script.text).arg(keys.len()).arg(&keys).arg(arguments);
                of(words, keys.first().map(String::as_str), StoreAsker::Numbers(answer))
            }
        }
    }
}

impl StoreCall {
    /// Returns the kind of the command, if it is a caller's.
    pub(super) const fn operation(&self) -> Option<StoreOperation> {
        match self.asker {
            StoreAsker::Nobody => None,
            StoreAsker::Writer => Some(StoreOperation::Put),
            StoreAsker::Value(_) => Some(StoreOperation::Get),
            StoreAsker::Verdict(_) => Some(StoreOperation::Replace),
            StoreAsker::Numbers(_) => Some(StoreOperation::Run),
        }
    }

    /// Tells the caller the answer, or by silence that there is none.
    pub(super) fn end(self, answer: Option<Value>, health: &StoreHealth) -> Result<(), RedisError> {
        match (self.asker, answer) {
            (StoreAsker::Writer, None) => health.failed(StoreOperation::Put),
            (_, None) | (StoreAsker::Nobody | StoreAsker::Writer, Some(_)) => {}
            (StoreAsker::Value(asker), Some(answer)) => tell(asker, answer)?,
            (StoreAsker::Verdict(asker), Some(answer)) => tell(asker, answer)?,
            (StoreAsker::Numbers(asker), Some(answer)) => tell(asker, answer)?,
        }
        Ok(())
    }
}

fn tell<T: FromRedisValue>(asker: oneshot::Sender<T>, answer: Value) -> Result<(), RedisError> {
    let _ = asker.send(redis::from_redis_value(answer)?); // a caller that left does not need it
    Ok(())
}

fn milliseconds(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX).max(1)
}
