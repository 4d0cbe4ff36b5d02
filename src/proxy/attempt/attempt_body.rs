//! The body of the next attempt: the client's own, edited for the model that is asked, or a translation of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use pointsman_core::config::{LossRule, Name};
use pointsman_core::model_family::{ModelProfile, ParameterChange, ParameterFit, RefusedParameter};
use pointsman_core::policy::{Candidate, Decision};
use pointsman_core::prompt::state::without_carried_seals;
use pointsman_core::prompt::{BodyEdits, Dialect};
use pointsman_core::usage::UsageEvent;
use pointsman_translation::{Field, Translation, TranslationRefusal, TranslationTarget};
use serde_json::Value;

use super::original::{ASKING, AnswerKind, OriginalBody};
use super::translated::{AttemptTranslation, TranslatedBody};
use crate::proxy::large_work;
use crate::router::RequestState;
use crate::upstream::{Deployment, EarlyTranslation, Provider, translation_for};

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
    /// True where the body stays in the client's API: another proxy sends it on, and nobody translates the answer.
    is_untranslated: bool,
    /// The translation of the next attempt, where its provider does not speak the client's API.
    translation: Option<Arc<AttemptTranslation>>,
    /// The fields for which a model was not asked, by the APIs of the translation that they stood in the way of.
    refused: Vec<(Translation, Field)>,
}

impl AttemptBody {
    /// Keeps the body that the client sent.
    pub(in crate::proxy) fn read(&mut self, original: OriginalBody) {
        self.asks_for = Some(original.asks_for);
        self.original = Some(original);
    }

    /// Leaves the body in the client's API, whatever its model's provider speaks.
    pub(in crate::proxy) const fn keep_api(&mut self) {
        self.is_untranslated = true;
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
        let pair = if self.is_untranslated { None } else { translation_for(original.dialect, target)? };
        if let Some(pair) = pair {
            let translate = || original.translated_for(target, pair, limit, early);
            let made = large_work::at_once(original.body.len(), translate);
            let made = made.and_then(|made| made.unless_lossy(self.on_loss));
            let made = made.map_err(|refusal| self.note_refusal(pair, refusal))?;
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
        let made = large_work::at_once(original.body.len(), || original.translated_past(provider, pair, wanted));
        let made = made.map_err(|refusal| self.note_refusal(pair, refusal))?;
        self.take(made);
        Ok(())
    }

    fn note_refusal(&mut self, pair: Translation, refusal: TranslationRefusal) -> TranslationRefusal {
        for field in refusal.fields() {
            if !self.refused.contains(&(pair, field)) {
                self.refused.push((pair, field));
            }
        }
        refusal
    }

    /// Returns the fields for which a model was not asked, by the APIs of the translation that they stood in the way of.
    pub(in crate::proxy) fn refused(&self) -> &[(Translation, Field)] {
        &self.refused
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
