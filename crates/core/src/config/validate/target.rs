//! Targets: thresholds that are moved for a share or a cost.

use std::ops::RangeInclusive;

use super::{ConfigChecker, KeyPath};
use crate::config::{Name, PolicyConfig, Target, ThresholdConfig};

const DRIFT: RangeInclusive<f64> = 0.01..=100.0;

impl ConfigChecker<'_> {
    pub(super) fn target(&mut self, path: &KeyPath, policy: &PolicyConfig, target: &Target) {
        let aims = [
            ("share", target.share.is_some()),
            ("cost_per_hour", target.cost_per_hour.is_some()),
            ("cost_per_1k", target.cost_per_1k.is_some()),
        ];
        if aims.iter().filter(|(_, is_there)| *is_there).count() != 1 {
            self.wrong(path, "must hold exactly one of `share`, `cost_per_hour` and `cost_per_1k`");
        }
        for (key, dollars) in [("cost_per_hour", target.cost_per_hour), ("cost_per_1k", target.cost_per_1k)] {
            if dollars.is_some_and(|dollars| !(dollars > 0.0 && dollars <= 1e9)) {
                self.wrong(&path.key(key), "is out of bounds (allowed: above 0, at most 1000000000 US dollars)");
            }
        }
        self.within(&path.key("max_drift"), &target.max_drift, &DRIFT);
        if let (Some(min), Some(max)) = (target.min, target.max)
            && min >= max
        {
            self.wrong(&path.key("min"), format!("{} is not below `max`, which is {}", min.get(), max.get()));
        }
        match policy.strategy.thresholds().as_slice() {
            [threshold] => self.target_of(path, target, threshold),
            [] => {
                let kind = policy.strategy.kind();
                self.wrong(
                    path,
                    format!(
                        "has no threshold to move: the strategy is `{kind}` (allowed: `threshold`, also within another)"
                    ),
                );
            }
            several => {
                let count = several.len();
                self.wrong(path, format!("cannot tell which of {count} `threshold` strategies to move (allowed: one)"));
            }
        }
    }

    fn target_of(&mut self, path: &KeyPath, target: &Target, threshold: &ThresholdConfig) {
        let rungs = threshold.rungs();
        let [.., below, top] = rungs.as_slice() else {
            let message = "has no threshold to move: the ladder has one model only";
            return self.wrong(path, message);
        };
        for (index, model) in target.strong.iter().enumerate() {
            self.reference(&path.key("strong").index(index), model, "models", "model");
        }
        if !target.strong.is_empty() && !target.strong.contains(&top.model) {
            let message = format!("lacks `{}`, the model above the threshold that is moved", top.model);
            self.wrong(&path.key("strong"), message);
        }
        if target.strong.contains(&below.model) {
            let message =
                format!("holds `{}`, the model below the threshold: moving it would change nothing", below.model);
            self.wrong(&path.key("strong"), message);
        }
        if let Some(min) = target.min.filter(|min| *min < below.at_least) {
            let message = format!("{} is below the ladder's next threshold, {}", min.get(), below.at_least.get());
            self.wrong(&path.key("min"), message);
        }
        if target.share.is_none() {
            self.priced(path, &below.model, &top.model);
        }
    }

    /// Checks that moving the threshold between the models moves the cost.
    fn priced(&mut self, path: &KeyPath, below: &Name, top: &Name) {
        let price = |model: &Name| self.config.models.get(model).map(|model| model.price);
        match (price(below), price(top)) {
            (Some(Some(lower)), Some(Some(upper))) if upper.input + upper.output <= lower.input + lower.output => {
                let message = format!("`{top}` does not cost more than `{below}`, so its share does not move the cost");
                self.wrong(path, message);
            }
            (lower, upper) => {
                let unpriced = [(below, lower), (top, upper)].into_iter().find(|(_, price)| *price == Some(None));
                if let Some((model, _)) = unpriced {
                    self.wrong(path, format!("`{model}` has no `price` under `models`, so its cost is not known"));
                }
            }
        }
    }
}
