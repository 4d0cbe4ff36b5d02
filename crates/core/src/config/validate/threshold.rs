//! The strategy `threshold`: one way of writing its ladder, without gaps.

use super::{ConfigChecker, KeyPath};
use crate::config::ThresholdConfig;

impl ConfigChecker<'_> {
    pub(super) fn threshold(&mut self, path: &KeyPath, strategy: &ThresholdConfig) {
        self.reference(&path.key("classifier"), &strategy.classifier, "classifiers", "classifier");
        for (key, model) in [("strong", &strategy.strong), ("weak", &strategy.weak)] {
            if let Some(model) = model {
                self.reference(&path.key(key), model, "models", "model");
            }
        }
        let pair = [
            ("strong", strategy.strong.is_some()),
            ("weak", strategy.weak.is_some()),
            ("threshold", strategy.threshold.is_some()),
        ];
        if strategy.ladder.is_empty() {
            for (key, _) in pair.into_iter().filter(|(_, is_there)| !is_there) {
                self.wrong(&path.key(key), "is required (allowed: `strong`, `weak` and `threshold`, or a `ladder`)");
            }
            return;
        }
        for (key, _) in pair.into_iter().filter(|(_, is_there)| *is_there) {
            self.wrong(&path.key(key), "stands beside `ladder` (allowed: one of the two ways)");
        }
        self.ladder(&path.key("ladder"), strategy);
    }

    fn ladder(&mut self, path: &KeyPath, strategy: &ThresholdConfig) {
        for (index, rung) in strategy.ladder.iter().enumerate() {
            let path = path.index(index);
            self.reference(&path.key("model"), &rung.model, "models", "model");
            if let Some(before) = strategy.ladder[..index].iter().position(|other| other.at_least == rung.at_least) {
                let message = format!("is that of ladder[{before}] already (allowed: each threshold once)");
                self.wrong(&path.key("at_least"), message);
            }
        }
        if strategy.ladder.iter().all(|rung| rung.at_least.get() > 0.0) {
            self.wrong(path, "has no model for the lowest scores (allowed: one rung with `at_least: 0`)");
        }
    }
}
