//! A draw among models by their shares, which can be made again among fewer of them.

use std::sync::Arc;

use crate::config::Name;

/// Models and their shares, each above 0.
pub(in crate::policy) type ModelShares = Arc<[(Name, f64)]>;

/// A draw that was made.
#[derive(Debug, Clone)]
pub(in crate::policy) struct ModelDraw {
    shares: ModelShares,
    /// The place within the share that the draw fell on, 0 to 1: as even as the draw itself, and independent of it.
    within: f64,
}

impl ModelDraw {
    /// Draws a model: `place` is from 0 to 1 and even over many draws. `None` when there are no models.
    pub(in crate::policy) fn new(shares: &ModelShares, place: f64) -> Option<(&Name, Self)> {
        let (model, within) = fall(shares.iter(), place)?;
        Some((model, Self { shares: Arc::clone(shares), within }))
    }

    /// Draws again among the models that `fits`, by their shares. The same draw gives the same model again.
    pub(in crate::policy) fn among(&self, fits: impl Fn(&Name) -> bool) -> Option<&Name> {
        let left = self.shares.iter().filter(|(model, _)| fits(model));
        fall(left, self.within).map(|(model, _)| model)
    }
}

/// Returns the model on whose share `place` falls, and where within it.
fn fall<'s>(shares: impl Iterator<Item = &'s (Name, f64)> + Clone, place: f64) -> Option<(&'s Name, f64)> {
    let mut place = place * shares.clone().map(|(_, share)| share).sum::<f64>();
    let mut last = None;
    for (model, share) in shares {
        if place < *share {
            return Some((model, place / share));
        }
        place -= share;
        last = Some(model);
    }
    // What lies beyond the last share by rounding belongs to it.
    last.map(|model| (model, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shares(shares: &[(&str, f64)]) -> ModelShares {
        shares.iter().map(|(model, share)| (Name::new(model).expect("a name"), *share)).collect()
    }

    /// Draws a thousand times, evenly, and counts the models.
    fn counts(drawn: impl Fn(f64) -> String) -> Vec<(String, usize)> {
        let mut counts = std::collections::BTreeMap::new();
        (0..1000).for_each(|step| *counts.entry(drawn((f64::from(step) + 0.5) / 1000.0)).or_default() += 1);
        counts.into_iter().collect()
    }

    #[test]
    fn models_are_drawn_by_their_shares_and_again_by_those_of_the_rest() {
        let shares = shares(&[("a", 5.0), ("b", 3.0), ("c", 2.0)]);
        let first = |place| ModelDraw::new(&shares, place).expect("models");
        let named = |counts: &[(&str, usize)]| -> Vec<_> {
            counts.iter().map(|(model, count)| ((*model).to_owned(), *count)).collect()
        };

        assert_eq!(counts(|place| first(place).0.to_string()), named(&[("a", 500), ("b", 300), ("c", 200)]));
        let without_a = |place| {
            let (model, draw) = first(place);
            if model.as_str() == "a" {
                draw.among(|own| own.as_str() != "a").expect("two").to_string()
            } else {
                "-".into()
            }
        };
        assert_eq!(counts(without_a), named(&[("-", 500), ("b", 300), ("c", 200)]));
    }

    #[test]
    fn a_place_at_the_end_belongs_to_the_last_model_and_none_to_none() {
        let shares = shares(&[("a", 0.1), ("b", 0.2)]);

        let (model, draw) = ModelDraw::new(&shares, 1.0).expect("models");

        assert_eq!(model.as_str(), "b");
        assert_eq!(draw.among(|model| model.as_str() == "a").map(Name::as_str), Some("a"));
        assert!(draw.among(|_| false).is_none());
        assert!(ModelDraw::new(&ModelShares::from([]), 0.5).is_none());
    }
}
