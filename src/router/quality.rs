//! The quality of answers while they are rated: who answered which request lately, and what is thought of them.
//!
//! A memory of recent requests joins a rating with the policy and the model that answered; it is bounded and forgets, and
//! other replicas' requests are not in it. Of each request the first rating of a side counts once; a later one takes its
//! place. Windows weigh ratings by their age, so that what was thought a thousand ratings ago hardly counts. A rating that
//! comes before its answer is over is kept until then, for the windows and for the bandits alike.

mod early;
mod memory;
mod window;

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use pointsman_core::config::Name;
use pointsman_telemetry::{AnswerSide, AnsweredBy, Metrics};

use self::early::{EarlyRating, EarlyRatings};
use self::memory::AnsweredRequests;
use self::window::{PairWindow, RatingWindow};

/// The ratings of recent answers. Outlives reloads.
#[derive(Default)]
pub(super) struct AnswerQuality {
    requests: AnsweredRequests,
    early: EarlyRatings,
    windows: Mutex<QualityWindows>,
}

/// The ratings of policies and their models.
#[derive(Default)]
struct QualityWindows {
    models: HashMap<(AnsweredBy, bool), RatingWindow>,
    policies: HashMap<(Name, bool), RatingWindow>,
    pairs: HashMap<Name, PairWindow>,
}

/// A request that a policy decided and a model answered.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AnsweredRequest<'r> {
    /// The answer's `x-request-id`.
    pub request_id: &'r str,
    /// The client whose request it was, when clients have keys.
    pub client: Option<&'r Name>,
    /// The policy that decided.
    pub policy: &'r Name,
    /// The model that answered.
    pub model: &'r Name,
}

/// A word on an answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AnswerRating<'r> {
    /// The `x-request-id` of the request.
    pub request_id: &'r str,
    /// The one who speaks.
    pub rater: AnswerRater<'r>,
    /// The answer that is spoken of.
    pub side: AnswerSide,
    /// The quality, 0 to 1; `None` for a comment alone.
    pub quality: Option<f64>,
}

/// The one who rates an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AnswerRater<'r> {
    /// A client, whose word is on its own requests; nameless where clients need no keys.
    Client(Option<&'r Name>),
    /// The operator, whose word is on anybody's.
    Operator,
}

impl AnswerQuality {
    /// Remembers who answered a request; returns the ratings that came before that was known.
    pub(super) fn answered(&self, request: AnsweredRequest<'_>) -> [Option<EarlyRating>; 2] {
        self.requests.answered(request);
        [AnswerRater::Client(request.client), AnswerRater::Operator]
            .map(|rater| self.early.take(request.rating_by(rater, AnswerSide::Served)))
    }

    /// Remembers that another model was asked the same request; returns the operator's rating that came before.
    pub(super) fn shadowed(&self, request: AnsweredRequest<'_>) -> Option<EarlyRating> {
        self.requests.shadowed(request);
        self.early.take(request.rating_by(AnswerRater::Operator, AnswerSide::Shadow))
    }

    /// Keeps a rating of an answer that is not known until it is; returns it where the answer became known meanwhile.
    pub(super) fn keep_early(&self, rating: AnswerRating<'_>) -> Option<EarlyRating> {
        self.early.keep(rating);
        // Whoever remembers an answer looks for words on it afterwards: one of the two sees the other.
        self.requests.knows(rating).then(|| self.early.take(rating)).flatten()
    }

    /// Takes a word in and shows what is thought now; returns who gave the answer that it is on, if that is remembered.
    pub(super) fn rated(&self, rating: AnswerRating<'_>, metrics: &Metrics) -> Option<AnsweredBy> {
        let noted = self.requests.rated(rating)?;
        if let Some(quality) = rating.quality {
            let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
            windows.add(&noted, rating.side, quality);
            windows.show(&noted, rating.side, metrics);
        }
        Some(noted.by)
    }
}

impl<'r> AnsweredRequest<'r> {
    /// Returns what a rating of the answer would be, but for its quality.
    const fn rating_by(self, rater: AnswerRater<'r>, side: AnswerSide) -> AnswerRating<'r> {
        AnswerRating { request_id: self.request_id, rater, side, quality: None }
    }
}

/// A word, with what is remembered of its request.
#[derive(Debug)]
struct NotedRating {
    by: AnsweredBy,
    /// The quality that the same side was given before.
    before: Option<f64>,
    /// The qualities of both sides, once they are known the first time.
    pair: Option<RatedPair>,
}

/// The qualities of two answers to one request.
#[derive(Debug, Clone, Copy, PartialEq)]
struct RatedPair {
    served: f64,
    shadow: f64,
}

impl QualityWindows {
    fn add(&mut self, noted: &NotedRating, side: AnswerSide, quality: f64) {
        let is_shadow = side == AnswerSide::Shadow;
        let model = self.models.entry((noted.by.clone(), is_shadow)).or_default();
        let policy = self.policies.entry((noted.by.policy.clone(), is_shadow)).or_default();
        for window in [model, policy] {
            match noted.before {
                Some(before) => window.replace(before, quality),
                None => window.add(quality),
            }
        }
        if let Some(pair) = noted.pair {
            self.pairs.entry(noted.by.policy.clone()).or_default().add(pair);
        }
    }

    fn show(&self, noted: &NotedRating, side: AnswerSide, metrics: &Metrics) {
        let (by, is_shadow) = (&noted.by, side == AnswerSide::Shadow);
        if let Some(window) = self.models.get(&(by.clone(), is_shadow)) {
            metrics.set_quality(&by.policy, Some(&by.model), side, window.estimate());
        }
        if let Some(window) = self.policies.get(&(by.policy.clone(), is_shadow)) {
            metrics.set_quality(&by.policy, None, side, window.estimate());
        }
        if let Some(held) = self.pairs.get(&by.policy).and_then(PairWindow::held) {
            metrics.set_quality_held(&by.policy, held);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        Name::new(text).expect("a valid name")
    }

    #[test]
    fn ratings_of_both_sides_show_each_model_s_quality_and_what_of_the_shadow_s_is_held() {
        let (quality, metrics) = (AnswerQuality::default(), Metrics::new());
        let (policy, small, big) = (name("auto"), name("small"), name("big"));
        for (id, served, shadow) in [("a", 1.0, 1.0), ("b", 0.5, 1.0), ("c", 1.0, 1.0), ("d", 0.5, 1.0)] {
            let request = AnsweredRequest { request_id: id, client: None, policy: &policy, model: &small };
            assert_eq!(quality.answered(request), [None, None]);
            assert_eq!(quality.shadowed(AnsweredRequest { model: &big, ..request }), None);
            for (side, value) in [(AnswerSide::Served, served), (AnswerSide::Shadow, shadow)] {
                let rating = AnswerRating { request_id: id, rater: AnswerRater::Operator, side, quality: Some(value) };
                assert!(quality.rated(rating, &metrics).is_some());
            }
        }

        let text = metrics.render();
        let value = |series: &str| {
            let line =
                text.lines().find_map(|line| line.strip_prefix(series)).unwrap_or_else(|| panic!("{series}\n{text}"));
            line.trim().parse::<f64>().expect("a number")
        };
        let of = |answer: &str, bound: &str, model: &str| {
            value(&format!(
                r#"pointsman_quality_ratio{{answer="{answer}",bound="{bound}",model="{model}",policy="auto"}}"#
            ))
        };
        assert!(
            (of("served", "mean", "small") - 0.75).abs() < 0.01 && (of("shadow", "mean", "big") - 1.0).abs() < 1e-9
        );
        assert!(of("served", "low", "small") < 0.5 && of("served", "high", "small") > 0.9);
        assert!((of("served", "mean", "") - of("served", "mean", "small")).abs() < 1e-9);
        let held = |bound: &str| value(&format!(r#"pointsman_quality_held_ratio{{bound="{bound}",policy="auto"}}"#));
        assert!((held("mean") - 0.75).abs() < 0.01, "{}", held("mean"));
        assert!(held("low") < held("mean") && held("mean") < held("high"));
    }

    #[test]
    fn a_client_rates_its_own_answers_alone_and_a_later_word_takes_the_place_of_the_first() {
        let (quality, metrics) = (AnswerQuality::default(), Metrics::new());
        let (policy, model, anna, mallory) = (name("auto"), name("small"), name("anna"), name("mallory"));
        let request = AnsweredRequest { request_id: "a", client: Some(&anna), policy: &policy, model: &model };
        assert_eq!(quality.answered(request), [None, None]);
        let rate = |rater, value| {
            let rating = AnswerRating { request_id: "a", rater, side: AnswerSide::Served, quality: Some(value) };
            quality.rated(rating, &metrics)
        };

        assert_eq!(rate(AnswerRater::Client(Some(&mallory)), 0.0), None);
        assert_eq!(rate(AnswerRater::Client(None), 0.0), None);
        assert!(rate(AnswerRater::Client(Some(&anna)), 0.0).is_some());
        assert!(rate(AnswerRater::Operator, 1.0).is_some());

        let text = metrics.render();
        assert!(text.contains(r#"answer="served",bound="mean",model="small",policy="auto"} 1"#), "{text}");
        assert!(text.contains(r#"pointsman_quality_ratings{answer="served",model="small",policy="auto"} 1"#), "{text}");
    }

    #[test]
    fn a_rating_that_outruns_its_answer_is_kept_until_that_is_over_and_then_counts_once() {
        let (quality, metrics) = (AnswerQuality::default(), Metrics::new());
        let (policy, model, shadow) = (name("auto"), name("small"), name("big"));
        let (anna, mallory) = (name("anna"), name("mallory"));
        let request = AnsweredRequest { request_id: "a", client: Some(&anna), policy: &policy, model: &model };
        let rating = |rater, side| AnswerRating { quality: Some(1.0), ..request.rating_by(rater, side) };
        for word in [
            rating(AnswerRater::Client(Some(&anna)), AnswerSide::Served),
            rating(AnswerRater::Client(Some(&mallory)), AnswerSide::Served),
            rating(AnswerRater::Operator, AnswerSide::Shadow),
        ] {
            assert_eq!(quality.rated(word, &metrics), None);
            assert_eq!(quality.keep_early(word), None);
        }

        let [of_client, of_operator] = quality.answered(request);
        let of_client = of_client.expect("anna's word");
        assert!(of_operator.is_none());
        assert!(quality.rated(of_client.rating(), &metrics).is_some());
        let of_shadow = quality.shadowed(AnsweredRequest { model: &shadow, ..request }).expect("the operator's word");
        assert!(quality.rated(of_shadow.rating(), &metrics).is_some());

        let text = metrics.render();
        for (answer, model) in [("served", "small"), ("shadow", "big")] {
            let ratings = format!(r#"pointsman_quality_ratings{{answer="{answer}",model="{model}",policy="auto"}} 1"#);
            assert!(text.contains(&ratings), "{text}");
        }
    }

    #[test]
    fn a_rating_whose_answer_became_known_meanwhile_is_not_kept() {
        let (quality, metrics) = (AnswerQuality::default(), Metrics::new());
        let (policy, model) = (name("auto"), name("small"));
        let request = AnsweredRequest { request_id: "a", client: None, policy: &policy, model: &model };
        let rating =
            AnswerRating { quality: Some(0.5), ..request.rating_by(AnswerRater::Client(None), AnswerSide::Served) };
        assert_eq!(quality.rated(rating, &metrics), None);
        assert_eq!(quality.answered(request), [None, None]);

        let word = quality.keep_early(rating).expect("the answer is known now");

        assert!(quality.rated(word.rating(), &metrics).is_some());
    }
}
