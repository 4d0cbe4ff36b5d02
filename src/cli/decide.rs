//! `pointsman decide`: where one prompt would go, and why, as a table or as JSON.

use std::fs;
use std::io::{self, Read};
use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use pointsman_core::config::{Config, UtcMoment};
use pointsman_core::policy::DecisionDetail;
use pointsman_core::prompt::{Dialect, ParseError};
use pointsman_telemetry::Metrics;
use serde_json::Value;

use super::features::chat_body;
use super::{CONFIG, USAGE, fail, report};
use crate::clients::UnknownClient;
use crate::router::{IncomingRequest, JudgeMode, QuotaMode, Router, Verdict, header_text};
use crate::snapshot::{BuildError, SnapshotBuilder};

/// The path that a prompt is decided for.
const PATH: &str = "/v1/chat/completions";

/// What `decide` can be asked for.
#[derive(Debug, clap::Args)]
pub(super) struct DecideArguments {
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
    /// The client that asks, by its name in `clients`; without it nothing that is a client's alone takes effect.
    #[arg(long, value_name = "NAME")]
    client: Option<String>,
    /// A header of the request, such as `x-team: red`; may be given more than once.
    #[arg(long, value_name = "NAME: VALUE")]
    header: Vec<HeaderArgument>,
    /// When the request comes, UTC, such as 2026-11-23T09:30:00Z; by default now.
    #[arg(long, value_name = "TIME")]
    now: Option<UtcMoment>,
    /// Prints one JSON object, the same that `POST /v1/decide` answers.
    #[arg(long)]
    json: bool,
}

/// A header of the request.
#[derive(Debug, Clone)]
struct HeaderArgument(HeaderName, HeaderValue);

#[derive(Debug, thiserror::Error)]
enum DecideError {
    #[error(transparent)]
    Build(#[from] BuildError),
    #[error("cannot read `{}`", path.display())]
    Body { path: PathBuf, source: io::Error },
    #[error("the body is no chat completion request")]
    Parse(#[from] ParseError),
    #[error("--client: {0}")]
    Client(#[from] UnknownClient),
    #[error("no policy matches the model `{model}` (allowed: {known})")]
    NoPolicy { model: String, known: String },
    #[error("the policy `{policy}` is off, and there is no `default_provider` to pass the request to")]
    Off { policy: String },
    #[error("cannot start a runtime")]
    Runtime(#[source] io::Error),
}

pub(super) fn run(arguments: &DecideArguments) -> ExitCode {
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

fn decide(arguments: &DecideArguments) -> Result<Value, DecideError> {
    let path = &arguments.file.config;
    let metrics = Arc::new(Metrics::new());
    let builder = Arc::new(SnapshotBuilder::new(path, Arc::clone(&metrics)));
    let prepared = builder.prepare_in_time()?;
    let body = Bytes::from(body(arguments, prepared.config())?);
    let router = Router::new(builder.build_in_time(prepared, None)?, metrics);
    let snapshot = router.snapshot();
    let client = arguments.client.as_deref().map(|name| snapshot.clients.find(name)).transpose()?;
    let prompt = snapshot.read(Dialect::ChatCompletions, &body)?;
    let headers: HeaderMap =
        arguments.header.iter().map(|HeaderArgument(name, value)| (name.clone(), value.clone())).collect();
    let header = |name: &str| header_text(&headers, name);
    let incoming = IncomingRequest {
        path: PATH,
        header: &header,
        client: client.map(|client| &**client),
        prompt: &prompt,
        body: &body,
        state: None,
        at: arguments.now.map(|moment| moment.0),
        judging: JudgeMode::Ask,
        key: None,
        quotas: QuotaMode::Look,
        detail: DecisionDetail::Explanation,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(DecideError::Runtime)?;
    let verdict = runtime.block_on(router.route(&snapshot, &incoming));
    match &verdict {
        // The proxy would answer that there is no such model.
        Verdict::Pass { policy, shadow: None, denied: None } if snapshot.config.default_provider.is_none() => {
            Err(match policy {
                Some(policy) => DecideError::Off { policy: policy.to_string() },
                None => DecideError::NoPolicy {
                    model: prompt.model.to_string(),
                    known: snapshot.config.virtual_models().collect::<Vec<_>>().join(", "),
                },
            })
        }
        verdict => Ok(verdict.explain(&snapshot, &incoming)),
    }
}

impl FromStr for HeaderArgument {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || format!("`{text}` is no header (allowed: NAME: VALUE)");
        let (name, value) = text.split_once(':').ok_or_else(wrong)?;
        let name: HeaderName = name.trim().parse().map_err(|_| wrong())?;
        let value = HeaderValue::from_bytes(value.trim().as_bytes()).map_err(|_| wrong())?;
        Ok(Self(name, value))
    }
}

fn body(arguments: &DecideArguments, config: &Config) -> Result<String, DecideError> {
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
