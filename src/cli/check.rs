//! `pointsman check`: everything that `serve` would refuse or degrade on, what cannot be meant, and the file's own
//! tests.
//!
//! Exits with 78 for a bad configuration, and with `--strict` for warnings too; with 1 when a test fails.

use std::cmp::Reverse;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use pointsman_core::policy::PolicySet;
use pointsman_telemetry::Metrics;

use super::source_arguments::SourceArguments;
use super::table::{ColumnAlign, TextTable, shorten};
use super::{CONFIG, REFUSED, UNAVAILABLE, USAGE, fail};
use crate::preflight::{ConfigFindings, PATIENCE, policy_tests};
use crate::router::Router;
use crate::snapshot::{BuildError, ClassifierState, Snapshot, SnapshotBuilder};
use crate::source::{ConfigSource, ConfigVersion, FetchReason};

/// The characters of a test's name that are shown.
const NAME_CHARS: usize = 48;

/// The number of a policy's rules whose cost is shown.
const SHOWN_RULES: usize = 10;

/// What `check` can be asked for.
#[derive(Debug, clap::Args)]
pub(super) struct CheckArguments {
    #[command(flatten)]
    source: SourceArguments,
    /// Treats warnings as problems.
    #[arg(long)]
    strict: bool,
    /// Leaves out the file's `tests`.
    #[arg(long)]
    no_tests: bool,
}

impl CheckArguments {
    /// Makes the arguments that check a file and run its tests.
    pub(super) fn of_file(path: &Path) -> Self {
        Self { source: SourceArguments::of_file(path.to_owned()), strict: false, no_tests: false }
    }
}

pub(super) fn run(arguments: &CheckArguments) -> ExitCode {
    let source = match arguments.source.source() {
        Ok(source) => Arc::new(source),
        Err(error) => return fail(&error, USAGE),
    };
    if let Err(error) = source.fetch(FetchReason::Demand) {
        return fail(&error, if error.is_unavailable() { UNAVAILABLE } else { CONFIG });
    }
    let metrics = Arc::new(Metrics::new());
    let snapshot = match build(&source, &metrics) {
        Ok(snapshot) => snapshot,
        Err(error) => {
            eprintln!("{error}");
            return CONFIG.into();
        }
    };
    report_version(&snapshot.version);
    let ConfigFindings { warnings, notes } = ConfigFindings::of(&snapshot);
    for warning in &warnings {
        eprintln!("warning: {warning}\n");
    }
    for note in notes {
        println!("note: {note}");
    }
    report_rules(&snapshot.policies);
    let whole = report_classifiers(&snapshot);
    let router = Router::new(snapshot, metrics);
    let passed = arguments.no_tests || run_tests(&router);
    if !whole || (arguments.strict && !warnings.is_empty()) {
        return CONFIG.into();
    }
    if !passed {
        return REFUSED.into();
    }
    println!("{}: ok ({})", source.name(), counts(&router.snapshot(), warnings.len()));
    ExitCode::SUCCESS
}

/// Runs every test and prints a table, and what failed with its place in the file; false when one failed.
fn run_tests(router: &Router) -> bool {
    let snapshot = router.snapshot();
    if snapshot.config.tests.is_empty() {
        return true;
    }
    for name in policy_tests::stand_ins(&snapshot) {
        println!("tests: the encoder of `{name}` does not run: its lexical heads, or `otherwise`, decide");
    }
    let outcomes = match policy_tests::run(router) {
        Ok(outcomes) => outcomes,
        Err(error) => {
            eprintln!("tests: cannot start a runtime: {error}");
            return false;
        }
    };
    let mut table = TextTable::new(["test", "expected", "got", ""], [ColumnAlign::Left; 4]);
    for outcome in &outcomes {
        let verdict = if outcome.failures.is_empty() { "ok" } else { "FAILED" };
        let (expected, got) = (outcome.expected.clone(), outcome.got.clone());
        table.push([shorten(&outcome.name, NAME_CHARS), expected, got, verdict.to_owned()]);
    }
    print!("{}", table.render());
    let mut failures = outcomes.iter().flat_map(|outcome| &outcome.failures).peekable();
    let passed = failures.peek().is_none();
    failures.for_each(|failure| eprintln!("{failure}\n"));
    passed
}

/// Says who signed the text, and which commit it is of.
fn report_version(version: &ConfigVersion) {
    if let Some(signature) = &version.signature {
        println!("signature: good ({signature})");
    }
    if let Some(commit) = &version.commit {
        println!("commit: {commit}");
    }
}

fn build(source: &Arc<ConfigSource>, metrics: &Arc<Metrics>) -> Result<Snapshot, BuildError> {
    let builder = Arc::new(SnapshotBuilder::of(Arc::clone(source), Arc::clone(metrics)));
    let mut prepared = builder.prepare_in_time()?;
    if !prepared.config().tests.is_empty() {
        prepared.extend_deadlines(PATIENCE);
    }
    builder.build_in_time(prepared, None)
}

/// Says what each policy's rules cost at most, the dearest ones by their positions.
fn report_rules(policies: &PolicySet) {
    for (policy, mut rules, whole) in policies.rule_steps().map(|(policy, rules, whole)| {
        let numbered: Vec<(usize, u64)> = rules.into_iter().enumerate().collect();
        (policy, numbered, whole)
    }) {
        rules.sort_by_key(|(index, steps)| (Reverse(*steps), *index));
        let more = rules.len().saturating_sub(SHOWN_RULES);
        let shown: Vec<String> =
            rules.iter().take(SHOWN_RULES).map(|(index, steps)| format!("rules[{index}] {steps}")).collect();
        let more = if more > 0 { format!(", {more} more") } else { String::new() };
        let allowed = PolicySet::MAX_RULE_STEPS;
        println!(
            "policies.{policy}: its rules take at most {whole} steps for each request: {}{more} (allowed: {allowed} each, {} together)",
            shown.join(", "),
            PolicySet::MAX_POLICY_STEPS
        );
    }
}

/// Says which classifiers serve. One that would not score is a problem here, though a process that serves would go on
/// without it.
fn report_classifiers(snapshot: &Snapshot) -> bool {
    let mut whole = true;
    for (name, state) in &snapshot.classifiers {
        match state {
            ClassifierState::Ready(classifier) => {
                let identity = classifier.identity();
                println!("classifiers.{name}: {} {} ({})", identity.name, identity.version, short(&identity.sha256));
                if let Some(trouble) = classifier.trouble().filter(|_| classifier.is_down()) {
                    eprintln!("classifiers.{name}: {trouble}");
                    // A server may not be reached from where a file is checked; one that refuses was reached.
                    whole &= classifier.server().is_some_and(|server| !server.is_refused());
                }
            }
            ClassifierState::Unavailable { reason, detail } => {
                eprintln!("classifiers.{name}: {}: {detail}", reason.as_str());
                whole = false;
            }
        }
    }
    whole
}

/// Returns how many parts of each kind a configuration has, as words.
pub(super) fn counts(snapshot: &Snapshot, warnings: usize) -> String {
    let config = &snapshot.config;
    let counts = [
        (config.providers.len(), "provider"),
        (config.models.len(), "model"),
        (config.policies.len(), "policy"),
        (config.tests.len(), "test"),
        (warnings, "warning"),
    ];
    let shown = counts.into_iter().enumerate().filter(|(index, (count, _))| *index < 3 || *count > 0);
    let plural = |count: usize, what: &str| match (count, what.strip_suffix('y')) {
        (1, _) => format!("1 {what}"),
        (_, Some(stem)) => format!("{count} {stem}ies"),
        (_, None) => format!("{count} {what}s"),
    };
    shown.map(|(_, (count, what))| plural(count, what)).collect::<Vec<_>>().join(", ")
}

fn short(sha256: &str) -> &str {
    sha256.get(..12).unwrap_or(sha256)
}
