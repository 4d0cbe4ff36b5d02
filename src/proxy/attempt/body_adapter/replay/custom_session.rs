//! The stand-in as Pingora sees it: the body is its own, all else the real session's.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::Stream;
use http::HeaderMap;
use pingora::Result;
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::protocols::Digest;
use pingora::protocols::http::HttpTask;
use pingora::protocols::http::custom::CustomMessageWrite;
use pingora::protocols::http::custom::server::Session as CustomSession;
use pingora::protocols::l4::socket::SocketAddr;

use super::super::rest::AnswerRest;
use super::{ReplaySession, SentBody};
use crate::proxy::attempt::withheld::Withheld;

#[async_trait]
impl CustomSession for ReplaySession {
    // The point of the adapter: the body was read, and all of it is in the retry buffer. One that is passed on is the
    // real session's.

    fn is_body_done(&mut self) -> bool {
        match &self.body {
            SentBody::Whole(_) => true,
            SentBody::Passing(_) => self.inner_mut().is_body_done(),
            SentBody::Switching { .. } => false,
        }
    }

    fn is_body_empty(&mut self) -> bool {
        match &self.body {
            SentBody::Whole(body) => body.is_empty(),
            SentBody::Passing(_) => self.inner_mut().is_body_empty(),
            SentBody::Switching { is_asked } => !is_asked,
        }
    }

    /// Pingora does this between the request's header and what follows it.
    fn enable_retry_buffering(&mut self) {
        if let SentBody::Switching { is_asked } = &mut self.body {
            *is_asked = true;
        }
        if !self.is_whole() {
            self.inner_mut().enable_retry_buffering();
        }
    }

    fn retry_buffer_truncated(&self) -> bool {
        !self.is_whole() && self.inner().retry_buffer_truncated()
    }

    fn get_retry_buffer(&self) -> Option<Bytes> {
        match &self.body {
            SentBody::Whole(body) => (!body.is_empty()).then(|| body.clone()),
            SentBody::Passing(_) => self.inner().get_retry_buffer(),
            SentBody::Switching { .. } => None,
        }
    }

    async fn read_body_bytes(&mut self) -> Result<Option<Bytes>> {
        self.read_on().await
    }

    async fn drain_request_body(&mut self) -> Result<()> {
        if self.is_whole() { Ok(()) } else { self.inner_mut().drain_request_body().await }
    }

    /// Waits for the client to leave, no longer than the upstream may be silent, or a drain lasts. Pingora polls this
    /// while it waits for the upstream, and starts it anew after each event: so the deadline is absolute.
    async fn read_body_or_idle(&mut self, no_body_expected: bool) -> Result<Option<Bytes>> {
        if !no_body_expected && matches!(self.body, SentBody::Passing(_)) {
            return self.read_on().await;
        }
        if self.rest.is_none() {
            match self.attend().await {
                Err(left) => self.without_client(left)?,
                waited => return waited,
            };
        }
        self.rest.as_ref().expect("the client has left").expired().await
    }

    // No custom messages. The writer must be `None`: with a writer and no reader Pingora fails the request.

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

    async fn finish_custom(&mut self) -> Result<()> {
        Ok(())
    }

    // Everything else is the real session's. An empty body to an HTTP/2 upstream keeps the adapter in place until
    // `upstream_response_filter`, so nothing here may be unreachable.

    fn req_header(&self) -> &RequestHeader {
        self.inner().req_header()
    }

    fn req_header_mut(&mut self) -> &mut RequestHeader {
        self.inner_mut().req_header_mut()
    }

    async fn write_response_header(&mut self, header: Box<ResponseHeader>, _end: bool) -> Result<()> {
        self.inner_mut().write_response_header(header).await
    }

    async fn write_response_header_ref(&mut self, header: &ResponseHeader, _end: bool) -> Result<()> {
        self.inner_mut().write_response_header_ref(header).await
    }

    async fn write_body(&mut self, data: Bytes, end: bool) -> Result<()> {
        self.inner_mut().write_response_body(data, end).await
    }

    async fn write_trailers(&mut self, trailers: HeaderMap) -> Result<()> {
        self.inner_mut().write_response_trailers(trailers).await
    }

    async fn response_duplex_vec(&mut self, tasks: Vec<HttpTask>) -> Result<bool> {
        if let Some(rest) = &mut self.rest {
            return rest.take(&tasks);
        }
        let has_end = AnswerRest::has_end(&tasks);
        match self.pass(tasks).await {
            Err(left) => self.without_client(left).map(|_| has_end),
            passed => passed,
        }
    }

    /// A withheld answer takes the plain way out, where it can be seen.
    fn proxy_tasks_enabled(&self) -> bool {
        matches!(self.withheld, Withheld::Nothing) && self.inner().supports_proxy_task_api()
    }

    fn set_proxy_tasks_enabled(&mut self, enabled: bool) {
        self.inner_mut().set_proxy_tasks_enabled(enabled);
    }

    fn send_proxy_task(&mut self, task: HttpTask) {
        self.inner_mut().send_downstream_proxy_task(task);
    }

    fn has_pending_proxy_tasks(&self) -> bool {
        self.inner().has_pending_downstream_proxy_tasks()
    }

    async fn write_proxy_tasks(&mut self) -> Result<bool> {
        self.inner_mut().write_downstream_proxy_tasks().await
    }

    fn set_read_timeout(&mut self, timeout: Option<Duration>) {
        self.inner_mut().set_read_timeout(timeout);
    }

    fn get_read_timeout(&self) -> Option<Duration> {
        self.inner().get_read_timeout()
    }

    fn set_write_timeout(&mut self, timeout: Option<Duration>) {
        self.inner_mut().set_write_timeout(timeout);
    }

    fn get_write_timeout(&self) -> Option<Duration> {
        self.inner().get_write_timeout()
    }

    fn set_total_drain_timeout(&mut self, timeout: Option<Duration>) {
        self.inner_mut().set_total_drain_timeout(timeout);
    }

    fn get_total_drain_timeout(&self) -> Option<Duration> {
        self.inner().get_total_drain_timeout()
    }

    fn request_summary(&self) -> String {
        self.inner().request_summary()
    }

    fn response_written(&self) -> Option<&ResponseHeader> {
        self.inner().response_written()
    }

    async fn shutdown(&mut self, _code: u32, _context: &str) {
        self.inner_mut().shutdown().await;
    }

    async fn finish(&mut self) -> Result<()> {
        if self.rest.is_some() {
            return Ok(()); // nobody reads it
        }
        self.inner_mut().finish_body().await
    }

    fn body_bytes_sent(&self) -> usize {
        self.inner().body_bytes_sent()
    }

    fn body_bytes_read(&self) -> usize {
        self.inner().body_bytes_read()
    }

    fn digest(&self) -> Option<&Digest> {
        self.inner().digest()
    }

    fn digest_mut(&mut self) -> Option<&mut Digest> {
        self.inner_mut().digest_mut()
    }

    fn client_addr(&self) -> Option<&SocketAddr> {
        self.inner().client_addr()
    }

    fn server_addr(&self) -> Option<&SocketAddr> {
        self.inner().server_addr()
    }

    fn pseudo_raw_h1_request_header(&self) -> Bytes {
        self.inner().to_h1_raw()
    }

    fn is_upgrade_req(&self) -> bool {
        self.inner().is_upgrade_req()
    }

    fn was_upgraded(&self) -> bool {
        self.inner().was_upgraded()
    }
}
