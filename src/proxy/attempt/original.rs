//! The body as the client meant it, from which every attempt's body is made.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use pointsman_core::prompt::state::{
    SealedBody, StateName, carries_absent_seals, carries_seals, is_absent_seal, is_carried_seal, unsealed,
    without_carried_seals,
};
use pointsman_core::prompt::{BodyEdits, Dialect, Prompt, google_settings};
use pointsman_translation::{DialectFamily, Translation, TranslationTarget};
use serde_json::Value;

use crate::router::RequestState;
use crate::upstream::{Deployment, UsageRequest};

/// The one change to a stream that passes: it is asked for its usage.
pub(super) static ASKING: LazyLock<BodyEdits> = LazyLock::new(|| {
    let set = [("stream_options.include_usage".to_owned(), Value::Bool(true))];
    BodyEdits::new(&[], &BTreeMap::new(), &BTreeMap::from(set))
});

/// The kind of answer that a request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::proxy) enum AnswerKind {
    /// A stream, which begins when the model does.
    Stream,
    /// A whole answer, which comes when the model has written all of it.
    Whole,
    /// Something that no model writes: embeddings, counts.
    Figures,
}

impl AnswerKind {
    /// Returns the kind of answer that a prompt asks for.
    pub(in crate::proxy) const fn of(prompt: &Prompt<'_>) -> Self {
        let dialect = prompt.dialect;
        if dialect.only_counts() || matches!(dialect, Dialect::Embeddings) {
            Self::Figures
        } else if prompt.parameters.stream {
            Self::Stream
        } else {
            Self::Whole
        }
    }
}

/// A body that was read, and what must be known of it to send it to one model or another.
#[derive(Debug, Clone)]
pub(in crate::proxy) struct OriginalBody {
    /// The whole body, decoded and otherwise untouched.
    pub(super) body: Bytes,
    /// The API that it is written for.
    pub(super) dialect: Dialect,
    /// The place of the model's name in it.
    model_span: Range<usize>,
    /// The kind of answer that it asks for.
    pub(super) asks_for: AnswerKind,
    /// True when the client wants a stream.
    pub(super) stream: bool,
    /// True when the client itself asked for an event with the usage.
    include_usage: bool,
    /// The word of a rule on `stream_options`: whether they ask for an event with the usage.
    rule_includes_usage: Option<bool>,
    /// True where its stream is not asked for its usage: nobody would take the event out of the answer again.
    never_asks_usage: bool,
    /// True where it may hold seals that a translation has carried.
    pub(super) carries_seals: bool,
    /// True where the client wants a stream as a list of documents.
    pub(super) wants_list: bool,
    /// The state that it names, where what other providers sealed is to be left out.
    pub(super) sealed: Option<Arc<RequestState>>,
}

impl OriginalBody {
    /// Keeps `body`, which `prompt` was read from.
    pub(in crate::proxy) fn new(body: &Bytes, prompt: &Prompt<'_>) -> Self {
        Self {
            body: body.clone(),
            dialect: prompt.dialect,
            model_span: prompt.model_span.clone(),
            asks_for: AnswerKind::of(prompt),
            stream: prompt.parameters.stream,
            include_usage: prompt.parameters.include_usage,
            rule_includes_usage: None,
            never_asks_usage: false,
            carries_seals: prompt.dialect.family().is_some()
                && (carries_seals(body) || prompt.dialect.is_google() && carries_absent_seals(body)),
            wants_list: false,
            sealed: None,
        }
    }

    /// Returns it as one whose stream is wanted as a list of documents, or as events.
    pub(in crate::proxy) fn answered_as(self, wants_list: bool) -> Self {
        Self { wants_list, ..self }
    }

    /// Returns it as one whose stream is asked for its usage only where the client or a rule does.
    pub(in crate::proxy) fn never_asking_usage(self, never_asks_usage: bool) -> Self {
        Self { never_asks_usage, ..self }
    }

    /// Returns the whole body.
    pub(in crate::proxy) const fn bytes(&self) -> &Bytes {
        &self.body
    }

    /// Returns the API that it is written for.
    pub(in crate::proxy) const fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// Returns it as one that asks for a whole answer, with these edits.
    pub(super) fn asking_whole(&self, edits: &BodyEdits) -> Self {
        let (body, model_span) = edits.apply_around(&self.body, self.model_span.clone());
        let dialect = self.dialect.family().map_or(self.dialect, Dialect::of_family);
        let stream = false;
        Self { body, model_span, dialect, stream, asks_for: AnswerKind::Whole, wants_list: false, ..self.clone() }
    }

    /// Sets top-level parameters, before any model's own rules; whatever the client sent for them. `stream_options`
    /// only where they are known.
    pub(super) fn set(&mut self, parameters: &BTreeMap<String, Value>) {
        if parameters.is_empty() || !self.dialect.generates() {
            return;
        }
        let of_google = self.dialect.is_google().then(|| google_settings(&self.body, parameters));
        let edits = BodyEdits::new(&[], &BTreeMap::new(), of_google.as_ref().unwrap_or(parameters));
        let streams = self.stream && self.dialect.has_stream_options();
        let edits = if streams { edits } else { edits.without("stream_options") };
        let has_options = parameters.keys().any(|key| key.split('.').next() == Some("stream_options"));
        let includes = parameters.get("stream_options.include_usage") == Some(&Value::Bool(true));
        self.rule_includes_usage = has_options.then_some(includes);
        let (body, model_span) = edits.apply_around(&self.body, self.model_span.clone());
        (self.body, self.model_span) = (body, model_span);
    }

    /// Returns whether `target`'s stream will hold an event with the usage only because we ask for it.
    pub(super) fn gets_usage_unasked(&self, target: &Deployment) -> bool {
        let is_set = target.usage_request == UsageRequest::Set || self.rule_includes_usage == Some(true);
        self.hides_usage() && (is_set || self.asks_by_default(target))
    }

    /// Returns whether it streams in a dialect that says its usage when asked, and the client did not ask.
    pub(super) fn hides_usage(&self) -> bool {
        self.stream && !self.include_usage && self.dialect.has_stream_options()
    }

    fn asks_by_default(&self, target: &Deployment) -> bool {
        !self.never_asks_usage
            && self.hides_usage()
            && target.is_asked_by_default()
            && self.rule_includes_usage.is_none()
    }

    /// Returns the body for `target`: with its model's name, with the edits that make it `fit`, and adapted by the
    /// model's rules. One copy, or two where something is unsealed.
    pub(super) fn body_for(&self, target: &Deployment, fit: &BodyEdits) -> Bytes {
        let edits =
            if self.asks_by_default(target) { target.asking_edits() } else { target.edits(self.dialect, self.stream) };
        let (body, model_span) = self.unsealed_for(target);
        let (body, model_span) =
            if self.carries_seals { self.cleaned(&body, model_span, target) } else { (body, model_span) };
        fit.and(edits).apply(&body, model_span, &self.dialect.model_in_body(&target.upstream_name))
    }

    /// Returns a body without the seals that a translation has carried in it. Anthropic's and Google's APIs have rules for
    /// a history without them, which the translation knows.
    fn cleaned(&self, body: &Bytes, model_span: Range<usize>, target: &Deployment) -> (Bytes, Range<usize>) {
        let has_rules = |family: &DialectFamily| matches!(family, DialectFamily::Messages | DialectFamily::Gemini);
        let own = self.dialect.family().filter(|family| has_rules(family) && self.dialect.generates());
        let to = TranslationTarget { model: &target.upstream_name, max_output: None };
        let cleaned = own.and_then(|own| Translation { client: own, upstream: own }.request(body, &to).ok());
        match cleaned.filter(|cleaned| cleaned.model_span.is_empty() == model_span.is_empty()) {
            Some(cleaned) => (cleaned.body.into(), cleaned.model_span),
            None => without_carried_seals(body, self.dialect, model_span),
        }
    }

    /// Returns the body without what is sealed in it and not `target`'s provider's, and where its model stands then.
    pub(super) fn unsealed_for(&self, target: &Deployment) -> (Bytes, Range<usize>) {
        let own = self.sealed.as_ref().and_then(|state| state.own_history(&target.provider.name));
        let Some(own) = own else { return (self.body.clone(), self.model_span.clone()) };
        let is_own = |kind, value: &[u8]| {
            let is_own = || {
                let name = StateName::new(kind, value);
                own.iter().any(|own| own.digest == name.digest)
            };
            Some(is_carried_seal(value) || is_absent_seal(value) || is_own())
        };
        let sealed = SealedBody { body: &self.body, dialect: self.dialect, is_own: &is_own };
        unsealed(sealed, self.model_span.clone())
    }
}
