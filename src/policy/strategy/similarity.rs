//! `similarity`: the model whose description and examples the prompt is nearest to.

use std::sync::Arc;

use super::{Known, Pick};
use crate::config::{self, KeyPath, Name};
use crate::policy::decision::{Expected, Flip};
use crate::policy::reason::Reason;
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

    pub(super) fn pick(&self, known: &Known<'_>) -> Result<Pick, Signal> {
        Ok(match known.signals.similarities(&self.path)? {
            Err(degraded) => Pick::abstain(KIND, Reason::Degraded(degraded)),
            Ok(similarities) => self.by_nearest(similarities),
        })
    }

    /// Takes the nearest of the routes that are near enough.
    fn by_nearest(&self, Similarities(similarities): &Similarities) -> Pick {
        let all = self.routes.iter().zip(similarities).enumerate();
        let nearest = |routes: &mut dyn Iterator<Item = (usize, (&Route, f32))>| {
            routes.max_by(|a, b| a.1.1.total_cmp(&b.1.1)).map(|(rung, (_, score))| (rung, score))
        };
        let known = || {
            all.clone().filter(|(_, (_, score))| !score.is_nan()).map(|(rung, (route, score))| (rung, (route, *score)))
        };
        let Some((first, score)) = nearest(&mut known()) else { return Pick::abstain(KIND, Reason::NotSimilar) };
        let near = nearest(&mut known().filter(|(_, (route, score))| f64::from(*score) >= route.threshold));
        let (shown, score) = near.unwrap_or((first, score));
        let route = &self.routes[shown];
        let pick = match near {
            Some((rung, _)) => Pick { rung: Some(rung), ..Pick::of(KIND, &route.model, Reason::Similarity) },
            None => Pick {
                flip: Some(Flip { of: KIND, threshold: route.threshold, model: route.model.clone() }),
                ..Pick::abstain(KIND, Reason::NotSimilar)
            },
        };
        let expected = known().map(|(_, (route, score))| {
            let success = f64::from(score);
            (route.model.clone(), Expected { success, cost_usd: None, first_byte_seconds: None, utility: success })
        });
        Pick { label: Some(Arc::clone(&route.label)), score: Some(score), expected: expected.collect(), ..pick }
    }
}
