//! The one server that takes writes, among several addresses: found, and followed where it goes.

use std::rc::Rc;
use std::time::Duration;

use redis::Value;
use tokio::time::sleep;

use super::connection::{QueryFailure, QueryTerms, ServerDuty, StoreConnection, StoreServer};

/// The pause between two looks whether a server that comes earlier in the list is back.
const LOOK_BACK: Duration = Duration::from_secs(10);

/// The pause between two questions to a sentinel.
const LOOK_ROUND: Duration = Duration::from_secs(1);

/// The time that a sentinel may take for an answer.
const SENTINEL: Duration = Duration::from_millis(500);

/// The way to the master.
pub(super) enum MasterFinder {
    /// It is at one of these addresses; the earlier ones are the better ones.
    Addresses(Vec<StoreServer>),
    /// Sentinels know its address.
    Sentinels(Box<SentinelTalk>),
}

/// Sentinels, and the master that they watch.
pub(super) struct SentinelGroup {
    /// The sentinels; the earlier ones are the better ones.
    pub(super) sentinels: Vec<StoreServer>,
    /// The master's name.
    pub(super) master: String,
    /// The terms on which the master is spoken to.
    pub(super) server: StoreServer,
}

/// Sentinels, and the one that is spoken to.
pub(super) struct SentinelTalk {
    group: Box<SentinelGroup>,
    /// The sentinel that is spoken to, by its position.
    current: Option<(usize, Rc<StoreConnection>)>,
}

/// The place at which the master was found.
pub(super) enum MasterPlace {
    /// The position in the list of addresses.
    Position(usize),
    /// The host and port that a sentinel named.
    Named(String, u16),
}

impl MasterFinder {
    /// Connects to the master.
    ///
    /// # Errors
    /// Says why the last server that was tried is of no use.
    pub(super) async fn connect(&mut self, patience: Duration) -> Result<(Rc<StoreConnection>, MasterPlace), String> {
        match self {
            Self::Addresses(servers) => {
                let duty = if servers.len() > 1 { ServerDuty::Master } else { ServerDuty::Any };
                first_of(servers, patience, duty).await
            }
            Self::Sentinels(group) => group.connect(patience).await,
        }
    }

    /// Waits until another server than the one at `place` is to be spoken to, and returns why.
    pub(super) async fn until_elsewhere(&mut self, place: &MasterPlace, patience: Duration) -> &'static str {
        match (self, place) {
            (Self::Addresses(servers), MasterPlace::Position(position)) if *position > 0 => loop {
                sleep(LOOK_BACK).await;
                if first_of(&servers[..*position], patience, ServerDuty::Master).await.is_ok() {
                    return "a nearer server is back";
                }
            },
            (Self::Sentinels(group), MasterPlace::Named(host, port)) => loop {
                sleep(LOOK_ROUND).await;
                if group.named().await.is_some_and(|named| named != (host.clone(), *port)) {
                    return "another server is the master";
                }
            },
            _ => std::future::pending().await,
        }
    }
}

async fn first_of(
    servers: &[StoreServer],
    patience: Duration,
    duty: ServerDuty,
) -> Result<(Rc<StoreConnection>, MasterPlace), String> {
    let mut why = String::new();
    for (position, server) in servers.iter().enumerate() {
        match server.connect(patience, duty).await {
            Ok(connection) => return Ok((connection, MasterPlace::Position(position))),
            Err(trouble) => why = trouble,
        }
    }
    Err(why)
}

impl From<Box<SentinelGroup>> for SentinelTalk {
    fn from(group: Box<SentinelGroup>) -> Self {
        Self { group, current: None }
    }
}

impl SentinelTalk {
    async fn connect(&mut self, patience: Duration) -> Result<(Rc<StoreConnection>, MasterPlace), String> {
        let (mut why, mut tried) = (String::new(), Vec::new());
        for position in 0..self.group.sentinels.len() {
            let named = match self.asked(position).await {
                Ok(named) => named,
                Err(trouble) => {
                    why = format!("a sentinel: {trouble}");
                    continue;
                }
            };
            // Sentinels that have not heard of a failover yet name a server that has stopped, or is a copy now.
            if tried.contains(&named) {
                continue;
            }
            match self.group.server.at(&named.0, named.1).connect(patience, ServerDuty::Master).await {
                Ok(connection) => return Ok((connection, MasterPlace::Named(named.0, named.1))),
                Err(trouble) => why = format!("the master that a sentinel names: {trouble}"),
            }
            tried.push(named);
        }
        Err(why)
    }

    /// Returns the master's address by the first sentinel that knows one, beginning with the one spoken to.
    async fn named(&mut self) -> Option<(String, u16)> {
        let first = self.current.as_ref().map_or(0, |(position, _)| *position);
        for step in 0..self.group.sentinels.len() {
            if let Ok(named) = self.asked((first + step) % self.group.sentinels.len()).await {
                return Some(named);
            }
        }
        None
    }

    /// Asks a sentinel for the master's address.
    async fn asked(&mut self, position: usize) -> Result<(String, u16), String> {
        let kept = self.current.take().filter(|(current, _)| *current == position);
        let connection = match kept {
            Some((_, connection)) => connection,
            None => self.group.sentinels[position].connect(SENTINEL, ServerDuty::Any).await?,
        };
        let mut words = redis::cmd("SENTINEL");
        words.arg("GET-MASTER-ADDR-BY-NAME").arg(&self.group.master);
        let answer = connection.query(&words, &QueryTerms::within(SENTINEL)).await;
        let answer = answer.map_err(|failure| match failure {
            QueryFailure::Refused(why) => why,
            _ => "has no answer".to_owned(),
        })?;
        self.current = Some((position, connection));
        if answer == Value::Nil {
            return Err(format!("knows no master `{}`", self.group.master));
        }
        redis::from_redis_value(answer).map_err(|_| "names no address".to_owned())
    }
}
