//! The translation of a request on its way to a provider that does not speak the client's API.

use pointsman_core::prompt::Dialect;
use pointsman_translation::{
    DialectFamily, Field, Loss, LossKind, LossReport, Translation, TranslationRefusal, TranslationTarget,
};

use super::deployment::Deployment;

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

fn no_counterpart(dialect: Dialect) -> TranslationRefusal {
    let detail = Some(format!("requests to `{}`", dialect.path()));
    TranslationRefusal::Unsayable(Loss { field: Field::StoredState, kind: LossKind::Refused, place: None, detail })
}

impl Deployment {
    /// Returns what `body` would lose on its way to the model; `None` where nobody would translate it: the provider speaks
    /// the client's API, or Pointsman counts its tokens itself.
    pub(crate) fn translation_preview(&self, dialect: Dialect, body: &[u8]) -> Option<TranslationPreview> {
        let client = dialect.family().filter(|_| !dialect.only_counts())?;
        let pair = translation_for(dialect, self).transpose()?;
        let target = TranslationTarget { model: &self.upstream_name, max_output: self.output_limit };
        let losses = pair.clone().and_then(|pair| Ok(pair.request_with_losses(body, &target)?.losses));
        Some(TranslationPreview { client, upstream: pair.ok().map(|pair| pair.upstream), losses })
    }
}

impl TranslationPreview {
    /// Returns the pair of APIs as headers have it: `messages->chat`.
    pub(crate) fn pair(&self) -> String {
        let upstream = self.upstream.map_or("none", DialectFamily::as_str);
        format!("{}->{upstream}", self.client.as_str())
    }
}
