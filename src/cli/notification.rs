//! The words to a service manager such as systemd (`Type=notify`): that the process serves, and that it ends.
//!
//! Nothing is said where no manager asks (`NOTIFY_SOCKET`), and none that does not listen is waited for.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::{env, io, process};

/// The variable that names the manager's socket; one in no folder begins with `@`.
const VARIABLE: &str = "NOTIFY_SOCKET";

/// A state of the process that a service manager waits for.
#[derive(Debug, Clone, Copy)]
pub(super) enum ServiceState {
    /// Every listener is open. Names the process, which after a hand-over is another than the manager started.
    Serving,
    /// The process ends, and nobody goes on in its place.
    Ending,
}

impl ServiceState {
    /// Tells the service manager, if there is one.
    pub(super) fn tell(self) {
        let Some(name) = env::var_os(VARIABLE).filter(|name| !name.is_empty()) else {
            return;
        };
        if let Err(error) = send(&name, &self.words()) {
            tracing::warn!("The service manager at {} hears nothing: {error}", name.display());
        }
    }

    fn words(self) -> String {
        match self {
            Self::Serving => format!("READY=1\nMAINPID={}", process::id()),
            Self::Ending => "STOPPING=1".to_owned(),
        }
    }
}

fn send(name: &OsStr, words: &str) -> io::Result<()> {
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    socket.send_to_addr(words.as_bytes(), &address(name)?).map(drop)
}

#[cfg(target_os = "linux")]
fn address(name: &OsStr) -> io::Result<SocketAddr> {
    use std::os::linux::net::SocketAddrExt;

    match name.as_bytes().strip_prefix(b"@") {
        Some(abstract_name) => SocketAddr::from_abstract_name(abstract_name),
        None => SocketAddr::from_pathname(name),
    }
}

#[cfg(not(target_os = "linux"))]
fn address(name: &OsStr) -> io::Result<SocketAddr> {
    SocketAddr::from_pathname(name)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::os::linux::net::SocketAddrExt;

    use super::*;

    #[test]
    fn a_manager_at_an_abstract_address_hears_the_words() {
        let name = format!("pointsman-{}", process::id());
        let address = SocketAddr::from_abstract_name(&name).expect("a short name");
        let manager = UnixDatagram::bind_addr(&address).expect("a free name");

        send(OsStr::new(&format!("@{name}")), &ServiceState::Ending.words()).expect("somebody listens");

        let mut heard = [0; 64];
        let length = manager.recv(&mut heard).expect("a datagram");
        assert_eq!(&heard[..length], b"STOPPING=1");
    }

    #[test]
    fn a_manager_that_is_gone_is_an_error_and_no_wait() {
        let gone = send(OsStr::new("/nonexistent/notify"), "READY=1");

        assert_eq!(gone.map_err(|error| error.kind()), Err(io::ErrorKind::NotFound));
    }
}
