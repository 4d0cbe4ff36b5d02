//! The least server of Envoy's external processing: it decides nothing, and answers at once with a header and the body that
//! came. What Envoy with this server costs more than Envoy alone is the floor: no server's code can go below it.
//!
//! `ext-proc-floor ADDRESS` listens there, at a Unix socket where it begins with `/`, and prints `ready` with its address.
//! One thread. In the mode `BUFFERED` each message is answered at once; in the mode `FULL_DUPLEX_STREAMED` all is answered
//! at the end of the body. It tells them apart by `protocol_config`. gRPC health checks are answered with `SERVING`.

use anyhow::{Context as _, Result, bail};
use bytes::{Buf as _, Bytes, BytesMut};
use h2::server::{Builder, SendResponse};
use h2::{RecvStream, SendStream};
use http::{HeaderMap, HeaderValue, Request, Response};
use tokio::io::{AsyncRead, AsyncWrite};

/// The number of `FULL_DUPLEX_STREAMED`.
const FULL_DUPLEX: u64 = 4;

fn main() -> Result<()> {
    let address = std::env::args().nth(1).context("ext-proc-floor ADDRESS")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, listen(&address))
}

async fn listen(address: &str) -> Result<()> {
    if address.starts_with('/') {
        let socket = tokio::net::UnixListener::bind(address)?;
        println!("ready {address}");
        loop {
            let (stream, _) = socket.accept().await?;
            tokio::task::spawn_local(serve(stream));
        }
    }
    let socket = tokio::net::TcpListener::bind(address).await?;
    println!("ready {}", socket.local_addr()?);
    loop {
        let (stream, _) = socket.accept().await?;
        stream.set_nodelay(true)?;
        tokio::task::spawn_local(serve(stream));
    }
}

async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin + 'static) {
    let mut builder = Builder::new();
    builder.initial_window_size(1 << 20).initial_connection_window_size(8 << 20);
    let Ok(mut connection) = builder.handshake::<_, Bytes>(stream).await else { return };
    while let Some(Ok((request, answer))) = connection.accept().await {
        tokio::task::spawn_local(async move {
            let _ = exchange(request, answer).await; // Envoy has left
        });
    }
}

async fn exchange(request: Request<RecvStream>, mut answer: SendResponse<Bytes>) -> Result<()> {
    let is_health = request.uri().path().contains("Health");
    let mut messages = Messages { stream: request.into_body(), read: BytesMut::new() };
    let head = Response::builder().header("content-type", "application/grpc").body(())?;
    let mut out = answer.send_response(head, false)?;
    let first = messages.next().await?;
    if is_health {
        send(&mut out, &varint_field(1, 1))?; // status: SERVING
        return end(&mut out);
    }
    if number(&first, 11).is_some_and(|config| first_number(config) == Some(FULL_DUPLEX)) {
        let mut body = Vec::new();
        loop {
            let message = messages.next().await?;
            body.extend_from_slice(body_of(&message));
            if is_end(&message) {
                break;
            }
        }
        send(&mut out, &nested(1, &nested(1, &changes(body.len()))))?;
        let streamed = [nested(1, &body), varint_field(2, 1)].concat();
        send(&mut out, &nested(3, &nested(1, &nested(3, &nested(3, &streamed)))))?;
    } else {
        send(&mut out, &nested(1, &nested(1, &[])))?;
        let message = messages.next().await?;
        let body = body_of(&message);
        let changed = [changes(body.len()), nested(3, &nested(1, body))].concat();
        send(&mut out, &nested(3, &nested(1, &changed)))?;
    }
    end(&mut out)
}

/// The messages of a stream.
struct Messages {
    stream: RecvStream,
    read: BytesMut,
}

impl Messages {
    /// Waits for the next message.
    async fn next(&mut self) -> Result<Bytes> {
        loop {
            if let Some(prefix) = self.read.get(..5) {
                let size = u32::from_be_bytes([prefix[1], prefix[2], prefix[3], prefix[4]]) as usize;
                if self.read.len() >= 5 + size {
                    self.read.advance(5);
                    return Ok(self.read.split_to(size).freeze());
                }
            }
            let Some(data) = self.stream.data().await else { bail!("the stream has ended") };
            let data = data?;
            self.stream.flow_control().release_capacity(data.len())?;
            self.read.extend_from_slice(&data);
        }
    }
}

/// Returns the changes of a header: the model, the length, and the route chosen anew.
fn changes(length: usize) -> Vec<u8> {
    let set = |name: &str, value: &str| {
        let header = [nested(1, name.as_bytes()), nested(3, value.as_bytes())].concat();
        nested(1, &nested(1, &header))
    };
    let changes = [set("x-pointsman-model", "small"), set("content-length", &length.to_string())].concat();
    [nested(2, &changes), varint_field(5, 1)].concat()
}

fn send(out: &mut SendStream<Bytes>, message: &[u8]) -> Result<()> {
    let size = u32::try_from(message.len())?.to_be_bytes();
    Ok(out.send_data([&[0], &size[..], message].concat().into(), false)?)
}

fn end(out: &mut SendStream<Bytes>) -> Result<()> {
    let trailers =
        HeaderMap::from_iter([(http::HeaderName::from_static("grpc-status"), HeaderValue::from_static("0"))]);
    Ok(out.send_trailers(trailers)?)
}

/// Returns a number as protobuf has it.
fn varint(mut number: u64) -> Vec<u8> {
    let mut out = Vec::new();
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
    out
}

/// Returns a field of bytes.
fn nested(field: u8, bytes: &[u8]) -> Vec<u8> {
    [vec![field << 3 | 2], varint(bytes.len() as u64), bytes.to_vec()].concat()
}

fn varint_field(field: u8, number: u64) -> Vec<u8> {
    [vec![field << 3], varint(number)].concat()
}

/// Reads the fields of a message: each one's number, and its bytes or its value.
fn fields(mut message: &[u8]) -> Vec<(u64, &[u8], u64)> {
    let mut found = Vec::new();
    while !message.is_empty() {
        let tag = take_varint(&mut message);
        let value = take_varint(&mut message); // no message here has fields of a fixed width
        let size = if tag & 7 == 2 { (value as usize).min(message.len()) } else { 0 };
        let (bytes, rest) = message.split_at(size);
        message = rest;
        found.push((tag >> 3, bytes, value));
    }
    found
}

fn take_varint(message: &mut &[u8]) -> u64 {
    let (mut number, mut shift) = (0, 0);
    while let Some((byte, rest)) = message.split_first() {
        *message = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            break;
        }
        shift += 7;
    }
    number
}

fn number(message: &[u8], field: u64) -> Option<&[u8]> {
    fields(message).into_iter().find(|(known, ..)| *known == field).map(|(_, bytes, _)| bytes)
}

fn first_number(message: &[u8]) -> Option<u64> {
    fields(message).first().map(|(.., value)| *value)
}

/// Returns the piece of the body that a message brings.
fn body_of(message: &[u8]) -> &[u8] {
    number(message, 4).and_then(|body| number(body, 1)).unwrap_or_default()
}

/// Tells whether a message ends the request: a last piece of its body, or its trailers.
fn is_end(message: &[u8]) -> bool {
    number(message, 6).is_some()
        || number(message, 4)
            .is_some_and(|body| fields(body).iter().any(|(field, _, value)| *field == 2 && *value == 1))
}
