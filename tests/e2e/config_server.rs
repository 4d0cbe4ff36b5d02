//! A server of configurations: it gives a text, its signature and its tag, or misbehaves as it was told.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::signer::Signer;

/// The path of the text.
const PATH: &str = "/p.yaml";

/// A server on a free port of loopback; it ends with the value.
pub(crate) struct ConfigServer {
    pub(crate) address: SocketAddr,
    shared: Arc<Mutex<ServedText>>,
    task: JoinHandle<()>,
}

/// What the server has, and what it was asked.
#[derive(Default)]
struct ServedText {
    text: String,
    signature: Option<String>,
    manner: Manner,
    requests: Vec<String>,
    not_modified: usize,
}

/// The way in which a server answers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum Manner {
    /// As it should.
    #[default]
    Whole,
    /// With this status.
    Status(u16),
    /// Never.
    Silent,
    /// With a redirect to this place; of the path `/moved` the text is given.
    Redirect(String),
}

impl ConfigServer {
    /// Starts a server that has nothing yet.
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound listener has an address");
        let shared = Arc::new(Mutex::new(ServedText::default()));
        let task = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Self { address, shared, task }
    }

    /// Has a text, with a signature by `signer` whose comment is `comment`.
    pub(crate) fn sign(&self, text: &str, signer: &Signer, comment: &str) {
        self.put(text, Some(signer.sign(text.as_bytes(), comment)));
    }

    /// Has a text, with this for its signature.
    pub(crate) fn put(&self, text: &str, signature: Option<String>) {
        let mut shared = self.shared.lock().expect("no panic");
        (shared.text, shared.signature) = (text.to_owned(), signature);
    }

    /// Answers in this manner from now on.
    pub(crate) fn behave(&self, manner: Manner) {
        self.shared.lock().expect("no panic").manner = manner;
    }

    /// Returns the heads of the requests so far, in lower case.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.shared.lock().expect("no panic").requests.clone()
    }

    /// Returns the number of answers that said that nothing has changed.
    pub(crate) fn not_modified(&self) -> usize {
        self.shared.lock().expect("no panic").not_modified
    }

    /// Returns the text's URL.
    pub(crate) fn url(&self) -> String {
        format!("http://{}{PATH}", self.address)
    }
}

impl Drop for ConfigServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, shared: Arc<Mutex<ServedText>>) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(answer(stream, Arc::clone(&shared)));
    }
}

async fn answer(mut stream: TcpStream, shared: Arc<Mutex<ServedText>>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return,
        }
    }
    // Names of fields are spelled in any case.
    let head = String::from_utf8(head).expect("a head in ASCII").to_ascii_lowercase();
    let Some(whole) = reply(&head, &shared) else { return std::future::pending().await };
    let _ = stream.write_all(whole.as_bytes()).await; // a client that reads no more of what is too long has left
}

/// Returns the answer; `None` for none at all.
fn reply(head: &str, shared: &Mutex<ServedText>) -> Option<String> {
    let mut shared = shared.lock().expect("no panic");
    shared.requests.push(head.to_owned());
    let path = head.split(' ').nth(1).expect("a request line");
    let (text, signature) = (shared.text.clone(), shared.signature.clone());
    match &shared.manner {
        Manner::Silent => return None,
        Manner::Status(status) => return Some(plain(*status, "", "")),
        Manner::Redirect(place) if !path.starts_with("/moved") && !path.ends_with(".minisig") => {
            return Some(plain(302, &format!("Location: {place}\r\n"), ""));
        }
        Manner::Redirect(_) | Manner::Whole => {}
    }
    if path.ends_with(".minisig") {
        return Some(signature.map_or_else(|| plain(404, "", ""), |signature| plain(200, "", &signature)));
    }
    let tag = format!(
        "\"{:x}-{}\"",
        text.len(),
        text.bytes().fold(0_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()))
    );
    if head.contains(&format!("if-none-match: {tag}\r\n")) {
        shared.not_modified += 1;
        return Some(plain(304, "", ""));
    }
    Some(plain(200, &format!("ETag: {tag}\r\n"), &text))
}

fn plain(status: u16, headers: &str, body: &str) -> String {
    let length = if status == 304 { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
    format!("HTTP/1.1 {status} Of\r\n{headers}{length}Connection: close\r\n\r\n{body}")
}
