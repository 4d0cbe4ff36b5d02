//! The translation of a request on its way to a provider that does not speak the client's API.

use bytes::Bytes;
use pointsman_core::config::{LossRule, Name, SpokenDialects};
use pointsman_core::prompt::Dialect;
use pointsman_translation::{
    DialectFamily, Field, Loss, LossKind, LossReport, TranslatedRequest, Translation, TranslationRefusal,
    TranslationTarget,
};

use super::deployment::Deployment;
use super::provider::Provider;

/// The longest body whose translation is kept from the choice of the model to the attempt.
const MOST_KEPT: usize = 1 << 20;

/// A translation that was made before the choice, to see what a model would lose: the attempt at that model needs no other.
#[derive(Debug)]
pub(crate) struct EarlyTranslation {
    pub model: Name,
    /// The client's body.
    body: Bytes,
    max_output: Option<u64>,
    translated: TranslatedRequest,
}

impl EarlyTranslation {
    /// Translates `body` for a model as far as it goes. Returns what would be lost, and the translation where an attempt may
    /// need it.
    ///
    /// # Errors
    /// When the body does not have the form of its API.
    pub(crate) fn make(
        pair: Translation,
        dialect: Dialect,
        body: &Bytes,
        target: &Deployment,
    ) -> Result<(LossReport, Option<Self>), TranslationRefusal> {
        let wanted = target.translation_target(None);
        let translated = if dialect.streams_by_path() {
            pair.streamed_request_with_losses(body, &wanted)?
        } else {
            pair.request_with_losses(body, &wanted)?
        };
        let losses = translated.losses.clone();
        let is_kept = losses.refusal().is_none() && body.len() <= MOST_KEPT;
        let (model, max_output) = (target.model.clone(), wanted.max_output);
        let kept = is_kept.then(|| Self { model, body: body.clone(), max_output, translated });
        Ok((losses, kept))
    }

    /// Returns the translation, where it is of this very body and for this target.
    pub(crate) fn of(
        self,
        target: &Deployment,
        body: &Bytes,
        wanted: &TranslationTarget<'_>,
    ) -> Option<TranslatedRequest> {
        let is_same_body = self.body.as_ptr() == body.as_ptr() && self.body.len() == body.len();
        let is_same_target = self.model == target.model && self.max_output == wanted.max_output;
        (is_same_body && is_same_target).then_some(self.translated)
    }
}

/// What a request would lose on its way to a model.
#[derive(Debug)]
pub(crate) struct TranslationPreview {
    /// The client's API.
    pub client: DialectFamily,
    /// The upstream's API; `None` where it has none that knows such requests.
    pub upstream: Option<DialectFamily>,
    /// The losses, or why there is no translation at all.
    pub losses: Result<LossReport, TranslationRefusal>,
}

/// Returns the translation of a request of `dialect` for a model, or `None` where it is asked in the client's API.
///
/// # Errors
/// When it is not, and no other API has such requests.
pub(crate) fn translation_for(
    dialect: Dialect,
    target: &Deployment,
) -> Result<Option<Translation>, TranslationRefusal> {
    if target.takes(dialect) {
        return Ok(None);
    }
    let client = dialect.family().filter(|_| dialect.generates());
    let pair = client.and_then(|client| Some(Translation { client, upstream: target.dialects.nearest_to(client)? }));
    pair.map(Some).ok_or_else(|| no_counterpart(dialect))
}

/// Returns the translation of a request that passes to a provider for `model`, which no catalog has.
///
/// # Errors
/// As [`translation_for`].
pub(crate) fn passed_translation_for(
    dialect: Dialect,
    provider: &Provider,
    model: &str,
) -> Result<Option<Translation>, TranslationRefusal> {
    if provider.takes(dialect, model) {
        return Ok(None);
    }
    let client = dialect.family().filter(|_| dialect.generates());
    let upstream = |client| provider.dialects_for(model).nearest_to(client);
    let pair = client.and_then(|client| Some(Translation { client, upstream: upstream(client)? }));
    pair.map(Some).ok_or_else(|| no_counterpart(dialect))
}

/// Checks that a provider speaks the API of a request that cannot be translated.
///
/// # Errors
/// When it does not.
pub(crate) fn is_spoken_by(dialect: Dialect, provider: &Provider) -> Result<(), TranslationRefusal> {
    let is_spoken = dialect.family().is_none_or(|family| provider.dialects.has(family));
    if is_spoken { Ok(()) } else { Err(no_counterpart(dialect)) }
}

fn no_counterpart(dialect: Dialect) -> TranslationRefusal {
    let detail = Some(format!("requests to `{}`", dialect.path()));
    TranslationRefusal::Unsayable(Loss { field: Field::StoredState, kind: LossKind::Refused, place: None, detail })
}

impl Deployment {
    /// Returns the two APIs of a request that only counts tokens, where the model's provider cannot count them.
    pub(crate) fn count_pair(&self, dialect: Dialect) -> Option<Translation> {
        let client = dialect.family().filter(|_| !self.takes(dialect))?;
        Some(Translation { client, upstream: self.dialects.nearest_to(client)? })
    }

    /// Returns what a translation must know of the model; no answer is longer than `limit`.
    pub(crate) fn translation_target(&self, limit: Option<u64>) -> TranslationTarget<'_> {
        let max_output = limit.into_iter().chain(self.output_limit).min();
        TranslationTarget { model: &self.upstream_name, max_output }
    }

    /// Returns what `body` would lose on its way to the model; `None` where nobody would translate it: the provider speaks
    /// the client's API, or Pointsman counts its tokens itself.
    pub(crate) fn translation_preview(&self, dialect: Dialect, body: &[u8]) -> Option<TranslationPreview> {
        let client = dialect.family().filter(|_| !dialect.only_counts())?;
        let pair = translation_for(dialect, self).transpose()?;
        let target = self.translation_target(None);
        let losses = pair.clone().and_then(|pair| Ok(pair.request_with_losses(body, &target)?.losses));
        Some(TranslationPreview { client, upstream: pair.ok().map(|pair| pair.upstream), losses })
    }
}

impl TranslationPreview {
    /// Returns why a request is not sent to the model at all, where its policy treats losses by `rule`.
    pub(crate) fn refusal(&self, rule: LossRule) -> Option<TranslationRefusal> {
        let report = match &self.losses {
            Ok(report) => report,
            Err(refusal) => return Some(refusal.clone()),
        };
        let refused = report.refusal().map(|loss| TranslationRefusal::Unsayable(loss.clone()));
        let is_lossy = rule == LossRule::Refuse && report.left_out().next().is_some();
        refused.or_else(|| is_lossy.then(|| TranslationRefusal::Lossy(report.clone())))
    }

    /// Returns the pair of APIs as headers have it: `messages->chat`.
    pub(crate) fn pair(&self) -> String {
        let upstream = self.upstream.map_or("none", DialectFamily::as_str);
        format!("{}->{upstream}", self.client.as_str())
    }
}

impl Provider {
    /// Returns the APIs in which it can be asked for the model that it calls `model`.
    fn dialects_for(&self, model: &str) -> SpokenDialects {
        if self.cloud.is_some() { self.spoken_dialects(model) } else { self.dialects }
    }

    /// Returns whether a request of `dialect` for the model that it calls `model` goes to it in the client's own words.
    fn takes(&self, dialect: Dialect, model: &str) -> bool {
        let is_spoken = dialect.family().is_none_or(|family| self.dialects_for(model).has(family));
        is_spoken && self.cloud.as_ref().is_none_or(|cloud| cloud.takes(dialect))
    }

    /// Returns the two APIs of a request that only counts tokens, where the provider cannot count those of `model`.
    pub(crate) fn count_pair(&self, dialect: Dialect, model: &str) -> Option<Translation> {
        let client = dialect.family().filter(|_| !self.takes(dialect, model))?;
        Some(Translation { client, upstream: self.dialects_for(model).nearest_to(client)? })
    }
}
