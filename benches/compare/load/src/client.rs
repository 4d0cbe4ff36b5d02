//! Connections to the proxy under test, and the requests that are sent over them.

use std::cell::RefCell;
use std::rc::Rc;

use bytes::Bytes;
use clap::Args;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::Failure;

/// Where requests go, and what all of them carry.
#[derive(Args, Clone)]
pub struct Destination {
    /// The port on the loopback
    #[arg(long)]
    pub port: u16,
    /// The path of each request
    #[arg(long, default_value = "/v1/chat/completions")]
    pub path: String,
    /// Another field of each request, as `name: value`
    #[arg(long)]
    pub header: Vec<String>,
    /// The model that each request asks for
    #[arg(long, default_value = "mock-small")]
    pub model: String,
}

impl Destination {
    pub fn request(&self, body: Bytes) -> Result<Request<Full<Bytes>>, Failure> {
        let mut request = Request::post(&self.path)
            .header(HOST, format!("127.0.0.1:{}", self.port))
            .header(CONTENT_TYPE, "application/json");
        for field in &self.header {
            let (name, value) = field.split_once(':').ok_or_else(|| format!("no `name: value`: {field}"))?;
            request = request.header(name.trim(), value.trim());
        }
        Ok(request.body(Full::new(body))?)
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>, Failure> {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        // How the connection ends shows in the request that it carried.
        tokio::task::spawn_local(async { drop(connection.await) });
        Ok(sender)
    }
}

/// Connections that wait for their next request; the one that was used last is taken first.
#[derive(Clone)]
pub struct Connections {
    to: Rc<Destination>,
    idle: Rc<RefCell<Vec<SendRequest<Full<Bytes>>>>>,
}

/// A connection in use.
pub struct Connection {
    sender: SendRequest<Full<Bytes>>,
    home: Rc<RefCell<Vec<SendRequest<Full<Bytes>>>>>,
}

impl Connections {
    pub fn new(to: Destination) -> Self {
        Self { to: Rc::new(to), idle: Rc::default() }
    }

    pub async fn take(&self) -> Result<Connection, Failure> {
        let home = Rc::clone(&self.idle);
        while let Some(sender) = self.pop() {
            if sender.is_ready() {
                return Ok(Connection { sender, home });
            }
        }
        Ok(Connection { sender: self.to.connect().await?, home })
    }

    fn pop(&self) -> Option<SendRequest<Full<Bytes>>> {
        self.idle.borrow_mut().pop()
    }
}

impl Connection {
    pub async fn send(&mut self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, Failure> {
        self.sender.ready().await?;
        Ok(self.sender.send_request(request).await?)
    }

    /// Gives the connection back once the answer's body was read to its end.
    pub fn give_back(self) {
        self.home.borrow_mut().push(self.sender);
    }
}
