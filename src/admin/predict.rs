//! `POST /predict` and `POST /predict/batch` of the admin plane: as the data plane answers them, for no client.

use axum::http::HeaderMap;
use bytes::Bytes;
use serde_json::Value;

use super::state::{AdminError, AdminPlane, DecideRequest};
use crate::proxy::question::DECIDED_PATH;
use crate::proxy::question::predict::{self, TextRouter};
pub(super) use crate::proxy::question::predict::{BatchPrediction, TextPrediction};

/// The process behind the plane, which decides on texts.
struct PlaneRouter<'p>(&'p dyn AdminPlane);

impl TextRouter for PlaneRouter<'_> {
    type Error = AdminError;

    fn accept(&self, _: usize) {}

    async fn decide(&self, body: Bytes) -> Result<Value, AdminError> {
        let headers = HeaderMap::new();
        self.0.decide(DecideRequest { path: DECIDED_PATH, headers: &headers, client: None, now: None, body }).await
    }

    fn virtual_model(&self) -> Option<String> {
        self.0.virtual_model()
    }
}

/// Answers `POST /predict`.
pub(super) async fn one(plane: &dyn AdminPlane, body: &Bytes) -> Result<TextPrediction, AdminError> {
    predict::one(&PlaneRouter(plane), body).await
}

/// Answers `POST /predict/batch`.
pub(super) async fn many(plane: &dyn AdminPlane, body: &Bytes) -> Result<BatchPrediction, AdminError> {
    predict::many(&PlaneRouter(plane), body).await
}
