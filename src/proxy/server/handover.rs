//! The hand-over of listening sockets to the next process: the proxy's own, and beside them those of other listeners.
//!
//! Pingora's table names each socket by a word. The proxy's are named by their addresses, as Pingora looks for them; those
//! of others by their section, too: [`OtherSocket::name`]. A process that does not know a name closes the socket, and binds
//! the address once the former process has let go of it.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::Path;

use pingora::server::Fds;

use super::TakeOverError;
use super::backlog::duplicate;

/// The listening socket of another listener than the proxy's.
#[derive(Debug)]
pub(crate) struct OtherSocket {
    name: String,
    socket: OwnedFd,
}

/// The sockets of other listeners that a former process has handed over.
#[derive(Debug, Default)]
pub(crate) struct OtherSockets(BTreeMap<String, OwnedFd>);

impl OtherSocket {
    /// Names the socket by its section of the configuration and its place; `None` where that is no word.
    pub(crate) fn new(section: &str, place: impl Display, socket: OwnedFd) -> Option<Self> {
        Some(Self { name: Self::name(section, place)?, socket })
    }

    /// Returns the name of a listener's socket; `None` where it is no word: Pingora sets names apart by blanks.
    pub(crate) fn name(section: &str, place: impl Display) -> Option<String> {
        let name = format!("{section}@{place}");
        (!name.contains(char::is_whitespace)).then_some(name)
    }
}

impl OtherSockets {
    /// Takes those of `names` out of a table that has come. The table's own descriptors stay in it.
    pub(super) fn of(table: &Fds, names: &[String]) -> Self {
        let socket = |name: &String| Some((name.clone(), duplicate(*table.get(name)?)?));
        Self(names.iter().filter_map(socket).collect())
    }

    /// Returns whether a socket of that name has come.
    pub(super) fn contain(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// Takes the socket of a name, if it has come.
    pub(crate) fn take(&mut self, name: Option<&str>) -> Option<OwnedFd> {
        self.0.remove(name?)
    }
}

/// Sends the sockets of `own` and `others` to the process that waits at `socket`. Blocks.
pub(super) fn send(own: &Fds, others: &[OtherSocket], socket: &Path) -> Result<(), TakeOverError> {
    let (names, descriptors) = own.serialize();
    let mut table = Fds::new();
    table.deserialize(names, descriptors);
    for other in others {
        table.add(other.name.clone(), other.socket.as_raw_fd());
    }
    let sent = table.send_to_sock(&*socket.to_string_lossy());
    sent.map(drop).map_err(|error| TakeOverError { socket: socket.to_owned(), message: error.to_string() })
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::os::fd::IntoRawFd as _;

    use super::*;

    #[test]
    fn a_socket_is_known_by_its_section_and_place_and_one_without_a_word_for_a_name_stays() {
        assert_eq!(OtherSocket::name("grpc", "127.0.0.1:1").as_deref(), Some("grpc@127.0.0.1:1"));
        assert_eq!(OtherSocket::name("ext_proc", "unix:/a b"), None);
    }

    #[test]
    fn what_is_asked_for_is_taken_and_accepts_what_the_table_s_own_would() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let name = OtherSocket::name("grpc", address).expect("a word");
        let mut table = Fds::new();
        table.add(name.clone(), listener.into_raw_fd());

        let mut others = OtherSockets::of(&table, &[name.clone(), "ext_proc@127.0.0.1:1".to_owned()]);

        assert!(others.contain(&name) && !others.contain("ext_proc@127.0.0.1:1"));
        let taken = TcpListener::from(others.take(Some(&name)).expect("it has come"));
        assert_eq!(taken.local_addr().expect("an address"), address);
        assert!(others.take(Some(&name)).is_none() && others.take(None).is_none());
    }
}
