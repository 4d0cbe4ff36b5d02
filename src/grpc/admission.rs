//! The admission of calls, by their metadata alone: before any of the message is read.
//!
//! What holds for requests holds for calls: `limits.max_requests` counts both, clients show their keys and are limited by
//! their rates. The memory of messages is bounded by their number and by what one may take, its lists included: as many are
//! read at a time as `limits.max_bytes_in_flight` has room for.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use pointsman_protocols::codec::MAX_REQUEST_ROOM;
use pointsman_telemetry::DecisionQuestion;
use tokio::time::Instant;
use tonic::metadata::MetadataMap;
use tonic::service::Interceptor;
use tonic::{Request, Response, Status};

use super::GrpcProcess;
use super::status::status_of;
use crate::classify::ClassifyTerms;
use crate::clients::{Client, QuestionMeter};
use crate::proxy::rejection::Rejection;
use crate::proxy::{CountedRequest, find_key};
use crate::snapshot::Snapshot;

/// The largest message, as gRPC's own libraries have it.
pub(super) const MAX_MESSAGE_BYTES: usize = 4 << 20;

/// The memory of a message: as it came, its texts once more, and its lists while they grow.
const MESSAGE_ROOM: usize = 2 * (MAX_MESSAGE_BYTES + MAX_REQUEST_ROOM);

/// The part of a caller's own deadline that is left for the answer's way back; at most [`MARGIN`].
const MARGIN_SHARE: u32 = 10;
const MARGIN: Duration = Duration::from_millis(5);

/// The gate that calls pass.
#[derive(Clone)]
pub(super) struct CallGate {
    process: GrpcProcess,
    open: Arc<AtomicUsize>,
}

/// A call that was admitted; its place is free when the last handle is dropped.
#[derive(Clone)]
pub(super) struct AdmittedCall(Arc<CallPlace>);

struct CallPlace {
    snapshot: Arc<Snapshot>,
    meter: QuestionMeter,
    deadline: Option<Instant>,
    _counted: CountedRequest,
    _message: MessagePlace,
}

/// A place among the messages that are read.
struct MessagePlace(Arc<AtomicUsize>);

impl CallGate {
    pub(super) fn new(process: GrpcProcess) -> Self {
        Self { process, open: Arc::default() }
    }

    fn admit(&self, metadata: &MetadataMap) -> Result<AdmittedCall, Rejection> {
        let snapshot = self.process.router.snapshot();
        let limits = &snapshot.config.limits;
        let counted = self.process.draining.count_request(limits.max_requests).ok_or(Rejection::Overloaded)?;
        let room = (limits.bytes_in_flight() / MESSAGE_ROOM).max(1);
        let message = MessagePlace::take(&self.open, room).ok_or(Rejection::Overloaded)?;
        let client = identify(&snapshot, metadata)?;
        if let Some(client) = &client {
            client.admit().map_err(|limited| Rejection::RateLimited { limited })?;
        }
        let deadline = deadline(metadata)?;
        let meter = QuestionMeter::of(client.as_ref());
        Ok(AdmittedCall(Arc::new(CallPlace { snapshot, meter, deadline, _counted: counted, _message: message })))
    }
}

impl Interceptor for CallGate {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let admitted = self.admit(request.metadata()).map_err(|rejection| status_of(&rejection))?;
        request.extensions_mut().insert(admitted);
        Ok(request)
    }
}

impl MessagePlace {
    fn take(open: &Arc<AtomicUsize>, room: usize) -> Option<Self> {
        let one_more = |count: usize| (count < room).then_some(count + 1);
        open.fetch_update(Ordering::AcqRel, Ordering::Acquire, one_more).ok()?;
        Some(Self(Arc::clone(open)))
    }
}

impl Drop for MessagePlace {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl AdmittedCall {
    /// Returns the admission of a call, which the gate has left with it.
    ///
    /// # Errors
    /// When the call came by no gate, which no service allows.
    pub(super) fn of<T>(request: &Request<T>) -> Result<Self, Status> {
        let admitted = request.extensions().get::<Self>().cloned();
        admitted.ok_or_else(|| status_of(&Rejection::Internal))
    }

    /// Returns the snapshot that answers.
    pub(super) fn snapshot(&self) -> &Snapshot {
        &self.0.snapshot
    }

    /// Returns the terms of the client and its call.
    pub(super) fn terms(&self) -> ClassifyTerms<'_> {
        ClassifyTerms { deadline: self.0.deadline, meter: &self.0.meter }
    }
}

impl GrpcProcess {
    /// Counts a call that was answered, and returns its answer as gRPC has it.
    pub(super) fn answered<T>(
        &self,
        question: DecisionQuestion,
        answer: Result<T, Rejection>,
    ) -> Result<Response<T>, Status> {
        let status = answer.as_ref().map_or_else(|rejection| rejection.status().as_u16(), |_| 200);
        self.metrics.question_ended(question, Some(status));
        answer.map(Response::new).map_err(|rejection| status_of(&rejection))
    }
}

/// Finds the client whose key a call carries; `None` where nobody needs one.
fn identify(snapshot: &Snapshot, metadata: &MetadataMap) -> Result<Option<Arc<Client>>, Rejection> {
    if !snapshot.clients.are_required() {
        return Ok(None);
    }
    let found = find_key(&snapshot.clients, metadata.as_ref());
    found.map(|(found, _)| Some(found.client)).ok_or(Rejection::InvalidApiKey)
}

/// Returns the instant by which the caller wants its answer, if it says so, with time for the way back.
fn deadline(metadata: &MetadataMap) -> Result<Option<Instant>, Rejection> {
    let Some(value) = metadata.get("grpc-timeout") else { return Ok(None) };
    let malformed = || Rejection::InvalidQuestion {
        param: None,
        message: "`grpc-timeout` is no time (allowed: up to eight digits and one of H, M, S, m, u, n).".to_owned(),
    };
    let wait = value.to_str().ok().and_then(timeout).ok_or_else(malformed)?;
    Ok(Some(Instant::now() + wait.saturating_sub(MARGIN.min(wait / MARGIN_SHARE))))
}

fn timeout(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let count: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(count * 3600)),
        "M" => Some(Duration::from_secs(count * 60)),
        "S" => Some(Duration::from_secs(count)),
        "m" => Some(Duration::from_millis(count)),
        "u" => Some(Duration::from_micros(count)),
        "n" => Some(Duration::from_nanos(count)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_has_up_to_eight_digits_and_a_unit() {
        assert_eq!(timeout("2S"), Some(Duration::from_secs(2)));
        assert_eq!(timeout("000000150m"), None, "nine digits");
        assert_eq!(timeout("150m"), Some(Duration::from_millis(150)));
        assert_eq!(timeout("99999999H"), Some(Duration::from_secs(99_999_999 * 3600)));
        for bad in ["", "S", "2", "2s", "-2S", "2.5S", "\u{20ac}"] {
            assert_eq!(timeout(bad), None, "{bad}");
        }
    }

    #[test]
    fn as_many_messages_are_read_as_there_is_room_for() {
        let open = Arc::default();
        let first = MessagePlace::take(&open, 1);

        assert!(first.is_some() && MessagePlace::take(&open, 1).is_none());
        drop(first);
        assert!(MessagePlace::take(&open, 1).is_some());
    }
}
