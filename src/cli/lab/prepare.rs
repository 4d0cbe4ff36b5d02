//! `pointsman prepare`: prompts cleaned, told apart and split, for `collect`, `fit` and `eval`.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use pointsman_core::config::{Secret, SecretSource, TokenPrice};
use pointsman_core::features::Language;
use pointsman_lab::judge::{JudgeClient, JudgeClientError, JudgeEndpoint};
use pointsman_lab::prepare::{
    AskedTurn, GROUPED, ModerationEndpoint, ModerationError, PrepareCounts, PrepareError, PrepareOutput, PrepareRun,
    SplitShares, VariantJudge, VariantsError,
};
use pointsman_lab::runs::OpenRun;

use super::DATA;
use super::files::CommandFiles;
use super::record::RecordArguments;
use crate::cli::{CONFIG, UNAVAILABLE, USAGE, fail};

/// The splits that may have a file of their own.
const SPLITS: [&str; 4] = ["train", "validation", "held_out", "none"];

/// What `prepare` can be asked for.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct PrepareArguments {
    /// JSON lines with a `prompt` or `messages`, chat logs with whole conversations, decision logs with text, rows of
    /// benchmarks.
    #[arg(value_name = "IN", required = true)]
    inputs: Vec<PathBuf>,
    /// Where the prepared rows go.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// The human's ask of a conversation that becomes the prompt: the first by itself, or the last with what was said
    /// before it.
    #[arg(long, value_enum, value_name = "WHICH", default_value = "last")]
    ask: AskName,
    /// Languages that are kept, such as en,de; rows that do not tell their language stay.
    #[arg(long, value_name = "CODE", value_delimiter = ',', value_parser = language)]
    languages: Vec<String>,
    /// The share of three-word runs in common from which a row is a near-duplicate and dropped; 1 drops the same words
    /// only. Rows that have half in common share a `group`.
    #[arg(long, value_name = "SHARE", value_parser = similarity, default_value = "0.8")]
    similar: f64,
    /// Gives each row a split, whole groups on one side: train=0.8,validation=0.1,held_out=0.1. `fit`, `calibrate` and
    /// `label` leave the rows of `held_out` out.
    #[arg(long, value_name = "SHARES")]
    split: Option<SplitShares>,
    /// Writes a file for each split, named after it: `prompts.train.jsonl`.
    #[arg(long, requires = "split")]
    split_files: bool,
    /// Decides the draws of the splits.
    #[arg(long, value_name = "N", default_value_t = 7)]
    seed: u64,
    #[command(flatten)]
    moderation: ModerationArguments,
    #[command(flatten)]
    variants: VariantArguments,
    #[command(flatten)]
    record: RecordArguments,
}

/// The moderation endpoint.
#[derive(Debug, clap::Args)]
struct ModerationArguments {
    /// A moderation endpoint of OpenAI's form, such as `https://api.openai.com/v1/moderations`: what it flags is
    /// dropped, what it does not judge goes to `<out>.unmoderated.jsonl`.
    #[arg(long, value_name = "URL")]
    moderate: Option<String>,
    /// The environment variable that holds its key; left out, no key is sent.
    #[arg(long, value_name = "VARIABLE", requires = "moderate")]
    moderate_key_env: Option<String>,
    /// Its model.
    #[arg(long, value_name = "NAME", requires = "moderate")]
    moderate_model: Option<String>,
    /// The most requests in a second, each with 32 prompts.
    #[arg(long, value_name = "N", requires = "moderate", default_value_t = 2.0, value_parser = rate)]
    moderate_rate: f64,
}

/// The LLM that writes harder variants.
#[derive(Debug, clap::Args)]
struct VariantArguments {
    /// Harder variants of each prompt, written by an LLM and judged by it again: harder, and answerable.
    #[arg(long, value_name = "N", requires_all = ["judge", "model"], value_parser = clap::value_parser!(u32).range(1..=8))]
    variants: Option<u32>,
    /// The LLM's API, OpenAI-compatible: `http(s)://host[:port][/prefix]`.
    #[arg(long, value_name = "URL", requires = "variants")]
    judge: Option<String>,
    /// The LLM.
    #[arg(long, value_name = "NAME", requires = "variants")]
    model: Option<String>,
    /// The environment variable that holds its key; left out, no key is sent.
    #[arg(long, value_name = "VARIABLE", requires = "variants")]
    key_env: Option<String>,
    /// The most US dollars that variants may cost.
    #[arg(long, value_name = "USD", value_parser = crate::cli::dollars, requires_all = ["variants", "price_input", "price_output"])]
    max_cost: Option<f64>,
    /// What the LLM costs, in US dollars per million tokens of prompts.
    #[arg(long, value_name = "USD", value_parser = crate::cli::dollars, requires = "price_output")]
    price_input: Option<f64>,
    /// The same for tokens of answers.
    #[arg(long, value_name = "USD", value_parser = crate::cli::dollars, requires = "price_input")]
    price_output: Option<f64>,
    /// Prompts at a time.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=256))]
    concurrency: u16,
    /// Leaves the temperature to the model; needed by models that take no other.
    #[arg(long)]
    own_temperature: bool,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum AskName {
    First,
    Last,
}

#[derive(Debug, thiserror::Error)]
enum PrepareFailure {
    #[error("{0}")]
    Key(String),
    #[error(transparent)]
    Judge(#[from] JudgeClientError),
    #[error(transparent)]
    Prepare(#[from] PrepareError),
    #[error("cannot start a runtime")]
    Runtime(#[source] io::Error),
}

pub(in crate::cli) fn run(arguments: &PrepareArguments) -> ExitCode {
    if let Err(error) = arguments.files().check() {
        return fail(&error, USAGE);
    }
    let inputs = |run: &mut OpenRun| {
        run.seed(arguments.seed);
        arguments.inputs.iter().for_each(|path| run.data(path));
    };
    let outputs = |run: &mut OpenRun| run.out(&arguments.out);
    match arguments.record.around("prepare", inputs, || prepare(arguments), outputs) {
        Err(code) => code,
        Ok(Ok(counts)) => {
            if counts.unmoderated > 0 {
                eprintln!("{} prompts were not moderated and stand apart", counts.unmoderated);
            }
            println!("{}", serde_json::to_string(&counts).expect("counts are plain data"));
            ExitCode::SUCCESS
        }
        Ok(Err(error)) => fail(&error, error.code()),
    }
}

impl PrepareArguments {
    fn files(&self) -> CommandFiles {
        CommandFiles::default().reads("IN", &self.inputs).writes("--out", self.outputs())
    }

    /// Returns the files that may be written: the output or one for each split, and those beside it.
    fn outputs(&self) -> Vec<PathBuf> {
        let mut beside = Vec::new();
        beside.extend(self.moderation.moderate.as_ref().map(|_| "unmoderated"));
        beside.extend(self.variants.variants.map(|_| "variants"));
        if self.split_files {
            beside.extend(SPLITS);
        }
        let beside = beside.into_iter().map(|what| self.out.with_extension(format!("{what}.jsonl")));
        (!self.split_files).then(|| self.out.clone()).into_iter().chain(beside).collect()
    }
}

fn prepare(arguments: &PrepareArguments) -> Result<PrepareCounts, PrepareFailure> {
    let run = PrepareRun {
        inputs: arguments.inputs.clone(),
        out: arguments.out.clone(),
        asked: match arguments.ask {
            AskName::First => AskedTurn::First,
            AskName::Last => AskedTurn::Last,
        },
        languages: arguments.languages.iter().cloned().collect(),
        similar: arguments.similar,
        moderation: arguments.moderation.endpoint()?,
        split: arguments.split.clone(),
        output: if arguments.split_files { PrepareOutput::FileForEachSplit } else { PrepareOutput::OneFile },
        seed: arguments.seed,
        variants: arguments.variants.judge()?,
    };
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(PrepareFailure::Runtime)?;
    Ok(runtime.block_on(run.run(|_| {}))?)
}

impl ModerationArguments {
    fn endpoint(&self) -> Result<Option<ModerationEndpoint>, PrepareFailure> {
        let Some(url) = &self.moderate else { return Ok(None) };
        let key = key(self.moderate_key_env.as_deref())?;
        let endpoint = ModerationEndpoint::new(url, key, self.moderate_model.clone(), self.moderate_rate);
        Ok(Some(endpoint.map_err(PrepareError::from)?))
    }
}

impl VariantArguments {
    fn judge(&self) -> Result<Option<VariantJudge>, PrepareFailure> {
        let Some(((count, base_url), model)) = self.variants.zip(self.judge.clone()).zip(self.model.clone()) else {
            return Ok(None);
        };
        let key = key(self.key_env.as_deref())?;
        let client = JudgeClient::new(JudgeEndpoint { base_url, model, key, own_temperature: self.own_temperature })?;
        let price = self.price_input.zip(self.price_output).map(|(input, output)| TokenPrice::new(input, output));
        let concurrency = usize::from(self.concurrency);
        Ok(Some(VariantJudge { client, count, max_cost: self.max_cost, price, concurrency }))
    }
}

fn key(variable: Option<&str>) -> Result<Option<Secret>, PrepareFailure> {
    let lookup = |name: &str| std::env::var(name).ok();
    let key = variable.map(|name| SecretSource::Env(name.to_owned()).resolve(&lookup, Path::new("")));
    key.transpose().map_err(PrepareFailure::Key)
}

fn similarity(text: &str) -> Result<f64, String> {
    let share = super::share(text)?;
    if share >= GROUPED { Ok(share) } else { Err(format!("`{text}` is too little (allowed: {GROUPED} to 1)")) }
}

fn rate(text: &str) -> Result<f64, String> {
    let rate = text.parse::<f64>().ok().filter(|rate| (0.01..=1000.0).contains(rate));
    rate.ok_or_else(|| format!("`{text}` is no rate (allowed: 0.01 to 1000)"))
}

fn language(text: &str) -> Result<String, String> {
    let known: Vec<&str> = Language::codes().collect();
    if known.contains(&text) {
        return Ok(text.to_owned());
    }
    Err(format!("`{text}` is no language that is told (allowed: {})", known.join(", ")))
}

impl PrepareFailure {
    const fn code(&self) -> u8 {
        match self {
            Self::Prepare(PrepareError::Moderation(ModerationError::Url { .. }))
            | Self::Judge(JudgeClientError::Url { .. }) => USAGE,
            Self::Key(_) => CONFIG,
            Self::Prepare(
                PrepareError::Read(_) | PrepareError::Empty { .. } | PrepareError::Variants(VariantsError::NoPrice),
            ) => DATA,
            Self::Prepare(_) | Self::Judge(_) | Self::Runtime(_) => UNAVAILABLE,
        }
    }
}
