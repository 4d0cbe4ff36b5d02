//! What went wrong lately with a classifier's servers, in words.

use pointsman_core::scores::ClassifierFailure;
use pointsman_http_client::FailureSpell;

use crate::failure::RemoteFailure;

/// The spell of failures of one remote classifier.
#[derive(Debug, Default)]
pub(crate) struct ClassifierSpell(FailureSpell<SilenceCause>);

/// The reason why a text has no scores. Causes of one reason are the same, whatever the details.
#[derive(Debug)]
struct SilenceCause {
    reason: ClassifierFailure,
    detail: String,
}

impl PartialEq for SilenceCause {
    fn eq(&self, other: &Self) -> bool {
        self.reason == other.reason
    }
}

impl ClassifierSpell {
    /// Notes a text without an answer; returns whether the reason is the first of its kind in this spell.
    pub(crate) fn failed(&self, failure: &RemoteFailure) -> bool {
        self.0.failed(SilenceCause { reason: failure.reason, detail: failure.detail.clone() })
    }

    /// Notes an answer; returns how many texts had none in the spell that it ends.
    pub(crate) fn answered(&self) -> Option<u64> {
        self.0.answered()
    }

    /// Says what went wrong lately.
    pub(crate) fn trouble(&self) -> Option<String> {
        self.0.lately(|causes, prompts| {
            let reasons: Vec<_> = causes.iter().map(|cause| cause.reason.as_str()).collect();
            let detail = causes.last().map(|cause| &*cause.detail).unwrap_or_default();
            format!("{}: the server did not answer for {prompts} prompts lately: {detail}", reasons.join(", "))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trouble_names_each_reason_once_and_the_details_of_the_newest() {
        let spell = ClassifierSpell::default();
        let failure = |reason, detail| RemoteFailure::new(reason, detail);

        let news = [
            failure(ClassifierFailure::Deadline, "late"),
            failure(ClassifierFailure::Deadline, "later"),
            failure(ClassifierFailure::RemoteRefused, "why"),
        ]
        .map(|failure| spell.failed(&failure));

        assert_eq!(news, [true, false, true]);
        let expected = "deadline, remote_refused: the server did not answer for 3 prompts lately: why";
        assert_eq!(spell.trouble().as_deref(), Some(expected));
        assert_eq!(spell.answered(), None, "a spell lasts a while");
    }
}
