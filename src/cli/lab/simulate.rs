//! `pointsman simulate`: what a policy that learns from feedback would get on rows with outcomes.

use std::path::PathBuf;
use std::process::ExitCode;

use pointsman_lab::simulation::{BanditSimulation, ModelDrift, SimulationError, SimulationReport, StreamMean};

use super::DATA;
use crate::cli::table::{ColumnAlign, TextTable};
use crate::cli::{UNAVAILABLE, USAGE, fail};

/// What `simulate` can be asked for.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct SimulateArguments {
    /// JSON lines with `scores` by model.
    #[arg(long, value_name = "FILE")]
    data: PathBuf,
    /// The field of the rows that stands for the label of a classifier; without it all prompts are alike.
    #[arg(long, value_name = "FIELD")]
    label: Option<String>,
    /// A bundle with heads `success/<model>` that were fitted on other rows (`fit --task success`): `utility` by them stands
    /// beside the bandit, and with `--keys 'lambda: 0, warm: {heads: success}'` the bandit starts from them.
    #[arg(long, value_name = "DIR")]
    bundle: Option<PathBuf>,
    /// Keys of the strategy `bandit` beside its models.
    #[arg(long, value_name = "KEYS", default_value = "lambda: 0")]
    keys: String,
    /// Requests of each stream, drawn from the rows.
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    requests: usize,
    /// Streams, over which figures are means.
    #[arg(long, value_name = "N", default_value_t = 20)]
    streams: u64,
    /// Decides every draw.
    #[arg(long, value_name = "N", default_value_t = 7)]
    seed: u64,
    /// In the middle of each stream the answers of this model become so much worse: `MODEL=0.3`.
    #[arg(long, value_name = "MODEL=FACTOR", value_parser = drift)]
    drift: Option<ModelDrift>,
    /// Prints one JSON object.
    #[arg(long)]
    json: bool,
}

fn drift(text: &str) -> Result<ModelDrift, String> {
    let wrong = || format!("`{text}` is no model and factor (allowed: MODEL=FACTOR, a factor from 0 to 1)");
    let (model, factor) = text.rsplit_once('=').ok_or_else(wrong)?;
    let factor = factor.parse::<f64>().ok().filter(|factor| (0.0..=1.0).contains(factor)).ok_or_else(wrong)?;
    Ok(ModelDrift { model: model.to_owned(), factor })
}

pub(in crate::cli) fn run(arguments: &SimulateArguments) -> ExitCode {
    let simulation = BanditSimulation {
        data: arguments.data.clone(),
        label: arguments.label.clone(),
        bundle: arguments.bundle.clone(),
        keys: arguments.keys.clone(),
        requests: arguments.requests,
        streams: arguments.streams,
        seed: arguments.seed,
        drift: arguments.drift.clone(),
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error, UNAVAILABLE),
    };
    match runtime.block_on(simulation.run()) {
        Ok(report) if arguments.json => {
            println!("{}", serde_json::to_string(&report).expect("a report is plain data"));
            ExitCode::SUCCESS
        }
        Ok(report) => {
            print!("{}", tables(&report));
            ExitCode::SUCCESS
        }
        Err(error) => {
            let code = code(&error);
            fail(&error, code)
        }
    }
}

const fn code(error: &SimulationError) -> u8 {
    match error {
        SimulationError::Rows(_) | SimulationError::Learnt { .. } | SimulationError::Unscored { .. } => DATA,
        SimulationError::OnnxRuntime(_) | SimulationError::Bundle(_) => UNAVAILABLE,
        SimulationError::Keys(_) | SimulationError::NoModel { .. } | SimulationError::NoHead { .. } => USAGE,
    }
}

fn tables(report: &SimulationReport) -> String {
    let right = ColumnAlign::Right;
    let columns = ["chooses", "quality", "95 %", "the bandit's regret", "95 %"];
    let mut table = TextTable::new(columns, [ColumnAlign::Left, right, right, right, right]);
    let single = format!("best single model, {}", report.best_single_model);
    let regret = report.regret;
    let mut rows: Vec<(&str, StreamMean, Option<StreamMean>)> = vec![
        ("bandit", report.bandit, None),
        (&single, report.best_single, Some(regret.best_single)),
        ("best model of each label", report.best_by_label, Some(regret.best_by_label)),
        ("a model by chance", report.random, None),
        ("oracle", report.oracle, Some(regret.oracle)),
    ];
    if let Some(utility) = report.utility {
        rows.insert(1, ("utility by the bundle's heads", utility, regret.utility));
    }
    let words = |StreamMean { mean, low, high }| [format!("{mean:.4}"), format!("{low:.4} to {high:.4}")];
    for (name, quality, regret) in rows {
        let [quality, interval] = words(quality);
        let [regret, of_regret] = regret.map_or_else(Default::default, words);
        table.push([name.to_owned(), quality, interval, regret, of_regret]);
    }
    let tenths = |all: &[f64]| all.iter().map(|quality| format!("{quality:.3}")).collect::<Vec<_>>().join(" ");
    let SimulationReport { streams, requests, rows, models, labels, .. } = report;
    let mut text =
        format!("{streams} streams of {requests} requests, {rows} rows, {models} models, {labels} labels\n\n");
    text.push_str(&table.render());
    text.push_str(&format!("\n  by tenths of a stream: bandit {}\n", tenths(&report.bandit_by_tenth)));
    text.push_str(&format!("  best single model      {}\n", tenths(&report.best_single_by_tenth)));
    if report.utility.is_some() {
        text.push_str(&format!("  utility                {}\n", tenths(&report.utility_by_tenth)));
    }
    if let Some(ModelDrift { model, factor }) = &report.drift {
        let after =
            report.noticed_after.map_or_else(String::new, |most| format!(", after {most:.0} of its rewards at most"));
        text.push_str(&format!(
            "  {model} times {factor} from the middle on: noticed by {} of {streams} streams{after}\n",
            report.noticed
        ));
    }
    text.push_str(&format!("  drifts noticed where nothing had changed: {}\n", report.false_alarms));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drift_is_a_model_and_a_factor() {
        assert_eq!(drift("llama=3=0.3"), Ok(ModelDrift { model: "llama=3".to_owned(), factor: 0.3 }));
        for wrong in ["llama", "llama=2", "llama=x"] {
            assert!(drift(wrong).expect_err(wrong).contains("MODEL=FACTOR"));
        }
    }
}
