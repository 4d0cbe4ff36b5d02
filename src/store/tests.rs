//! The store before a scripted server that means harm.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread::{self, JoinHandle};

use pointsman_telemetry::Metrics;
use serde_json::json;

use super::SharedStore;

/// Bytes that a server may have got rid of before it notices that nobody takes more: what sockets hold, many times over.
const GENEROUS: usize = 64 << 20;

/// A server that is civil until it is asked for a key. Then it says `opening` and `rest` again and again, until nobody
/// listens; ends with how many bytes it said.
fn malicious(opening: &'static [u8], rest: &'static [u8]) -> (String, JoinHandle<usize>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("redis://{}", listener.local_addr().expect("bound"));
    let serve = move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        let mut heard = String::new();
        let mut bytes = [0; 4096];
        while !heard.contains("GET\r\n") {
            let read = stream.read(&mut bytes).expect("commands");
            assert!(read > 0, "the connection ended before it asked for a key");
            let said = String::from_utf8_lossy(&bytes[..read]).into_owned();
            answer(&mut stream, &said);
            heard.push_str(&said);
        }
        stream.write_all(opening).expect("room");
        let mut said = opening.len();
        loop {
            match stream.write(rest) {
                Ok(0) => return said,
                Ok(written) => said += written,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return said,
            }
            assert!(said < GENEROUS, "it takes whatever it is sent");
        }
    };
    (url, thread::spawn(serve))
}

/// Answers the commands of a handshake.
fn answer(stream: &mut TcpStream, said: &str) {
    let replies = said.matches("SETINFO\r\n").map(|_| "+OK\r\n").chain(said.matches("PING\r\n").map(|_| "+PONG\r\n"));
    stream.write_all(replies.collect::<String>().as_bytes()).expect("room");
}

fn store(url: &str) -> SharedStore {
    let section = serde_json::from_value(json!({"url": url, "timeout": "5s"})).expect("a section");
    SharedStore::start(url, None, &section, Metrics::new().store()).expect("a store")
}

/// Asks for a key until the server is asked, and returns how many bytes it said then.
async fn bytes_said(opening: &'static [u8], rest: &'static [u8]) -> usize {
    let (url, server) = malicious(opening, rest);
    let store = store(&url);
    while !server.is_finished() {
        let answer = store.get("key").await;
        assert!(answer.is_err(), "{answer:?}");
        tokio::task::yield_now().await;
    }
    server.join().expect("the server's own assertions hold")
}

#[tokio::test]
async fn an_answer_that_never_ends_ends_the_connection() {
    for opening in [&b"$1000000000000\r\n"[..], b"+", b"*1000000000\r\n"] {
        let rest: &[u8] = if opening[0] == b'*' { b"$1\r\nx\r\n" } else { &[b'x'; 4096] };
        let said = bytes_said(opening, rest).await;
        assert!(said < GENEROUS, "{said}");
    }
}

#[tokio::test]
async fn arrays_within_arrays_end_the_connection() {
    let said = bytes_said(b"*1\r\n", b"*1\r\n*1\r\n*1\r\n*1\r\n").await;
    assert!(said < GENEROUS, "{said}");
}
