//! What a fit says of each row beforehand: each model's chance to succeed, and the model that `utility` serves by them.
//!
//! Refuses a bundle that learnt from the rows themselves: its chances would be memories.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, TryStreamExt, stream};
use pointsman_classifier::{
    Bundle, BundleIdentity, Classifier, ClassifierError, ClassifierHost, Manifest, OnnxRuntime, ScoreRequest,
    ScoredHeads,
};
use pointsman_core::config::{BatchLimits, ClassifierConfig, Config, ConfigProblems, Name, ScoreCacheLimits, TimeSpan};
use pointsman_core::features::Features;
use pointsman_core::policy::{KnownSignals, Policy, PolicySet, PolicyStep, RequestFacts};
use pointsman_core::scores::{HeadScores, Scores};
use pointsman_telemetry::Metrics;
use tokio::time::Instant;

use super::rows::{SimulationRow, SimulationRows};
use super::{CLASSIFIER, SimulationError};

/// The prefix of the heads that `fit --task success` writes, and that `utility` reads.
const HEADS: &str = "success";

/// Rows that are scored at a time.
const IN_FLIGHT: usize = 32;

/// The deadline of a row; nobody is waiting behind a proxy here.
const PATIENCE: Duration = Duration::from_secs(600);

/// The chances of a bundle's heads, and what `utility` chooses by them.
#[derive(Debug)]
pub(super) struct FittedChances {
    pub(super) bundle: BundleIdentity,
    /// The heads `success/MODEL` of each row.
    pub(super) heads: Vec<Vec<HeadScores>>,
    /// The model that `utility` serves for each row.
    pub(super) choices: Vec<usize>,
}

impl FittedChances {
    /// Scores every row with the bundle in `folder`, and has `utility` choose.
    pub(super) async fn of(folder: &Path, rows: &SimulationRows) -> Result<Self, SimulationError> {
        let opened = Bundle::open(folder).map_err(ClassifierError::from)?;
        if opened.manifest().was_trained_on(&rows.sha256) {
            return Err(SimulationError::Learnt { bundle: folder.to_owned(), sha256: rows.sha256.clone() });
        }
        let heads = success_heads(folder, opened.manifest(), &rows.models)?;
        let (name, bundle) = (opened.manifest().name.clone(), opened.identity().clone());
        let host = ClassifierHost {
            base_dir: PathBuf::new(),
            runtime: OnnxRuntime::load()?,
            metrics: Arc::new(Metrics::new()),
        };
        // One prompt a run, so that float32 sums come in one order.
        let config = ClassifierConfig {
            deadline: TimeSpan::from_secs(1),
            queue: IN_FLIGHT,
            batch: BatchLimits::of_one(),
            cache: ScoreCacheLimits { max_entries: 0, max_bytes: 0 },
            ..ClassifierConfig::of(folder)
        };
        let classifier = Classifier::start_bundle(&name, &config, &host, opened)?;
        let scored = stream::iter(&rows.rows).map(|row| scored(&classifier, &heads, row));
        let heads: Vec<Vec<HeadScores>> = scored.buffered(IN_FLIGHT).try_collect().await?;
        let choices = choices(rows, &heads)?;
        Ok(Self { bundle, heads, choices })
    }
}

/// Returns the head of each model's chance to succeed.
fn success_heads(bundle: &Path, manifest: &Manifest, models: &[String]) -> Result<Vec<Name>, SimulationError> {
    let offered = || manifest.heads.iter().filter(|head| !head.hidden && head.stands_for.is_none());
    let head_of = |model: &String| {
        let wanted = format!("{HEADS}/{model}");
        let found = offered().find(|head| head.name.as_str() == wanted).map(|head| head.name.clone());
        found.ok_or_else(|| SimulationError::NoHead {
            bundle: bundle.to_owned(),
            head: wanted,
            allowed: offered().map(|head| head.name.as_str()).collect::<Vec<_>>().join(", "),
        })
    };
    models.iter().map(head_of).collect()
}

async fn scored(
    classifier: &Classifier,
    heads: &[Name],
    row: &SimulationRow,
) -> Result<Vec<HeadScores>, SimulationError> {
    let unscored = |reason: &str| SimulationError::Unscored { line: row.line, reason: reason.to_owned() };
    let asked = row.asked.as_ref().map_err(|message| unscored(message))?;
    let features = asked.features();
    let deadline = Instant::now() + PATIENCE;
    let request = ScoreRequest { text: &asked.text, features: &features, deadline, heads, scored: ScoredHeads::Read };
    let scores = classifier.score(request).await;
    // Scores that stood in for the encoder's are not what was fitted.
    let scores = scores.and_then(|scores| scores.source.degraded().map_or(Ok(scores), Err));
    let scores = scores.map_err(|reason| unscored(reason.as_str()))?;
    let own = heads.iter().map(|head| scores.head(head.as_str()).cloned());
    own.collect::<Option<_>>().ok_or_else(|| unscored("no_scores"))
}

/// Returns the model that `utility` chooses for each row, costs left out.
fn choices(rows: &SimulationRows, heads: &[Vec<HeadScores>]) -> Result<Vec<usize>, SimulationError> {
    let otherwise = &rows.models[0];
    let strategy = format!("kind: utility, classifier: {CLASSIFIER}, otherwise: '{otherwise}', lambda: 0");
    let text = rows.configuration(&strategy);
    let config = Config::parse(&text, "the strategy")?;
    let policies = PolicySet::compile(&config).map_err(|problems| ConfigProblems::new("the strategy", problems))?;
    let policy = policies.iter().next().expect("the configuration has one policy");
    Ok(heads.iter().map(|heads| choice(policy, rows, heads)).collect())
}

fn choice(policy: &Policy, rows: &SimulationRows, heads: &[HeadScores]) -> usize {
    let mut signals = KnownSignals::default();
    signals.add_scores(super::classifier(), Ok(Scores::of(heads.to_vec())));
    let facts = RequestFacts::bare("auto", "/v1/chat/completions");
    let PolicyStep::Decide(decision) = policy.step(&facts, &Features::default(), &signals) else {
        unreachable!("all that the strategy asks for is known")
    };
    rows.place(&decision.model)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn utility_serves_the_model_with_the_best_chance_of_each_row() {
        let models = ["a", "b", "c"].map(str::to_owned).to_vec();
        let rows = SimulationRows { sha256: String::new(), models, labels: vec![String::new()], rows: Vec::new() };
        let row = |chances: [f32; 3]| -> Vec<HeadScores> {
            let head = |(model, chance): (&String, f32)| {
                HeadScores::new(&format!("success/{model}"), &["no", "yes"], &[1.0 - chance, chance])
            };
            rows.models.iter().zip(chances).map(head).collect()
        };

        let chosen = choices(&rows, &[row([0.2, 0.9, 0.3]), row([0.6, 0.5, 0.5]), row([0.1, 0.1, 0.2])]);

        assert_eq!(chosen.expect("choices"), [1, 0, 2]);
    }
}
