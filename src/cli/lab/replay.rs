//! `pointsman replay`: what another configuration would have done with logged requests, as tables, JSON or an exit
//! code.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use pointsman_lab::decision_log::DecisionLogs;
use pointsman_lab::engine::{EngineError, OfflineEngine};
use pointsman_lab::replay::{ReplayError, ReplayPart, ReplayReport, replay};
use pointsman_lab::runs::OpenRun;

use super::files::CommandFiles;
use super::record::RecordArguments;
use super::{DATA, record};
use crate::cli::table::{ColumnAlign, TextTable};
use crate::cli::{CONFIG, REFUSED, UNAVAILABLE, USAGE, fail};

/// The share of the requests that a gate must rest on, unless `--min-coverage` says another.
const MIN_COVERAGE: f64 = 0.9;

/// What `replay` can be asked for.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct ReplayArguments {
    #[command(flatten)]
    file: crate::cli::ConfigFile,
    /// The configuration to compare with.
    #[arg(long, value_name = "FILE")]
    against: PathBuf,
    /// Decision logs.
    #[arg(value_name = "LOG", required = true)]
    logs: Vec<PathBuf>,
    /// Exits with 1 when a larger share of requests would move, such as 5%.
    #[arg(long, value_name = "SHARE", value_parser = super::share)]
    max_moved: Option<f64>,
    /// Exits with 1 when costs would rise by a larger share, by the requests whose tokens and prices are known.
    #[arg(long, value_name = "SHARE", value_parser = super::share)]
    max_cost_increase: Option<f64>,
    /// Exits with 1 when the predicted mean quality would fall by more, 0 to 1, or cannot be predicted.
    #[arg(long, value_name = "DROP", value_parser = super::share)]
    max_quality_drop: Option<f64>,
    /// Exits with 1 when a gate rests on a smaller share of the logged requests than this (90% unless given): what
    /// cannot be decided anew, or for costs has no price, proves nothing. A gate by itself when given.
    #[arg(long, value_name = "SHARE", value_parser = super::share)]
    min_coverage: Option<f64>,
    /// Writes every request that would move, one JSON object a line.
    #[arg(long, value_name = "FILE")]
    moved: Option<PathBuf>,
    /// Prints one JSON object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    record: RecordArguments,
}

#[derive(Debug, thiserror::Error)]
enum ReplayFailure {
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error(transparent)]
    Replay(#[from] ReplayError),
    #[error("cannot start a runtime")]
    Runtime(#[source] io::Error),
    #[error("cannot write `{}`", path.display())]
    Write { path: PathBuf, source: io::Error },
}

pub(in crate::cli) fn run(arguments: &ReplayArguments) -> ExitCode {
    if let Err(error) = arguments.files().check() {
        return fail(&error, USAGE);
    }
    let inputs = |run: &mut OpenRun| {
        record::config(run, &arguments.file.config);
        run.data(&arguments.against);
        arguments.logs.iter().for_each(|path| run.data(path));
    };
    let outputs = |run: &mut OpenRun| arguments.moved.iter().for_each(|path| run.out(path));
    match arguments.record.around("replay", inputs, || compare(arguments), outputs) {
        Err(code) => code,
        Ok(Ok(report)) => {
            if arguments.json {
                println!("{}", serde_json::to_string(&report).expect("a report is plain data"));
            } else {
                print!("{}", render(&report));
            }
            let refused = arguments.refusals(&report);
            refused.iter().for_each(|refusal| eprintln!("refused: {refusal}"));
            if refused.is_empty() { ExitCode::SUCCESS } else { REFUSED.into() }
        }
        Ok(Err(error)) => fail(&error, error.code()),
    }
}

impl ReplayArguments {
    fn files(&self) -> CommandFiles {
        let inputs = CommandFiles::default().reads("--config", [&self.file.config]).reads("--against", [&self.against]);
        inputs.reads("LOG", &self.logs).writes("--moved", &self.moved)
    }
}

fn compare(arguments: &ReplayArguments) -> Result<ReplayReport, ReplayFailure> {
    let mut now = OfflineEngine::open(&arguments.file.config)?;
    let mut against = OfflineEngine::open(&arguments.against)?;
    let logs = DecisionLogs::new(arguments.logs.clone());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(ReplayFailure::Runtime)?;
    let Some(path) = &arguments.moved else {
        return Ok(runtime.block_on(replay(&logs, &mut now, &mut against, |_| {}))?);
    };
    let unwritable = |source| ReplayFailure::Write { path: path.clone(), source };
    let mut list = BufWriter::new(File::create(path).map_err(unwritable)?);
    let mut written = Ok(());
    let report = runtime.block_on(replay(&logs, &mut now, &mut against, |request| {
        if written.is_ok() {
            let line = serde_json::to_string(request).expect("a request is plain data");
            written = writeln!(list, "{line}");
        }
    }))?;
    written.and_then(|()| list.flush()).map_err(unwritable)?;
    Ok(report)
}

impl ReplayArguments {
    /// Returns what is more than is allowed, and what rests on too little.
    fn refusals(&self, report: &ReplayReport) -> Vec<String> {
        let quality = report.quality_by_feedback.or(report.quality_by_strong_wins);
        let gates = [
            ReplayGate { what: "moved", value: Some(report.moved_share), most: self.max_moved, rests_on: report.n },
            ReplayGate {
                what: "the cost increase",
                value: report.cost_increase,
                most: self.max_cost_increase,
                rests_on: report.priced,
            },
            ReplayGate {
                what: "the quality drop",
                value: quality.map(|change| -change),
                most: self.max_quality_drop,
                rests_on: report.n,
            },
        ];
        let least = self.min_coverage.unwrap_or(MIN_COVERAGE);
        let mut refused: Vec<String> = gates.iter().filter_map(|gate| gate.refusal(report.requests, least)).collect();
        if self.min_coverage.is_some_and(|least| report.coverage < least) {
            refused.push(format!("replayed {} of the requests (needed: {})", percent(report.coverage), percent(least)));
        }
        refused
    }
}

/// A limit on what a replay may find.
struct ReplayGate {
    what: &'static str,
    value: Option<f64>,
    most: Option<f64>,
    /// Requests that the value is of.
    rests_on: u64,
}

impl ReplayGate {
    fn refusal(&self, requests: u64, least: f64) -> Option<String> {
        let (what, most) = (self.what, self.most?);
        let coverage = self.rests_on as f64 / requests as f64;
        match self.value {
            None => Some(format!("{what} is not known")),
            Some(value) if value > most => Some(format!("{what} {} (allowed: {})", percent(value), percent(most))),
            Some(_) if coverage < least => {
                let (coverage, least) = (percent(coverage), percent(least));
                Some(format!("{what} rests on {coverage} of the requests (needed: {least}, --min-coverage)"))
            }
            Some(_) => None,
        }
    }
}

fn render(report: &ReplayReport) -> String {
    let ReplayReport { requests, n, moved, moved_share, moved_share_ci95, .. } = report;
    let (low, high) = (percent(moved_share_ci95.low), percent(moved_share_ci95.high));
    let mut text = format!(
        "requests  {n} of {requests} ({}), {} unscored, {} lines passed over\n",
        percent(report.coverage),
        report.unscored,
        report.passed_over
    );
    if report.denied > 0 {
        text += &format!("left out  {}, they were refused when they came\n", report.denied);
    }
    for (lack, n) in &report.not_replayed {
        text += &format!("left out  {n}, the log does not hold the {lack}\n");
    }
    text += &format!("moved     {moved}, {} [{low}, {high}]\n", percent(*moved_share));
    let increase = report.cost_increase.map_or_else(String::new, |increase| format!(" ({})", signed(increase)));
    text += &format!(
        "cost      ${:.6} -> ${:.6}{increase}, {} priced\n",
        report.cost_usd, report.cost_against_usd, report.priced
    );
    let known = |change| quality(change, "not known");
    text += &format!("quality   {} by feedback, ", known(report.quality_by_feedback));
    text += &format!("{} by strong_wins\n", known(report.quality_by_strong_wins));
    text += &parts("policy", &report.policies);
    text += &parts("label", &report.labels);
    if !report.moves.is_empty() {
        let mut table = TextTable::new(
            ["from", "to", "requests", "cost"],
            [ColumnAlign::Left, ColumnAlign::Left, ColumnAlign::Right, ColumnAlign::Right],
        );
        for one in &report.moves {
            table.push([one.from.clone(), one.to.clone(), one.n.to_string(), format!("${:+.6}", one.cost_usd)]);
        }
        text += &format!("\n{}", table.render());
    }
    text
}

fn parts(name: &'static str, parts: &BTreeMap<String, ReplayPart>) -> String {
    let right = ColumnAlign::Right;
    let align = [ColumnAlign::Left, right, right, right, right, right, right, right];
    let header = [name, "requests", "moved", "share", "cost", "against", "quality by feedback", "by strong_wins"];
    let mut table = TextTable::new(header, align);
    for (key, part) in parts {
        let share = percent(part.moved as f64 / part.n.max(1) as f64);
        let (cost, against) = (format!("${:.6}", part.cost_usd), format!("${:.6}", part.cost_against_usd));
        let [told, called] = [part.quality_by_feedback, part.quality_by_strong_wins].map(|change| quality(change, "-"));
        table.push([key.clone(), part.n.to_string(), part.moved.to_string(), share, cost, against, told, called]);
    }
    format!("\n{}", table.render())
}

fn quality(change: Option<f64>, unknown: &str) -> String {
    change.map_or_else(|| unknown.to_owned(), |change| format!("{change:+.4}"))
}

fn percent(share: f64) -> String {
    format!("{:.2} %", share * 100.0)
}

fn signed(share: f64) -> String {
    format!("{:+.2} %", share * 100.0)
}

impl ReplayFailure {
    const fn code(&self) -> u8 {
        match self {
            Self::Engine(EngineError::OnnxRuntime(_))
            | Self::Replay(ReplayError::Engine(EngineError::OnnxRuntime(_)))
            | Self::Runtime(_)
            | Self::Write { .. } => UNAVAILABLE,
            Self::Engine(_) => CONFIG,
            Self::Replay(_) => DATA,
        }
    }
}
