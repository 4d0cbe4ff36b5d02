//! `pointsman label`: labels by an LLM judge, for `fit`.

use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use pointsman_core::config::{SecretSource, TokenPrice};
use pointsman_lab::decision_log::DecisionLogs;
use pointsman_lab::judge::{JudgeClient, JudgeClientError, JudgeEndpoint, Rubric, RubricError};
use pointsman_lab::label::{LabelCounts, LabelError, LabelRun, PromptSource};
use pointsman_lab::runs::OpenRun;

use super::DATA;
use super::files::CommandFiles;
use super::record::RecordArguments;
use crate::cli::{CONFIG, UNAVAILABLE, USAGE, fail};

/// What `label` can be asked for.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("source").required(true).args(["prompts", "log"]))]
pub(in crate::cli) struct LabelArguments {
    /// The judge's API, OpenAI-compatible: `http(s)://host[:port][/prefix]`.
    #[arg(long, value_name = "URL")]
    base_url: String,
    /// The judge's model.
    #[arg(long, value_name = "NAME")]
    model: String,
    /// The environment variable that holds the judge's key; left out, no key is sent.
    #[arg(long, value_name = "VARIABLE")]
    key_env: Option<String>,
    /// JSON lines with a `prompt`, and for the rubric `match` `strong_answer` and `weak_answer`; an `id` is kept.
    #[arg(long, value_name = "FILE")]
    prompts: Option<PathBuf>,
    /// Decision logs that were written with `text: true`.
    #[arg(long, value_name = "FILE", num_args = 1..)]
    log: Vec<PathBuf>,
    /// `choice` (which of three tiers a prompt needs), `match` (the weak answer beside the strong one, 1 to 5; 4 means
    /// that the weak model suffices), or the path of a rubric of your own.
    #[arg(long, value_name = "NAME|FILE")]
    rubric: String,
    /// Where labels go, one JSON object a line; what stands there is not asked again.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// The most US dollars that this run may spend.
    #[arg(long, value_name = "USD", value_parser = crate::cli::dollars, requires_all = ["price_input", "price_output"])]
    max_cost: Option<f64>,
    /// What the judge costs, in US dollars per million tokens of prompts.
    #[arg(long, value_name = "USD", value_parser = crate::cli::dollars, requires = "price_output")]
    price_input: Option<f64>,
    /// The same for tokens of answers.
    #[arg(long, value_name = "USD", value_parser = crate::cli::dollars, requires = "price_input")]
    price_output: Option<f64>,
    /// Requests at a time.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=256))]
    concurrency: u16,
    /// The share of prompts that is labelled, such as 10%; every run draws the same.
    #[arg(long, value_name = "SHARE", value_parser = super::share, default_value = "100%")]
    sample: f64,
    /// Decides the draw.
    #[arg(long, value_name = "N", default_value_t = 7)]
    seed: u64,
    /// The most prompts to ask for in this run.
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
    /// Asks again for prompts that the judge refused (400, 413, 422) in runs before; they stand beside the labels, in
    /// `<out>.errors.jsonl`.
    #[arg(long)]
    retry_refused: bool,
    /// Labels rows of the split `held_out` too, to measure with: their rows keep the split, so that nothing learns from
    /// them.
    #[arg(long)]
    held_out: bool,
    /// Leaves the temperature to the model; needed by models that take no other.
    #[arg(long)]
    own_temperature: bool,
    #[command(flatten)]
    record: RecordArguments,
}

#[derive(Debug, thiserror::Error)]
enum LabelFailure {
    #[error(transparent)]
    Rubric(#[from] RubricError),
    #[error(transparent)]
    Client(#[from] JudgeClientError),
    #[error("{0}")]
    Key(String),
    #[error(transparent)]
    Label(#[from] LabelError),
    #[error("cannot start a runtime")]
    Runtime(#[source] io::Error),
}

pub(in crate::cli) fn run(arguments: &LabelArguments) -> ExitCode {
    if let Err(error) = arguments.files().check() {
        return fail(&error, USAGE);
    }
    let inputs = |run: &mut OpenRun| {
        run.seed(arguments.seed);
        let rubric = Path::new(&arguments.rubric);
        let files = arguments.prompts.iter().chain(&arguments.log).map(PathBuf::as_path);
        files.chain(rubric.is_file().then_some(rubric)).for_each(|path| run.data(path));
    };
    let outputs = |run: &mut OpenRun| run.out(&arguments.out);
    match arguments.record.around("label", inputs, || label(arguments), outputs) {
        Err(code) => code,
        Ok(Ok(done)) => {
            say(&done);
            ExitCode::SUCCESS
        }
        Ok(Err(error)) => fail(&error, error.code()),
    }
}

impl LabelArguments {
    fn files(&self) -> CommandFiles {
        let inputs = CommandFiles::default().reads("--prompts", &self.prompts).reads("--log", &self.log);
        let inputs = inputs.reads("--rubric", [&self.rubric]);
        inputs.writes("--out", [self.out.clone(), self.out.with_extension("errors.jsonl")])
    }
}

fn label(arguments: &LabelArguments) -> Result<LabelCounts, LabelFailure> {
    let rubric = match Rubric::built_in(&arguments.rubric) {
        Some(rubric) => rubric,
        None => Rubric::load(Path::new(&arguments.rubric))?,
    };
    let lookup = |name: &str| std::env::var(name).ok();
    let key = arguments.key_env.clone().map(|name| SecretSource::Env(name).resolve(&lookup, Path::new("")));
    let client = JudgeClient::new(JudgeEndpoint {
        base_url: arguments.base_url.clone(),
        model: arguments.model.clone(),
        key: key.transpose().map_err(LabelFailure::Key)?,
        own_temperature: arguments.own_temperature,
    })?;
    let price = arguments.price_input.zip(arguments.price_output);
    let labelling = LabelRun {
        source: match &arguments.prompts {
            Some(path) => PromptSource::Prompts(path.clone()),
            None => PromptSource::Logs(DecisionLogs::new(arguments.log.clone())),
        },
        out: arguments.out.clone(),
        rubric,
        client,
        max_cost: arguments.max_cost,
        price: price.map(|(input, output)| TokenPrice::new(input, output)),
        concurrency: usize::from(arguments.concurrency),
        share: arguments.sample,
        seed: arguments.seed,
        limit: arguments.limit,
        retry_refused: arguments.retry_refused,
        with_held_out: arguments.held_out,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(LabelFailure::Runtime)?;
    let terminal = io::stderr().is_terminal();
    let done = runtime.block_on(labelling.run(|done| {
        if terminal {
            let LabelCounts { written, failed, refused, cost, .. } = done;
            eprint!("\r\x1b[K{written} labelled, {failed} failed, {refused} refused, ${cost:.4}");
            let _ = io::stderr().flush(); // a line less on a broken terminal
        }
    }))?;
    if terminal {
        eprint!("\r\x1b[K");
    }
    Ok(done)
}

fn say(done: &LabelCounts) {
    let LabelCounts {
        written,
        shared,
        known,
        failed,
        refused,
        refused_before,
        skipped,
        held_out,
        cost,
        stopped_by_budget,
    } = done;
    eprintln!("{written} labelled for ${cost:.6}; {known} were known, {failed} failed, {skipped} skipped");
    if *shared > 0 {
        eprintln!("{shared} of them share the answer to an equal prompt");
    }
    if refused + refused_before > 0 {
        eprintln!("{refused} refused by the judge, {refused_before} refused before (--retry-refused asks again)");
    }
    if *held_out > 0 {
        eprintln!("{held_out} of the split held_out were left out (--held-out labels them, to measure with)");
    }
    if *stopped_by_budget {
        eprintln!("stopped by --max-cost; run it again to go on");
    }
}

impl LabelFailure {
    const fn code(&self) -> u8 {
        match self {
            Self::Client(JudgeClientError::Url { .. }) => USAGE,
            Self::Rubric(_) | Self::Key(_) => CONFIG,
            Self::Label(LabelError::Judge(_) | LabelError::Output { .. }) | Self::Client(_) | Self::Runtime(_) => {
                UNAVAILABLE
            }
            Self::Label(_) => DATA,
        }
    }
}
