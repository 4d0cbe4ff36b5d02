//! The session without a connection: its body comes from another proxy, and what is written to it is kept for that.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures::Stream;
use http::HeaderMap;
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::protocols::Digest;
use pingora::protocols::http::HttpTask;
use pingora::protocols::http::ServerSession as HttpSession;
use pingora::protocols::http::custom::CustomMessageWrite;
use pingora::protocols::http::custom::server::Session as CustomSession;
use pingora::protocols::l4::socket::SocketAddr;
use pingora::proxy::Session;
use pingora::{Error, ErrorType, Result};
use tokio::sync::mpsc::{self, Permit};

/// Pieces of a body that wait to be read.
const PIECES: usize = 16;

/// A part of a body.
enum BodyPart {
    Piece(Bytes),
    End,
}

/// The way in for a request's body. A feed that is dropped before the end is a client that has left.
pub(crate) struct BodyFeed(mpsc::Sender<BodyPart>);

/// A place for the next part of a body.
pub(crate) struct FeedPlace<'f>(Permit<'f, BodyPart>);

/// The body that was written to the session.
#[derive(Debug, Clone, Default)]
pub(super) struct WrittenBody(Arc<Mutex<BytesMut>>);

/// The session; what it is asked for that only a connection has, it has not.
pub(super) struct ExternalSession {
    header: RequestHeader,
    body: mpsc::Receiver<BodyPart>,
    is_done: bool,
    read: usize,
    answer: Option<Box<ResponseHeader>>,
    written: WrittenBody,
}

impl BodyFeed {
    /// Waits for a place for the next part. Cancel-safe. `None` when nobody reads the body any more.
    pub(crate) async fn place(&self) -> Option<FeedPlace<'_>> {
        self.0.reserve().await.ok().map(FeedPlace)
    }

    /// Feeds a body that came whole, with its end.
    pub(crate) async fn whole(&self, body: Bytes) {
        if let Some(place) = self.place().await {
            place.piece(body);
        }
        if let Some(place) = self.place().await {
            place.end();
        }
    }
}

impl FeedPlace<'_> {
    /// Feeds a piece.
    pub(crate) fn piece(self, piece: Bytes) {
        self.0.send(BodyPart::Piece(piece));
    }

    /// Says that all of the body has come.
    pub(crate) fn end(self) {
        self.0.send(BodyPart::End);
    }
}

impl WrittenBody {
    /// Takes what was written.
    pub(super) fn take(&self) -> Bytes {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner)).freeze()
    }

    fn push(&self, data: &[u8]) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(data);
    }
}

impl ExternalSession {
    /// Opens a session for a request with this header.
    pub(super) fn open(header: RequestHeader) -> (Session, BodyFeed, WrittenBody) {
        let (feed, body) = mpsc::channel(PIECES);
        let written = WrittenBody::default();
        let own = Self { header, body, is_done: false, read: 0, answer: None, written: written.clone() };
        // Pingora makes a session of a connection alone; this one's is never read or written.
        let (nowhere, _) = tokio::io::duplex(1);
        let mut session = Session::new_h1(Box::new(nowhere));
        session.downstream_session = Box::new(HttpSession::new_custom(Box::new(own)));
        (session, BodyFeed(feed), written)
    }
}

fn left() -> Box<Error> {
    Error::explain(ErrorType::ConnectionClosed, "the sender of a request has left").into_down()
}

#[async_trait]
impl CustomSession for ExternalSession {
    fn req_header(&self) -> &RequestHeader {
        &self.header
    }

    fn req_header_mut(&mut self) -> &mut RequestHeader {
        &mut self.header
    }

    async fn read_body_bytes(&mut self) -> Result<Option<Bytes>> {
        if self.is_done {
            return Ok(None);
        }
        match self.body.recv().await {
            Some(BodyPart::Piece(piece)) => {
                self.read += piece.len();
                Ok(Some(piece))
            }
            Some(BodyPart::End) => {
                self.is_done = true;
                Ok(None)
            }
            None => Err(left()),
        }
    }

    async fn read_body_or_idle(&mut self, no_body_expected: bool) -> Result<Option<Bytes>> {
        if !no_body_expected && !self.is_done {
            return self.read_body_bytes().await;
        }
        // Nothing follows the end; what closes the feed is the sender that leaves.
        while self.body.recv().await.is_some() {}
        Err(left())
    }

    async fn drain_request_body(&mut self) -> Result<()> {
        Ok(())
    }

    fn is_body_done(&mut self) -> bool {
        self.is_done
    }

    fn is_body_empty(&mut self) -> bool {
        self.is_done && self.read == 0
    }

    fn enable_retry_buffering(&mut self) {}

    fn retry_buffer_truncated(&self) -> bool {
        false
    }

    fn get_retry_buffer(&self) -> Option<Bytes> {
        None
    }

    async fn write_response_header(&mut self, header: Box<ResponseHeader>, _end: bool) -> Result<()> {
        self.answer = Some(header);
        Ok(())
    }

    async fn write_response_header_ref(&mut self, header: &ResponseHeader, end: bool) -> Result<()> {
        self.write_response_header(Box::new(header.clone()), end).await
    }

    async fn write_body(&mut self, data: Bytes, _end: bool) -> Result<()> {
        self.written.push(&data);
        Ok(())
    }

    async fn write_trailers(&mut self, _trailers: HeaderMap) -> Result<()> {
        Ok(())
    }

    async fn response_duplex_vec(&mut self, _tasks: Vec<HttpTask>) -> Result<bool> {
        Ok(true)
    }

    fn response_written(&self) -> Option<&ResponseHeader> {
        self.answer.as_deref()
    }

    fn set_read_timeout(&mut self, _timeout: Option<Duration>) {}

    fn get_read_timeout(&self) -> Option<Duration> {
        None
    }

    fn set_write_timeout(&mut self, _timeout: Option<Duration>) {}

    fn get_write_timeout(&self) -> Option<Duration> {
        None
    }

    fn set_total_drain_timeout(&mut self, _timeout: Option<Duration>) {}

    fn get_total_drain_timeout(&self) -> Option<Duration> {
        None
    }

    fn request_summary(&self) -> String {
        self.header.method.to_string()
    }

    async fn shutdown(&mut self, _code: u32, _context: &str) {}

    async fn finish(&mut self) -> Result<()> {
        Ok(())
    }

    fn body_bytes_sent(&self) -> usize {
        0
    }

    fn body_bytes_read(&self) -> usize {
        self.read
    }

    fn digest(&self) -> Option<&Digest> {
        None
    }

    fn digest_mut(&mut self) -> Option<&mut Digest> {
        None
    }

    fn client_addr(&self) -> Option<&SocketAddr> {
        None
    }

    fn server_addr(&self) -> Option<&SocketAddr> {
        None
    }

    fn pseudo_raw_h1_request_header(&self) -> Bytes {
        Bytes::new()
    }

    async fn finish_custom(&mut self) -> Result<()> {
        Ok(())
    }

    fn take_custom_message_reader(
        &mut self,
    ) -> Option<Box<dyn Stream<Item = Result<Bytes>> + Unpin + Send + Sync + 'static>> {
        None
    }

    fn restore_custom_message_reader(
        &mut self,
        _reader: Box<dyn Stream<Item = Result<Bytes>> + Unpin + Send + Sync + 'static>,
    ) -> Result<()> {
        Ok(())
    }

    fn take_custom_message_writer(&mut self) -> Option<Box<dyn CustomMessageWrite>> {
        None
    }

    fn restore_custom_message_writer(&mut self, _writer: Box<dyn CustomMessageWrite>) -> Result<()> {
        Ok(())
    }
}
