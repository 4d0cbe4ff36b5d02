//! What another configuration would have done with logged requests: which would move, what that costs, and what it does
//! to quality.
//!
//! Both configurations decide every request anew. Costs are the logged tokens at the configurations' prices, as if the
//! other model had answered as long; where answers are checked, what the checks came to is taken from the log. Quality is
//! predicted in two ways that do not need the other model's answer: by what clients said of each model's answers to
//! prompts of the same label, and by the head `strong_wins`, the chance that only the stronger model answers well.

mod report;
mod side;

use std::collections::BTreeMap;

use pointsman_core::scores::{HeadScores, Scores};

pub use self::report::{ModelMove, MovedRequest, ReplayPart, ReplayReport};
use self::side::ReplaySide;
use super::engine::{EngineError, MissingEvidence, OfflineEngine, ReplayedDecision, UsualAnswers};
use crate::dataset::DatasetError;
use crate::decision_log::{DecisionLogs, FeedbackOutcomes, LogLine, LoggedDecision};
use crate::statistics::{ConfidenceInterval, RunningMean};

/// The head that says how likely only the stronger model answers well.
const STRONG_WINS: &str = "strong_wins";

/// The stand-in for the model of a request that passes through.
const PASSED: &str = "(passes through)";
const REFUSED: &str = "(refused)";

/// Errors that leave no report.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// A log cannot be read.
    #[error(transparent)]
    Log(#[from] DatasetError),
    /// A configuration does not decide.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// Nothing was replayed.
    #[error("the logs hold no decision that can be replayed{}", missing(not_replayed))]
    Empty {
        /// Requests that cannot be decided anew, by what the log does not hold.
        not_replayed: BTreeMap<String, u64>,
    },
}

/// A tally of the requests so far; grows with labels and models, not with requests.
#[derive(Default)]
struct ReplayTally {
    all: ReplayPart,
    denied: u64,
    not_replayed: BTreeMap<MissingEvidence, u64>,
    priced: u64,
    policies: BTreeMap<String, ReplayPart>,
    labels: BTreeMap<String, ReplayPart>,
    moves: BTreeMap<(String, String), MoveSum>,
    moved: BTreeMap<MoveKey, u64>,
    /// Ratings by label and model.
    rated: BTreeMap<(String, String), RunningMean>,
}

/// Requests that would move from one model to another.
#[derive(Default)]
struct MoveSum {
    n: u64,
    cost_usd: f64,
}

/// The key of requests that would move in the same way.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct MoveKey {
    policy: String,
    label: String,
    from: String,
    to: String,
}

/// One request beside itself.
struct RequestPair<'d> {
    logged: &'d LoggedDecision,
    from: &'d str,
    to: &'d str,
    costs: Option<CostPair>,
    /// The predicted change of quality by `strong_wins`.
    gain: Option<f64>,
}

/// Costs of a request with either configuration, in US dollars.
#[derive(Clone, Copy, Default)]
struct CostPair {
    before: f64,
    after: f64,
}

/// Replays `logs` with `now` and with `against`; `moved` hears of every request that would move.
///
/// # Errors
/// When a log cannot be read, a text cannot be scored, or nothing is left.
pub async fn replay(
    logs: &DecisionLogs,
    now: &mut OfflineEngine,
    against: &mut OfflineEngine,
    mut moved: impl FnMut(&MovedRequest<'_>),
) -> Result<ReplayReport, ReplayError> {
    let (outcomes, usual) = (logs.outcomes()?, UsualAnswers::of(logs)?);
    now.assume(usual.clone());
    against.assume(usual);
    let mut tally = ReplayTally::default();
    let mut lines = logs.lines();
    for line in &mut lines {
        let logged = match line? {
            LogLine::Decision(logged) => logged,
            LogLine::Denial => {
                tally.denied += 1;
                continue;
            }
            LogLine::Feedback(_) | LogLine::ShadowAnswer(_) | LogLine::ShadowFeedback(_) => continue,
        };
        let (before, after) = (now.replay(&logged).await?, against.replay(&logged).await?);
        let before = ReplaySide { config: &now.config, replayed: &before };
        let after = ReplaySide { config: &against.config, replayed: &after };
        if let Some(pair) = tally.add(&logged, before, after, &outcomes)
            && pair.is_moved()
        {
            moved(&pair.request());
        }
    }
    if tally.all.n == 0 {
        return Err(ReplayError::Empty { not_replayed: by_name(&tally.not_replayed) });
    }
    Ok(tally.report(lines.passed_over()))
}

impl ReplayTally {
    /// Counts a request; `None` when it cannot be decided anew.
    fn add<'d>(
        &mut self,
        logged: &'d LoggedDecision,
        before: ReplaySide<'d>,
        after: ReplaySide<'d>,
        outcomes: &FeedbackOutcomes,
    ) -> Option<RequestPair<'d>> {
        // The configuration now stands for the one that wrote the log.
        let (from, to) = match (before.answer(logged, before), after.answer(logged, before)) {
            (Ok(from), Ok(to)) => (from, to),
            (Err(lack), _) | (_, Err(lack)) => {
                *self.not_replayed.entry(lack).or_default() += 1;
                return None;
            }
        };
        let costs = before.cost(logged, from).zip(after.cost(logged, to));
        let costs = costs.map(|(before, after)| CostPair { before, after });
        let (from, to) = (from.model, to.model);
        let pair = RequestPair { logged, from, to, costs, gain: gain(before, after, from, to) };
        self.count(&pair);
        if let Some((quality, model)) = outcomes.of(logged).zip(logged.answered_by.clone()) {
            self.rated.entry((logged.label_or_none().to_owned(), model.into_owned())).or_default().add(quality);
        }
        Some(pair)
    }

    fn count(&mut self, pair: &RequestPair<'_>) {
        let RequestPair { logged, from, to, costs, gain } = *pair;
        let moved = pair.is_moved();
        let CostPair { before, after } = costs.unwrap_or_default();
        self.priced += u64::from(costs.is_some());
        let policy = self.policies.entry(logged.policy.to_string()).or_default();
        let label = self.labels.entry(logged.label_or_none().to_owned()).or_default();
        for part in [&mut self.all, policy, label] {
            part.n += 1;
            part.moved += u64::from(moved);
            part.cost_usd += before;
            part.cost_against_usd += after;
            if moved {
                part.gain.add(gain);
            }
        }
        if moved {
            let moves = self.moves.entry((from.to_owned(), to.to_owned())).or_default();
            moves.n += 1;
            moves.cost_usd = moves.cost_usd + after - before;
            let (policy, label) = (logged.policy.to_string(), logged.label_or_none().to_owned());
            let (from, to) = (from.to_owned(), to.to_owned());
            *self.moved.entry(MoveKey { policy, label, from, to }).or_default() += 1;
        }
    }

    fn report(self, passed_over: u64) -> ReplayReport {
        let (n, moved) = (self.all.n, self.all.moved);
        let requests = n + self.not_replayed.values().sum::<u64>();
        let all = self.predicted(self.all, |_| true);
        let ReplayPart { cost_usd, cost_against_usd, quality_by_feedback, quality_by_strong_wins, .. } = all;
        let parts = |parts: &BTreeMap<String, ReplayPart>, of: fn(&MoveKey) -> &str| -> BTreeMap<String, ReplayPart> {
            parts.iter().map(|(key, part)| (key.clone(), self.predicted(*part, |moved| of(moved) == key))).collect()
        };
        let policies = parts(&self.policies, |moved| &moved.policy);
        let labels = parts(&self.labels, |moved| &moved.label);
        let one = |((from, to), MoveSum { n, cost_usd })| ModelMove { from, to, n, cost_usd };
        let mut moves: Vec<ModelMove> = self.moves.into_iter().map(one).collect();
        moves.sort_by_key(|one| std::cmp::Reverse(one.n));
        ReplayReport {
            requests,
            n,
            coverage: n as f64 / requests as f64,
            moved,
            moved_share: moved as f64 / n as f64,
            moved_share_ci95: ConfidenceInterval::wilson(moved, n),
            unscored: self.not_replayed.get(&MissingEvidence::Scores).copied().unwrap_or_default(),
            not_replayed: by_name(&self.not_replayed),
            denied: self.denied,
            passed_over,
            priced: self.priced,
            cost_usd,
            cost_against_usd,
            cost_increase: (cost_usd > 0.0).then(|| (cost_against_usd - cost_usd) / cost_usd),
            quality_by_feedback,
            quality_by_strong_wins,
            policies,
            labels,
            moves,
        }
    }

    /// Says of some of the requests what is predicted of their quality.
    fn predicted(&self, part: ReplayPart, of: impl Fn(&MoveKey) -> bool) -> ReplayPart {
        let n = part.n as f64;
        ReplayPart {
            quality_by_feedback: self.by_feedback(of).map(|sum| sum / n),
            quality_by_strong_wins: part.gain.sum().map(|sum| sum / n),
            ..part
        }
    }

    /// Returns the sum over the moved requests that `of` chooses. Every one is expected to do as well as the other
    /// model's rated answers to prompts of its label, or to all prompts where there are none.
    fn by_feedback(&self, of: impl Fn(&MoveKey) -> bool) -> Option<f64> {
        let mean = |label: Option<&str>, model: &str| {
            let rated =
                self.rated.iter().filter(|((own, name), _)| label.is_none_or(|label| own == label) && name == model);
            rated.fold(RunningMean::default(), |all, (_, one)| all.plus(*one)).mean()
        };
        let quality = |label: &str, model: &str| mean(Some(label), model).or_else(|| mean(None, model));
        let mut sum = 0.0;
        for (MoveKey { label, from, to, .. }, n) in self.moved.iter().filter(|(moved, _)| of(moved)) {
            sum += *n as f64 * (quality(label, to)? - quality(label, from)?);
        }
        Some(sum)
    }
}

impl<'d> RequestPair<'d> {
    fn is_moved(&self) -> bool {
        self.from != self.to
    }

    fn request(&self) -> MovedRequest<'d> {
        let Self { logged, from, to, costs, gain } = *self;
        MovedRequest {
            request_id: &logged.request_id,
            time: &logged.time,
            policy: &logged.policy,
            label: logged.label_or_none(),
            from,
            to,
            cost_usd: costs.map(|costs| costs.after - costs.before),
            quality_by_strong_wins: gain,
        }
    }
}

fn by_name(lacks: &BTreeMap<MissingEvidence, u64>) -> BTreeMap<String, u64> {
    lacks.iter().map(|(lack, n)| (lack.to_string(), *n)).collect()
}

fn missing(not_replayed: &BTreeMap<String, u64>) -> String {
    let parts: Vec<String> = not_replayed.iter().map(|(lack, n)| format!("{n} lack the {lack}")).collect();
    if parts.is_empty() { String::new() } else { format!(" ({})", parts.join(", ")) }
}

/// Returns the predicted change of quality: the chance that only the stronger of the two models answers well is gained
/// on the way up and lost on the way down. The stronger one stands later in the order of the policy's models.
fn gain(before: ReplaySide<'_>, after: ReplaySide<'_>, from: &str, to: &str) -> Option<f64> {
    let (ReplayedDecision::Chosen(_, scores), ReplayedDecision::Chosen(policy, others)) =
        (before.replayed, after.replayed)
    else {
        return None;
    };
    let wins = scores.iter().chain(others).find_map(strong_wins)?;
    let rank = |model: &str| policy.candidates.iter().position(|candidate| candidate.model.as_str() == model);
    Some(if rank(to)? > rank(from)? { wins } else { -wins })
}

fn strong_wins(scores: &Scores) -> Option<f64> {
    scores.head(STRONG_WINS).and_then(HeadScores::level)
}
