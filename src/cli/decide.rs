//! `pointsman decide`: where one prompt would go, and why, as a table or as JSON.

use std::fs;
use std::io::{self, Read};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use serde_json::Value;

use super::features::chat_body;
use super::{CONFIG, USAGE, fail, report};
use crate::config::Config;
use crate::prompt::{Dialect, ParseError, Prompt};
use crate::router::{Incoming, Judging, Router, Verdict};
use crate::snapshot::{BuildError, Builder};
use crate::telemetry::Metrics;
use bytes::Bytes;

/// The path that a prompt is decided for.
const PATH: &str = "/v1/chat/completions";

/// What `decide` can be asked for.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    file: super::ConfigFile,
    /// The prompt, as one user turn; with `--body`, left out.
    #[arg(required_unless_present = "body", conflicts_with = "body")]
    prompt: Option<String>,
    /// A whole request body in place of a prompt; `-` reads stdin.
    #[arg(long, value_name = "FILE")]
    body: Option<PathBuf>,
    /// The model that the client asks for; by default the first that a policy matches by its exact name.
    #[arg(long, conflicts_with = "body")]
    model: Option<String>,
    /// Prints one JSON object, the same that `POST /v1/decide` answers.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, thiserror::Error)]
enum DecideError {
    #[error(transparent)]
    Build(#[from] BuildError),
    #[error("cannot read `{}`", path.display())]
    Body { path: PathBuf, source: io::Error },
    #[error("the body is no chat completion request")]
    Parse(#[from] ParseError),
    #[error("no policy matches the model `{model}` (allowed: {known})")]
    NoPolicy { model: String, known: String },
    #[error("the policy `{policy}` is off: the request would pass through")]
    Off { policy: String },
    #[error("cannot start a runtime")]
    Runtime(#[source] io::Error),
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    match decide(arguments) {
        Ok(explanation) if arguments.json => {
            println!("{explanation}");
            ExitCode::SUCCESS
        }
        Ok(explanation) => {
            print!("{}", report::render(&explanation));
            ExitCode::SUCCESS
        }
        Err(error @ DecideError::Build(_)) => fail(&error, CONFIG),
        Err(error) => fail(&error, USAGE),
    }
}

fn decide(arguments: &Arguments) -> Result<Value, DecideError> {
    let path = &arguments.file.config;
    let metrics = Arc::new(Metrics::new());
    let builder = Builder::new(path, Arc::clone(&metrics));
    let config = builder.load().map_err(BuildError::from)?;
    let body = Bytes::from(body(arguments, &config)?);
    let router = Router::new(builder.build(config, None)?, metrics);
    let snapshot = router.snapshot();
    let prompt = Prompt::parse(Dialect::ChatCompletions, &body)?;
    let incoming = Incoming {
        path: PATH,
        header: &|_| None,
        client: None,
        prompt: &prompt,
        body: &body,
        at: None,
        judging: Judging::Ask,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(DecideError::Runtime)?;
    match runtime.block_on(router.route(&snapshot, &incoming)) {
        Verdict::Route(routing) => Ok(routing.explain(&snapshot)),
        Verdict::Pass { shadow: Some(routing), .. } => Ok(routing.explain_shadow(&snapshot)),
        Verdict::Deny(denial) => Ok(denial.explain(&snapshot)),
        Verdict::Pass { denied: Some(denial), .. } => Ok(denial.explain_shadow(&snapshot)),
        Verdict::Pass { policy: Some(policy), .. } => Err(DecideError::Off { policy: policy.to_string() }),
        Verdict::Pass { policy: None, .. } => {
            let known = snapshot.config.virtual_models().collect::<Vec<_>>().join(", ");
            Err(DecideError::NoPolicy { model: prompt.model.to_string(), known })
        }
    }
}

fn body(arguments: &Arguments, config: &Config) -> Result<String, DecideError> {
    if let Some(prompt) = &arguments.prompt {
        let model = arguments.model.as_deref().or_else(|| config.virtual_models().next()).unwrap_or("auto");
        return Ok(chat_body(model, prompt));
    }
    let path = arguments.body.clone().unwrap_or_else(|| "-".into());
    let mut text = String::new();
    let read = if path.as_os_str() == "-" {
        io::stdin().read_to_string(&mut text).map(|_| text)
    } else {
        fs::read_to_string(&path)
    };
    read.map_err(|source| DecideError::Body { path, source })
}
