//! The choice of a policy's strategy by scores that are not the request's yet: for shadows, and for replies that are
//! scored together with what they answer.

use super::Policy;
use super::constraints::ConstrainingWorld;
use super::decision::ModelChoice;
use super::facts::RequestFacts;
use super::signals::KnownSignals;
use super::strategy::ChoiceContext;
use crate::config::Name;
use crate::features::Features;
use crate::scores::Scores;

impl Policy {
    /// Returns the model that its strategy chooses when `classifier` gives `scores`, after the constraints; `None` when
    /// the strategy needs to know more, or no model can serve the request. Neither rules nor pins are looked at.
    #[must_use]
    pub fn model_by(&self, classifier: &Name, scores: Scores, features: &Features) -> Option<Name> {
        let facts = RequestFacts::bare("", "");
        let mut choice = self.choice_by(classifier, scores, &facts, features)?;
        let world = ConstrainingWorld { live: facts.live, detail: facts.detail };
        Some(self.choices.constrain(&mut choice, features, world).ok()?.model)
    }

    /// Tells whether a reply's scores of `classifier` lead to a higher model than those of what it answers; the reply's
    /// come first. Where the reply's say nothing sure, they do not.
    #[must_use]
    pub fn leads_higher(
        &self,
        classifier: &Name,
        scores: [&Scores; 2],
        facts: &RequestFacts<'_>,
        features: &Features,
    ) -> bool {
        match scores.map(|scores| self.choice_by(classifier, scores.clone(), facts, features)) {
            [Some(reply), Some(answered)] => {
                reply.reason.is_verdict() && self.choices.is_above(&reply, &answered.model)
            }
            _ => false,
        }
    }

    /// Returns what the strategy chooses by nothing but the scores of one classifier.
    fn choice_by(
        &self,
        classifier: &Name,
        scores: Scores,
        facts: &RequestFacts<'_>,
        features: &Features,
    ) -> Option<ModelChoice> {
        let mut signals = KnownSignals::default();
        signals.add_scores(classifier.clone(), Ok(scores));
        let known = ChoiceContext { policy: &self.name, facts, features, signals: &signals, warm: None };
        self.strategy.choose(&known, self.choices.otherwise()).ok()
    }
}
