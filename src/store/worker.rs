//! The thread that speaks to the server: connects, pipelines commands, gives up on a server that fails or hangs, tries
//! anew.

use std::cell::Cell;
use std::io;
use std::ops::ControlFlow;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use pointsman_core::config::without_secrets;
use pointsman_http_client::ServerTrust;
use pointsman_telemetry::metrics::StoreMetrics;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Cmd, ConnectionInfo, FromRedisValue, RedisResult};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::{AbortHandle, LocalSet, spawn_local};
use tokio::time::{Instant, sleep_until, timeout};

use super::StoreScript;
use super::link::{AnswerBudget, BoundedStream};

/// The time that a connection may take to be made; nobody waits for it.
const CONNECT: Duration = Duration::from_secs(1);

/// The time that a command may take that nobody waits for.
const UNHURRIED: Duration = Duration::from_millis(250);

/// Between two attempts to connect: at first, and at most. A connection that held for the longest of them is followed by
/// the first again.
const PAUSE: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(2)];

/// Commands in a row that may fail before the connection is given up.
const FAILURES: u32 = 3;

/// The trouble with a server that answers too late.
const SLOW: &str = "too slow";

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

/// The kind of a caller's command.
#[derive(Debug, Clone, Copy)]
pub(super) enum StoreOperation {
    Get,
    Put,
    Replace,
    Run,
}

/// The state of the server, as callers see it without asking.
#[derive(Debug)]
pub(super) struct StoreHealth {
    trouble: ArcSwapOption<Box<str>>,
    is_used: AtomicBool,
    /// True once the log says that the server is away.
    is_away: AtomicBool,
    metrics: StoreMetrics,
}

/// The server, and by whose word it is trusted.
pub(super) struct StoreServer {
    pub(super) server: ConnectionInfo,
    pub(super) trust: ServerTrust,
}

/// A connection that answers in time; its task ends with it.
struct OpenedConnection {
    connection: MultiplexedConnection,
    budget: Arc<AnswerBudget>,
    driver: AbortHandle,
}

/// A connection and how it fares.
struct StoreConnection {
    opened: OpenedConnection,
    state: Arc<StoreHealth>,
    /// The time that callers wait.
    patience: Duration,
    failures: Cell<u32>,
    is_broken: Cell<bool>,
    broken: Notify,
}

impl StoreOperation {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Put => "put",
            Self::Replace => "replace",
            Self::Run => "script",
        }
    }
}

impl StoreHealth {
    pub(super) fn new(metrics: StoreMetrics) -> Self {
        metrics.available(false);
        let trouble = ArcSwapOption::from_pointee(Box::from("not connected yet"));
        Self { trouble, is_used: AtomicBool::new(false), is_away: AtomicBool::new(false), metrics }
    }

    /// Returns what is wrong with the server.
    pub(super) fn trouble(&self) -> Option<Arc<str>> {
        self.trouble.load().as_deref().map(|text| Arc::from(&**text))
    }

    /// Returns whether nobody has used the store before.
    pub(super) fn is_first_use(&self) -> bool {
        !self.is_used.load(Ordering::Relaxed) && !self.is_used.swap(true, Ordering::Relaxed)
    }

    /// Counts what a caller did not get.
    pub(super) fn failed(&self, what: StoreOperation) {
        self.metrics.failed(what.as_str());
    }

    fn up(&self) {
        self.trouble.store(None);
        self.is_away.store(false, Ordering::Relaxed);
        self.metrics.available(true);
        tracing::info!("The store answers");
    }

    fn down(&self, why: &str) {
        // The words are the client library's, which may repeat an address.
        let why = without_secrets(why);
        self.trouble.store(Some(Arc::new((&*why).into())));
        self.metrics.available(false);
        if !self.is_away.swap(true, Ordering::Relaxed) {
            tracing::warn!("The store does not answer, so this process goes by its own memory: {why}");
        }
    }
}

/// Starts the thread. It ends when no caller is left.
pub(super) fn start(
    server: StoreServer,
    queue: mpsc::Receiver<StoreCommand>,
    state: Arc<StoreHealth>,
    patience: Duration,
) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let run = move || LocalSet::new().block_on(&runtime, run(server, queue, state, patience));
    std::thread::Builder::new().name("store".into()).spawn(run).map(drop)
}

async fn run(
    server: StoreServer,
    mut queue: mpsc::Receiver<StoreCommand>,
    state: Arc<StoreHealth>,
    patience: Duration,
) {
    let mut pause = PAUSE[0];
    // A process that only checks a configuration connects to nothing.
    if queue.recv().await.is_none() {
        return;
    }
    loop {
        match server.connect(patience).await {
            Ok(opened) => {
                let (state, connected) = (Arc::clone(&state), Instant::now());
                state.up();
                let (failures, is_broken, broken) = Default::default();
                let link = Rc::new(StoreConnection { opened, state, patience, failures, is_broken, broken });
                if serve(&link, &mut queue).await.is_break() {
                    return;
                }
                if connected.elapsed() >= PAUSE[1] {
                    pause = PAUSE[0];
                }
            }
            Err(why) => state.down(&why),
        }
        if refuse_until(Instant::now() + pause, &mut queue).await.is_break() {
            return;
        }
        pause = (pause * 2).min(PAUSE[1]);
    }
}

impl StoreServer {
    /// Connects and asks for two signs of life: a server that hangs still accepts connections, and one that is slower
    /// than callers wait is of no use to them.
    async fn connect(&self, patience: Duration) -> Result<OpenedConnection, String> {
        let opened = timeout(CONNECT, self.open()).await.map_err(|_| SLOW.to_owned())?;
        let opened = opened.map_err(|error| error.to_string())?;
        let mut connection = opened.connection.clone();
        redis::cmd("PING").query_async::<()>(&mut connection).await.map_err(|error| error.to_string())?;
        match timeout(patience, redis::cmd("PING").query_async::<()>(&mut connection)).await {
            Ok(answer) => answer.map_err(|error| error.to_string())?,
            Err(_) => return Err(SLOW.to_owned()),
        }
        opened.budget.expect();
        opened.budget.answered();
        Ok(opened)
    }

    async fn open(&self) -> RedisResult<OpenedConnection> {
        let budget = Arc::new(AnswerBudget::default());
        let stream = BoundedStream::connect(&self.server, &self.trust, Arc::clone(&budget)).await?;
        let config = AsyncConnectionConfig::new().set_response_timeout(Some(UNHURRIED));
        let (connection, driver) =
            MultiplexedConnection::new_with_config(self.server.redis_settings(), stream, config).await?;
        let driver = spawn_local(driver).abort_handle();
        Ok(OpenedConnection { connection, budget, driver })
    }
}

impl Drop for OpenedConnection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// Does what callers ask for until the connection is no good; breaks when no caller is left.
async fn serve(link: &Rc<StoreConnection>, queue: &mut mpsc::Receiver<StoreCommand>) -> ControlFlow<()> {
    loop {
        tokio::select! {
            () = link.broken.notified() => return ControlFlow::Continue(()),
            command = queue.recv() => match command {
                // Each on its own, so that they share round trips; the queue and their time bound how many there are.
                Some(command) => drop(spawn_local(execute(command, Rc::clone(link)))),
                None => return ControlFlow::Break(()),
            },
        }
    }
}

/// Drops what callers ask for meanwhile, which tells them; breaks when no caller is left.
async fn refuse_until(end: Instant, queue: &mut mpsc::Receiver<StoreCommand>) -> ControlFlow<()> {
    loop {
        tokio::select! {
            () = sleep_until(end) => return ControlFlow::Continue(()),
            command = queue.recv() => if command.is_none() { return ControlFlow::Break(()) },
        }
    }
}

async fn execute(command: StoreCommand, link: Rc<StoreConnection>) {
    match command {
        StoreCommand::Look => drop(link.query::<()>(redis::cmd("PING"), UNHURRIED).await),
        StoreCommand::Get { key, answer } => {
            let get = redis::cmd("GET").arg(key).take();
            if let Some(value) = link.query(get, link.patience).await {
                let _ = answer.send(value); // a caller that left does not need it
            }
        }
        StoreCommand::Put { key, value, keep } => {
            let set = redis::cmd("SET").arg(key).arg(value).arg("PX").arg(milliseconds(keep)).take();
            if link.query::<()>(set, UNHURRIED).await.is_none() {
                link.state.failed(StoreOperation::Put);
            }
        }
        StoreCommand::Replace { key, before, value, keep, answer } => {
            let mut replace = redis::cmd("EVAL");
            replace.arg(REPLACE).arg(1).arg(key).arg(before.unwrap_or_default()).arg(value).arg(milliseconds(keep));
            if let Some(replaced) = link.query(replace, UNHURRIED).await {
                let _ = answer.send(replaced);
            }
        }
        StoreCommand::Run { script, keys, arguments, answer } => {
            let mut run = redis::cmd("EVAL");
            run.arg(script.text).arg(keys.len()).arg(keys).arg(arguments);
            if let Some(numbers) = link.query(run, UNHURRIED).await {
                let _ = answer.send(numbers);
            }
        }
    }
}

impl StoreConnection {
    /// Runs one command; what breaks, or fails thrice in a row, makes the connection no good.
    async fn query<T: FromRedisValue>(&self, command: Cmd, patience: Duration) -> Option<T> {
        let mut connection = self.opened.connection.clone();
        self.opened.budget.expect();
        let answered = timeout(patience, command.query_async(&mut connection)).await;
        if matches!(answered, Ok(Ok(_))) {
            self.opened.budget.answered();
        } else {
            self.opened.budget.give_up();
        }
        let (is_broken, why) = match answered {
            Ok(Ok(value)) => {
                self.failures.set(0);
                return Some(value);
            }
            Ok(Err(error)) => (error.is_unrecoverable_error() || error.is_io_error(), error.to_string()),
            Err(_) => (false, SLOW.to_owned()),
        };
        self.failures.set(self.failures.get() + 1);
        if (is_broken || self.failures.get() >= FAILURES) && !self.is_broken.replace(true) {
            self.state.down(&why);
            self.broken.notify_one();
        }
        None
    }
}

fn milliseconds(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX).max(1)
}
