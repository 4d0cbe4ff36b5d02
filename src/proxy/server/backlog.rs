//! The connections that wait in a listening socket: before it is closed no more may join them.
//!
//! A connection is made by the kernel, before anybody accepts it, and its client may send at once. A socket that is
//! closed while some wait resets them. So a filter (classic BPF) first drops what asks for a new connection; whoever asks
//! then gets an answer from no one, asks again after a second, and is refused, as by a process that is gone.
//!
//! Only for a socket that ends with this process: the filter belongs to the socket, not to the process. Where there is no
//! such filter, what connects at the last moment is reset.

use std::net::TcpListener;
use std::os::fd::OwnedFd;

/// The listening sockets of a proxy, held a second time.
#[derive(Debug, Default)]
pub(super) struct ListenerHandles(Vec<TcpListener>);

impl ListenerHandles {
    /// Holds a socket that was bound here; one that cannot be held twice is left out.
    pub(super) fn hold(&mut self, listener: &TcpListener) {
        self.0.extend(listener.try_clone());
    }

    /// Holds a socket that another process has handed over, by its descriptor.
    pub(super) fn hold_descriptor(&mut self, descriptor: i32) {
        self.0.extend(duplicate(descriptor).map(TcpListener::from));
    }

    /// Lets no new connection join those that wait.
    pub(super) fn close_door(&self) {
        for listener in &self.0 {
            if let Err(error) = drop_new_connections(listener) {
                tracing::debug!(%error, "New connections are reset at the end");
            }
        }
    }
}

/// Returns another descriptor of the same socket, without trust in what the number is; `None` where the kernel, or a
/// container's filter of system calls, knows no way.
#[cfg(target_os = "linux")]
pub(super) fn duplicate(descriptor: i32) -> Option<OwnedFd> {
    use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};
    let own = pidfd_open(getpid(), PidfdFlags::empty()).ok()?;
    pidfd_getfd(own, descriptor, PidfdGetfdFlags::empty()).ok()
}

#[cfg(not(target_os = "linux"))]
pub(super) fn duplicate(_descriptor: i32) -> Option<OwnedFd> {
    None
}

/// Drops every segment with SYN and without ACK: byte 13 of a TCP header holds both.
#[cfg(target_os = "linux")]
fn drop_new_connections(listener: &TcpListener) -> std::io::Result<()> {
    use socket2::{SockFilter, SockRef};
    const LOAD_BYTE: u16 = 0x30; // BPF_LD | BPF_B | BPF_ABS
    const AND: u16 = 0x54; // BPF_ALU | BPF_AND | BPF_K
    const JUMP_IF_EQUAL: u16 = 0x15; // BPF_JMP | BPF_JEQ | BPF_K
    const RETURN: u16 = 0x06; // BPF_RET | BPF_K
    const SYN: u32 = 0x02;
    const ACK: u32 = 0x10;
    SockRef::from(listener).attach_filter(&[
        SockFilter::new(LOAD_BYTE, 0, 0, 13),
        SockFilter::new(AND, 0, 0, SYN | ACK),
        SockFilter::new(JUMP_IF_EQUAL, 0, 1, SYN),
        SockFilter::new(RETURN, 0, 0, 0),
        SockFilter::new(RETURN, 0, 0, u32::MAX),
    ])
}

#[cfg(not(target_os = "linux"))]
fn drop_new_connections(_listener: &TcpListener) -> std::io::Result<()> {
    Err(std::io::ErrorKind::Unsupported.into())
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpStream;
    use std::os::fd::AsRawFd;
    use std::time::Duration;

    use super::*;

    #[test]
    fn who_was_connected_is_served_and_who_comes_later_is_not_reset() {
        for by_descriptor in [false, true] {
            let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
            let address = listener.local_addr().expect("an address");
            let mut handles = ListenerHandles::default();
            if by_descriptor {
                handles.hold_descriptor(listener.as_raw_fd());
            } else {
                handles.hold(&listener);
            }
            let mut early = TcpStream::connect(address).expect("a connection");

            handles.close_door();
            let late = TcpStream::connect_timeout(&address, Duration::from_millis(50));
            early.write_all(b"x").expect("an open connection");
            let mut byte = [0];
            listener.accept().expect("the early one").0.read_exact(&mut byte).expect("what it has sent");

            assert_eq!(byte, *b"x");
            assert_eq!(late.expect_err("no answer").kind(), std::io::ErrorKind::TimedOut);
        }
    }
}
