//! Requests that only count tokens, for a model whose provider does not speak the client's API: Pointsman counts itself,
//! because what another API counts is the count of other words.

use bytes::Bytes;
use pointsman_core::prompt::Dialect;
use pointsman_translation::Translation;

use super::attempt::translated::AttemptTranslation;
use super::context::RequestContext;

/// Notes in `ctx` that Pointsman counts the tokens of a request of `dialect`, and returns whether it does: where there is a
/// `pair` of APIs.
pub(super) fn takes_over(ctx: &mut RequestContext, dialect: Dialect, pair: Option<Translation>) -> bool {
    let Some(pair) = pair.filter(|_| dialect.only_counts()) else { return false };
    ctx.attempts.body.note_translation(AttemptTranslation::of_count(pair));
    true
}

/// Returns the answer to a request that only counts tokens, in its own API's words.
pub(super) fn answer(dialect: Dialect, tokens: u64) -> Bytes {
    let body = if dialect.is_responses() {
        serde_json::json!({ "object": "response.input_tokens", "input_tokens": tokens })
    } else if dialect.is_google() {
        serde_json::json!({ "totalTokens": tokens })
    } else {
        serde_json::json!({ "input_tokens": tokens })
    };
    body.to_string().into()
}
