//! The words of messages: what a client or a provider said, shortened, and what there is to ask for.

use std::iter;
use std::time::{Duration, UNIX_EPOCH};

use pointsman_core::prompt::Dialect;

/// Models that a [`ModelNotFound`](super::Rejection::ModelNotFound) names at most.
const MAX_MODELS: usize = 20;

/// Characters of the client's own words that are repeated at most.
pub(super) const MAX_ECHO: usize = 64;

/// Characters of a provider's words that are passed on at most.
const MAX_WORDS: usize = 1000;

/// Returns what follows on a status: the provider's words, shortened, or nothing.
pub(super) fn words(said: &str) -> String {
    if said.is_empty() {
        return ".".to_owned();
    }
    let shown: String = said.chars().take(MAX_WORDS).map(|c| if c.is_control() { ' ' } else { c }).collect();
    format!(": {shown}")
}

/// Returns a moment as in RFC 3339.
pub(in crate::proxy::answer) fn moment(seconds: u64) -> humantime::Rfc3339Timestamp {
    humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_secs(seconds))
}

/// Shortens what the client sent and makes it fit for one line.
pub(super) fn echo(text: &str) -> String {
    let shown: String = text.chars().take(MAX_ECHO).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    if text.chars().nth(MAX_ECHO).is_some() { shown + "…" } else { shown }
}

pub(super) fn routed_paths() -> String {
    Dialect::ALL.map(|dialect| format!("`{}`", dialect.path())).join(", ")
}

/// Returns what is wrong with the classifier that was asked for.
pub(super) fn unknown_classifier(asked: Option<&str>) -> String {
    asked.map_or_else(
        || "Say which `classifier` is asked for.".to_owned(),
        |asked| format!("There is no classifier `{}`.", echo(asked)),
    )
}

/// Names the classifiers that there are.
pub(super) fn known_classifiers(names: &[String]) -> String {
    match names {
        [] => "None is configured.".to_owned(),
        names => format!(
            "Those that there are: {}.",
            names.iter().take(MAX_MODELS).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
        ),
    }
}

pub(super) fn known(models: &[String]) -> String {
    if models.is_empty() {
        return "No model is configured.".to_owned();
    }
    let shown = models.iter().take(MAX_MODELS).map(|model| format!("`{}`", echo(model)));
    let rest = models.len().saturating_sub(MAX_MODELS);
    let more = (rest > 0).then(|| format!("{rest} more"));
    format!("Models that do: {}.", shown.chain(iter::once(more).flatten()).collect::<Vec<_>>().join(", "))
}
