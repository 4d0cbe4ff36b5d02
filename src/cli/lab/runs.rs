//! `pointsman runs`: records of what commands of the laboratory did, listed and set side by side.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use pointsman_lab::runs::{RunDifference, RunFigure, RunFolder, RunList, RunRecord, RunsError};
use serde_json::json;

use super::record::RUNS;
use crate::cli::table::{ColumnAlign, TextTable, shorten};
use crate::cli::{UNAVAILABLE, USAGE, fail};

/// Figures that a list shows first: names, or the last part of a name.
const SHOWN: [&str; 12] = [
    "accuracy",
    "macro_f1",
    "apgr",
    "cpt_50",
    "quality",
    "cost_usd",
    "threshold",
    "moved_share",
    "written",
    "answers",
    "rows",
    "n",
];
/// Figures of each run in a list.
const SHOWN_FIGURES: usize = 4;

/// Which runs are shown, and how.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct RunsArguments {
    /// The folder of runs.
    #[arg(long, value_name = "DIR", global = true, default_value = RUNS)]
    runs: PathBuf,
    /// Prints one JSON object.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Option<RunsCommand>,
}

#[derive(Debug, clap::Subcommand)]
enum RunsCommand {
    /// Makes the folder: from then on every command of the laboratory that runs beside it leaves a record.
    Init,
    /// Lists the runs, the oldest first.
    List {
        /// Runs of this command only.
        #[arg(long, value_name = "NAME")]
        command: Option<String>,
    },
    /// Shows everything that is known of a run.
    Show {
        /// `latest`, an id, or a part that no other id has.
        run: String,
    },
    /// Sets two runs side by side: what they were made of, and every figure with its difference.
    Compare {
        /// The one run.
        a: String,
        /// The other.
        b: String,
        /// Shows figures that are the same in both, too.
        #[arg(long)]
        all: bool,
    },
}

pub(in crate::cli) fn run(arguments: &RunsArguments) -> ExitCode {
    match text(arguments) {
        Ok(text) => {
            let _ = io::stdout().write_all(text.as_bytes()); // whoever closed stdout has read enough
            ExitCode::SUCCESS
        }
        Err(error) => fail(&error, code(&error)),
    }
}

fn text(arguments: &RunsArguments) -> Result<String, RunsError> {
    let folder = RunFolder::at(&arguments.runs);
    let as_json = |value: serde_json::Value| format!("{value}\n");
    match &arguments.command {
        Some(RunsCommand::Init) => {
            RunFolder::init(&arguments.runs)?;
            Ok(format!("{}: runs of the laboratory are recorded here\n", arguments.runs.display()))
        }
        None => list(&folder, None, arguments.json),
        Some(RunsCommand::List { command }) => list(&folder, command.as_deref(), arguments.json),
        Some(RunsCommand::Show { run }) => {
            let record = folder.find(run)?;
            Ok(if arguments.json { as_json(json!(record)) } else { show(&record) })
        }
        Some(RunsCommand::Compare { a, b, all }) => {
            let difference = RunDifference::of(&folder.find(a)?, &folder.find(b)?);
            Ok(if arguments.json { as_json(json!(difference)) } else { compare(&difference, *all) })
        }
    }
}

fn list(folder: &RunFolder, command: Option<&str>, as_json: bool) -> Result<String, RunsError> {
    let RunList { mut records, unreadable } = folder.list()?;
    records.retain(|record| command.is_none_or(|command| record.command == command));
    unreadable.iter().for_each(|path| eprintln!("pointsman: warning: `{}` holds no record", path.display()));
    if as_json {
        return Ok(format!("{}\n", json!({"runs": records})));
    }
    let left = ColumnAlign::Left;
    let mut table = TextTable::new(["run", "data", "bundle", "figures"], [left; 4]);
    for record in &records {
        let data = record.data.first().map(|file| format!("{} {}", file_name(&file.path), short(&file.sha256)));
        let bundle = record.bundles.last().map(|bundle| format!("{} {}", bundle.version, short(&bundle.sha256)));
        table.push([record.id.clone(), data.unwrap_or_default(), bundle.unwrap_or_default(), headline(record)]);
    }
    Ok(table.render())
}

/// Returns the figures that tell most of a run, or why it has none.
fn headline(record: &RunRecord) -> String {
    if let Some(error) = &record.error {
        return format!("failed: {}", shorten(error, 60));
    }
    if record.ended.is_none() {
        return "not ended".to_owned();
    }
    let named = |wanted: &str| -> Vec<(&String, &f64)> {
        let of_router = |name: &str| {
            let inner = name.strip_prefix("routers.").and_then(|rest| rest.strip_suffix(wanted));
            inner.is_some_and(|router| router.ends_with('.') && router.matches('.').count() == 1)
        };
        record.figures.iter().filter(|(name, _)| *name == wanted || of_router(name)).collect()
    };
    let shown = SHOWN.iter().flat_map(|wanted| named(wanted)).take(SHOWN_FIGURES);
    shown.map(|(name, value)| format!("{name} {}", digits(*value))).collect::<Vec<_>>().join(", ")
}

fn show(record: &RunRecord) -> String {
    let mut lines = vec![
        ("run", record.id.clone()),
        ("command", format!("pointsman {}", record.arguments.join(" "))),
        ("started", record.started.clone()),
        ("ended", record.ended.clone().unwrap_or_else(|| "not yet, or it was killed".to_owned())),
    ];
    lines.extend(record.error.iter().map(|error| ("failed", error.clone())));
    lines.extend(record.versions.iter().map(|(program, version)| ("version", format!("{program} {version}"))));
    lines.extend(record.config.iter().map(|file| ("config", format!("{} (sha256 {})", file.path, file.sha256))));
    for bundle in &record.bundles {
        lines.push(("bundle", format!("{} {} (sha256 {})", bundle.name, bundle.version, bundle.sha256)));
    }
    for file in &record.data {
        let rows = file.rows.map(|rows| format!("{rows} rows, ")).unwrap_or_default();
        lines.push(("data", format!("{} ({rows}sha256 {})", file.path, file.sha256)));
    }
    lines.extend(record.seed.iter().map(|seed| ("seed", seed.to_string())));
    lines.extend(record.out.iter().map(|path| ("out", path.clone())));
    let mut text: String = lines.iter().map(|(name, value)| format!("{name:8}{value}\n")).collect();
    let mut table = TextTable::new(["figure", "value"], [ColumnAlign::Left, ColumnAlign::Right]);
    record.figures.iter().for_each(|(name, value)| table.push([name.clone(), digits(*value)]));
    text.push('\n');
    text + &table.render()
}

fn compare(difference: &RunDifference, all: bool) -> String {
    let (left, right) = (ColumnAlign::Left, ColumnAlign::Right);
    let known = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".to_owned());
    let mut facts = TextTable::new(["", "a", "b", ""], [left; 4]);
    facts.push(["run".to_owned(), difference.a.clone(), difference.b.clone(), String::new()]);
    for fact in &difference.facts {
        let word = if fact.same { "same" } else { "differs" };
        facts.push([fact.name.clone(), known(&fact.a), known(&fact.b), word.to_owned()]);
    }
    let is_shown = |figure: &&RunFigure| all || figure.difference != Some(0.0);
    let shown: Vec<&RunFigure> = difference.figures.iter().filter(is_shown).collect();
    let number = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), digits);
    let mut figures = TextTable::new(["figure", "a", "b", "difference", ""], [left, right, right, right, right]);
    for figure in &shown {
        let signed = figure.difference.map_or_else(String::new, |by| format!("{}{}", sign(by), digits(by)));
        let share = figure.relative.map_or_else(String::new, |share| format!("{:+.1} %", share * 100.0));
        figures.push([figure.name.clone(), number(figure.a), number(figure.b), signed, share]);
    }
    let same = difference.figures.len() - shown.len();
    let rest =
        if same > 0 { format!("  {same} figures are the same in both (--all shows them)\n") } else { String::new() };
    format!("{}\n{}{rest}", facts.render(), figures.render())
}

fn sign(value: f64) -> &'static str {
    if value > 0.0 { "+" } else { "" }
}

/// Returns a figure with as many digits as a reader compares.
fn digits(value: f64) -> String {
    if value == value.trunc() && value.abs() < 1e12 {
        return format!("{value:.0}");
    }
    if value.abs() < 0.001 { format!("{value:.3e}") } else { format!("{value:.4}") }
}

fn short(sha256: &str) -> &str {
    sha256.get(..8).unwrap_or(sha256)
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

const fn code(error: &RunsError) -> u8 {
    match error {
        RunsError::Write { .. } | RunsError::Read { .. } => UNAVAILABLE,
        RunsError::Unknown { .. } | RunsError::Ambiguous { .. } => USAGE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_tells_the_figures_of_a_head_or_of_a_router() {
        let record = |figures: &[(&str, f64)]| RunRecord {
            ended: Some("t".to_owned()),
            figures: figures.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect(),
            ..RunRecord::default()
        };

        let head = headline(&record(&[("n", 200.0), ("accuracy", 0.75), ("classes.simple.f1", 0.5)]));
        let router = headline(&record(&[("routers.auto.quality", 0.5), ("routers.auto.labels.x.quality", 0.1)]));

        assert_eq!((&*head, &*router), ("accuracy 0.7500, n 200", "routers.auto.quality 0.5000"));
    }

    #[test]
    fn numbers_have_the_digits_that_a_reader_compares() {
        assert_eq!(
            [digits(3.0), digits(0.12345), digits(0.000_012_3), digits(-2.5)],
            ["3", "0.1235", "1.230e-5", "-2.5000"]
        );
    }
}
