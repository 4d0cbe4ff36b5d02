//! The store before scripted servers that mean harm.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};

use pointsman_core::config::RedisConfig;
use pointsman_telemetry::Metrics;
use serde_json::{Value, json};

use super::SharedStore;

/// Bytes that a server may have got rid of before it notices that nobody takes more: what sockets hold, many times over.
const GENEROUS: usize = 64 << 20;

/// A server that is civil until it is asked for a key: it says that all slots are its own. Then it says `opening` and
/// `rest` again and again, until nobody listens; ends with how many bytes it said.
fn malicious(opening: &'static [u8], rest: &'static [u8]) -> (String, JoinHandle<usize>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound");
    let url = format!("redis://{address}");
    let serve = move || {
        // A cluster's table is asked for over a connection of its own.
        let mut stream = loop {
            let (mut stream, _) = listener.accept().expect("a connection");
            if hears_a_key(&mut stream, address) {
                break stream;
            }
        };
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

/// Answers until a key is asked for; false when the connection ends before that.
fn hears_a_key(stream: &mut TcpStream, address: SocketAddr) -> bool {
    let mut bytes = [0; 4096];
    loop {
        let read = stream.read(&mut bytes).unwrap_or_default();
        let said = String::from_utf8_lossy(&bytes[..read]).into_owned();
        if read == 0 || said.contains("GET\r\n") {
            return read > 0;
        }
        answer(stream, &said, address);
    }
}

/// Answers the commands of a handshake, and says that the server at `address` has all slots.
fn answer(stream: &mut TcpStream, said: &str, address: SocketAddr) {
    let table = format!("*1\r\n*3\r\n:0\r\n:16383\r\n*2\r\n$0\r\n\r\n:{}\r\n", address.port());
    let replies = said.matches("SETINFO\r\n").map(|_| "+OK\r\n").chain(said.matches("PING\r\n").map(|_| "+PONG\r\n"));
    let tables = said.matches("SLOTS\r\n").map(|_| table.as_str());
    let _ = stream.write_all(replies.chain(tables).collect::<String>().as_bytes()); // nobody may listen any more
}

fn store(section: Value) -> SharedStore {
    let section: RedisConfig = serde_json::from_value(section).expect("a section");
    let access = section.access(&|_| None, Path::new("")).expect("plain URLs");
    SharedStore::start(access, None, &section, Metrics::new().store()).expect("a store")
}

/// Asks for a key until the server is asked, and returns how many bytes it said then.
async fn bytes_said(opening: &'static [u8], rest: &'static [u8], cluster: bool) -> usize {
    let (url, server) = malicious(opening, rest);
    let store = store(json!({"url": url, "timeout": "1s", "cluster": cluster}));
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
        for cluster in [false, true] {
            let said = bytes_said(opening, rest, cluster).await;
            assert!(said < GENEROUS, "{said}");
        }
    }
}

#[tokio::test]
async fn arrays_within_arrays_end_the_connection() {
    for cluster in [false, true] {
        let said = bytes_said(b"*1\r\n", b"*1\r\n*1\r\n*1\r\n*1\r\n", cluster).await;
        assert!(said < GENEROUS, "{said}");
    }
}

/// A server of a cluster that says it has all slots, and sends who asks for a key to `elsewhere`; counts how often.
fn sending_on(listener: TcpListener, elsewhere: SocketAddr, asked: Arc<AtomicUsize>) {
    let address = listener.local_addr().expect("bound");
    let serve = move |mut stream: TcpStream| {
        while hears_a_key(&mut stream, address) {
            asked.fetch_add(1, Ordering::SeqCst);
            let _ = stream.write_all(format!("-MOVED 1 {elsewhere}\r\n").as_bytes());
        }
    };
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let serve = serve.clone();
            thread::spawn(move || serve(stream));
        }
    });
}

#[tokio::test]
async fn servers_that_send_a_command_in_a_circle_get_it_a_few_times() {
    let [one, other] = [0, 1].map(|_| TcpListener::bind("127.0.0.1:0").expect("a free port"));
    let [at_one, at_other] = [&one, &other].map(|listener| listener.local_addr().expect("bound"));
    let asked = Arc::new(AtomicUsize::new(0));
    sending_on(one, at_other, Arc::clone(&asked));
    sending_on(other, at_one, Arc::clone(&asked));
    let store = store(json!({"url": format!("redis://{at_one}"), "timeout": "1s", "cluster": true}));

    store.look();
    while store.trouble().is_some() {
        tokio::task::yield_now().await;
    }
    let answer = store.get("key").await;

    assert!(answer.is_err(), "{answer:?}");
    assert_eq!(asked.load(Ordering::SeqCst), 6);
}
