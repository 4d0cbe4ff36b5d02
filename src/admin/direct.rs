//! Questions that no policy decides on, as the admin plane takes them: the classify API, typed decisions and the Open
//! Inference Protocol.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use bytes::Bytes;

use super::http::read;
use super::state::AdminPlane;
use crate::proxy::question::direct::{DirectKind, DirectQuestion};
use crate::proxy::rejection::{AnswerShape, Rejection};

type AdminState = State<Arc<dyn AdminPlane>>;

pub(super) fn routes() -> Router<Arc<dyn AdminPlane>> {
    let reading = || -> MethodRouter<_> { get(infer) };
    Router::new()
        .route("/v1/classify", post(classify))
        .route("/v1/decisions", post(decide))
        .route("/v2", reading())
        .route("/v2/health/live", reading())
        .route("/v2/health/ready", reading())
        .route("/v2/models/{model}", reading())
        .route("/v2/models/{model}/ready", reading())
        .route("/v2/models/{model}/infer", post(infer))
        .route("/v2/models/{model}/versions/{version}", reading())
        .route("/v2/models/{model}/versions/{version}/ready", reading())
        .route("/v2/models/{model}/versions/{version}/infer", post(infer))
}

async fn classify(State(plane): AdminState, request: Request) -> Response {
    ask(&*plane, DirectKind::Classify, request).await
}

async fn decide(State(plane): AdminState, request: Request) -> Response {
    ask(&*plane, DirectKind::Decide, request).await
}

async fn infer(State(plane): AdminState, request: Request) -> Response {
    ask(&*plane, DirectKind::Infer, request).await
}

/// Answers a question, an error in the shape of its API.
async fn ask(plane: &dyn AdminPlane, kind: DirectKind, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let path = head.uri.path();
    let answered = match read(&head.headers, body, plane.max_body_bytes()).await {
        Ok(body) => {
            let asked = DirectQuestion { kind, method: &head.method, path, headers: &head.headers, body: &body.bytes };
            plane.ask(asked).await
        }
        Err(rejection) => Err(rejection),
    };
    match answered {
        Ok(said) => json(StatusCode::OK, said),
        Err(rejection) => refused(&rejection, AnswerShape::of(path, &head.headers)),
    }
}

fn refused(rejection: &Rejection, shape: AnswerShape) -> Response {
    let mut answer = json(rejection.status(), rejection.body(shape));
    if let Some(seconds) = rejection.retry_after() {
        answer.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
    answer
}

fn json(status: StatusCode, body: Bytes) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}
