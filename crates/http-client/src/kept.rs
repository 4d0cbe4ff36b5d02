//! Connections that are kept between requests.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::connection::{Connection, SharedConnection};
use crate::destination::Destination;

/// Connections that wait for the next request to their destination. They are few, so they stand in a list. One that is
/// not used for long enough is closed as soon as somebody looks for one.
#[derive(Debug)]
pub(crate) struct KeptConnections {
    max_idle: Duration,
    list: Mutex<Vec<KeptConnection>>,
}

#[derive(Debug)]
struct KeptConnection {
    destination: Destination,
    transport: KeptTransport,
    used: Instant,
}

#[derive(Debug)]
enum KeptTransport {
    /// Nobody uses it.
    Exclusive(Connection),
    /// Others may use it at the same time.
    Shared(SharedConnection),
}

impl KeptConnections {
    pub(crate) const fn new(max_idle: Duration) -> Self {
        Self { max_idle, list: Mutex::new(Vec::new()) }
    }

    /// Returns a connection to `destination`, the one that was used last.
    pub(crate) fn take(&self, destination: &Destination) -> Option<Connection> {
        let mut list = self.lock();
        list.retain(|kept| kept.used.elapsed() < self.max_idle && !kept.transport.is_closed());
        for index in (0..list.len()).rev() {
            if list[index].destination != *destination {
                continue;
            }
            if let KeptTransport::Shared(shared) = &list[index].transport {
                let Some(connection) = shared.stream() else { continue };
                list[index].used = Instant::now();
                return Some(connection);
            }
            if let KeptTransport::Exclusive(connection) = list.remove(index).transport {
                return Some(connection);
            }
        }
        None
    }

    /// Shares a new HTTP/2 connection from now on.
    pub(crate) fn share(&self, destination: &Destination, connection: &Connection) {
        if let Connection::Http2(shared, _) = connection {
            self.keep(destination, KeptTransport::Shared(shared.clone()));
        }
    }

    /// Keeps a connection whose answer was read to its end.
    pub(crate) fn give_back(&self, destination: &Destination, connection: Connection) {
        if let Connection::Http1(_) = &connection
            && !connection.is_closed()
        {
            self.keep(destination, KeptTransport::Exclusive(connection));
        }
    }

    fn keep(&self, destination: &Destination, transport: KeptTransport) {
        let kept = KeptConnection { destination: destination.clone(), transport, used: Instant::now() };
        self.lock().push(kept);
    }

    fn lock(&self) -> MutexGuard<'_, Vec<KeptConnection>> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl KeptTransport {
    fn is_closed(&self) -> bool {
        match self {
            Self::Exclusive(connection) => connection.is_closed(),
            Self::Shared(shared) => shared.is_closed(),
        }
    }
}
