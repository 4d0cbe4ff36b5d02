//! Bodies of calls: none that its client may leave unfinished for long, and no more of those that need no key than are
//! bounded.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep, sleep_until};
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::Service;
use tonic::server::NamedService;

use super::status::status_of;
use super::{CALL, GrpcProcess};
use crate::proxy::rejection::Rejection;

/// The largest message of health and reflection, which need no key: names, and nothing else.
pub(super) const MAX_OPEN_MESSAGE_BYTES: usize = 64 << 10;

/// The bodies of such calls that are read at a time; any more are refused.
const MAX_OPEN_BODIES: usize = 1024;

/// A service whose calls have bounded bodies: in the pauses of their clients by `limits.body_idle`, and in all by the time
/// that a call may take.
#[derive(Clone)]
pub(super) struct BoundedBodies<S> {
    inner: S,
    process: GrpcProcess,
    /// The places of bodies; `None` where whoever calls was admitted before.
    places: Option<Arc<Semaphore>>,
}

/// A body that ends with an error when nothing comes for too long.
struct BoundedBody {
    inner: Body,
    idle: Duration,
    until: Instant,
    /// The wait for what comes next.
    wait: Option<Pin<Box<Sleep>>>,
    /// The body's place, until it has ended.
    place: Option<OwnedSemaphorePermit>,
}

/// The places of bodies of calls that need no key.
pub(super) fn open_places() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(MAX_OPEN_BODIES))
}

impl<S> BoundedBodies<S> {
    /// Bounds the bodies of a service whose callers are admitted.
    pub(super) const fn admitted(inner: S, process: GrpcProcess) -> Self {
        Self { inner, process, places: None }
    }

    /// Bounds the bodies of a service that is open to anyone, in number too.
    pub(super) const fn open(inner: S, process: GrpcProcess, places: Arc<Semaphore>) -> Self {
        Self { inner, process, places: Some(places) }
    }

    fn bounded(&self, body: Body) -> Body {
        let place = match &self.places {
            None => None,
            Some(places) => match Arc::clone(places).try_acquire_owned() {
                Ok(place) => Some(place),
                Err(_) => return Body::new(RefusedBody(Some(status_of(&Rejection::Overloaded)))),
            },
        };
        let idle = self.process.router.snapshot().config.limits.body_idle.0;
        Body::new(BoundedBody { inner: body, idle, until: Instant::now() + CALL, wait: None, place })
    }
}

impl<S: Service<http::Request<Body>>> Service<http::Request<Body>> for BoundedBodies<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: http::Request<Body>) -> S::Future {
        let request = request.map(|body| self.bounded(body));
        self.inner.call(request)
    }
}

impl<S: NamedService> NamedService for BoundedBodies<S> {
    const NAME: &'static str = S::NAME;
}

impl HttpBody for BoundedBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.inner).poll_frame(cx) {
            self.wait = None;
            if frame.is_none() {
                self.place = None;
            }
            return Poll::Ready(frame);
        }
        let latest = (Instant::now() + self.idle).min(self.until);
        let wait = self.wait.get_or_insert_with(|| Box::pin(sleep_until(latest)));
        ready!(wait.as_mut().poll(cx));
        Poll::Ready(Some(Err(status_of(&Rejection::RequestTimeout))))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }
}

/// A body in whose place an error stands.
struct RefusedBody(Option<Status>);

impl HttpBody for RefusedBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        Poll::Ready(self.0.take().map(Err))
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::{BodyExt, Empty, Full, StreamBody};

    use super::*;

    async fn status(body: BoundedBody) -> Option<(tonic::Code, String)> {
        let status = body.collect().await.err()?;
        Some((status.code(), status.message().to_owned()))
    }

    fn body(inner: Body) -> BoundedBody {
        BoundedBody { inner, idle: Duration::from_secs(30), until: Instant::now() + CALL, wait: None, place: None }
    }

    fn never() -> Body {
        let frames = futures::stream::pending::<Result<Frame<Bytes>, Status>>();
        Body::new(StreamBody::new(frames))
    }

    /// A byte, and another one every twenty seconds.
    fn dripping() -> Body {
        let drops = futures::stream::unfold((), |()| async {
            tokio::time::sleep(Duration::from_secs(20)).await;
            Some((Ok::<_, Status>(Frame::data(Bytes::from_static(b"a"))), ()))
        });
        Body::new(StreamBody::new(Box::pin(drops)))
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_stops_or_drips_ends_with_an_error() {
        let started = Instant::now();

        let stalled = status(body(never())).await.expect("an error");
        let stalled_for = started.elapsed();
        let dripped = status(body(dripping())).await.expect("an error");

        assert_eq!(stalled.0, tonic::Code::DeadlineExceeded, "{stalled:?}");
        assert_eq!(dripped.0, tonic::Code::DeadlineExceeded, "{dripped:?}");
        assert!(stalled_for >= Duration::from_secs(30) && stalled_for < Duration::from_secs(31), "{stalled_for:?}");
        assert!(started.elapsed() - stalled_for < CALL + Duration::from_secs(1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_whole_body_passes_and_gives_its_place_back() {
        let places = Arc::new(Semaphore::new(1));
        let place = Arc::clone(&places).try_acquire_owned().ok();
        let mut whole = BoundedBody { place, ..body(Body::new(Full::new(Bytes::from_static(b"whole")))) };

        let read = BodyExt::collect(&mut whole).await.expect("no error").to_bytes();

        assert_eq!((&read[..], places.available_permits()), (&b"whole"[..], 1));
        assert_eq!(status(body(Body::new(Empty::new()))).await, None);
    }
}
