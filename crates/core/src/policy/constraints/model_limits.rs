//! The limits of one model, and what stands against it for a request.

use super::{AnswerRoom, PolicyModels, SENSIBLE_ANSWER};
use crate::config::{self, Capability, Config, MaxTokensUse, Name, SpokenDialects, StateRule, TokenPrice};
use crate::features::{Features, TokenizerFamily};
use crate::policy::decision::{Candidate, Constraint};
use crate::policy::facts::{PolicyWorld, ProviderHealth};
use crate::prompt::ResponseFormat;

/// The limits of a model, by the catalog.
#[derive(Debug)]
pub(super) struct ModelLimits {
    pub(super) model: Name,
    pub(super) tokenizer: TokenizerFamily,
    pub(super) context: Option<u64>,
    /// The longest answer by the operator's word.
    pub(super) max_output: Option<u64>,
    /// The longest answer as far as it is known.
    pub(super) output_limit: Option<u64>,
    /// Tells whether the model runs in a region that the policy allows.
    pub(super) is_in_region: bool,
    pub(super) supports: Option<Vec<Capability>>,
    pub(super) price: Option<TokenPrice>,
    /// The APIs that its provider speaks.
    pub(super) dialects: SpokenDialects,
}

impl ModelLimits {
    /// A model that the catalog does not have is without limits: [`Config::parse`] has reported it.
    pub(super) fn new(config: &Config, policy: &config::PolicyConfig, name: &Name) -> Self {
        let model = config.models.get(name);
        let region = model.and_then(|model| model.region.as_ref());
        let provider = model.and_then(|model| config.providers.get(&model.provider));
        Self {
            model: name.clone(),
            tokenizer: TokenizerFamily::of(
                model.and_then(config::CatalogEntry::tokenizer_name),
                model.map_or(name.as_str(), |model| model.upstream_name(name)),
            ),
            context: model.and_then(|model| model.context),
            max_output: model.and_then(|model| model.max_output),
            output_limit: model.and_then(config::CatalogEntry::output_limit),
            is_in_region: policy.regions.is_empty() || region.is_some_and(|region| policy.regions.contains(region)),
            supports: model.and_then(|model| model.supports.clone()),
            price: model.and_then(|model| model.price),
            dialects: provider.map_or(SpokenDialects::EVERY, |provider| {
                provider.spoken_dialects(model.map_or(name.as_str(), |model| model.upstream_name(name)))
            }),
        }
    }

    pub(super) fn candidate(&self, features: &Features, live: &dyn PolicyWorld, models: &PolicyModels) -> Candidate {
        let answers = models.answers;
        let left = |context: u64| self.surely_left(features, context);
        let asked = features.request.max_output_tokens;
        let is_close = |context: u64| features.tokens_at_most(self.tokenizer).saturating_add(asked) > context;
        if self.context.is_some_and(is_close)
            && let Some(prompt) = live.prompt()
        {
            features.count_for(prompt, self.tokenizer);
        }
        let fits = self.fits(features, answers, left).and_then(|()| self.may_serve(live, models.state));
        let answer_limit = self.answer_limit(features, answers);
        let Self { price, tokenizer, .. } = *self;
        Candidate { model: self.model.clone(), fits, price, tokenizer, answer_limit, expected: None }
    }

    /// Returns the tokens of a window that the prompt, in the model's own tokens, is sure to leave; `None` where it may
    /// not fit. Counts only when the bytes alone do not tell.
    fn surely_left(&self, features: &Features, context: u64) -> Option<u64> {
        let asked = features.request.max_output_tokens;
        let most = features.tokens_at_most(self.tokenizer);
        let is_room = most.saturating_add(asked) <= context;
        let tokens = if is_room { most } else { most.min(features.tokens_of(self.tokenizer)) };
        context.checked_sub(tokens)
    }

    /// Returns the tokens that the answer needs: what was asked for, but no more than the model gives, and where the
    /// number is likely to be a library's, no more than makes sense.
    fn needed(&self, features: &Features, answers: AnswerRoom) -> u64 {
        let asked = features.request.max_output_tokens;
        match answers.max_tokens {
            MaxTokensUse::Require => asked,
            MaxTokensUse::Fit => asked.min(self.output_limit.unwrap_or(u64::MAX)).min(SENSIBLE_ANSWER),
        }
    }

    /// Returns the most tokens that the answer may have, where the request asks for more: the model's longest answer,
    /// or what the prompt leaves of its window.
    fn answer_limit(&self, features: &Features, answers: AnswerRoom) -> Option<u64> {
        let asked = features.request.max_output_tokens;
        if answers.max_tokens == MaxTokensUse::Require || asked == 0 {
            return None;
        }
        let left = self.context.and_then(|context| {
            let context = context.saturating_sub(answers.margin);
            let needed = self.needed(features, answers);
            let surely = self.surely_left(features, context).filter(|left| *left >= needed);
            // Where only a bound keeps the prompt out, the window is tried with what is likely to be left.
            surely.or_else(|| context.checked_sub(features.tokens().tokens).filter(|left| *left >= needed))
        });
        let limit = self.output_limit.into_iter().chain(left).min();
        limit.filter(|limit| *limit < asked)
    }

    /// Checks what may change in a moment; it comes last, so that a candidate shows it only if nothing else stands
    /// against it.
    pub(super) fn may_serve(&self, live: &dyn PolicyWorld, state: StateRule) -> Result<(), Constraint> {
        if !live.keeps_state(&self.model, state) {
            return Err(Constraint::State);
        }
        if !live.allows(&self.model) {
            return Err(Constraint::NotAllowed);
        }
        match live.health(&self.model) {
            ProviderHealth::Up => Ok(()),
            ProviderHealth::Down => Err(Constraint::Unhealthy),
            ProviderHealth::Full => Err(Constraint::Saturated),
        }
    }

    /// Checks what does not change; `left` returns the tokens that the prompt leaves of a window.
    pub(super) fn fits(
        &self,
        features: &Features,
        answers: AnswerRoom,
        left: impl Fn(u64) -> Option<u64>,
    ) -> Result<(), Constraint> {
        if !self.is_in_region {
            return Err(Constraint::Region);
        }
        let is_meant = answers.max_tokens == MaxTokensUse::Require;
        if is_meant && self.max_output.is_some_and(|most| features.request.max_output_tokens > most) {
            return Err(Constraint::MaxOutput);
        }
        let needed = self.needed(features, answers);
        let in_window = |context: u64| left(context.saturating_sub(answers.margin)).is_some_and(|left| left >= needed);
        if self.context.is_some_and(|context| !in_window(context)) {
            return Err(Constraint::ContextExceeded);
        }
        let wants_schema = features.request.response_format == ResponseFormat::JsonSchema;
        let needs = [
            (features.attachments.images > 0, Capability::Images, Constraint::LacksImages),
            (features.attachments.audio > 0, Capability::Audio, Constraint::LacksAudio),
            (features.attachments.files > 0, Capability::Files, Constraint::LacksFiles),
            (features.tools > 0, Capability::Tools, Constraint::LacksTools),
            (wants_schema, Capability::JsonSchema, Constraint::LacksJsonSchema),
        ];
        let has = |capability| self.supports.as_ref().is_none_or(|supports| supports.contains(&capability));
        let lacking = needs.into_iter().find(|(needed, capability, _)| *needed && !has(*capability));
        lacking.map_or(Ok(()), |(.., constraint)| Err(constraint))
    }
}
