//! `similarity`: the model whose description and examples the prompt is nearest to.

use std::sync::Arc;

use super::pick::{ChoiceContext, StrategyKind, StrategyPick};
use crate::config::{self, KeyPath, Name};
use crate::policy::decision::{ModelExpectation, Reason};
use crate::policy::flip::{FlipCandidate, FlipOutcome};
use crate::policy::signals::{RouteSimilarities, Signal};

const KIND: &str = "similarity";

#[derive(Debug)]
pub(super) struct SimilarityStrategy {
    path: Arc<str>,
    routes: Vec<RouteThreshold>,
}

#[derive(Debug)]
struct RouteThreshold {
    label: Arc<str>,
    model: Name,
    threshold: f64,
}

impl SimilarityStrategy {
    pub(super) fn new(path: &KeyPath, config: &config::SimilarityConfig) -> Self {
        let routes = config.routes.iter().map(|route| RouteThreshold {
            label: route.name().as_str().into(),
            model: route.model.clone(),
            threshold: route.threshold.unwrap_or(config.threshold).get(),
        });
        Self { path: path.to_string().into(), routes: routes.collect() }
    }
}

impl StrategyKind for SimilarityStrategy {
    fn pick(&self, known: &ChoiceContext<'_>) -> Result<StrategyPick, Signal> {
        Ok(match known.signals.similarities(&self.path)? {
            Err(degraded) => StrategyPick::abstain(KIND, Reason::Degraded(degraded)),
            Ok(similarities) => self.by_nearest(similarities, known),
        })
    }
}

impl SimilarityStrategy {
    /// Takes the nearest of the routes that are near enough.
    fn by_nearest(
        &self,
        RouteSimilarities(similarities): &RouteSimilarities,
        known: &ChoiceContext<'_>,
    ) -> StrategyPick {
        let all = || (0..).zip(&self.routes).zip(similarities.iter().copied()).filter(|(_, score)| !score.is_nan());
        let nearest = |near: &dyn Fn(&RouteThreshold, f32) -> bool| {
            let routes = all().filter(|((_, route), score)| near(route, *score));
            routes.max_by(|a, b| a.1.total_cmp(&b.1)).map(|((rung, _), score)| (rung, score))
        };
        let Some((first, score)) = nearest(&|_, _| true) else {
            return StrategyPick::abstain(KIND, Reason::NotSimilar);
        };
        let background = self.background(similarities);
        let near = nearest(&|route, score| f64::from(score) >= route.threshold.max(background));
        let (shown, score) = near.unwrap_or((first, score));
        let route: &RouteThreshold = &self.routes[shown];
        let pick = match near {
            Some((rung, _)) => {
                StrategyPick { rung: Some(rung), ..StrategyPick::of(KIND, &route.model, Reason::Similarity) }
            }
            None => StrategyPick::abstain(KIND, Reason::NotSimilar),
        };
        let pick = StrategyPick { label: Some(Arc::clone(&route.label)), score: Some(score), ..pick };
        if known.is_explained() { self.explain(pick, similarities) } else { pick }
    }

    /// Returns how near the prompt is to what is about no route; infinitely far where there is no such thing.
    fn background(&self, similarities: &[f32]) -> f64 {
        let background = similarities.get(self.routes.len()).copied().filter(|score| !score.is_nan());
        background.map_or(f64::NEG_INFINITY, f64::from)
    }

    /// Adds which similarities would have met another model, and how near each model's nearest route is.
    fn explain(&self, pick: StrategyPick, similarities: &[f32]) -> StrategyPick {
        let known = self.routes.iter().zip(similarities.iter().map(|score| f64::from(*score)));
        let background = self.background(similarities);
        let known: Vec<_> = known.enumerate().filter(|(_, (_, score))| !score.is_nan()).collect();
        let chosen = pick.rung.and_then(|rung| known.iter().find(|(own, _)| *own == rung));
        let flip = |route: &RouteThreshold, value: f64, threshold: f64, beyond: FlipOutcome| FlipCandidate {
            of: KIND,
            label: Some(Arc::clone(&route.label)),
            value,
            threshold,
            beyond,
        };
        let others = || known.iter().filter(|(rung, _)| Some(*rung) != pick.rung);
        let mut flips: Vec<FlipCandidate> = others()
            .map(|(_, (route, score))| {
                let best = chosen.map_or(f64::NEG_INFINITY, |(_, (_, best))| *best);
                flip(route, *score, route.threshold.max(background).max(best), FlipOutcome::Model(route.model.clone()))
            })
            .collect();
        if let Some((_, (route, score))) = chosen {
            let near = others().filter(|(_, (other, score))| *score >= other.threshold.max(background));
            let next = near.max_by(|a, b| a.1.1.total_cmp(&b.1.1)).map(|(_, (other, _))| &other.model);
            flips.push(flip(route, *score, route.threshold.max(background), FlipOutcome::of(next)));
        }
        let mut expected: Vec<(Name, ModelExpectation)> = Vec::new();
        for (_, (route, score)) in &known {
            let own = ModelExpectation {
                success: Some(*score),
                success_is: Some(format!("cosine to `{}`", route.label)),
                ..ModelExpectation::default()
            };
            match expected.iter_mut().find(|(model, _)| *model == route.model) {
                Some((_, nearest)) if nearest.success >= own.success => {}
                Some((_, nearest)) => *nearest = own,
                None => expected.push((route.model.clone(), own)),
            }
        }
        StrategyPick { flips, expected, ..pick }
    }
}
