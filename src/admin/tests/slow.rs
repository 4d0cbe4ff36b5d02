//! Clients that are slow, or many. The clock is moved by hand.

use super::*;
use crate::admin::listener::{HEADER_DEADLINE, MAX_CONNECTIONS};

#[tokio::test]
async fn half_a_header_ends_with_its_time() {
    let admin = Admin::of(Arc::default()).await;
    let mut slow = TcpStream::connect(admin.address).await.expect("it listens");
    slow.write_all(b"GET / HTTP/1.1\r\nhost:").await.expect("it reads");
    let mut other = TcpStream::connect(admin.address).await.expect("it listens");
    other.write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n").await.expect("it reads");
    let mut one = [0];
    other.read_exact(&mut one).await.expect("it answers, so that the first one is being read");

    tokio::time::pause();
    tokio::time::advance(HEADER_DEADLINE * 2).await;

    let mut rest = Vec::new();
    let _ = slow.read_to_end(&mut rest).await; // a reset is an end as well
    assert!(!rest.starts_with(b"HTTP/1.1 200"), "{rest:?}");
}

#[tokio::test]
async fn connections_above_the_bound_wait_for_another_to_end() {
    let admin = Admin::of(Arc::default()).await;
    let mut open = Vec::new();
    for _ in 0..MAX_CONNECTIONS {
        let mut stream = TcpStream::connect(admin.address).await.expect("it listens");
        stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n").await.expect("it reads");
        stream.read_exact(&mut [0]).await.expect("it answers");
        open.push(stream);
    }
    let mut next = TcpStream::connect(admin.address).await.expect("the backlog has room");
    next.write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await.expect("sent");

    open.pop();

    let mut answer = String::new();
    next.read_to_string(&mut answer).await.expect("it answers");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test]
async fn half_headers_and_idle_connections_keep_no_probe_waiting() {
    let admin = Admin::of(Arc::default()).await;
    let mut open = Vec::new();
    for number in 0..MAX_CONNECTIONS + 44 {
        let mut stream = TcpStream::connect(admin.address).await.expect("the backlog has room");
        if number % 2 == 0 {
            stream.write_all(b"GET /healthz HTTP/1.1\r\nhost:").await.expect("sent");
        }
        open.push(stream);
    }

    let answer = admin.raw(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await;

    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    for younger in [200, 201] {
        let open = open[younger].try_read(&mut [0]).expect_err("no deadline was waited for");
        assert_eq!(open.kind(), std::io::ErrorKind::WouldBlock);
    }
}

#[tokio::test]
async fn a_connection_that_is_being_answered_is_not_given_up_for_another() {
    let plane = Arc::new(Scripted { slow_reload: true, ..Scripted::default() });
    let admin = Admin::of(Arc::clone(&plane)).await;
    let mut reloading = TcpStream::connect(admin.address).await.expect("it listens");
    let request = b"POST /reload HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\n\r\n";
    reloading.write_all(request).await.expect("it reads");
    plane.reloading.notified().await;
    let mut open = Vec::new();
    for _ in 0..MAX_CONNECTIONS {
        open.push(TcpStream::connect(admin.address).await.expect("the backlog has room"));
    }

    let answer = admin.raw(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await;

    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let nothing = reloading.try_read(&mut [0]).expect_err("its answer is awaited");
    assert_eq!(nothing.kind(), std::io::ErrorKind::WouldBlock);
}
