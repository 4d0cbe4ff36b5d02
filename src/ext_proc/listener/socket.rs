//! The listening socket: at an address, or at a path of the file system.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use pointsman_core::config::ExtProcPlace;
use tokio::net as tokio_net;

/// The mode of a Unix socket: to connect is to write, for its owner and its group.
const SOCKET_MODE: u32 = 0o660;

/// A listening socket that nobody serves yet.
pub(super) enum BoundSocket {
    Tcp(std::net::TcpListener),
    Unix(UnixListener),
}

/// A listening socket on a runtime.
pub(super) enum ServedSocket {
    Tcp(tokio_net::TcpListener),
    Unix(tokio_net::UnixListener),
}

/// A connection that was accepted, on no runtime yet.
pub(super) enum AcceptedSocket {
    Tcp(std::net::TcpStream),
    Unix(UnixStream),
}

impl BoundSocket {
    /// Binds a place, or takes the socket that was handed over; returns what the place has become, as port 0 takes a free one.
    ///
    /// # Errors
    /// When it is in use or not to be had.
    pub(super) fn bind(place: &ExtProcPlace, handed: Option<OwnedFd>) -> io::Result<(Self, ExtProcPlace)> {
        match place {
            ExtProcPlace::Tcp(address) => {
                let handed = handed.map(std::net::TcpListener::from);
                let socket = handed.map_or_else(|| std::net::TcpListener::bind(address), Ok)?;
                socket.set_nonblocking(true)?;
                let address = socket.local_addr()?;
                Ok((Self::Tcp(socket), ExtProcPlace::Tcp(address)))
            }
            ExtProcPlace::Unix(path) => {
                let socket = handed.map(UnixListener::from).map_or_else(|| bind_path(path), Ok)?;
                socket.set_nonblocking(true)?;
                Ok((Self::Unix(socket), place.clone()))
            }
        }
    }

    /// Returns the socket once more.
    ///
    /// # Errors
    /// When the process has no place for it.
    pub(super) fn hold(&self) -> io::Result<OwnedFd> {
        Ok(match self {
            Self::Tcp(socket) => socket.try_clone()?.into(),
            Self::Unix(socket) => socket.try_clone()?.into(),
        })
    }

    /// Puts the socket on the current runtime.
    ///
    /// # Errors
    /// When there is none, or it takes no more.
    pub(super) fn into_acceptor(self) -> io::Result<ServedSocket> {
        Ok(match self {
            Self::Tcp(socket) => ServedSocket::Tcp(tokio_net::TcpListener::from_std(socket)?),
            Self::Unix(socket) => ServedSocket::Unix(tokio_net::UnixListener::from_std(socket)?),
        })
    }
}

impl ServedSocket {
    /// Waits for the next connection. Cancel-safe.
    ///
    /// # Errors
    /// When the process has no place for it.
    pub(super) async fn accept(&self) -> io::Result<AcceptedSocket> {
        Ok(match self {
            Self::Tcp(socket) => AcceptedSocket::Tcp(socket.accept().await?.0.into_std()?),
            Self::Unix(socket) => AcceptedSocket::Unix(socket.accept().await?.0.into_std()?),
        })
    }
}

/// Binds a path, in place of a socket that a process has left there. The path leads to the socket only once it has its mode.
fn bind_path(path: &Path) -> io::Result<UnixListener> {
    match fs::symlink_metadata(path) {
        Ok(found) if !found.file_type().is_socket() => {
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, "a file is there that is no socket"));
        }
        Ok(_) if UnixStream::connect(path).is_ok() => return Err(io::ErrorKind::AddrInUse.into()),
        Ok(_) | Err(_) => {} // what else is wrong, `bind` says
    }
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}", std::process::id()));
    let unfinished = Path::new(&name);
    let socket = UnixListener::bind(unfinished)?;
    let placed = fs::set_permissions(unfinished, fs::Permissions::from_mode(SOCKET_MODE))
        .and_then(|()| fs::rename(unfinished, path));
    if let Err(error) = placed {
        let _ = fs::remove_file(unfinished); // the first error is the one that tells
        return Err(error);
    }
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_that_a_process_left_behind_is_replaced_and_one_that_serves_is_not() {
        let folder = tempfile::tempdir().expect("a folder");
        let place = ExtProcPlace::Unix(folder.path().join("pm.sock"));
        let (first, same) = BoundSocket::bind(&place, None).expect("it is free");
        assert_eq!(same, place);

        let refused = BoundSocket::bind(&place, None).err().expect("it is in use");
        assert_eq!(refused.kind(), io::ErrorKind::AddrInUse);
        drop(first);
        let (_second, _) = BoundSocket::bind(&place, None).expect("nobody is there any more");

        let files = fs::read_dir(folder.path()).expect("a folder").count();
        assert_eq!(files, 1, "nothing unfinished is left");
    }

    #[test]
    fn owner_and_group_may_connect_and_nobody_else() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("pm.sock");

        let _socket = BoundSocket::bind(&ExtProcPlace::Unix(path.clone()), None).expect("it is free");

        let mode = fs::metadata(&path).expect("a socket").permissions().mode();
        assert_eq!(mode & 0o777, SOCKET_MODE);
    }

    #[test]
    fn a_file_that_is_no_socket_stays() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("pm.sock");
        fs::write(&path, "a letter").expect("a file");

        let refused = BoundSocket::bind(&ExtProcPlace::Unix(path.clone()), None).err().expect("a file is there");

        assert_eq!(refused.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read_to_string(path).expect("a file"), "a letter");
    }
}
