//! The memory of Envoy's messages while they come: reserved piece by piece, within what all bodies may take.
//!
//! A message is decoded once all of it is there, which may be tens of megabytes on each of thousands of streams. What is
//! judged afterwards reserves its own.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::Request;
use hyper::body::{Frame, SizeHint};
use tonic::Status;
use tonic::body::Body;

use crate::proxy::Proxy;
use crate::proxy::external::ExternalMemory;

/// The memory of what has come of one stream and was not taken yet.
#[derive(Clone)]
pub(super) struct MessageMemory(Arc<Mutex<ExternalMemory>>);

/// The body of a stream whose bytes are reserved as they come.
struct ReservedBody {
    inner: Body,
    memory: MessageMemory,
}

impl MessageMemory {
    /// Makes that of a stream of nothing yet.
    pub(super) fn new(proxy: &Proxy) -> Self {
        Self(Arc::new(Mutex::new(ExternalMemory::of(proxy))))
    }

    /// Reserves a stream's bytes from now on, and has the request know by what.
    pub(super) fn reserving(self, request: Request<Body>) -> Request<Body> {
        let memory = self.clone();
        let mut request = request.map(|inner| Body::new(ReservedBody { inner, memory }));
        request.extensions_mut().insert(self);
        request
    }

    /// Notes that a message was taken: nothing waits but what comes next.
    pub(super) fn taken(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).release();
    }

    fn add(&self, bytes: usize) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).add(bytes)
    }
}

impl hyper::body::Body for ReservedBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = self.get_mut();
        let frame = ready!(Pin::new(&mut this.inner).poll_frame(cx));
        let bytes = frame.as_ref().and_then(|frame| frame.as_ref().ok()?.data_ref()).map_or(0, Bytes::len);
        if this.memory.add(bytes) {
            return Poll::Ready(frame);
        }
        Poll::Ready(Some(Err(Status::resource_exhausted(
            "bodies take as much memory as `limits.max_bytes_in_flight` allows",
        ))))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
