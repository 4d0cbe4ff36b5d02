//! The body as the client meant it, from which every attempt's body is made.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use pointsman_core::config::{LossRule, Name};
use pointsman_core::model_family::{ModelProfile, ParameterChange, ParameterFit, RefusedParameter};
use pointsman_core::policy::{Candidate, Decision};
use pointsman_core::prompt::state::{
    SealedBody, StateName, carries_absent_seals, carries_seals, is_absent_seal, is_carried_seal, unsealed,
    without_carried_seals,
};
use pointsman_core::prompt::{BodyEdits, Dialect, Prompt, google_settings};
use pointsman_core::usage::UsageEvent;
use pointsman_translation::{DialectFamily, Translation, TranslationRefusal, TranslationTarget};
use serde_json::Value;

use super::translated::{AttemptTranslation, TranslatedBody};
use crate::proxy::large_work;
use crate::router::RequestState;
use crate::upstream::{Deployment, EarlyTranslation, Provider, UsageRequest, translation_for};

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

/// The body of the next attempt, and what that of another is made from. Empty for a request whose body is not read.
#[derive(Debug, Default)]
pub(in crate::proxy) struct AttemptBody {
    original: Option<OriginalBody>,
    /// The kind of answer that it asks for.
    asks_for: Option<AnswerKind>,
    /// The bytes to send.
    bytes: Option<Bytes>,
    /// True when Pointsman asks for the stream's usage event and the client did not.
    asks_for_usage: bool,
    /// True when a second time might do what was asked a second time: nobody knows what it is.
    is_sent_once: bool,
    /// The most tokens that answers may have, by model, where the client asks for more.
    answer_limits: Vec<(Name, u64)>,
    /// The changes that make the parameters of the next attempt fit its model.
    changes: Vec<ParameterChange>,
    /// The rule for what the API of a model's provider cannot say.
    on_loss: LossRule,
    /// The translation that was made before the choice of the model, until the first attempt.
    early: Option<Box<EarlyTranslation>>,
    /// The translation of the next attempt, where its provider does not speak the client's API.
    translation: Option<Arc<AttemptTranslation>>,
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
    asks_for: AnswerKind,
    /// True when the client wants a stream.
    pub(super) stream: bool,
    /// True when the client itself asked for an event with the usage.
    include_usage: bool,
    /// The word of a rule on `stream_options`: whether they ask for an event with the usage.
    rule_includes_usage: Option<bool>,
    /// True where it may hold seals that a translation has carried.
    carries_seals: bool,
    /// True where the client wants a stream as a list of documents.
    pub(super) wants_list: bool,
    /// The state that it names, where what other providers sealed is to be left out.
    sealed: Option<Arc<RequestState>>,
}

impl AttemptBody {
    /// Keeps the body that the client sent.
    pub(in crate::proxy) fn read(&mut self, original: OriginalBody) {
        self.asks_for = Some(original.asks_for);
        self.original = Some(original);
    }

    /// Sets top-level parameters of every attempt, see [`OriginalBody::set`].
    pub(in crate::proxy) fn set(&mut self, parameters: &BTreeMap<String, Value>) {
        if let Some(original) = &mut self.original {
            original.set(parameters);
        }
    }

    /// Returns the body that the client sent, with what rules set, while it is kept.
    pub(in crate::proxy) fn original(&self) -> Option<&OriginalBody> {
        self.original.as_ref()
    }

    /// Leaves out of every attempt's body what other providers sealed than the one that gets it.
    pub(in crate::proxy) fn unseal(&mut self, state: &Arc<RequestState>) {
        if let Some(original) = &mut self.original {
            original.sealed = Some(Arc::clone(state));
        }
    }

    /// Bounds the answers of a decision's models.
    pub(in crate::proxy) fn limit_answers(&mut self, decision: &Decision) {
        let limit = |candidate: &Candidate| Some((candidate.model.clone(), candidate.answer_limit?));
        self.answer_limits = decision.candidates.iter().filter_map(limit).collect();
    }

    /// Sets what becomes of what the API of a model's provider cannot say.
    pub(in crate::proxy) fn treat_losses(&mut self, rule: LossRule) {
        self.on_loss = rule;
    }

    /// Keeps a translation that was made before the choice of the model for the first attempt.
    pub(in crate::proxy) fn expect_translation(&mut self, early: Option<Box<EarlyTranslation>>) {
        self.early = early;
    }

    /// Returns what was changed in the parameters so that they fit the model.
    pub(in crate::proxy) fn changes(&self) -> &[ParameterChange] {
        &self.changes
    }

    /// Makes the next attempt's body the one that was sent, without the parameters that the API has refused.
    pub(super) fn leave_out(&mut self, refused: &[RefusedParameter]) {
        let Some(body) = self.bytes.clone() else { return };
        // Of a body that was sent to a model, nothing else is to be fitted.
        let request = ParameterFit { dialect: Dialect::ChatCompletions, body: &body, limit: None, refused };
        let (fitted, bytes) = large_work::at_once(body.len(), || {
            let fitted = ModelProfile::default().fit(&request);
            let (bytes, _) = fitted.edits.apply_around(&body, 0..0);
            (fitted, bytes)
        });
        self.bytes = Some(bytes);
        self.changes.extend(fitted.changes);
    }

    /// Changes the attempt's body at its top level.
    pub(super) fn edit(&mut self, edits: &BodyEdits) {
        let Some(body) = self.bytes.take() else { return };
        self.bytes = Some(large_work::at_once(body.len(), || edits.apply_around(&body, 0..0).0));
    }

    /// Makes the next attempt's body the client's own, as it is.
    pub(in crate::proxy) fn pass(&mut self, body: Bytes) {
        self.bytes = Some(body);
    }

    /// Makes the next attempt's body the client's own, as it is, that asks for this kind of answer.
    pub(in crate::proxy) fn pass_for(&mut self, body: Bytes, asks_for: AnswerKind) {
        self.asks_for = Some(asks_for);
        self.pass(body);
    }

    /// Makes the only attempt's body the client's own, of a request on a path that is not read.
    pub(in crate::proxy) fn pass_once(&mut self, body: Bytes) {
        self.bytes = Some(body);
        self.is_sent_once = true;
    }

    /// Returns whether the body is at hand for another attempt, which does no harm.
    pub(super) const fn may_be_sent_again(&self) -> bool {
        self.bytes.is_some() && !self.is_sent_once
    }

    /// Like [`AttemptBody::pass`], for a client whose tokens are counted: its streams are asked for their usage.
    pub(in crate::proxy) fn pass_counted(&mut self, body: Bytes, provider: &Provider) {
        let counted = self.original.as_ref().filter(|original| original.hides_usage() && provider.asks_for_usage());
        self.asks_for_usage = counted.is_some();
        self.bytes = Some(if self.asks_for_usage { ASKING.apply_around(&body, 0..0).0 } else { body });
    }

    /// Makes the next attempt's body the one that `target` is to get: the client's own, or a translation where the provider
    /// does not speak the client's API.
    ///
    /// # Errors
    /// When it cannot be translated, or not without a loss that its policy refuses; all stays as it was then.
    pub(in crate::proxy) fn prepare_for(&mut self, target: &Deployment) -> Result<(), TranslationRefusal> {
        let Some(original) = &self.original else { return Ok(()) };
        let limit = self.answer_limits.iter().find(|(model, _)| *model == target.model).map(|(_, tokens)| *tokens);
        let early = self.early.take();
        if let Some(pair) = translation_for(original.dialect, target)? {
            let translate = || original.translated_for(target, pair, limit, early);
            let made = large_work::at_once(original.body.len(), translate)?;
            let losses = &made.translation.losses;
            if self.on_loss == LossRule::Refuse && losses.left_out().next().is_some() {
                return Err(TranslationRefusal::Lossy(losses.clone()));
            }
            self.take(made);
            return Ok(());
        }
        self.translation = None;
        self.bytes = None; // that of the attempt before is not kept beside the next
        let (fitted, bytes) = large_work::at_once(original.body.len(), || {
            let fitted = target.fit(original.dialect, &original.body, limit);
            let bytes = original.body_for(target, &fitted.edits);
            (fitted, bytes)
        });
        self.bytes = Some(bytes);
        self.changes = fitted.changes;
        self.asks_for_usage = original.gets_usage_unasked(target);
        Ok(())
    }

    /// Makes every attempt's body a translation of the client's own, for a model of no catalog at `provider`.
    ///
    /// # Errors
    /// When it cannot be translated.
    pub(in crate::proxy) fn pass_translated(
        &mut self,
        provider: &Provider,
        pair: Translation,
        wanted: &TranslationTarget<'_>,
    ) -> Result<(), TranslationRefusal> {
        let Some(original) = &self.original else { return Ok(()) };
        let made = large_work::at_once(original.body.len(), || original.translated_past(provider, pair, wanted))?;
        self.take(made);
        Ok(())
    }

    fn take(&mut self, made: TranslatedBody) {
        (self.bytes, self.changes) = (Some(made.bytes), made.changes);
        self.translation = Some(Arc::new(made.translation));
        self.asks_for_usage = false; // what the client gets of the usage is the translation's to say
    }

    /// Returns the translation of the attempt, if it is in another API than the client's.
    pub(in crate::proxy) const fn translation(&self) -> Option<&Arc<AttemptTranslation>> {
        self.translation.as_ref()
    }

    /// Tells whether the attempt's model gets less of the request than an answer may depend on.
    pub(super) fn loses_what_matters(&self) -> bool {
        self.translation.as_ref().is_some_and(|translation| translation.losses.grave().is_some())
    }

    /// Notes that Pointsman itself answers in place of an upstream that does not speak the client's API.
    pub(in crate::proxy) fn note_translation(&mut self, translation: AttemptTranslation) {
        self.translation = Some(Arc::new(translation));
    }

    /// Returns a body of the client's own as it may pass on: without the seals that a translation has carried in it.
    pub(in crate::proxy) fn without_carried_seals(&self, body: Bytes) -> Bytes {
        match self.original.as_ref().filter(|original| original.carries_seals) {
            Some(original) => without_carried_seals(&body, original.dialect, 0..0).0,
            None => body,
        }
    }

    /// Lets go of the client's own body, because no other attempt needs one.
    pub(super) fn forget_original(&mut self) {
        self.original = None;
    }

    /// Returns the kind of answer that the request asks for; `None` for one that is not read.
    pub(in crate::proxy) const fn asks_for(&self) -> Option<AnswerKind> {
        self.asks_for
    }

    /// Returns the bytes to send, when the body was read.
    pub(in crate::proxy) const fn bytes(&self) -> Option<&Bytes> {
        self.bytes.as_ref()
    }

    /// Returns what becomes of a usage event in the answer: one that the client did not ask for is not for it.
    pub(in crate::proxy) const fn usage_event(&self) -> UsageEvent {
        if self.asks_for_usage { UsageEvent::Remove } else { UsageEvent::Keep }
    }

    /// Returns the bytes of memory that its bodies take together with `received`, if that is kept too; each piece of
    /// memory counts once.
    pub(in crate::proxy) fn memory(&self, received: Option<&Bytes>) -> usize {
        let bodies = [received, self.original.as_ref().map(|original| &original.body), self.bytes.as_ref()];
        let is_first = |index: usize, body: &Bytes| {
            !bodies[..index].iter().flatten().any(|earlier| earlier.as_ptr() == body.as_ptr())
        };
        let counted = bodies.iter().enumerate().filter_map(|(index, body)| body.filter(|body| is_first(index, body)));
        counted.map(Bytes::len).sum()
    }
}

impl Drop for AttemptBody {
    fn drop(&mut self) {
        let original = self.original.take().map(|original| original.body);
        original.into_iter().chain(self.bytes.take()).for_each(large_work::release);
    }
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
    fn set(&mut self, parameters: &BTreeMap<String, Value>) {
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
    fn gets_usage_unasked(&self, target: &Deployment) -> bool {
        let is_set = target.usage_request == UsageRequest::Set || self.rule_includes_usage == Some(true);
        self.hides_usage() && (is_set || self.asks_by_default(target))
    }

    /// Returns whether it streams in a dialect that says its usage when asked, and the client did not ask.
    fn hides_usage(&self) -> bool {
        self.stream && !self.include_usage && self.dialect.has_stream_options()
    }

    fn asks_by_default(&self, target: &Deployment) -> bool {
        self.hides_usage() && target.is_asked_by_default() && self.rule_includes_usage.is_none()
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
