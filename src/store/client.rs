//! The store over Redis or Valkey.
//!
//! One thread of its own speaks to the servers; callers hand it commands over a bounded queue and wait no longer than
//! the configured timeout. A server that is slow or gone fails no request: every answer may be [`StoreUnavailable`], at
//! once while the server is known to be away.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use pointsman_core::config;
use pointsman_core::config::StoreAccess;
use pointsman_http_client::CertificateAuthorities;
use pointsman_telemetry::metrics::StoreMetrics;
use tokio::sync::{mpsc, oneshot};

use super::command::{CopyChoice, StoreCommand, StoreOperation};
use super::health::StoreHealth;
use super::servers::StoreServers;
use super::{StoreError, StoreScript, StoreUnavailable, worker};

/// Commands that may wait for the thread; one more is refused at once.
const QUEUE: usize = 1024;

/// A store that replicas share. Cheap to clone; its thread ends with the last clone.
#[derive(Debug, Clone)]
pub(crate) struct SharedStore {
    commands: mpsc::Sender<StoreCommand>,
    state: Arc<StoreHealth>,
    timeout: Duration,
    prefix: Arc<str>,
    number: u64,
}

/// Stores that this process has made.
static MADE: AtomicU64 = AtomicU64::new(0);

impl SharedStore {
    /// Makes the store at the servers that `access` names. It connects when it is first used; until a connection stands
    /// it is unavailable. `authorities` are those to trust instead of the system's.
    ///
    /// # Errors
    /// When a URL is none, or the thread does not start. Never repeats a URL, which may hold a password.
    pub(crate) fn start(
        access: impl Into<StoreAccess>,
        authorities: Option<CertificateAuthorities>,
        section: &config::RedisConfig,
        metrics: StoreMetrics,
    ) -> Result<Self, StoreError> {
        let servers = StoreServers::of(&access.into(), authorities)?;
        let (commands, queue) = mpsc::channel(QUEUE);
        let state = Arc::new(StoreHealth::new(metrics));
        let timeout = section.timeout.0;
        worker::start(servers, queue, Arc::clone(&state), timeout)?;
        let number = MADE.fetch_add(1, Ordering::Relaxed) + 1;
        Ok(Self { commands, state, timeout, prefix: section.prefix.as_str().into(), number })
    }

    /// Returns the value of `key`; `None` when there is none.
    ///
    /// # Errors
    /// When the server does not answer within the timeout.
    pub(crate) async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StoreUnavailable> {
        self.copy_of(key, CopyChoice::Master).await
    }

    /// Returns the value of `key` by a server of the own zone where one has a copy. The copy may be older than what
    /// [`Self::get`] returns, or not there yet: never write by it.
    ///
    /// # Errors
    /// When the server does not answer within the timeout.
    pub(crate) async fn get_near(&self, key: &str) -> Result<Option<Vec<u8>>, StoreUnavailable> {
        self.copy_of(key, CopyChoice::Near).await
    }

    async fn copy_of(&self, key: &str, copy: CopyChoice) -> Result<Option<Vec<u8>>, StoreUnavailable> {
        let (answer, answered) = oneshot::channel();
        self.ask(StoreCommand::Get { key: self.key(key), copy, answer }, answered, StoreOperation::Get).await
    }

    /// Sets `key` for so long. Does not wait: what fails is counted, and the next write says the same anew.
    pub(crate) fn put(&self, key: &str, value: Vec<u8>, keep: Duration) {
        self.wake();
        let command = StoreCommand::Put { key: self.key(key), value, keep };
        if self.state.trouble().is_some() || self.commands.try_send(command).is_err() {
            self.state.failed(StoreOperation::Put);
        }
    }

    /// Sets `key` for so long if its value is still `before`; returns whether it was.
    ///
    /// # Errors
    /// When the server does not answer within the timeout; it may have done so or not.
    pub(crate) async fn replace(
        &self,
        key: &str,
        before: Option<Vec<u8>>,
        value: Vec<u8>,
        keep: Duration,
    ) -> Result<bool, StoreUnavailable> {
        let (answer, answered) = oneshot::channel();
        let command = StoreCommand::Replace { key: self.key(key), before, value, keep, answer };
        self.ask(command, answered, StoreOperation::Replace).await
    }

    /// Runs a script on these keys, and returns the numbers that it answers with. A cluster runs it where the first key
    /// is: keys of one script have a part in braces in common, such as `{budget}`, which puts them into one slot.
    ///
    /// # Errors
    /// When the server does not answer within the timeout; it may have run it or not.
    pub(crate) async fn run(
        &self,
        script: &'static StoreScript,
        keys: &[impl AsRef<str>],
        arguments: Vec<i64>,
    ) -> Result<Vec<i64>, StoreUnavailable> {
        let (answer, answered) = oneshot::channel();
        let keys = keys.iter().map(|key| self.key(key.as_ref())).collect();
        self.ask(StoreCommand::Run { script, keys, arguments, answer }, answered, StoreOperation::Run).await
    }

    /// Returns the number that tells the store from others of this process; never 0.
    #[must_use]
    pub(crate) const fn number(&self) -> u64 {
        self.number
    }

    /// Returns what is wrong with the store as a whole, if anything is.
    #[must_use]
    pub(crate) fn trouble(&self) -> Option<Arc<str>> {
        self.state.trouble()
    }

    /// Returns which part of the store does not answer while the others do.
    #[must_use]
    pub(crate) fn shortfall(&self) -> Option<Arc<str>> {
        self.state.shortfall()
    }

    /// Asks the server for a sign of life, so that [`Self::trouble`] is true of it. Does not wait.
    pub(crate) fn look(&self) {
        self.wake();
        let _ = self.commands.try_send(StoreCommand::Look); // a full queue is a look of its own
    }

    fn wake(&self) {
        if self.state.is_first_use() {
            let _ = self.commands.try_send(StoreCommand::Look); // nothing else is in the queue
        }
    }

    async fn ask<T>(
        &self,
        command: StoreCommand,
        answered: oneshot::Receiver<T>,
        what: StoreOperation,
    ) -> Result<T, StoreUnavailable> {
        self.wake();
        let asked = self.state.trouble().is_none() && self.commands.try_send(command).is_ok();
        let answer = async { tokio::time::timeout(self.timeout, answered).await.ok()?.ok() };
        let answer = if asked { answer.await } else { None };
        answer.ok_or_else(|| {
            self.state.failed(what);
            StoreUnavailable
        })
    }

    fn key(&self, key: &str) -> String {
        format!("{}:{key}", self.prefix)
    }
}
