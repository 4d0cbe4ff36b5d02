//! A connection to one server, from its first sign of life until it breaks.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use pointsman_http_client::ServerTrust;
use redis::aio::MultiplexedConnection;
use redis::cluster_routing::Slot;
use redis::{
    AsyncConnectionConfig, Cmd, ConnectionAddr, ConnectionInfo, ErrorKind, RedisError, RedisResult, ServerErrorKind,
    Value,
};
use tokio::sync::Notify;
use tokio::task::{AbortHandle, spawn_local};
use tokio::time::timeout;

use super::command::UNHURRIED;
use super::link::{AnswerBudget, BoundedStream};

/// The time that a connection may take to be made; nobody waits for it.
const CONNECT: Duration = Duration::from_secs(1);

/// Commands in a row that may fail before the connection is given up.
const FAILURES: u32 = 3;

/// The trouble with a server that answers too late.
pub(super) const SLOW: &str = "too slow";

/// A server, and by whose word it is trusted.
#[derive(Clone)]
pub(super) struct StoreServer {
    pub(super) server: ConnectionInfo,
    pub(super) trust: ServerTrust,
}

/// The part that a server must have to be of use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum ServerDuty {
    /// None that it could be asked for.
    Any,
    /// The master: of servers that take writes there is one.
    Master,
    /// A copy of a cluster's master, which answers reads from what it has.
    Copy,
}

/// A connection that answers in time; its task ends with it.
struct OpenedConnection {
    connection: MultiplexedConnection,
    budget: Arc<AnswerBudget>,
    driver: AbortHandle,
}

/// A connection and how it fares.
pub(super) struct StoreConnection {
    opened: OpenedConnection,
    failures: Cell<u32>,
    /// The reason why the connection is no good.
    fault: RefCell<Option<String>>,
    broken: Notify,
}

/// The reason why a command has no answer.
pub(super) enum QueryFailure {
    /// Another server has the slot.
    Moved { slot: Slot, address: String },
    /// Another server has this key of a slot that is on its way, and no other command is to go there yet.
    Ask { address: String },
    /// Keys of a script are on their way.
    Again,
    /// The server takes no writes, or says that its cluster is down.
    Unfit,
    /// The server does not do it, in its words: the user may not, or memory is used up. The connection is sound.
    Refused(String),
    /// No answer in time, or one that is of no use.
    Missed,
}

/// A command's surroundings on its way to a server.
pub(super) struct QueryTerms {
    pub(super) patience: Duration,
    /// Answers of the usual size that the answer may be as long as.
    pub(super) size: usize,
    /// True for a key of a slot that is on its way to the server.
    pub(super) is_asking: bool,
}

impl QueryTerms {
    pub(super) const fn within(patience: Duration) -> Self {
        Self { patience, size: 1, is_asking: false }
    }
}

impl StoreServer {
    /// Returns the server with the same terms at another address.
    pub(super) fn at(&self, host: &str, port: u16) -> Self {
        let address = match self.server.addr() {
            ConnectionAddr::TcpTls { insecure, tls_params, .. } => ConnectionAddr::TcpTls {
                host: host.to_owned(),
                port,
                insecure: *insecure,
                tls_params: tls_params.clone(),
            },
            _ => ConnectionAddr::Tcp(host.to_owned(), port),
        };
        Self { server: self.server.clone().set_addr(address), trust: self.trust.clone() }
    }

    /// Returns the server's host and port; `None` for a socket in the file system.
    pub(super) fn place(&self) -> Option<(&str, u16)> {
        match self.server.addr() {
            ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. } => Some((host, *port)),
            _ => None,
        }
    }

    /// Connects and asks for two signs of life: a server that hangs still accepts connections, and one that is slower
    /// than callers wait is of no use to them.
    ///
    /// # Errors
    /// Says why the server is of no use.
    pub(super) async fn connect(&self, patience: Duration, duty: ServerDuty) -> Result<Rc<StoreConnection>, String> {
        let opened = timeout(CONNECT, self.open()).await.map_err(|_| SLOW.to_owned())?;
        let opened = opened.map_err(|error| error.to_string())?;
        let mut connection = opened.connection.clone();
        redis::cmd("PING").query_async::<()>(&mut connection).await.map_err(|error| error.to_string())?;
        match timeout(patience, redis::cmd("PING").query_async::<()>(&mut connection)).await {
            Ok(answer) => answer.map_err(|error| error.to_string())?,
            Err(_) => return Err(SLOW.to_owned()),
        }
        match duty {
            ServerDuty::Any => {}
            ServerDuty::Master => insist_on_master(&mut connection).await?,
            ServerDuty::Copy => {
                let asked = redis::cmd("READONLY").query_async::<()>(&mut connection).await;
                asked.map_err(|error| error.to_string())?;
            }
        }
        opened.budget.expect(1);
        opened.budget.answered(1);
        let (failures, fault, broken) = Default::default();
        Ok(Rc::new(StoreConnection { opened, failures, fault, broken }))
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

/// Refuses a server that says of itself that it is a copy. One that does not say, such as a proxy, may be the master.
async fn insist_on_master(connection: &mut MultiplexedConnection) -> Result<(), String> {
    match redis::cmd("ROLE").query_async::<Vec<Value>>(connection).await {
        Ok(words) => match words.first() {
            Some(Value::BulkString(role)) if role == b"master" => Ok(()),
            _ => Err("is not the master".to_owned()),
        },
        Err(error) if is_said(&error) => Ok(()),
        Err(error) => Err(error.to_string()),
    }
}

/// Returns whether the server itself said the error, so that the connection is sound.
fn is_said(error: &RedisError) -> bool {
    matches!(error.kind(), ErrorKind::Server(_) | ErrorKind::Extension)
}

/// Returns whether the server says that it is about to be of use, or of none.
const fn is_passing(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::Server(ServerErrorKind::BusyLoading | ServerErrorKind::MasterDown))
}

impl Drop for OpenedConnection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl StoreConnection {
    /// Runs one command; what breaks, or fails thrice in a row, makes the connection no good.
    ///
    /// # Errors
    /// Says where the answer is to be had instead, if anywhere.
    pub(super) async fn query(&self, words: &Cmd, terms: &QueryTerms) -> Result<Value, QueryFailure> {
        let size = terms.size + usize::from(terms.is_asking);
        self.opened.budget.expect(size);
        let answered = timeout(terms.patience, self.send(words, terms.is_asking)).await;
        if answered.as_ref().is_ok_and(|answer| answer.as_ref().err().is_none_or(is_said)) {
            self.opened.budget.answered(size);
        } else {
            self.opened.budget.give_up(size);
        }
        match answered {
            Ok(Ok(value)) => {
                self.failures.set(0);
                Ok(value)
            }
            Ok(Err(error)) => Err(self.failure(&error)),
            Err(_) => {
                self.fail(SLOW);
                Err(QueryFailure::Missed)
            }
        }
    }

    async fn send(&self, words: &Cmd, is_asking: bool) -> RedisResult<Value> {
        let mut connection = self.opened.connection.clone();
        if !is_asking {
            return words.query_async(&mut connection).await;
        }
        let mut both = redis::pipe();
        both.cmd("ASKING").ignore().add_command(words.clone());
        let (answer,) = both.query_async(&mut connection).await?;
        Ok(answer)
    }

    /// Returns what an error means for the command, having noted what it means for the connection.
    fn failure(&self, error: &RedisError) -> QueryFailure {
        let address = |(address, slot): (&str, u16)| (Slot::new(slot), address.to_owned());
        match error.kind() {
            ErrorKind::Server(ServerErrorKind::Moved) => match error.redirect_node().map(address) {
                Some((Some(slot), address)) => QueryFailure::Moved { slot, address },
                _ => QueryFailure::Unfit,
            },
            ErrorKind::Server(ServerErrorKind::Ask) => match error.redirect_node().map(address) {
                Some((_, address)) => QueryFailure::Ask { address },
                None => QueryFailure::Unfit,
            },
            ErrorKind::Server(ServerErrorKind::TryAgain) => QueryFailure::Again,
            ErrorKind::Server(ServerErrorKind::ClusterDown) => QueryFailure::Unfit,
            // It was the master once.
            ErrorKind::Server(ServerErrorKind::ReadOnly) => {
                self.leave(&error.to_string());
                QueryFailure::Unfit
            }
            _ if error.is_unrecoverable_error() || error.is_io_error() => {
                self.leave(&error.to_string());
                QueryFailure::Missed
            }
            kind if is_said(error) && !is_passing(kind) => {
                self.failures.set(0);
                QueryFailure::Refused(error.to_string())
            }
            _ => {
                self.fail(&error.to_string());
                QueryFailure::Missed
            }
        }
    }

    /// Notes that a command has failed.
    pub(super) fn fail(&self, why: &str) {
        self.failures.set(self.failures.get() + 1);
        if self.failures.get() >= FAILURES {
            self.leave(why);
        }
    }

    fn leave(&self, why: &str) {
        let mut fault = self.fault.borrow_mut();
        if fault.is_none() {
            *fault = Some(why.to_owned());
            self.broken.notify_one();
        }
    }

    /// Waits until the connection is no good, and returns why. For one waiter.
    pub(super) async fn until_broken(&self) -> String {
        loop {
            if let Some(fault) = &*self.fault.borrow() {
                return fault.clone();
            }
            self.broken.notified().await;
        }
    }
}
