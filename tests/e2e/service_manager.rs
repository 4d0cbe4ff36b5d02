//! What a service manager hears (systemd's `Type=notify`): ready when the process serves, stopping when nobody goes on in its place.

use rustix::process::Signal;
use tokio::net::UnixDatagram;

use crate::gateway::{Config, Gateway};
use crate::origin::Origin;
use crate::soon;

/// Waits for the next words at the manager's socket.
async fn heard(manager: &UnixDatagram) -> String {
    let mut words = [0; 256];
    let length = soon("words to the manager", manager.recv(&mut words)).await.expect("a datagram");
    String::from_utf8_lossy(&words[..length]).into_owned()
}

#[tokio::test]
async fn a_service_manager_hears_when_the_process_serves_and_when_it_ends() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let socket = folder.path().join("notify");
    let manager = UnixDatagram::bind(&socket).expect("a socket");
    let origin = Origin::answering([]).await;
    let name = socket.to_str().expect("a plain path");

    let gateway = Gateway::start_with(&Config::new(&origin, &origin), &[("NOTIFY_SOCKET", name)]).await;
    let ready = heard(&manager).await;
    gateway.signal(Signal::TERM);
    let ending = heard(&manager).await;

    assert!(ready.starts_with("READY=1\nMAINPID="), "{ready}");
    assert_eq!(ending, "STOPPING=1");
    assert_eq!(gateway.ended().await.0.code(), Some(0));
}

#[tokio::test]
async fn a_service_manager_that_is_gone_keeps_nobody_from_serving() {
    let origin = Origin::answering([]).await;

    let gateway =
        Gateway::start_with(&Config::new(&origin, &origin), &[("NOTIFY_SOCKET", "/nonexistent/notify")]).await;

    gateway.signal(Signal::TERM);
    assert_eq!(gateway.ended().await.0.code(), Some(0));
}
