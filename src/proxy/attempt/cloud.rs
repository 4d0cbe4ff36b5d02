//! An attempt at a model of a cloud: the path and the body that the cloud wants, and the signature over both.

use std::sync::Arc;

use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use pingora::{ErrorType, OrErr, Result};
use pointsman_core::prompt::Dialect;

use super::UpstreamAttempts;
use super::attempt_body::AttemptBody;
use super::forward::{ANTHROPIC_BETA, set_authority};
use super::original::AnswerKind;
use crate::proxy::large_work;
use crate::upstream::{CloudCall, CloudService, Provider, RequestSigner};

/// The type of the streams of AWS.
const EVENT_STREAM: HeaderValue = HeaderValue::from_static("application/vnd.amazon.eventstream");

/// The beginning of the fields that only Anthropic's own API knows.
const ANTHROPIC_FIELDS: &str = "anthropic-";

/// An attempt at a model of a cloud.
pub(in crate::proxy) struct CloudAttempt {
    provider: Arc<Provider>,
    /// The model, as the cloud calls it.
    model: String,
    /// The dialect that the model is asked in.
    dialect: Dialect,
    stream: bool,
}

/// The part of a client's request that an attempt at a cloud goes by.
#[derive(Debug, Clone, Copy)]
pub(in crate::proxy) struct ClientAsk<'a> {
    /// The path.
    pub(in crate::proxy) path: &'a str,
    /// The model, where the request passes through.
    pub(in crate::proxy) model: Option<&'a str>,
}

impl CloudAttempt {
    /// Returns the attempt, where it goes to a cloud.
    pub(in crate::proxy) fn of(attempts: &UpstreamAttempts, asked: ClientAsk<'_>) -> Option<Self> {
        let provider = attempts.provider().filter(|provider| provider.cloud.is_some())?;
        let (dialect, stream) = match attempts.body.translation() {
            Some(translation) => (translation.answer_dialect(), translation.stream),
            None => (Dialect::of_path(asked.path)?, attempts.body.asks_for() == Some(AnswerKind::Stream)),
        };
        let model = attempts.target().map(|target| &*target.upstream_name).or(asked.model).unwrap_or_default();
        Some(Self { provider: Arc::clone(provider), model: model.to_owned(), dialect, stream })
    }

    fn cloud(&self) -> &CloudService {
        self.provider.cloud.as_ref().expect("an attempt at a cloud")
    }

    /// Makes the body the one that the cloud wants. To do it again, for another attempt, changes nothing.
    pub(in crate::proxy) fn fit_body(&self, fields: &HeaderMap, body: &mut AttemptBody) {
        let is_native = body.translation().is_none(); // betas of another API's client are none
        let named = fields.get_all(&ANTHROPIC_BETA).iter().filter_map(|value| value.to_str().ok());
        let betas: Vec<&str> = named
            .flat_map(|value| value.split(','))
            .map(str::trim)
            .filter(|beta| is_native && !beta.is_empty())
            .collect();
        if let Some(edits) = self.cloud().body_edits(self.dialect, &betas) {
            body.edit(&edits);
        }
    }

    /// Asks for the cloud's path, where it has one of its own, and names the types that it reads and writes.
    pub(in crate::proxy) fn set_target(&self, upstream: &mut Parts) -> Result<()> {
        let call = CloudCall { model: &self.model, dialect: self.dialect, stream: self.stream };
        if let Some(path) = self.cloud().path(&call) {
            set_authority(upstream, &self.provider, &path)?;
        }
        let fields = &mut upstream.headers;
        fields.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if self.wraps_answers() {
            let own = fields.keys().filter(|name| name.as_str().starts_with(ANTHROPIC_FIELDS)).cloned();
            for name in own.collect::<Vec<HeaderName>>() {
                fields.remove(&name);
            }
            let accepted = if self.stream { EVENT_STREAM } else { HeaderValue::from_static("application/json") };
            fields.insert(header::ACCEPT, accepted);
        }
        Ok(())
    }

    /// Signs the request, where the attempt's credential signs. Nothing of it may change afterwards.
    pub(in crate::proxy) fn sign(&self, upstream: &mut Parts, attempts: &UpstreamAttempts) -> Result<()> {
        let (Some(credentials), Some(region)) = (attempts.credential.aws(), self.cloud().region()) else {
            return Ok(());
        };
        let body = attempts.body.bytes().map_or(&[][..], |body| &body[..]);
        let signer = RequestSigner { credentials, region };
        let signed = large_work::at_once(body.len(), || signer.sign(upstream, body));
        signed.or_err(ErrorType::InternalError, "while signing a request")
    }

    /// Returns whether the answer comes in AWS' own words.
    pub(in crate::proxy) fn wraps_answers(&self) -> bool {
        self.cloud().wraps_answers(self.dialect)
    }
}
