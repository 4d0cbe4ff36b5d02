//! The metrics of what is thought of answers: feedback, quality with intervals, shadow answers, and what routing saves net.

use std::fmt;

use pointsman_core::config::Name;
use prometheus::{Counter, Gauge, IntCounter};

use super::family::{Family, LabelValue, Registry};
use super::{FeedbackKind, Metrics, definitions as define};

/// The values of the label `rating`, from the worst.
const RATINGS: [&str; 5] = ["0", "0.25", "0.5", "0.75", "1"];

/// The metric families of answers' quality and of shadow answers.
pub(super) struct QualityFamilies {
    feedback: Family<IntCounter, 4>,
    quality: Family<Gauge, 4>,
    ratings: Family<Gauge, 3>,
    held: Family<Gauge, 2>,
    shadow_answers: Family<IntCounter, 3>,
    shadow_cost: Family<Counter, 2>,
    pub(super) classifier_cost: Family<Counter, 1>,
    pub(super) net_savings: Family<Gauge, 1>,
}

/// The policy that decided a request, and the model that answered it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct AnsweredBy {
    /// The policy.
    pub policy: Name,
    /// The model.
    pub model: Name,
}

/// The side that an answer was given on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnswerSide {
    /// The answer that the client got.
    Served,
    /// The answer of another model, which the client did not get.
    Shadow,
}

/// An estimate and the bounds of its 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EstimatedRatio {
    /// The estimate.
    pub mean: f64,
    /// The lower bound.
    pub low: f64,
    /// The upper bound.
    pub high: f64,
}

/// The quality of answers, and the ratings that it rests on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct QualityEstimate {
    /// The quality.
    pub ratio: EstimatedRatio,
    /// The ratings, older ones counting less.
    pub ratings: f64,
}

/// The metrics of one policy's shadow answers.
#[derive(Clone)]
pub struct ShadowAnswerMetrics {
    policy: Name,
    model: Name,
    answers: Family<IntCounter, 3>,
    cost: Counter,
    net_savings: Gauge,
    client_savings: Family<Gauge, 1>,
}

impl QualityFamilies {
    pub(super) fn register(registry: &Registry) -> Self {
        let families = Self {
            feedback: Family::register(registry, define::FEEDBACK),
            quality: Family::register(registry, define::QUALITY),
            ratings: Family::register(registry, define::QUALITY_RATINGS),
            held: Family::register(registry, define::QUALITY_HELD),
            shadow_answers: Family::register(registry, define::SHADOW_ANSWERS),
            shadow_cost: Family::register(registry, define::SHADOW_ANSWER_COST),
            classifier_cost: Family::register(registry, define::CLASSIFIER_COST),
            net_savings: Family::register(registry, define::NET_SAVINGS),
        };
        for kind in FeedbackKind::ALL {
            families.feedback.with([kind.as_str().into(), "".into(), "".into(), "".into()]);
        }
        families
    }
}

impl AnswerSide {
    /// Every side.
    pub const ALL: [Self; 2] = [Self::Served, Self::Shadow];

    /// Returns the label's value.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Served => "served",
            Self::Shadow => "shadow",
        }
    }
}

impl EstimatedRatio {
    fn bounds(self) -> [(&'static str, f64); 3] {
        [("mean", self.mean), ("low", self.low), ("high", self.high)]
    }
}

impl Metrics {
    /// Counts a word on an answer: `quality` of 0 to 1 where it says one, and who answered where that is remembered.
    pub fn feedback_given(&self, kind: FeedbackKind, quality: Option<f64>, by: Option<&AnsweredBy>) {
        let (policy, model) = match by {
            Some(AnsweredBy { policy, model }) => (LabelValue::from(policy), LabelValue::from(model)),
            None => ("".into(), "".into()),
        };
        let rating = quality.map_or("", nearest);
        self.quality.feedback.with([kind.as_str().into(), policy, model, rating.into()]).inc();
    }

    /// Shows the quality of the answers of a policy's model, or without one of all of its models.
    pub fn set_quality(&self, policy: &Name, model: Option<&Name>, side: AnswerSide, quality: QualityEstimate) {
        let model = || model.map_or(LabelValue::from(""), Into::into);
        for (bound, value) in quality.ratio.bounds() {
            self.quality.quality.with([policy.into(), model(), side.as_str().into(), bound.into()]).set(value);
        }
        self.quality.ratings.with([policy.into(), model(), side.as_str().into()]).set(quality.ratings);
    }

    /// Shows how much of the shadow answers' quality a policy holds.
    pub fn set_quality_held(&self, policy: &Name, held: EstimatedRatio) {
        for (bound, value) in held.bounds() {
            self.quality.held.with([policy.into(), bound.into()]).set(value);
        }
    }

    /// Returns the metrics of a policy's shadow answers, its counters at zero.
    #[must_use]
    pub fn shadow_answers(&self, policy: &Name, model: &Name, outcomes: &[&'static str]) -> ShadowAnswerMetrics {
        for outcome in outcomes {
            self.quality.shadow_answers.with([policy.into(), model.into(), (*outcome).into()]);
        }
        ShadowAnswerMetrics {
            policy: policy.clone(),
            model: model.clone(),
            answers: self.quality.shadow_answers.clone(),
            cost: self.quality.shadow_cost.with([policy.into(), model.into()]),
            net_savings: self.quality.net_savings.with([policy.into()]),
            client_savings: self.costs.client_savings.clone(),
        }
    }
}

impl ShadowAnswerMetrics {
    /// Counts a sampled request by what became of it.
    pub fn ended(&self, outcome: &'static str) {
        self.answers.with([(&self.policy).into(), (&self.model).into(), outcome.into()]).inc();
    }

    /// Adds what an answer to a client's request cost.
    pub fn paid(&self, dollars: f64, client: Option<&Name>) {
        self.cost.inc_by(dollars);
        self.net_savings.sub(dollars);
        if let Some(client) = client {
            self.client_savings.with([client.into()]).sub(dollars);
        }
    }
}

impl fmt::Debug for ShadowAnswerMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ShadowAnswerMetrics").finish_non_exhaustive()
    }
}

/// Returns the label of the rating that is nearest to a quality of 0 to 1.
fn nearest(quality: f64) -> &'static str {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 4")]
    let place = (quality.clamp(0.0, 1.0) * 4.0).round() as usize;
    RATINGS[place.min(RATINGS.len() - 1)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn feedback_is_counted_by_who_answered_and_by_the_nearest_quarter() {
        let metrics = Metrics::new();
        let name = |text: &str| Name::new(text).expect("a valid name");
        let by = AnsweredBy { policy: name("auto"), model: name("small") };

        metrics.feedback_given(FeedbackKind::Rating, Some(0.875), Some(&by));
        metrics.feedback_given(FeedbackKind::Rating, Some(0.0), None);
        metrics.feedback_given(FeedbackKind::Comment, None, Some(&by));

        let text = metrics.render();
        for series in [
            r#"pointsman_feedback_total{kind="rating",model="small",policy="auto",rating="1"} 1"#,
            r#"pointsman_feedback_total{kind="rating",model="",policy="",rating="0"} 1"#,
            r#"pointsman_feedback_total{kind="comment",model="small",policy="auto",rating=""} 1"#,
            r#"pointsman_feedback_total{kind="correct",model="",policy="",rating=""} 0"#,
        ] {
            assert!(text.contains(series), "no `{series}` in\n{text}");
        }
    }

    #[test]
    fn what_is_saved_net_is_the_baseline_less_answers_judges_and_shadow_answers() {
        use crate::metrics::AnswerCost;
        let metrics = Metrics::new();
        let name = |text| Name::new(text).expect("a valid name");
        let [policy, model] = ["auto", "small"].map(name);

        let (client, policy_cost) = (name("team"), Some((&policy, 1.0)));
        let cost = AnswerCost { model: Some(&model), client: None, policy: policy_cost, dollars: 0.25, judges: 0.125 };
        metrics.paid(AnswerCost { client: Some(&client), ..cost });
        metrics.judge(&policy).paid(10, 1, 0.125);
        metrics.shadow_answers(&policy, &model, &["answered"]).paid(0.5, Some(&client));

        let text = metrics.render();
        for series in [
            r#"pointsman_net_savings_usd{policy="auto"} 0.125"#,
            r#"pointsman_client_net_savings_usd{client="team"} 0.125"#,
            r#"pointsman_shadow_answer_cost_usd_total{model="small",policy="auto"} 0.5"#,
            r#"pointsman_shadow_answers_total{model="small",outcome="answered",policy="auto"} 0"#,
        ] {
            assert!(text.contains(series), "no `{series}` in\n{text}");
        }
    }
}
