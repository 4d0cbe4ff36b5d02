//! The strategy `bandit`: models with prices, chances of models that it has, and one bandit a policy.

use std::ops::RangeInclusive;

use super::{ConfigChecker, KeyPath};
use crate::config::{BanditConfig, Name};

const MEMORY: RangeInclusive<u32> = 10..=1_000_000;
const OUTPUT_TOKENS: RangeInclusive<u64> = 1..=1_000_000;
const LAMBDA: RangeInclusive<f64> = 0.0..=1e9;
const WEIGHT: RangeInclusive<f64> = 0.0..=1e6;

impl ConfigChecker<'_> {
    pub(super) fn bandit(&mut self, path: &KeyPath, strategy: &BanditConfig) {
        if let Some(classifier) = &strategy.classifier {
            self.reference(&path.key("classifier"), classifier, "classifiers", "classifier");
        }
        self.arms(&path.key("models"), strategy);
        self.warm_start(&path.key("warm"), strategy);
        self.within(&path.key("lambda"), &strategy.lambda, &LAMBDA);
        self.within(&path.key("memory"), &strategy.memory, &MEMORY);
        self.within(&path.key("output_tokens"), &strategy.output_tokens, &OUTPUT_TOKENS);
    }

    fn arms(&mut self, path: &KeyPath, strategy: &BanditConfig) {
        self.models(path, &strategy.models);
        if strategy.models.len() < 2 {
            self.wrong(path, "must hold at least two models: one alone leaves nothing to learn");
        }
        for (index, model) in strategy.models.iter().enumerate() {
            let priced = self.config.models.get(model).is_none_or(|model| model.price.is_some());
            let path = path.index(index);
            if !priced && strategy.lambda > 0.0 {
                let message = format!("`{model}` has no `price` under `models`, so its cost is not known");
                self.wrong(&path, message);
            }
            if strategy.models[..index].contains(model) {
                self.wrong(&path, format!("`{model}` stands there already (allowed: each model once)"));
            }
        }
    }

    fn warm_start(&mut self, path: &KeyPath, strategy: &BanditConfig) {
        let warm = &strategy.warm;
        self.within(&path.key("weight"), &warm.weight, &WEIGHT);
        if warm.heads.is_some() && strategy.classifier.is_none() {
            self.wrong(&path.key("heads"), "has no classifier to be read from (required beside it: `classifier`)");
        }
        if warm.heads.is_some() && !warm.rates.is_empty() {
            self.wrong(&path.key("rates"), "stands beside `heads` (allowed: one of the two)");
        }
        for (label, rates) in &warm.rates {
            let path = path.key("rates").key(label);
            if strategy.classifier.is_none() && label != "*" {
                self.wrong(&path, "is a label, and no `classifier` gives any (allowed: `*`)");
            }
            for model in rates.keys().filter(|model| !strategy.models.contains(model)) {
                let allowed = strategy.models.iter().map(Name::as_str).collect::<Vec<_>>().join(", ");
                let message = format!("`{model}` is none of the strategy's `models` (allowed: {allowed})");
                self.wrong(&path.key(model), message);
            }
        }
    }
}
