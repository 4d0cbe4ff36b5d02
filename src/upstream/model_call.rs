//! Requests of our own to a model of the catalog: the path, the fields and the body that its provider wants, in whichever
//! API the model is asked, and its answer in the words of chat completions.
//!
//! They ask for whole answers, never for streams.

use bytes::Bytes;
use http::{HeaderName, HeaderValue};
use pointsman_core::prompt::{Dialect, Prompt};
use pointsman_translation::{AnswerDetails, RequestMemo, TranslatedRequest, Translation, TranslationRefusal};

use super::address::BaseUrl;
use super::azure::AskedUrl;
use super::cloud::CloudCall;
use super::deployment::Deployment;
use super::translation::translation_for;

/// The version of Anthropic's API that its requests must name.
pub(crate) const ANTHROPIC_VERSION: (HeaderName, HeaderValue) =
    (HeaderName::from_static("anthropic-version"), HeaderValue::from_static("2023-06-01"));

/// A request of our own to a model, as its provider takes it.
#[derive(Debug)]
pub(crate) struct ModelCall {
    /// The path and query at the provider's host.
    pub path: String,
    /// The fields that its API wants.
    pub fields: Vec<(HeaderName, HeaderValue)>,
    /// The JSON that is sent.
    pub body: Bytes,
}

/// A request of our own that is written as chat completions, for a model that may be asked in another API.
#[derive(Debug)]
pub(crate) struct ChatCall {
    /// The request.
    pub call: ModelCall,
    translation: Option<(Translation, RequestMemo)>,
}

impl ModelCall {
    /// Makes the call whose body, in the API of `dialect`, is adapted to the model already.
    pub(crate) fn new(target: &Deployment, dialect: Dialect, body: &Bytes) -> Self {
        let (model, cloud) = (&*target.upstream_name, target.provider.cloud.as_ref());
        let path = cloud.and_then(|cloud| cloud.path(&CloudCall { model, dialect, stream: false }));
        let edits = cloud.and_then(|cloud| cloud.body_edits(dialect, &[]));
        let names_version = dialect.is_anthropic() && cloud.is_none();
        Self {
            path: path.unwrap_or_else(|| target.provider.base.model_url(model, dialect)),
            fields: names_version.then_some(ANTHROPIC_VERSION).into_iter().collect(),
            body: edits.map_or_else(|| body.clone(), |edits| edits.apply_around(body, 0..0).0),
        }
    }
}

impl ChatCall {
    /// Makes the call of a body of chat completions, adapted as every request to the model is.
    ///
    /// # Errors
    /// When the API in which the model is asked cannot say something that must not be left out.
    pub(crate) fn new(target: &Deployment, chat: &Bytes) -> Result<Self, TranslationRefusal> {
        let (own, limit) = (Dialect::ChatCompletions, target.output_limit);
        let Some(pair) = translation_for(own, target)? else {
            let body = match Prompt::parse(own, chat) {
                Ok(prompt) => {
                    let edits = target.fit(own, chat, limit).edits.and(target.edits(own, false));
                    edits.apply(chat, prompt.model_span.clone(), &target.upstream_name)
                }
                Err(_) => chat.clone(), // it is one of our own, and parses
            };
            return Ok(Self { call: ModelCall::new(target, own, &body), translation: None });
        };
        let translated = pair.request(chat, &target.translation_target(limit))?;
        let TranslatedRequest { body, model_span, memo, .. } = translated;
        let (dialect, body) = (Dialect::of_family(pair.upstream), Bytes::from(body));
        let edits = target.fit(dialect, &body, limit).edits.and(target.edits(dialect, false));
        let (body, _) = edits.apply_around(&body, model_span);
        Ok(Self { call: ModelCall::new(target, dialect, &body), translation: Some((pair, memo)) })
    }

    /// Returns a whole answer in the words of chat completions.
    ///
    /// # Errors
    /// When the answer does not have the form of its API.
    pub(crate) fn read(&self, answer: &Bytes) -> Result<Bytes, TranslationRefusal> {
        let Some((pair, memo)) = &self.translation else { return Ok(answer.clone()) };
        // Nobody sees when it was made, and by which id.
        pair.answer(answer, &AnswerDetails { now: 0, unique: "own", memo }).map(Bytes::from)
    }
}

impl BaseUrl {
    /// Returns the path and query at which a provider is asked in a dialect, for the model that it calls `model`.
    pub(crate) fn model_url(&self, model: &str, dialect: Dialect) -> String {
        match dialect.path_operation() {
            Some(operation) => {
                let framing = if dialect.streams_by_path() { "?alt=sse" } else { "" };
                format!("{}{framing}", self.google_url(model, operation))
            }
            None => self.url_for(&AskedUrl {
                path: dialect.path(),
                query: None,
                azure: None,
                google: None,
                model: Some(model),
                is_routed: true,
            }),
        }
    }
}
