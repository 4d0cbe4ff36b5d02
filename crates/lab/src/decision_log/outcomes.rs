//! What clients said of answers, which may stand in another file than the decisions.

use std::collections::HashMap;

use pointsman_telemetry::decision_log::record::FeedbackRecord;

use super::key;

/// A client's word on an answer.
pub type LoggedFeedback = FeedbackRecord<'static>;

/// Outcomes by clients' feedback: the last word on each request.
#[derive(Debug, Default)]
pub struct FeedbackOutcomes {
    by_request: HashMap<u128, (u64, f32)>,
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
        let known = self.by_request.entry(key(&feedback.request_id)).or_insert((0, 0.0));
        if at >= known.0 {
            #[expect(clippy::cast_possible_truncation, reason = "a rating has few digits")]
            let word = (at, quality as f32);
            *known = word;
        }
    }

    /// Returns how good the answer to a request was, 0 to 1, if a client said so.
    #[must_use]
    pub fn of(&self, request_id: &str) -> Option<f64> {
        self.by_request.get(&key(request_id)).map(|(_, quality)| f64::from(*quality))
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

    #[test]
    fn the_last_word_counts_in_whatever_order_files_are_read() {
        let (early, late) = ("2026-11-21T10:00:00.000Z", "2026-11-21T11:00:00.000Z");
        for order in [[early, late], [late, early]] {
            let mut outcomes = FeedbackOutcomes::default();
            for time in order {
                outcomes.add(&feedback(time, if time == late { "\"rating\":0.25" } else { "\"correct\":1.0" }));
            }

            assert_eq!(outcomes.of("a"), Some(0.25), "{order:?}");
            assert_eq!(outcomes.of("b"), None);
        }
    }

    #[test]
    fn correctness_says_more_than_a_rating_and_a_comment_nothing() {
        let mut outcomes = FeedbackOutcomes::default();

        outcomes.add(&feedback("", "\"rating\":1.0,\"correct\":0.0"));
        outcomes.add(&feedback("", "\"comment\":\"fine\""));

        assert_eq!((outcomes.of("a"), outcomes.len()), (Some(0.0), 1));
    }
}
