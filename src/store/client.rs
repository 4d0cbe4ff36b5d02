//! The store over Redis or Valkey.
//!
//! One thread of its own speaks to the server; callers hand it commands over a bounded queue and wait no longer than
//! the configured timeout. A server that is slow or gone fails no request: every answer may be [`StoreUnavailable`], at
//! once while the server is known to be away.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use pointsman_core::config;
use pointsman_http_client::{CertificateAuthorities, ServerTrust};
use pointsman_telemetry::metrics::StoreMetrics;
use redis::ConnectionAddr;
use tokio::sync::{mpsc, oneshot};

use super::worker::{self, StoreCommand, StoreHealth, StoreOperation, StoreServer};
use super::{StoreError, StoreScript, StoreUnavailable};

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
    /// Makes the store at `url`. It connects when it is first used; until the connection stands it is unavailable.
    /// `authorities` are those to trust instead of the system's.
    ///
    /// # Errors
    /// When `url` is none, or the thread does not start. Never repeats the URL, which may hold a password.
    pub(crate) fn start(
        url: &str,
        authorities: Option<CertificateAuthorities>,
        section: &config::RedisConfig,
        metrics: StoreMetrics,
    ) -> Result<Self, StoreError> {
        let server = redis::Client::open(url).map_err(|_| StoreError::Url)?.get_connection_info().clone();
        if authorities.is_some() && !matches!(server.addr(), ConnectionAddr::TcpTls { .. }) {
            return Err(StoreError::Tls);
        }
        let server = StoreServer { server, trust: ServerTrust::in_authorities(authorities) };
        let (commands, queue) = mpsc::channel(QUEUE);
        let state = Arc::new(StoreHealth::new(metrics));
        let timeout = section.timeout.0;
        worker::start(server, queue, Arc::clone(&state), timeout)?;
        let number = MADE.fetch_add(1, Ordering::Relaxed) + 1;
        Ok(Self { commands, state, timeout, prefix: section.prefix.as_str().into(), number })
    }

    /// Returns the value of `key`; `None` when there is none.
    ///
    /// # Errors
    /// When the server does not answer within the timeout.
    pub(crate) async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StoreUnavailable> {
        let (answer, answered) = oneshot::channel();
        self.ask(StoreCommand::Get { key: self.key(key), answer }, answered, StoreOperation::Get).await
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

    /// Runs a script on these keys, and returns the numbers that it answers with.
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

    /// Returns what is wrong with the server, if anything is.
    #[must_use]
    pub(crate) fn trouble(&self) -> Option<Arc<str>> {
        self.state.trouble()
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
