//! `similarity`: the model whose description and examples the prompt is nearest to.

use std::sync::Arc;

use super::pick::{Known, Pick, StrategyKind};
use crate::config::{self, KeyPath, Name};
use crate::policy::decision::{Expected, Reason};
use crate::policy::flip::{Beyond, Lever};
use crate::policy::signals::{Signal, Similarities};

const KIND: &str = "similarity";

#[derive(Debug)]
pub(super) struct Similarity {
    path: Arc<str>,
    routes: Vec<Route>,
}

#[derive(Debug)]
struct Route {
    label: Arc<str>,
    model: Name,
    threshold: f64,
}

impl Similarity {
    pub(super) fn new(path: &KeyPath, config: &config::Similarity) -> Self {
        let routes = config.routes.iter().map(|route| Route {
            label: route.name().as_str().into(),
            model: route.model.clone(),
            threshold: route.threshold.unwrap_or(config.threshold).get(),
        });
        Self { path: path.to_string().into(), routes: routes.collect() }
    }
}

impl StrategyKind for Similarity {
    fn pick(&self, known: &Known<'_>) -> Result<Pick, Signal> {
        Ok(match known.signals.similarities(&self.path)? {
            Err(degraded) => Pick::abstain(KIND, Reason::Degraded(degraded)),
            Ok(similarities) => self.by_nearest(similarities, known),
        })
    }
}

impl Similarity {
    /// Takes the nearest of the routes that are near enough.
    fn by_nearest(&self, Similarities(similarities): &Similarities, known: &Known<'_>) -> Pick {
        let all = || (0..).zip(&self.routes).zip(similarities.iter().copied()).filter(|(_, score)| !score.is_nan());
        let nearest = |near: &dyn Fn(&Route, f32) -> bool| {
            let routes = all().filter(|((_, route), score)| near(route, *score));
            routes.max_by(|a, b| a.1.total_cmp(&b.1)).map(|((rung, _), score)| (rung, score))
        };
        let Some((first, score)) = nearest(&|_, _| true) else { return Pick::abstain(KIND, Reason::NotSimilar) };
        let background = self.background(similarities);
        let near = nearest(&|route, score| f64::from(score) >= route.threshold.max(background));
        let (shown, score) = near.unwrap_or((first, score));
        let route: &Route = &self.routes[shown];
        let pick = match near {
            Some((rung, _)) => Pick { rung: Some(rung), ..Pick::of(KIND, &route.model, Reason::Similarity) },
            None => Pick::abstain(KIND, Reason::NotSimilar),
        };
        let pick = Pick { label: Some(Arc::clone(&route.label)), score: Some(score), ..pick };
        if known.is_explained() { self.explain(pick, similarities) } else { pick }
    }

    /// Returns how near the prompt is to what is about no route; infinitely far where there is no such thing.
    fn background(&self, similarities: &[f32]) -> f64 {
        let background = similarities.get(self.routes.len()).copied().filter(|score| !score.is_nan());
        background.map_or(f64::NEG_INFINITY, f64::from)
    }

    /// Adds which similarities would have met another model, and how near each model's nearest route is.
    fn explain(&self, pick: Pick, similarities: &[f32]) -> Pick {
        let known = self.routes.iter().zip(similarities.iter().map(|score| f64::from(*score)));
        let background = self.background(similarities);
        let known: Vec<_> = known.enumerate().filter(|(_, (_, score))| !score.is_nan()).collect();
        let chosen = pick.rung.and_then(|rung| known.iter().find(|(own, _)| *own == rung));
        let flip = |route: &Route, value: f64, threshold: f64, beyond: Beyond| Lever {
            of: KIND,
            label: Some(Arc::clone(&route.label)),
            value,
            threshold,
            beyond,
        };
        let others = || known.iter().filter(|(rung, _)| Some(*rung) != pick.rung);
        let mut flips: Vec<Lever> = others()
            .map(|(_, (route, score))| {
                let best = chosen.map_or(f64::NEG_INFINITY, |(_, (_, best))| *best);
                flip(route, *score, route.threshold.max(background).max(best), Beyond::Model(route.model.clone()))
            })
            .collect();
        if let Some((_, (route, score))) = chosen {
            let near = others().filter(|(_, (other, score))| *score >= other.threshold.max(background));
            let next = near.max_by(|a, b| a.1.1.total_cmp(&b.1.1)).map(|(_, (other, _))| &other.model);
            flips.push(flip(route, *score, route.threshold.max(background), Beyond::of(next)));
        }
        let mut expected: Vec<(Name, Expected)> = Vec::new();
        for (_, (route, score)) in &known {
            let own = Expected {
                success: Some(*score),
                success_is: Some(format!("cosine to `{}`", route.label)),
                ..Expected::default()
            };
            match expected.iter_mut().find(|(model, _)| *model == route.model) {
                Some((_, nearest)) if nearest.success >= own.success => {}
                Some((_, nearest)) => *nearest = own,
                None => expected.push((route.model.clone(), own)),
            }
        }
        Pick { flips, expected, ..pick }
    }
}
