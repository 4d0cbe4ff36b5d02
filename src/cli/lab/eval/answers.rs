//! `pointsman eval --answers`: policies beside single models on graded answers.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;

use pointsman_lab::answers::GraderWeights;
use pointsman_lab::comparison::{Comparison, ComparisonReport, ComparisonRequest, OfflinePolicy};
use pointsman_lab::engine::OfflineEngine;
use pointsman_lab::runs::OpenRun;

use super::{EvalArguments, EvalError, page, prices};
use crate::cli::lab::files::CommandFiles;
use crate::cli::lab::record;

/// Which answers are compared, and with what.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Comparison of answers")]
pub(super) struct AnswerArguments {
    /// Compares answers in place of a head: JSON lines of `collect` with grades of `grade`, or rows with `scores` by
    /// model. Policies stand beside every single model, chance, prompt length and an oracle.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["bundle", "head", "data", "from_log", "envelopes", "plausibility"])]
    answers: Option<PathBuf>,
    /// A configuration one of whose policies is decided anew for each prompt, and gets the answer of the model that it
    /// chooses.
    #[arg(short, long, value_name = "FILE", requires = "answers")]
    config: Option<PathBuf>,
    /// That policy; left out when the configuration has only one. May name several: a policy that checks answers is set
    /// beside a threshold on another's score at its cost.
    #[arg(long, value_name = "NAME,NAME", value_delimiter = ',', requires = "config")]
    policy: Vec<String>,
    /// Whose answers stand for those of a model of the catalog, such as `small=gpt-4.1-nano`; others go by their own
    /// name. May be given more than once.
    #[arg(long, value_name = "MODEL=NAME", requires = "config", value_parser = pair)]
    stand_in: Vec<(String, String)>,
    /// The single models to compare; by default every one that was asked itself.
    #[arg(long, value_name = "MODEL,MODEL", value_delimiter = ',', requires = "answers")]
    models: Vec<String>,
    /// The policies whose answers are compared; by default every one in the file.
    #[arg(long, value_name = "NAME,NAME", value_delimiter = ',', requires = "answers")]
    policies: Vec<String>,
    /// The part of the data, such as `held_out`, where rows say it; by default all.
    #[arg(long, value_name = "NAME", requires = "answers")]
    split: Option<String>,
    /// The weights of graders in the quality of an answer, such as `judge=0.5`; 1 unless named.
    #[arg(long, value_name = "GRADER=WEIGHT", value_delimiter = ',', requires = "answers", value_parser = weight)]
    weights: Vec<(String, f64)>,
}

impl AnswerArguments {
    /// Returns whether answers are compared.
    pub(super) const fn is_given(&self) -> bool {
        self.answers.is_some()
    }

    /// Names what is read.
    pub(super) fn files(&self, files: CommandFiles) -> CommandFiles {
        files.reads("--answers", &self.answers).reads("--config", &self.config)
    }

    /// Names what is read in the record of the run.
    pub(super) fn inputs(&self, run: &mut OpenRun) {
        self.answers.iter().for_each(|path| run.data(path));
        self.config.iter().for_each(|path| record::config(run, path));
    }

    fn offline(&self) -> Result<Vec<OfflinePolicy>, EvalError> {
        let Some(path) = &self.config else { return Ok(Vec::new()) };
        let stand_ins: BTreeMap<String, String> = self.stand_in.iter().cloned().collect();
        let open = |name: Option<&str>| {
            let engine = OfflineEngine::open(path)?;
            let policy = engine.config.policies[engine.policy(name)?].name.clone();
            Ok(OfflinePolicy { engine, policy, stand_ins: stand_ins.clone() })
        };
        if self.policy.is_empty() {
            return Ok(vec![open(None)?]);
        }
        self.policy.iter().map(|name| open(Some(name))).collect()
    }
}

/// Compares the answers, and writes the page if one is wanted.
pub(super) fn compare(arguments: &EvalArguments) -> Result<ComparisonReport, EvalError> {
    let AnswerArguments { answers, models, policies, split, weights, .. } = &arguments.answers;
    let request = ComparisonRequest {
        answers: answers.clone().unwrap_or_default(), // it is given, or this is not called
        models: models.clone(),
        policies: policies.clone(),
        split: split.clone(),
        weights: GraderWeights(weights.iter().cloned().collect()),
        prices: arguments.prices.as_deref().map(prices).transpose()?.unwrap_or_default(),
        seed: arguments.seed,
    };
    let mut offline = arguments.answers.offline()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(EvalError::Runtime)?;
    let terminal = io::stderr().is_terminal();
    let progress = |done: usize, all: usize| {
        if terminal && (done.is_multiple_of(50) || done == all) {
            eprint!("\r\x1b[K{done} of {all} prompts decided");
            let _ = io::stderr().flush(); // a line less on a broken terminal
        }
    };
    let comparison = runtime.block_on(Comparison::run(&request, &mut offline, progress))?;
    if terminal {
        eprint!("\r\x1b[K");
    }
    if let Some(folder) = &arguments.report {
        let written = page::comparison::write(folder, &comparison);
        let path = written.map_err(|source| EvalError::Page { folder: folder.clone(), source })?;
        eprintln!("report written to {}", path.display());
    }
    Ok(comparison.report)
}

fn pair(text: &str) -> Result<(String, String), String> {
    let parts = text.split_once('=').filter(|(model, name)| !model.is_empty() && !name.is_empty());
    let (model, name) = parts.ok_or_else(|| format!("`{text}` names no stand-in (allowed: MODEL=NAME)"))?;
    Ok((model.to_owned(), name.to_owned()))
}

fn weight(text: &str) -> Result<(String, f64), String> {
    let wrong = || format!("`{text}` is no weight of a grader (allowed: GRADER=WEIGHT, 0 or more)");
    let (grader, weight) = text.split_once('=').ok_or_else(wrong)?;
    let weight = weight.parse::<f64>().ok().filter(|weight| weight.is_finite() && *weight >= 0.0);
    Ok((grader.to_owned(), weight.ok_or_else(wrong)?))
}
