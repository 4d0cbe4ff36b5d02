//! The examination of a text that could stand in the configuration file: every problem on its line, what cannot be meant,
//! and the text's own tests, run.
//!
//! Builds what the text describes beside the process that serves, as `pointsman check` does, and drops it again.

use std::path::Path;
use std::sync::Arc;

use pointsman_core::config::{ConfigProblem, KeyPath};
use pointsman_telemetry::Metrics;

use super::policy_tests::{self, PolicyTestOutcome};
use super::{ConfigFindings, PATIENCE};
use crate::router::Router;
use crate::snapshot::{BuildError, ClassifierState, Snapshot, SnapshotBuilder};

/// The findings on a text.
#[derive(Debug, Default)]
pub(crate) struct Examination {
    /// Mistakes, for which the text would be refused.
    pub(crate) problems: Vec<ConfigProblem>,
    /// Things that cannot be meant, and things worth knowing.
    pub(crate) findings: ConfigFindings,
    /// The classifiers that would score prompts, or not.
    pub(crate) classifiers: Vec<ExaminedClassifier>,
    /// The results of the text's own tests.
    pub(crate) tests: Vec<PolicyTestOutcome>,
}

/// A classifier of a text.
#[derive(Debug)]
pub(crate) struct ExaminedClassifier {
    pub(crate) name: String,
    /// The reason why it would not score prompts.
    pub(crate) trouble: Option<String>,
}

/// Examines `text` as that of the file at `path`. Blocks for as long as loading weights takes.
pub(crate) fn examine(path: &Path, text: &str) -> Examination {
    let metrics = Arc::new(Metrics::new());
    let builder = SnapshotBuilder::new(path, Arc::clone(&metrics));
    let mut prepared = match builder.prepare_text(text) {
        Ok(prepared) => prepared,
        Err(problems) => {
            return Examination { problems: problems.iter().cloned().collect(), ..Examination::default() };
        }
    };
    if !prepared.config().tests.is_empty() {
        prepared.extend_deadlines(PATIENCE);
    }
    match builder.build(prepared, None) {
        Ok(snapshot) => examined(snapshot, metrics),
        Err(error) => Examination { problems: problems_of(error), ..Examination::default() },
    }
}

fn examined(snapshot: Snapshot, metrics: Arc<Metrics>) -> Examination {
    let findings = ConfigFindings::of(&snapshot);
    let classifiers = snapshot.classifiers.iter().map(|(name, state)| {
        let trouble = match state {
            ClassifierState::Ready(classifier) => classifier.trouble().filter(|_| classifier.is_down()),
            ClassifierState::Unavailable { reason, detail } => Some(format!("{}: {detail}", reason.as_str())),
        };
        ExaminedClassifier { name: name.to_string(), trouble }
    });
    let classifiers = classifiers.collect();
    let router = Router::new(snapshot, metrics);
    let tests = policy_tests::run(&router).unwrap_or_default();
    Examination { problems: Vec::new(), findings, classifiers, tests }
}

/// Returns the mistakes that kept a snapshot from being built.
fn problems_of(error: BuildError) -> Vec<ConfigProblem> {
    match error {
        BuildError::Config(problems) => problems.iter().cloned().collect(),
        other => vec![ConfigProblem::new(&KeyPath::root(), other.to_string())],
    }
}
