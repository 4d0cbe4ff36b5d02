//! `pointsman replay`: what another configuration would have done with logged requests, as tables, JSON or an exit code.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use super::table::{Align, Table};
use super::{CONFIG, DATA, REFUSED, UNAVAILABLE, fail};
use crate::evaluate::engine::{Engine, EngineError};
use crate::evaluate::log::DecisionLogs;
use crate::evaluate::replay::{Part, ReplayError, ReplayReport, replay};

/// What `replay` can be asked for.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    file: super::ConfigFile,
    /// The configuration to compare with.
    #[arg(long, value_name = "FILE")]
    against: PathBuf,
    /// Decision logs.
    #[arg(value_name = "LOG", required = true)]
    logs: Vec<PathBuf>,
    /// Exits with 1 when a larger share of requests would move, such as 5%.
    #[arg(long, value_name = "SHARE", value_parser = super::share)]
    max_moved: Option<f64>,
    /// Exits with 1 when costs would rise by a larger share.
    #[arg(long, value_name = "SHARE", value_parser = super::share)]
    max_cost_increase: Option<f64>,
    /// Exits with 1 when the predicted mean quality would fall by more, 0 to 1, or cannot be predicted.
    #[arg(long, value_name = "DROP", value_parser = super::share)]
    max_quality_drop: Option<f64>,
    /// Prints one JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error(transparent)]
    Replay(#[from] ReplayError),
    #[error("cannot start a runtime")]
    Runtime(#[source] io::Error),
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    match compare(arguments) {
        Ok(report) => {
            if arguments.json {
                println!("{}", serde_json::to_string(&report).expect("a report is plain data"));
            } else {
                print!("{}", render(&report));
            }
            let refused = arguments.refusals(&report);
            refused.iter().for_each(|refusal| eprintln!("refused: {refusal}"));
            if refused.is_empty() { ExitCode::SUCCESS } else { REFUSED.into() }
        }
        Err(error) => fail(&error, error.code()),
    }
}

fn compare(arguments: &Arguments) -> Result<ReplayReport, Failure> {
    let mut now = Engine::open(&arguments.file.config)?;
    let mut against = Engine::open(&arguments.against)?;
    let logs = DecisionLogs::new(arguments.logs.clone());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::Runtime)?;
    Ok(runtime.block_on(replay(&logs, &mut now, &mut against))?)
}

impl Arguments {
    /// Returns what is more than is allowed.
    fn refusals(&self, report: &ReplayReport) -> Vec<String> {
        let mut refused = Vec::new();
        let mut gate = |what: &str, value: Option<f64>, most: Option<f64>| match (value, most) {
            (_, None) => {}
            (Some(value), Some(most)) if value <= most => {}
            (Some(value), Some(most)) => {
                refused.push(format!("{what} {} (allowed: {})", percent(value), percent(most)));
            }
            (None, Some(_)) => refused.push(format!("{what} is not known")),
        };
        gate("moved", Some(report.moved_share), self.max_moved);
        gate("the cost increase", report.cost_increase.filter(|_| report.priced == report.n), self.max_cost_increase);
        let quality = report.quality_by_feedback.or(report.quality_by_strong_wins);
        gate("the quality drop", quality.map(|change| -change), self.max_quality_drop);
        refused
    }
}

fn render(report: &ReplayReport) -> String {
    let ReplayReport { n, moved, moved_share, moved_share_ci95, .. } = report;
    let (low, high) = (percent(moved_share_ci95.low), percent(moved_share_ci95.high));
    let mut text = format!("requests  {n}, {} unscored, {} lines passed over\n", report.unscored, report.passed_over);
    for (lack, n) in &report.not_replayed {
        text += &format!("left out  {n}, the log does not hold the {lack}\n");
    }
    text += &format!("moved     {moved}, {} [{low}, {high}]\n", percent(*moved_share));
    let increase = report.cost_increase.map_or_else(String::new, |increase| format!(" ({})", signed(increase)));
    text += &format!(
        "cost      ${:.6} -> ${:.6}{increase}, {} priced\n",
        report.cost_usd, report.cost_against_usd, report.priced
    );
    let quality = |change: Option<f64>| change.map_or_else(|| "not known".to_owned(), |change| format!("{change:+.4}"));
    text += &format!("quality   {} by feedback, ", quality(report.quality_by_feedback));
    text += &format!("{} by strong_wins\n", quality(report.quality_by_strong_wins));
    text += &parts("policy", &report.policies);
    text += &parts("label", &report.labels);
    if !report.moves.is_empty() {
        let mut table =
            Table::new(["from", "to", "requests", "cost"], [Align::Left, Align::Left, Align::Right, Align::Right]);
        for one in &report.moves {
            table.push([one.from.clone(), one.to.clone(), one.n.to_string(), format!("${:+.6}", one.cost_usd)]);
        }
        text += &format!("\n{}", table.render());
    }
    text
}

fn parts(name: &'static str, parts: &BTreeMap<String, Part>) -> String {
    let align = [Align::Left, Align::Right, Align::Right, Align::Right, Align::Right, Align::Right];
    let mut table = Table::new([name, "requests", "moved", "share", "cost", "against"], align);
    for (key, part) in parts {
        let share = percent(part.moved as f64 / part.n.max(1) as f64);
        let (cost, against) = (format!("${:.6}", part.cost_usd), format!("${:.6}", part.cost_against_usd));
        table.push([key.clone(), part.n.to_string(), part.moved.to_string(), share, cost, against]);
    }
    format!("\n{}", table.render())
}

fn percent(share: f64) -> String {
    format!("{:.2} %", share * 100.0)
}

fn signed(share: f64) -> String {
    format!("{:+.2} %", share * 100.0)
}

impl Failure {
    const fn code(&self) -> u8 {
        match self {
            Self::Engine(EngineError::OnnxRuntime(_))
            | Self::Replay(ReplayError::Engine(EngineError::OnnxRuntime(_)))
            | Self::Runtime(_) => UNAVAILABLE,
            Self::Engine(_) => CONFIG,
            Self::Replay(_) => DATA,
        }
    }
}
