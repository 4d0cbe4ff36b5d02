//! Strategies: models and classifiers that exist, numbers within bounds, and a stand-in wherever one may abstain.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::{ConfigChecker, KeyPath, root};
use crate::config::{
    CascadeConfig, HierarchyConfig, JudgeConfig, JudgeProtocol, Name, RandomConfig, SimilarityConfig, SimilarityRoute,
    SplitConfig, StrategyConfig, TiersConfig, UtilityConfig,
};

/// The deepest nesting of strategies.
const MAX_DEPTH: usize = 4;
const TOP_K: RangeInclusive<usize> = 1..=1000;
const OUTPUT_TOKENS: RangeInclusive<u64> = 1..=1_000_000;
const JUDGE_TIMEOUT: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_mins(1);
/// The most options of a choice, in the protocols for decisions.
const MOST_CHOICES: usize = 255;
const JUDGE_CHARS: RangeInclusive<usize> = 100..=1_000_000;
const JUDGE_TOKENS: RangeInclusive<u32> = 16..=65_536;
const JUDGE_CONCURRENT: RangeInclusive<usize> = 1..=10_000;
const JUDGE_ENTRIES: RangeInclusive<usize> = 0..=1_000_000;
const JUDGE_HOLD: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_hours(168);
const JUDGE_FAILURES: RangeInclusive<u32> = 1..=1000;
const JUDGE_REST: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_hours(1);

/// The strategies that a strategy stands within.
#[derive(Clone, Copy)]
struct Nesting {
    /// True where one of them says which model serves where the strategy abstains.
    has_stand_in: bool,
    /// The number of nested strategies, this one included.
    depth: usize,
}

impl Nesting {
    const fn deeper(self) -> Self {
        Self { depth: self.depth + 1, ..self }
    }
}

impl ConfigChecker<'_> {
    /// Checks a policy's whole strategy.
    pub(super) fn strategy(&mut self, path: &KeyPath, strategy: &StrategyConfig) {
        self.nested(path, strategy, Nesting { has_stand_in: false, depth: 1 });
        let count = strategy.bandits().len();
        if count > 1 {
            self.wrong(
                path,
                format!("holds {count} `bandit` strategies, and rewards could not tell them apart (allowed: one)"),
            );
        }
    }

    fn nested(&mut self, path: &KeyPath, strategy: &StrategyConfig, nesting: Nesting) {
        if nesting.depth > MAX_DEPTH {
            return self.wrong(path, format!("strategies stand too deep within each other (allowed: {MAX_DEPTH})"));
        }
        match strategy.otherwise() {
            Some(model) => self.reference(&path.key("otherwise"), model, "models", "model"),
            None if nesting.has_stand_in
                || matches!(strategy, StrategyConfig::Threshold(_))
                || never_abstains(strategy) => {}
            None => self.wrong(
                &path.key("otherwise"),
                format!("is required: `{}` may abstain (allowed: a model of the catalog)", strategy.kind()),
            ),
        }
        match strategy {
            StrategyConfig::Tiers(tiers) => self.tiers(path, tiers),
            StrategyConfig::Threshold(threshold) => self.threshold(path, threshold),
            StrategyConfig::Utility(utility) => self.utility(path, utility),
            StrategyConfig::Bandit(bandit) => self.bandit(path, bandit),
            StrategyConfig::Similarity(similarity) => self.similarity(path, similarity),
            StrategyConfig::Judge(judge) => self.judge(path, judge),
            StrategyConfig::Escalate(escalate) => self.escalate(path, escalate),
            StrategyConfig::Split(split) => self.split(path, split),
            StrategyConfig::Random(random) => self.random(path, random),
            StrategyConfig::Cascade(stages) => self.stages(path, stages, nesting),
            StrategyConfig::Hierarchy(hierarchy) => self.hierarchy(path, hierarchy, nesting),
        }
    }

    fn tiers(&mut self, path: &KeyPath, strategy: &TiersConfig) {
        self.reference(&path.key("classifier"), &strategy.classifier, "classifiers", "classifier");
        if strategy.tiers.is_empty() {
            self.wrong(&path.key("tiers"), "must map at least one label to a model");
        }
        for (label, model) in strategy.tiers.iter() {
            self.reference(&path.key("tiers").key(label), model, "models", "model");
        }
    }

    fn utility(&mut self, path: &KeyPath, strategy: &UtilityConfig) {
        self.reference(&path.key("classifier"), &strategy.classifier, "classifiers", "classifier");
        self.models(&path.key("models"), &strategy.models);
        for (index, model) in strategy.models.iter().enumerate() {
            let priced = self.config.models.get(model).is_none_or(|model| model.price.is_some());
            let path = path.key("models").index(index);
            if !priced {
                self.wrong(&path, format!("`{model}` has no `price` under `models`, so its cost is not known"));
            }
            if strategy.models[..index].contains(model) {
                self.wrong(&path, format!("`{model}` stands there already (allowed: each model once)"));
            }
            if !strategy.success.contains_key(model) && strategy.head_of(model).is_none() {
                self.wrong(&path, format!("`{}/{model}` is too long for a head's name", strategy.heads));
            }
        }
        for (model, success) in &strategy.success {
            let path = path.key("success").key(model);
            if !strategy.models.contains(model) {
                let allowed = strategy.models.iter().map(Name::as_str).collect::<Vec<_>>().join(", ");
                self.wrong(&path, format!("`{model}` is none of the strategy's `models` (allowed: {allowed})"));
            }
            if success.head.is_some() == success.chance.is_some() {
                self.wrong(&path, "must name either a `head`, with a `label` if need be, or a `chance`");
            }
            if success.chance.is_some() && success.label.is_some() {
                self.wrong(&path.key("label"), "has no meaning beside a `chance`");
            }
        }
        for (key, worth) in [("lambda", strategy.lambda), ("mu", strategy.mu)] {
            if !(0.0..=1e9).contains(&worth) {
                self.wrong(&path.key(key), format!("{worth} is out of bounds (allowed: 0 to 1000000000)"));
            }
        }
        self.within(&path.key("output_tokens"), &strategy.output_tokens, &OUTPUT_TOKENS);
    }

    fn similarity(&mut self, path: &KeyPath, strategy: &SimilarityConfig) {
        self.reference(&path.key("classifier"), &strategy.classifier, "classifiers", "classifier");
        self.within(&path.key("top_k"), &strategy.top_k, &TOP_K);
        let path = path.key("routes");
        if strategy.routes.is_empty() {
            self.wrong(&path, "must hold at least one route");
        }
        for (index, route) in strategy.routes.iter().enumerate() {
            let path = path.index(index);
            self.reference(&path.key("model"), &route.model, "models", "model");
            if route.description.is_none() && route.examples.is_empty() && route.examples_file.is_none() {
                let message = "has nothing to compare with (allowed: `description`, `examples`, `examples_file`)";
                self.wrong(&path, message);
            }
            let texts = route.examples.iter().enumerate().map(|(at, text)| (path.key("examples").index(at), text));
            for (path, text) in texts.chain(route.description.iter().map(|text| (path.key("description"), text))) {
                if text.trim().is_empty() {
                    self.wrong(&path, "is empty, so there is nothing to compare with");
                }
            }
        }
        self.distinct(&path, strategy.routes.iter().map(SimilarityRoute::name), "name");
    }

    fn judge(&mut self, path: &KeyPath, strategy: &JudgeConfig) {
        if let Some(name) = &strategy.name {
            self.judge_name(&path.key("name"), name);
        }
        self.reference(&path.key("judge"), &strategy.judge, "models", "model");
        if strategy.choices.len() < 2 {
            self.wrong(&path.key("choices"), "must hold at least two choices");
        }
        for (index, choice) in strategy.choices.iter().enumerate() {
            let path = path.key("choices").index(index);
            self.reference(&path.key("model"), &choice.model, "models", "model");
            if choice.description.trim().is_empty() {
                self.wrong(&path.key("description"), "is empty, so the judge cannot know what the choice is for");
            }
        }
        self.distinct(&path.key("choices"), strategy.choices.iter().map(super::super::JudgeChoice::label), "label");
        if strategy.protocol != JudgeProtocol::Chat {
            if strategy.rationale {
                self.wrong(&path.key("rationale"), "has no meaning here: only `protocol: chat` gives reasons");
            }
            if strategy.choices.len() > MOST_CHOICES {
                self.wrong(
                    &path.key("choices"),
                    format!("are too many for this protocol (allowed: 2 to {MOST_CHOICES})"),
                );
            }
        }
        self.span(&path.key("timeout"), strategy.timeout, &JUDGE_TIMEOUT);
        self.within(&path.key("max_chars"), &strategy.max_chars, &JUDGE_CHARS);
        self.within(&path.key("max_tokens"), &strategy.max_tokens, &JUDGE_TOKENS);
        self.within(&path.key("max_concurrent"), &strategy.max_concurrent, &JUDGE_CONCURRENT);
        let (cache, breaker) = (path.key("cache"), path.key("breaker"));
        self.within(&cache.key("max_entries"), &strategy.cache.max_entries, &JUDGE_ENTRIES);
        self.span(&cache.key("hold"), strategy.cache.hold, &JUDGE_HOLD);
        self.within(&breaker.key("failures"), &strategy.breaker.failures, &JUDGE_FAILURES);
        self.span(&breaker.key("rest"), strategy.breaker.rest, &JUDGE_REST);
    }

    /// Rules know a judge by its name alone, whatever policy it stands in.
    fn judge_name(&mut self, path: &KeyPath, name: &Name) {
        let mut first = None;
        for (index, policy) in self.config.policies.iter().enumerate() {
            let root = root("policies").index(index).key("strategy");
            policy.strategy.visit(&root, &mut |path, strategy| {
                if matches!(strategy, StrategyConfig::Judge(judge) if judge.name.as_ref() == Some(name)) {
                    first.get_or_insert_with(|| path.key("name"));
                }
            });
        }
        if first.as_ref() != Some(path) {
            self.wrong(path, format!("`{name}` is another judge's name already (allowed: each name once)"));
        }
    }

    fn split(&mut self, path: &KeyPath, strategy: &SplitConfig) {
        let path = path.key("models");
        for (model, weight) in &strategy.models {
            self.reference(&path.key(model), model, "models", "model");
            if !(0.0..=1e9).contains(weight) {
                self.wrong(&path.key(model), format!("{weight} is out of bounds (allowed: 0 to 1000000000)"));
            }
        }
        if strategy.models.values().sum::<f64>() <= 0.0 {
            self.wrong(&path, "must give at least one model a weight above 0");
        }
    }

    fn random(&mut self, path: &KeyPath, strategy: &RandomConfig) {
        self.models(&path.key("models"), &strategy.models);
    }

    fn stages(&mut self, path: &KeyPath, strategy: &CascadeConfig, nesting: Nesting) {
        let path = path.key("stages");
        if strategy.stages.is_empty() {
            self.wrong(&path, "must hold at least one strategy");
        }
        for (index, stage) in strategy.stages.iter().enumerate() {
            let path = path.index(index);
            if stage.otherwise().is_some() {
                let message = "has no meaning in a stage: the next one decides, or the cascade's `otherwise`";
                self.wrong(&path.key("otherwise"), message);
            }
            if never_abstains(stage) && index + 1 < strategy.stages.len() {
                let message = format!("`{}` never abstains, so the stages after it are never asked", stage.kind());
                self.wrong(&path, message);
            }
            self.nested(&path, stage, Nesting { has_stand_in: true, ..nesting.deeper() });
        }
    }

    fn hierarchy(&mut self, path: &KeyPath, strategy: &HierarchyConfig, nesting: Nesting) {
        self.reference(&path.key("classifier"), &strategy.classifier, "classifiers", "classifier");
        let has_stand_in = nesting.has_stand_in || strategy.otherwise.is_some();
        let within = Nesting { has_stand_in, ..nesting.deeper() };
        let mut seen: Vec<&str> = Vec::new();
        for (index, branch) in strategy.branches.iter().enumerate() {
            let path = path.key("branches").index(index);
            if branch.labels.is_empty() {
                self.wrong(&path.key("labels"), "must hold at least one label");
            }
            for (at, label) in branch.labels.iter().enumerate() {
                if seen.contains(&label.as_str()) {
                    let message = format!("`{label}` has a branch already (allowed: each label once)");
                    self.wrong(&path.key("labels").index(at), message);
                }
                seen.push(label);
            }
            self.nested(&path.key("strategy"), &branch.strategy, within);
        }
        self.nested(&path.key("default"), &strategy.default, within);
    }

    pub(super) fn models(&mut self, path: &KeyPath, models: &[Name]) {
        if models.is_empty() {
            self.wrong(path, "must hold at least one model");
        }
        for (index, model) in models.iter().enumerate() {
            self.reference(&path.index(index), model, "models", "model");
        }
    }

    fn distinct<'n>(&mut self, path: &KeyPath, names: impl Iterator<Item = &'n Name>, key: &str) {
        let mut seen: Vec<&Name> = Vec::new();
        for (index, name) in names.enumerate() {
            if seen.contains(&name) {
                let message = format!("`{name}` stands there already (allowed: each {key} once; give it a `{key}`)");
                self.wrong(&path.index(index), message);
            }
            seen.push(name);
        }
    }
}

/// A hierarchy abstains only where its branches do, so they need the stand-in, not it.
fn never_abstains(strategy: &StrategyConfig) -> bool {
    match strategy {
        StrategyConfig::Split(_) | StrategyConfig::Random(_) | StrategyConfig::Escalate(_) => true,
        StrategyConfig::Bandit(bandit) => bandit.classifier.is_none(),
        StrategyConfig::Cascade(stages) => stages.stages.iter().any(never_abstains),
        StrategyConfig::Hierarchy(hierarchy) => hierarchy.strategies().all(never_abstains),
        _ => false,
    }
}
