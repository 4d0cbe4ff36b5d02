//! What a policy's strategy would come to by some scores, before they are the request's: for shadows, and for replies that two
//! texts are judged for.

use super::Policy;
use super::facts::RequestFacts;
use super::signals::Signals;
use super::strategy::Known;
use crate::config::Name;
use crate::features::Features;
use crate::scores::Scores;

impl Policy {
    /// Returns the model that its strategy chooses when `classifier` says `scores`, after the constraints; `None` when it
    /// needs to know more, or refuses.
    #[must_use]
    pub fn model_by(&self, classifier: &Name, scores: Scores, features: &Features) -> Option<Name> {
        let mut signals = Signals::default();
        signals.add_scores(classifier.clone(), Ok(scores));
        let facts = RequestFacts::bare("", "");
        let known = Known { policy: &self.name, facts: &facts, features, signals: &signals, warm: None };
        let mut choice = self.strategy.choose(&known, self.choices.otherwise()).ok()?;
        Some(self.choices.settle(&mut choice, features, facts.live).ok()?.model)
    }

    /// Tells whether a reply's scores of `classifier` lead to a higher model than those of what it answers; the reply's come
    /// first. Where the reply's say nothing sure, they do not.
    #[must_use]
    pub fn leads_higher(
        &self,
        classifier: &Name,
        scores: [&Scores; 2],
        facts: &RequestFacts<'_>,
        features: &Features,
    ) -> bool {
        let [reply, answered] = scores.map(|scores| {
            let mut signals = Signals::default();
            signals.add_scores(classifier.clone(), Ok(scores.clone()));
            let known = Known { policy: &self.name, facts, features, signals: &signals, warm: None };
            self.strategy.choose(&known, self.choices.otherwise()).ok()
        });
        match (reply, answered) {
            (Some(reply), Some(answered)) => {
                reply.reason.is_verdict() && self.choices.is_above(&reply, &answered.model)
            }
            _ => false,
        }
    }
}
