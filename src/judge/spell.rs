//! A judge's spell of failures, so that each cause is said once and not with every request; it outlives reloads.

use http::StatusCode;
use pointsman_core::policy::JudgeFailure;

/// The spell of failures of one judge.
pub(super) type JudgeSpell = pointsman_http_client::FailureSpell<SilenceCause>;

/// The reason why a question has no answer, as far as spells tell causes apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SilenceCause {
    pub(super) failure: JudgeFailure,
    /// The status of a refusal.
    pub(super) status: Option<StatusCode>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_told_apart_by_their_status() {
        let spell = JudgeSpell::default();
        let refusal = |status| SilenceCause { failure: JudgeFailure::Failed, status: Some(status) };

        let news = [StatusCode::BAD_REQUEST, StatusCode::UNAUTHORIZED, StatusCode::BAD_REQUEST]
            .map(|status| spell.failed(refusal(status)));

        assert_eq!(news, [true, true, false]);
    }
}
