//! The value that is moved: which key of which strategy, and what the policy does on either side of it.

use std::ops::RangeInclusive;

use pointsman_core::config::{
    Config, JudgeBreaker, JudgeCache, JudgeChoice, JudgeConfig, JudgeProtocol, KeyPath, KeyStep, Name, OnUnfamiliar,
    PolicyMode, Ratio, StrategyConfig, ThresholdStep, TiersConfig, TimeSpan,
};
use pointsman_core::policy::{KnownSignals, PolicySet};

use super::CalibrateError;

/// The length of the path `policies`, position, `strategy`, below which a policy's own keys begin.
const WITHIN: usize = 3;

/// The value of a strategy that is moved.
#[derive(Debug, Clone, PartialEq)]
pub struct SweptThreshold {
    /// The key's path.
    pub path: KeyPath,
    /// The strategy's path.
    pub strategy: KeyPath,
    /// The present value.
    pub value: f64,
    /// The bounds that its neighbours set.
    pub bounds: RangeInclusive<f64>,
    /// The model whose share is meant.
    pub strong: String,
}

/// Treatment of a policy's rules: a logged request says itself that none of them chose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RuleTreatment {
    Kept,
    Dropped,
}

/// A configuration's policies at both ends of a threshold's sweep.
pub(super) struct SweepPolicies {
    /// Something else stands in the strategy's place that asks a question, so that who reaches it is seen.
    pub(super) asking: PolicySet,
    /// The threshold as low as it goes: everything is above.
    pub(super) low: PolicySet,
    /// The threshold as high as it goes.
    pub(super) high: PolicySet,
}

impl SweptThreshold {
    /// Finds the value to move: `threshold`, a ladder's highest `at_least`, or the `min_confidence` of tiers. `at`
    /// names one of several by the path of the key or of its strategy, from the root of the file or from the policy's
    /// strategy on.
    ///
    /// # Errors
    /// When there is none, more than one to choose from, or the file does not spell it.
    pub fn of(config: &Config, policy: usize, at: Option<&str>) -> Result<Self, CalibrateError> {
        let root = KeyPath::root().key("policies").index(policy).key("strategy");
        let (mut candidates, mut others) = (Vec::new(), Vec::new());
        config.policies[policy].strategy.visit(&root, &mut |path, section| match Self::at(path, section) {
            Some(swept) => candidates.push(swept),
            None => others.push((path.to_string(), section.kind())),
        });
        let paths: Vec<_> = candidates.iter().map(|swept| swept.path.to_string()).collect();
        let allowed = if paths.is_empty() { "it has none".to_owned() } else { paths.join(", ") };
        let place = match at {
            None => root.to_string(),
            Some(at) if at.starts_with("policies[") => at.to_owned(),
            Some(at) => format!("{root}.{at}"),
        };
        let other = others.iter().find(|(path, _)| *path == place).map(|(_, kind)| *kind);
        let mut named =
            candidates.iter().filter(|swept| [&swept.path, &swept.strategy].iter().any(|own| own.to_string() == place));
        let swept = match (named.next(), &*candidates, at) {
            (Some(swept), ..) | (None, [swept], None) => swept.clone(),
            _ => {
                return Err(match other {
                    Some(_) if at.is_none() && !candidates.is_empty() => {
                        CalibrateError::Ambiguous { path: place, allowed }
                    }
                    Some(kind) => CalibrateError::NoThreshold { path: place, kind },
                    None => CalibrateError::NoSuch { path: place, allowed },
                });
            }
        };
        match config.span_of(&swept.path) {
            Some(_) => Ok(swept),
            None => Err(CalibrateError::NoKey { key: swept.path.to_string() }),
        }
    }

    fn at(place: &KeyPath, section: &StrategyConfig) -> Option<Self> {
        let (path, value, bounds) = match section {
            StrategyConfig::Tiers(tiers) => (place.key("min_confidence"), tiers.min_confidence.get(), 0.0..=1.0),
            StrategyConfig::Threshold(threshold) if threshold.ladder.is_empty() => {
                (place.key("threshold"), threshold.threshold.unwrap_or_default().get(), 0.0..=1.0)
            }
            StrategyConfig::Threshold(threshold) => {
                let rungs = threshold.rungs();
                let below = rungs.iter().rev().nth(1).map_or(0.0, |rung| rung.at_least.get());
                let index = top(&threshold.ladder);
                let value = threshold.ladder[index].at_least.get();
                (place.key("ladder").index(index).key("at_least"), value, below..=1.0)
            }
            _ => return None,
        };
        let strong = section.ladder().pop().map(|top| top.to_string()).unwrap_or_default();
        Some(Self { path, strategy: place.clone(), value, bounds, strong })
    }

    /// Returns whether its strategy chose by its number, and did not abstain for another reason: a classifier that
    /// failed, or a prompt that it did not read to the end or never learnt from the like of.
    pub(super) fn is_known(&self, config: &Config, signals: &KnownSignals) -> bool {
        let Some(KeyStep::Index(policy)) = self.strategy.steps().get(1) else { return false };
        let mut section = config.policies[*policy].strategy.clone();
        let Some(section) = section.at_mut(&self.strategy.steps()[WITHIN..]) else { return false };
        let scores = section.reads().and_then(|(classifier, _)| signals.scores_of(classifier));
        let Some(Ok(scores)) = scores else { return false };
        let (most, unfamiliar) = match section {
            StrategyConfig::Tiers(tiers) => (tiers.max_truncated_tokens, tiers.unfamiliar),
            StrategyConfig::Threshold(threshold) => (threshold.max_truncated_tokens, threshold.unfamiliar),
            _ => (None, OnUnfamiliar::default()),
        };
        let is_familiar = scores.familiarity.unfamiliar.is_none() || unfamiliar == OnUnfamiliar::Judge;
        is_familiar && most.is_none_or(|most| scores.truncated_tokens <= most)
    }

    /// Compiles the policies of `config` with the threshold at its ends. Everyone gets to the policy at `policy`.
    ///
    /// # Errors
    /// As [`PolicySet::compile`].
    pub(super) fn policies_at_ends(
        &self,
        config: &Config,
        policy: usize,
        ruling: RuleTreatment,
    ) -> Result<SweepPolicies, CalibrateError> {
        let compile = |change: &dyn Fn(&mut StrategyConfig)| {
            let mut config = config.clone();
            let own = &mut config.policies[policy];
            (own.mode, own.rollout) = (PolicyMode::Route, Ratio::new(1.0).expect("one is a ratio"));
            if ruling == RuleTreatment::Dropped {
                own.rules.clear();
            }
            own.strategy.at_mut(&self.strategy.steps()[WITHIN..]).map(change);
            PolicySet::compile(&config)
                .map_err(|problems| CalibrateError::EndsDoNotCompile { key: self.path.to_string(), problems })
        };
        let judge = config.models.keys().next();
        let asking = |section: &mut StrategyConfig| {
            if let Some(judge) = judge {
                *section = StrategyConfig::Judge(stand_in(judge.clone(), section));
            }
        };
        let (low, high) = (*self.bounds.start(), *self.bounds.end());
        Ok(SweepPolicies {
            asking: compile(&asking)?,
            low: compile(&|section| set(section, low))?,
            high: compile(&|section| set(section, high))?,
        })
    }
}

/// Returns the position of a ladder's highest rung.
fn top(ladder: &[ThresholdStep]) -> usize {
    let highest = ladder.iter().map(|rung| rung.at_least.get()).fold(0.0, f64::max);
    ladder.iter().position(|rung| rung.at_least.get() >= highest).unwrap_or_default()
}

fn set(section: &mut StrategyConfig, value: f64) {
    let value = Ratio::new(value).expect("the bounds of a ratio are ratios");
    match section {
        StrategyConfig::Tiers(TiersConfig { min_confidence, .. }) => *min_confidence = value,
        StrategyConfig::Threshold(threshold) if threshold.ladder.is_empty() => threshold.threshold = Some(value),
        StrategyConfig::Threshold(threshold) => {
            let rung = threshold.ladder.remove(top(&threshold.ladder));
            threshold.ladder.push(ThresholdStep { at_least: value, ..rung }); // of equals, the last one is the higher
        }
        _ => {}
    }
}

/// Returns a judge in the place of a strategy. Nobody answers it.
fn stand_in(judge: Name, section: &StrategyConfig) -> JudgeConfig {
    let choice = |model| JudgeChoice { label: None, model, description: String::new() };
    JudgeConfig {
        name: None,
        judge,
        protocol: JudgeProtocol::Chat,
        choices: section.ladder().into_iter().map(choice).collect(),
        instructions: None,
        timeout: TimeSpan::from_secs(1),
        max_chars: 1,
        max_tokens: 1,
        min_confidence: None,
        rationale: false,
        max_concurrent: 1,
        cache: JudgeCache::default(),
        breaker: JudgeBreaker::default(),
        otherwise: section.otherwise().cloned(),
    }
}
