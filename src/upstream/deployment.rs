//! A deployment: a model of the catalog at the provider that serves it.
//!
//! Says what its requests must look like, and remembers how it answers lately and how long it asked to be left alone.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use pointsman_core::config::{self, Name, RequestAdaptation, SpokenDialects, TokenPrice};
use pointsman_core::features::TokenizerFamily;
use pointsman_core::model_family::{FittedParameters, ModelProfile, ParameterFit};
use pointsman_core::prompt::{BodyEdits, Dialect};
use pointsman_core::usage::UsageBounds;
use serde_json::Value;
use tokio::time::Instant;

use super::clock::EPOCH;
use super::{Provider, RecentAnswers, RefusedParameters};

/// The longest that a model rests because of its `Retry-After`: it may be back sooner than it fears.
const LONGEST_REST: Duration = Duration::from_secs(60);

/// The key of what streams are asked for.
const OPTIONS: &str = "stream_options";
/// The key that asks a stream for its usage.
const INCLUDE_USAGE: &str = "stream_options.include_usage";

/// A model of the catalog, ready to be called.
#[derive(Debug)]
pub(crate) struct Deployment {
    /// The model's name in the catalog.
    pub model: Name,
    /// The model's name at the provider.
    pub upstream_name: String,
    /// The names of the provider and the model in OpenTelemetry's metrics.
    pub gen_ai_names: (Arc<str>, Arc<str>),
    /// The provider that serves the model.
    pub provider: Arc<Provider>,
    /// The APIs in which the model can be asked.
    pub dialects: SpokenDialects,
    /// US dollars per million tokens, if the catalog says.
    pub price: Option<TokenPrice>,
    /// The tokenizer whose tokens the provider counts.
    pub tokenizer: TokenizerFamily,
    /// The context window in tokens; `None` when the catalog does not say.
    pub context: Option<u64>,
    /// The pace and length of the latest answers.
    pub recent: Arc<RecentAnswers>,
    /// Milliseconds of the process's clock until which it asked to be left alone.
    rests_until: AtomicU64,
    /// The word of the catalog on whether streams are asked for their usage.
    pub usage_request: UsageRequest,
    /// The model's family, and its effort.
    pub profile: ModelProfile,
    /// The longest answer, as far as it is known.
    pub output_limit: Option<u64>,
    /// The parameters that the API has refused.
    pub refused: Arc<RefusedParameters>,
    /// The changes to requests that stream and are asked for their usage by default, that stream, and to the others.
    edits: [BodyEdits; 3],
}

/// The word of the catalog on whether streams of a model are asked for their usage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UsageRequest {
    /// The model's `adapt` asks.
    Set,
    /// Nothing of the model's says otherwise, and its provider is asked.
    Default,
    /// The model's `adapt` leaves `stream_options` as they are or changes them otherwise, or its provider is not asked.
    No,
}

impl UsageRequest {
    fn of(adapt: &RequestAdaptation, provider: &Provider) -> Self {
        let is_meant = |key: &String| key == OPTIONS || key.starts_with("stream_options.");
        let names =
            adapt.drop.iter().chain(adapt.rename.iter().flat_map(|(old, new)| [old, new])).chain(adapt.set.keys());
        if adapt.set.get(INCLUDE_USAGE).and_then(Value::as_bool) == Some(true) {
            Self::Set
        } else if provider.asks_for_usage() && !names.into_iter().any(is_meant) {
            Self::Default
        } else {
            Self::No
        }
    }
}

impl Deployment {
    /// Returns what is changed in a request of `dialect`: nothing where no model answers, and nothing about streaming
    /// where there is none, because providers refuse both.
    #[must_use]
    pub(crate) fn edits(&self, dialect: Dialect, stream: bool) -> &BodyEdits {
        const NONE: &BodyEdits = &BodyEdits::NONE;
        let [_, streaming, others] = &self.edits;
        match stream && dialect.has_stream_options() {
            _ if !dialect.generates() => NONE,
            true => streaming,
            false => others,
        }
    }

    /// Returns whether streams are asked for their usage although nobody says so: not once the API has refused it.
    #[must_use]
    pub(crate) fn is_asked_by_default(&self) -> bool {
        self.usage_request == UsageRequest::Default && !self.refused.has(&[OPTIONS, INCLUDE_USAGE])
    }

    /// Returns what is changed in a request that streams and whose usage is asked for by default.
    #[must_use]
    pub(crate) const fn asking_edits(&self) -> &BodyEdits {
        &self.edits[0]
    }

    pub(super) fn new(
        name: &Name,
        model: &config::CatalogEntry,
        provider: Arc<Provider>,
        before: Option<&Self>,
    ) -> Self {
        let upstream_name = model.upstream_name(name).to_owned();
        let same = before.filter(|old| old.upstream_name == upstream_name && old.provider.name == provider.name);
        let rests_until = same.map_or(0, |old| old.rests_until.load(Ordering::Relaxed));
        let RequestAdaptation { drop, rename, set, .. } = &model.adapt;
        let edits = BodyEdits::new(drop, rename, set);
        let asking: BTreeMap<_, _> = set.clone().into_iter().chain([(INCLUDE_USAGE.to_owned(), true.into())]).collect();
        let (asking, others) = (BodyEdits::new(drop, rename, &asking), edits.without(OPTIONS));
        Self {
            edits: [asking, edits, others],
            usage_request: UsageRequest::of(&model.adapt, &provider),
            profile: ModelProfile::of(name, model),
            output_limit: model.output_limit(),
            refused: same.map_or_else(Arc::default, |old| Arc::clone(&old.refused)),
            model: name.clone(),
            dialects: provider.spoken_dialects(&upstream_name),
            gen_ai_names: (provider.gen_ai_name().into(), upstream_name.as_str().into()),
            upstream_name,
            provider,
            price: model.price,
            tokenizer: TokenizerFamily::of(model.tokenizer_name(), model.upstream_name(name)),
            context: model.context,
            recent: same.map_or_else(Arc::default, |old| Arc::clone(&old.recent)),
            rests_until: AtomicU64::new(rests_until),
        }
    }

    /// Returns what makes a request's parameters fit the model, but for [`Self::edits`]; no answer is longer than
    /// `limit`.
    #[must_use]
    pub(crate) fn fit(&self, dialect: Dialect, body: &Bytes, limit: Option<u64>) -> FittedParameters {
        self.profile.fit(&ParameterFit { dialect, body, limit, refused: &self.refused.known() })
    }

    /// Returns whether a request of `dialect` goes to it in the client's own words.
    #[must_use]
    pub(crate) fn takes(&self, dialect: Dialect) -> bool {
        let is_spoken = dialect.family().is_none_or(|family| self.dialects.has(family));
        is_spoken && self.provider.cloud.as_ref().is_none_or(|cloud| cloud.takes(dialect))
    }

    /// Returns whether its context window is known to be larger than `other`'s.
    #[must_use]
    pub(crate) fn is_wider_than(&self, other: &Self) -> bool {
        matches!((self.context, other.context), (Some(mine), Some(theirs)) if mine > theirs)
    }

    /// Returns the most that an answer is believed to have used.
    #[must_use]
    pub(crate) fn usage_bounds(&self) -> UsageBounds {
        UsageBounds::of_model(self.context, self.output_limit, self.price.as_ref())
    }

    /// Remembers that it asked, with `Retry-After`, to be left alone until `until`.
    pub(crate) fn rest_for(&self, wait: Duration) {
        let until = Instant::now() + wait.min(LONGEST_REST);
        let until = u64::try_from(until.saturating_duration_since(*EPOCH).as_millis()).unwrap_or(u64::MAX);
        self.rests_until.fetch_max(until, Ordering::Relaxed);
    }

    /// Returns for how long it still asks to be left alone; `None` where it does not.
    #[must_use]
    pub(crate) fn rest_left(&self) -> Option<Duration> {
        let until = Duration::from_millis(self.rests_until.load(Ordering::Relaxed));
        until.checked_sub(EPOCH.elapsed()).filter(|rest| !rest.is_zero())
    }

    /// Returns whether it asked to be left alone and that time is not over.
    #[must_use]
    pub(crate) fn is_resting(&self) -> bool {
        let until = self.rests_until.load(Ordering::Relaxed);
        until > 0 && EPOCH.elapsed().as_millis() < u128::from(until)
    }
}
