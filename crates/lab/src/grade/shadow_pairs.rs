//! Pairs of answers to one request: what its client got, and what another model said to the same.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::answers::AnswerRow;
use crate::statistics::ConfidenceInterval;

/// The figures of served answers beside the shadow answers to the same requests.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ShadowPairFigures {
    /// Requests of which both answers have a grade.
    pub requests: u64,
    /// The mean quality of what clients got.
    pub served: f64,
    /// The mean quality of the shadow answers.
    pub shadow: f64,
    /// The first less the second.
    pub difference: f64,
    /// The 95 % interval of the difference within pairs.
    #[serde(rename = "difference_ci95")]
    pub interval: ConfidenceInterval,
}

/// The qualities of both sides by request.
#[derive(Debug, Default)]
pub(super) struct ShadowPairs {
    by_request: BTreeMap<String, [Option<f64>; 2]>,
}

impl ShadowPairs {
    /// Takes a row with its quality.
    pub(super) fn add(&mut self, row: &AnswerRow, quality: f64) {
        let sides = self.by_request.entry(row.id.clone()).or_default();
        sides[usize::from(row.is_shadow())] = Some(quality);
    }

    /// Returns the figures; `None` where no request has both sides.
    pub(super) fn figures(&self) -> Option<ShadowPairFigures> {
        let both = self.by_request.values().filter_map(|sides| Some([sides[0]?, sides[1]?]));
        let pairs: Vec<[f64; 2]> = both.collect();
        if pairs.is_empty() {
            return None;
        }
        let requests = pairs.len();
        let [served, shadow] = [0, 1].map(|side: usize| pairs.iter().map(|pair| pair[side]).collect::<Vec<f64>>());
        let [of_served, of_shadow] = [&served, &shadow].map(|side| side.iter().sum::<f64>() / requests as f64);
        let differences: Vec<f64> = served.iter().zip(&shadow).map(|(served, shadow)| served - shadow).collect();
        Some(ShadowPairFigures {
            requests: requests as u64,
            served: of_served,
            shadow: of_shadow,
            difference: of_served - of_shadow,
            interval: ConfidenceInterval::of_pairs(&differences),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_requests_of_which_both_answers_have_a_grade_are_pairs() {
        let mut pairs = ShadowPairs::default();
        let mut add = |id: &str, asked: &str, is_shadow: bool, quality: f64| {
            let mut row = AnswerRow { id: id.into(), asked: asked.into(), ..AnswerRow::default() };
            row.other.extend(is_shadow.then(|| ("shadow".to_owned(), json!(true))));
            pairs.add(&row, quality);
        };
        for (id, served, shadow) in [("a", 0.5, 1.0), ("b", 1.0, 1.0)] {
            add(id, "auto", false, served);
            add(id, "big", true, shadow);
        }
        add("c", "auto", false, 0.0);
        add("d", "big", true, 0.0);

        let figures = pairs.figures().expect("two pairs");

        assert_eq!((figures.requests, figures.served, figures.shadow, figures.difference), (2, 0.75, 1.0, -0.25));
        assert!(figures.interval.low < -0.5 && figures.interval.high > 0.0, "two pairs tell little: {figures:?}");
        assert_eq!(ShadowPairs::default().figures(), None);
    }

    #[test]
    fn pairs_that_are_all_alike_have_an_interval_that_narrows_with_their_number() {
        let width = |count: usize| {
            let mut pairs = ShadowPairs::default();
            for id in 0..count {
                let mut row = AnswerRow { id: id.to_string(), asked: "auto".into(), ..AnswerRow::default() };
                pairs.add(&row, 1.0);
                row.other.insert("shadow".to_owned(), json!(true));
                pairs.add(&row, 1.0);
            }
            let ConfidenceInterval { low, high } = pairs.figures().expect("pairs").interval;
            high - low
        };

        assert!(width(1) > 1.0 && width(20) < 0.25 && width(400) < 0.02 && width(400) > 0.0);
    }
}
