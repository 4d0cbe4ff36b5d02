//! What clients said of answers, which may stand in another file than the decisions.

use std::borrow::Cow;
use std::collections::HashMap;

use pointsman_telemetry::decision_log::record::{FeedbackRecord, RecordKind};
use serde::Deserialize;

use super::{LoggedDecision, key};

/// A client's word on an answer.
pub type LoggedFeedback = FeedbackRecord<'static>;

/// Outcomes by feedback: the last word on each decision.
///
/// Clients choose the ids of their requests, so that a word belongs to the decision of its own client; the operator's
/// belongs to whichever client's. Where several decisions could be meant, none is.
#[derive(Debug, Default)]
pub struct FeedbackOutcomes {
    by_request: HashMap<u128, LatestWord>,
}

/// The last word on a request of a client, or of the operator on a request of anyone.
#[derive(Debug, Clone, Copy, Default)]
struct LatestWord {
    milliseconds: u64,
    quality: f32,
    /// Decisions that it could be about, 2 at most.
    decisions: u8,
}

/// The part of a decision's line that says whose it is.
#[derive(Debug, Deserialize)]
pub(super) struct DecisionOwner<'l> {
    kind: RecordKind,
    #[serde(borrow)]
    request_id: Cow<'l, str>,
    #[serde(borrow, default)]
    client: Option<Cow<'l, str>>,
}

impl FeedbackOutcomes {
    /// Notes a word; the last one counts, and correctness before ratings.
    pub fn add(&mut self, feedback: &LoggedFeedback) {
        let Some(quality) = feedback.correct.or(feedback.rating).filter(|quality| (0.0..=1.0).contains(quality)) else {
            return;
        };
        let at = humantime::parse_rfc3339(&feedback.time).ok();
        let at = at.and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok()).unwrap_or_default();
        let at = u64::try_from(at.as_millis()).unwrap_or(u64::MAX);
        let key = match feedback.operator {
            true => key_of_operator(&feedback.request_id),
            false => key_of_client(feedback.client.as_deref(), &feedback.request_id),
        };
        let known = self.by_request.entry(key).or_default();
        if at >= known.milliseconds {
            #[expect(clippy::cast_possible_truncation, reason = "a rating has few digits")]
            let quality = quality as f32;
            *known = LatestWord { milliseconds: at, quality, ..*known };
        }
    }

    /// Notes a decision that may have been spoken of. All of them have to be noted before [`FeedbackOutcomes::of`].
    pub(super) fn note(&mut self, decision: &DecisionOwner<'_>) {
        if decision.kind != RecordKind::Decision {
            return;
        }
        for key in keys(decision.client.as_deref(), &decision.request_id) {
            if let Some(word) = self.by_request.get_mut(&key) {
                word.decisions = word.decisions.saturating_add(1).min(2);
            }
        }
    }

    /// Returns how good the answer to a decision's request was, 0 to 1, if its client or the operator said so: the later
    /// word of the two.
    #[must_use]
    pub fn of(&self, decision: &LoggedDecision) -> Option<f64> {
        let words = keys(decision.client.as_deref(), &decision.request_id).map(|key| self.by_request.get(&key));
        let meant = words.into_iter().flatten().filter(|word| word.decisions < 2);
        meant.max_by_key(|word| word.milliseconds).map(|word| f64::from(word.quality))
    }

    /// Returns how many requests somebody spoke of.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_request.len()
    }

    /// Returns whether nobody said anything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_request.is_empty()
    }
}

/// Returns the keys under which words on a decision stand: its client's, and the operator's.
fn keys(client: Option<&str>, request_id: &str) -> [u128; 2] {
    [key_of_client(client, request_id), key_of_operator(request_id)]
}

fn key_of_client(client: Option<&str>, request_id: &str) -> u128 {
    key(("client", client, request_id))
}

fn key_of_operator(request_id: &str) -> u128 {
    key(("operator", request_id))
}

#[cfg(test)]
mod tests {
    use super::super::LogLine;
    use super::*;

    fn feedback(time: &str, rest: &str) -> LoggedFeedback {
        let line = format!("{{\"kind\":\"feedback\",\"request_id\":\"a\",\"time\":\"{time}\",{rest}}}");
        match LogLine::parse(line.as_bytes()) {
            Some(LogLine::Feedback(feedback)) => feedback,
            other => panic!("{other:?}"),
        }
    }

    fn decision(client: Option<&str>, id: &str) -> LoggedDecision {
        let client = client.map(|client| client.to_owned().into());
        LoggedDecision { request_id: id.to_owned().into(), client, ..LoggedDecision::default() }
    }

    fn note(outcomes: &mut FeedbackOutcomes, client: Option<&str>, id: &str) {
        let client = client.map(Cow::from);
        outcomes.note(&DecisionOwner { kind: RecordKind::Decision, request_id: id.into(), client });
    }

    #[test]
    fn the_last_word_counts_in_whatever_order_files_are_read() {
        let (early, late) = ("2026-11-21T10:00:00.000Z", "2026-11-21T11:00:00.000Z");
        for order in [[early, late], [late, early]] {
            let mut outcomes = FeedbackOutcomes::default();
            for time in order {
                outcomes.add(&feedback(time, if time == late { "\"rating\":0.25" } else { "\"correct\":1.0" }));
            }

            assert_eq!(outcomes.of(&decision(None, "a")), Some(0.25), "{order:?}");
            assert_eq!(outcomes.of(&decision(None, "b")), None);
        }
    }

    #[test]
    fn correctness_says_more_than_a_rating_and_a_comment_nothing() {
        let mut outcomes = FeedbackOutcomes::default();

        outcomes.add(&feedback("", "\"rating\":1.0,\"correct\":0.0"));
        outcomes.add(&feedback("", "\"comment\":\"fine\""));

        assert_eq!((outcomes.of(&decision(None, "a")), outcomes.len()), (Some(0.0), 1));
    }

    #[test]
    fn a_client_s_word_is_on_its_own_requests_and_the_operator_s_on_anyone_s() {
        let mut outcomes = FeedbackOutcomes::default();

        outcomes.add(&feedback("2026-11-21T11:00:00.000Z", "\"client\":\"mallory\",\"rating\":0.0"));
        outcomes.add(&feedback("2026-11-21T11:00:00.000Z", "\"rating\":0.0"));
        assert_eq!(outcomes.of(&decision(Some("anna"), "a")), None);
        assert_eq!(outcomes.of(&decision(Some("mallory"), "a")), Some(0.0));

        outcomes.add(&feedback("2026-11-21T10:00:00.000Z", "\"client\":\"anna\",\"rating\":1.0"));
        assert_eq!(outcomes.of(&decision(Some("anna"), "a")), Some(1.0));
        outcomes.add(&feedback("2026-11-21T10:30:00.000Z", "\"operator\":true,\"rating\":0.5"));
        assert_eq!(outcomes.of(&decision(Some("anna"), "a")), Some(0.5));
    }

    #[test]
    fn of_two_decisions_with_one_id_neither_is_meant() {
        let mut outcomes = FeedbackOutcomes::default();
        outcomes.add(&feedback("", "\"client\":\"anna\",\"rating\":1.0"));
        outcomes.add(&feedback("", "\"client\":\"ben\",\"rating\":0.75"));
        outcomes.add(&feedback("", "\"operator\":true,\"rating\":0.5"));

        for client in ["anna", "anna", "ben"] {
            note(&mut outcomes, Some(client), "a");
        }

        assert_eq!(outcomes.of(&decision(Some("anna"), "a")), None);
        assert_eq!(outcomes.of(&decision(Some("ben"), "a")), Some(0.75), "the operator's could be on anna's");
    }
}
