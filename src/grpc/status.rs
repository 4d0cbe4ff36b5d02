//! Statuses of gRPC: of our rejections, and of the server's health.

use std::time::Duration;

use http::StatusCode;
use pointsman_protocols::classify::classify_service_server::ClassifyServiceServer;
use pointsman_protocols::inference::grpc_inference_service_server::GrpcInferenceServiceServer;
use tokio::sync::watch;
use tokio::time::sleep;
use tonic::metadata::{MetadataMap, MetadataValue};
use tonic::server::NamedService;
use tonic::{Code, Status};
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

use super::classify::ClassifyCalls;
use super::inference::InferenceCalls;
use super::{GrpcPhase, GrpcProcess};
use crate::inference::is_ready;
use crate::proxy::rejection::{Rejection, RejectionCode};

/// The time between two looks at whether every classifier is loaded.
const LOOK: Duration = Duration::from_millis(500);

/// The names of both services.
const CLASSIFY: &str = <ClassifyServiceServer<ClassifyCalls> as NamedService>::NAME;
const INFERENCE: &str = <GrpcInferenceServiceServer<InferenceCalls> as NamedService>::NAME;

/// The metadata that carries our stable code.
const CODE: &str = "x-pointsman-code";

/// The metadata that says when to try again, in seconds.
const RETRY_AFTER: &str = "retry-after";

/// Returns a rejection as gRPC has it: its message, and its stable code beside it.
pub(super) fn status_of(rejection: &Rejection) -> Status {
    let mut metadata = MetadataMap::new();
    metadata.insert(CODE, MetadataValue::from_static(rejection.code().as_str()));
    if let Some(seconds) = rejection.retry_after() {
        metadata.insert(RETRY_AFTER, seconds.into());
    }
    Status::with_metadata(code_of(rejection), rejection.to_string(), metadata)
}

fn code_of(rejection: &Rejection) -> Code {
    match (rejection.code(), rejection.status()) {
        (RejectionCode::Overloaded, _) => Code::ResourceExhausted,
        (_, StatusCode::UNAUTHORIZED) => Code::Unauthenticated,
        (_, StatusCode::FORBIDDEN) => Code::PermissionDenied,
        (_, StatusCode::NOT_FOUND) => Code::NotFound,
        (_, StatusCode::TOO_MANY_REQUESTS) => Code::ResourceExhausted,
        (_, StatusCode::GATEWAY_TIMEOUT | StatusCode::REQUEST_TIMEOUT) => Code::DeadlineExceeded,
        (_, StatusCode::SERVICE_UNAVAILABLE) => Code::Unavailable,
        (_, status) if status.is_client_error() => Code::InvalidArgument,
        _ => Code::Internal,
    }
}

/// Keeps the health of the server and of both services: serving while every classifier is loaded and the process does not
/// end. The server as a whole serves without them too.
///
/// At the end whoever watches is let go, so that nobody's watch holds up the end.
pub(super) async fn report(mut reporter: HealthReporter, process: GrpcProcess, mut phase: watch::Receiver<GrpcPhase>) {
    loop {
        tokio::select! {
            changed = phase.changed() => if changed.is_err() { return },
            () = sleep(LOOK) => {}
        }
        let now = *phase.borrow_and_update();
        if now == GrpcPhase::Ending {
            for service in ["", CLASSIFY, INFERENCE] {
                reporter.clear_service_status(service).await;
            }
            return;
        }
        tell(&reporter, &process, now).await;
    }
}

/// Says how the server and both services are in a phase.
pub(super) async fn tell(reporter: &HealthReporter, process: &GrpcProcess, phase: GrpcPhase) {
    let is_serving = phase == GrpcPhase::Serving;
    let is_ready = is_serving && is_ready(&process.router.snapshot());
    let said = |is_good: bool| if is_good { ServingStatus::Serving } else { ServingStatus::NotServing };
    reporter.set_service_status("", said(is_serving)).await;
    for service in [CLASSIFY, INFERENCE] {
        reporter.set_service_status(service, said(is_ready)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rejection_keeps_its_code_and_its_wait() {
        let status = status_of(&Rejection::Overloaded);

        assert_eq!(status.code(), Code::ResourceExhausted);
        assert_eq!(status.metadata().get(CODE).map(MetadataValue::as_bytes), Some(&b"overloaded"[..]));
        assert_eq!(status.metadata().get(RETRY_AFTER).map(MetadataValue::as_bytes), Some(&b"1"[..]));
    }

    #[test]
    fn statuses_are_those_that_clients_of_grpc_act_on() {
        let not_found = Rejection::ClassifierNotFound { classifier: None, known: Vec::new() };
        for (rejection, code) in [
            (Rejection::DeadlineExceeded, Code::DeadlineExceeded),
            (Rejection::InvalidApiKey, Code::Unauthenticated),
            (Rejection::NotReady, Code::Unavailable),
            (Rejection::ShuttingDown, Code::Unavailable),
            (Rejection::Internal, Code::Internal),
            (Rejection::InvalidBody, Code::InvalidArgument),
            (not_found, Code::NotFound),
        ] {
            assert_eq!(status_of(&rejection).code(), code, "{rejection:?}");
        }
    }
}
