//! What a comparison found: one object, for `--json` and for people.

use std::collections::BTreeMap;

use serde::Serialize;

use super::choice::ChoiceCounts;
use crate::dataset::DataIdentity;
use crate::statistics::{ConfidenceInterval, RoutingFigures, RoutingIntervals};

/// Policies beside single models and baselines on the same prompts.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ComparisonReport {
    /// The file of answers.
    pub data: DataIdentity,
    /// The seed of the bootstrap's draws and of ties.
    pub seed: u64,
    /// The prompts that are compared: those with a graded answer of everybody.
    pub n: u64,
    /// The answers in the file, of those that were asked for.
    pub answers: u64,
    /// Prompts that are left out.
    pub left_out: LeftOutPrompts,
    /// The best single model.
    pub strong: String,
    /// The cheapest of the others.
    pub weak: String,
    /// Every single model, the best first.
    pub models: Vec<ContenderFigures>,
    /// Every policy.
    pub routers: Vec<RouterFigures>,
    /// The cheapest of the best answers to each prompt, known beforehand.
    pub oracle: ContenderFigures,
    /// A model drawn for each prompt, each as likely as another: what is expected of it, not one draw.
    pub random: ContenderFigures,
}

/// Prompts that are left out of a comparison, by the reason.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct LeftOutPrompts {
    /// Outcomes that say they stand in a held-out set.
    pub contaminated: u64,
    /// Prompts without an answer of a model or policy, by its name; a prompt may lack several.
    pub unanswered: BTreeMap<String, u64>,
    /// Prompts with an answer that nobody graded, by the model or policy.
    pub ungraded: BTreeMap<String, u64>,
    /// Prompts that a policy cannot decide from their words, by the reason.
    pub undecided: BTreeMap<String, u64>,
}

/// The kind of what is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ContenderKind {
    /// One model for every prompt.
    Model,
    /// A policy, as its answers show it.
    Policy,
    /// A policy of a configuration, decided anew over the models' answers.
    PolicyOffline,
    /// The best answer to each prompt, known beforehand.
    Oracle,
    /// A model drawn at random.
    Random,
    /// The longer the prompt, the dearer the model.
    Length,
    /// The weak and the strong model by a ranking of prompts, at a given cost.
    Ranked,
}

/// The figures of one way to answer every prompt.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ContenderFigures {
    /// Its name.
    pub name: String,
    /// Its kind.
    pub kind: ContenderKind,
    /// The mean quality, 0 to 1.
    pub quality: f64,
    /// The interval of the quality.
    pub quality_ci95: ConfidenceInterval,
    /// The share of right answers.
    pub accuracy: f64,
    /// The mean cost of a prompt in US dollars, judges that chose the model included; `None` unless every answer's is
    /// known.
    pub cost_usd: Option<f64>,
    /// The interval of the cost.
    pub cost_ci95: Option<ConfidenceInterval>,
    /// The part of the mean cost that judges took.
    pub judge_cost_usd: f64,
    /// Prompts whose cost is known.
    pub priced: u64,
    /// The share of the prompts that each model answers.
    pub shares: BTreeMap<String, f64>,
    /// Times to the end of the answer, the choice of the model included.
    pub latency_ms: Option<TimeFigures>,
    /// Times to the first byte of the answer.
    pub first_byte_ms: Option<TimeFigures>,
    /// Microseconds of Pointsman's own work within those times, the classifier's included.
    pub overhead_us: Option<TimeFigures>,
    /// The part of the gap between the weak and the strong model that is recovered; `None` where there is no gap.
    pub pgr: Option<f64>,
    /// The interval of that part.
    pub pgr_ci95: Option<ConfidenceInterval>,
    /// RouterArena's score of quality and cost.
    pub arena_score: Option<f64>,
    /// The interval of that score.
    pub arena_score_ci95: Option<ConfidenceInterval>,
}

/// The middle and the tail of times.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct TimeFigures {
    /// The answers whose time is known.
    pub n: u64,
    /// The median.
    pub p50: f64,
    /// The time that one answer in twenty takes longer than.
    pub p95: f64,
}

/// The figures of a policy.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RouterFigures {
    /// The same figures as of a model.
    #[serde(flatten)]
    pub figures: ContenderFigures,
    /// How often its choices were right.
    pub choices: ChoiceCounts,
    /// The policy beside each single model and baseline on the same draws.
    pub against: Vec<DifferenceFigures>,
    /// Models by prompt length, each as often as the policy chose it; `None` where it chose a model that was not asked
    /// by itself.
    pub length: Option<ContenderFigures>,
    /// Models drawn at random, each as often as the policy chose it: what is expected of that.
    pub random_at_shares: Option<ContenderFigures>,
    /// The policy as a ranking of prompts between the weak and the strong model.
    pub ranking: Option<RankingFigures>,
    /// The parts of the prompts by the label that the policy went by.
    pub labels: BTreeMap<String, LabelPart>,
}

/// A policy less something else, on the same prompts.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DifferenceFigures {
    /// What it is compared with.
    pub name: String,
    /// The difference of the mean qualities.
    pub quality: f64,
    /// The interval of that difference.
    pub quality_ci95: ConfidenceInterval,
    /// The policy's cost as a share of the other's; `None` where one is not known or the other is free.
    pub cost_share: Option<f64>,
    /// The interval of that share.
    pub cost_share_ci95: Option<ConfidenceInterval>,
}

/// The source of a ranking of prompts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RankedBy {
    /// The score, which alone decided.
    Score,
    /// The model that was chosen, the worst first; within it how sure the policy was.
    Model,
}

/// A policy as a ranking of prompts: `RouteLLM`'s figures.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RankingFigures {
    /// What ranks the prompts.
    pub by: RankedBy,
    /// APGR and CPT.
    #[serde(flatten)]
    pub figures: RoutingFigures,
    /// Intervals of the figures.
    #[serde(flatten)]
    pub intervals: RoutingIntervals,
    /// The same of prompt length.
    pub length: RoutingFigures,
}

/// The prompts of one label.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LabelPart {
    /// The prompts.
    pub n: u64,
    /// The mean quality of the policy's answers.
    pub quality: f64,
    /// The mean quality of each single model's answers to the same prompts.
    pub models: BTreeMap<String, f64>,
    /// How often the policy's choices were right.
    pub choices: ChoiceCounts,
}
