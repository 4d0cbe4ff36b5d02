//! An upstream below HTTP: it says exactly these bytes, and ends its connection as it is told.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use crate::soon;

/// What an upstream does with its next request.
#[derive(Debug, Clone)]
pub(crate) struct Script {
    /// What it says at once.
    pub(crate) says: String,
    /// What it says after that, byte by byte.
    pub(crate) drips: String,
    pub(crate) then: Then,
}

/// How a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Then {
    /// By a reset.
    Resets,
    /// Not before the other side closes it.
    Waits,
}

/// An upstream on a free port, HTTP/1 as far as it is HTTP at all; it ends with the test's runtime.
pub(crate) struct Wire {
    pub(crate) address: SocketAddr,
    requests: mpsc::Receiver<String>,
    left: mpsc::Receiver<()>,
}

impl Wire {
    /// Starts an upstream that follows one script for each connection.
    pub(crate) async fn following(scripts: impl IntoIterator<Item = Script>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound listener has an address");
        let scripts: Arc<Mutex<VecDeque<_>>> = Arc::new(Mutex::new(scripts.into_iter().collect()));
        let (asked, requests) = mpsc::channel(8);
        let (leaving, left) = mpsc::channel(8);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let script = scripts.lock().expect("no test panics with the lock").pop_front();
                let script = script.expect("a script for every connection");
                tokio::spawn(follow(stream, script, asked.clone(), leaving.clone()));
            }
        });
        Self { address, requests, left }
    }

    /// Waits for the next request; returns its head and body as they came.
    pub(crate) async fn next(&mut self) -> String {
        soon("a request on the wire", self.requests.recv()).await.expect("it serves")
    }

    /// Waits until a connection that [`Then::Waits`] was closed by the other side.
    pub(crate) async fn left(&mut self) {
        soon("the connection to be closed", self.left.recv()).await.expect("it serves");
    }
}

async fn follow(mut stream: TcpStream, script: Script, asked: mpsc::Sender<String>, leaving: mpsc::Sender<()>) {
    let Some(request) = read_request(&mut stream).await else { return };
    asked.send(request).await.expect("the test listens");
    stream.write_all(script.says.as_bytes()).await.expect("an open connection");
    for byte in script.drips.bytes() {
        stream.write_all(&[byte]).await.expect("an open connection");
        tokio::task::yield_now().await;
    }
    match script.then {
        Then::Resets => stream.set_zero_linger().expect("an open socket"),
        Then::Waits => {
            let mut rest = Vec::new();
            let _ = stream.read_to_end(&mut rest).await; // a reset is an end as well
            leaving.send(()).await.expect("the test listens");
        }
    }
}

/// Reads a request with a `Content-Length`.
async fn read_request(stream: &mut TcpStream) -> Option<String> {
    let mut request = Vec::new();
    loop {
        if stream.read_buf(&mut request).await.ok()? == 0 {
            return None; // a connection without a request
        }
        let text = String::from_utf8_lossy(&request);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().expect("a length"))
        });
        if body.len() >= length.unwrap_or(0) {
            return Some(text.into_owned());
        }
    }
}
