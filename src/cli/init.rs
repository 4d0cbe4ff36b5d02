//! `pointsman init`: a configuration for the providers at hand.
//!
//! Looks for keys in the environment and for servers on this machine, asks each provider which models it has, proposes
//! tiers by prices, and writes commented YAML with tests, the JSON Schema beside it for editors. Never writes a key, and
//! never over a file unless it is told to.

mod catalog;
mod first_client;
mod questions;
mod snippets;
mod survey;
mod tiers;
mod vendors;
mod yaml;

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use pointsman_core::config::{Config, ConfigProblems};

use self::first_client::FirstClient;
use self::questions::Questions;
use self::survey::{FoundProvider, NamedProvider, SurveyPlan, SurveyReach};
use self::vendors::{LOCAL_SERVERS, VENDORS};
use self::yaml::KeyOwner;
use super::bundle_folder::{self, NoBundleError};
use super::check::CheckArguments;
use super::{CONFIG, UNAVAILABLE, USAGE, check, fail, print_whole, schema};

/// The name of the schema's file, beside the configuration.
const SCHEMA: &str = "pointsman.schema.json";

/// The line above the key that is made for clients.
const KEY_SHOWN: &str = "Clients send this key. It is shown once: the configuration holds its SHA-256 alone.";

/// What `init` can be asked for.
#[derive(Debug, clap::Args)]
pub(super) struct InitArguments {
    /// The file to write; `-` prints the configuration alone.
    #[arg(short, long, value_name = "FILE", default_value = "pointsman.yaml")]
    out: PathBuf,
    /// Asks nothing and takes what is proposed.
    #[arg(short, long)]
    yes: bool,
    /// Writes over a file that is there.
    #[arg(long)]
    force: bool,
    /// A provider besides those that keys are found for: a vendor, or NAME=URL for a server that speaks OpenAI's API,
    /// whose key is in NAME_API_KEY if it wants one.
    #[arg(long, value_name = "NAME[=URL]")]
    provider: Vec<NamedProvider>,
    /// Where to look for servers of your own, as `host:port`; by default the usual ports of vLLM, Ollama, LM Studio and
    /// `SGLang` on this machine. An empty text looks nowhere.
    #[arg(long, value_name = "ADDRESSES", value_delimiter = ',', value_parser = survey::local_address)]
    local: Option<Vec<String>>,
    /// Asks no provider for its models: the built-in list says which there are.
    #[arg(long)]
    offline: bool,
    /// Whose keys go upstream.
    #[arg(long, value_enum, default_value_t = KeyOwner::Env)]
    keys: KeyOwner,
    /// Where clients shall connect. Where other machines reach it, a key for clients is made and shown.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Where operators shall connect: a loopback address.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9090")]
    admin: SocketAddr,
    /// The model for simple prompts, by its provider's name for it.
    #[arg(long, value_name = "MODEL")]
    simple: Option<String>,
    /// The model for prompts between simple and complex.
    #[arg(long, value_name = "MODEL")]
    medium: Option<String>,
    /// The model for complex prompts.
    #[arg(long, value_name = "MODEL")]
    complex: Option<String>,
    /// The classifier's bundle; by default the one that ships with Pointsman.
    #[arg(long, value_name = "FOLDER")]
    bundle: Option<PathBuf>,
}

#[derive(Debug, thiserror::Error)]
enum InitError {
    #[error("`{}` is there already; --force writes over it, -o names another file", .0.display())]
    Exists(PathBuf),
    #[error(
        "found no key and no server: set one of {}, start a server of your own, or name one with --provider",
        VENDORS.iter().map(|vendor| vendor.variables[0]).collect::<Vec<_>>().join(", ")
    )]
    Nothing,
    #[error("--provider names `{0}` twice (allowed: each name once)")]
    Twice(String),
    #[error("{argument} has no effect: {reason}")]
    Unused { argument: &'static str, reason: &'static str },
    #[error(
        "--admin {0} is reached by other machines, and `init` writes nobody who may use it (allowed: a loopback address such as 127.0.0.1:9090; for another, write `admin.auth` yourself: docs/admin.md)"
    )]
    OpenAdmin(SocketAddr),
    #[error("--bundle {} holds no bundle.yaml (allowed: a bundle's folder)", .0.display())]
    NotABundle(PathBuf),
    #[error("what was put together does not load, and was not written:\n{0}")]
    Unloadable(Box<ConfigProblems>),
    #[error("the system gives no random bytes for a key")]
    NoRandom,
    #[error("none of the providers offers a model that answers prompts")]
    NoModels,
    #[error("no provider that was found offers the model `{name}` (allowed: {known})")]
    UnknownModel { name: String, known: String },
    #[error("{0}; --bundle names its folder")]
    Bundle(#[from] NoBundleError),
    #[error("cannot write `{}`", path.display())]
    Write { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Answer(io::Error),
    #[error("cannot start a runtime")]
    Runtime(#[source] io::Error),
}

impl InitArguments {
    fn is_printed(&self) -> bool {
        self.out.as_os_str() == "-"
    }
}

pub(super) fn run(arguments: &InitArguments) -> ExitCode {
    match init(arguments) {
        Ok(code) => code,
        Err(error) => fail(&error, error.code()),
    }
}

impl InitError {
    const fn code(&self) -> u8 {
        match self {
            Self::Exists(_)
            | Self::Twice(_)
            | Self::Unused { .. }
            | Self::OpenAdmin(_)
            | Self::NotABundle(_)
            | Self::UnknownModel { .. }
            | Self::Answer(_) => USAGE,
            Self::Unloadable(_) => CONFIG,
            Self::Nothing
            | Self::NoRandom
            | Self::NoModels
            | Self::Bundle(_)
            | Self::Write { .. }
            | Self::Runtime(_) => UNAVAILABLE,
        }
    }
}

fn init(arguments: &InitArguments) -> Result<ExitCode, InitError> {
    examine(arguments)?;
    let is_printed = arguments.is_printed();
    let bundle = match &arguments.bundle {
        Some(folder) => std::path::absolute(folder).map_err(NoBundleError::Here)?,
        None => bundle_folder::find()?,
    };
    let mut questions =
        if arguments.yes { Questions::none() } else { Questions::reading(Box::new(io::stdin().lock())) };
    let found = usable(survey(arguments)?, &mut questions)?;
    if arguments.keys == KeyOwner::Passthrough && found.iter().all(|provider| provider.is_local) {
        let reason = "no provider that was found takes a key";
        return Err(InitError::Unused { argument: "--keys passthrough", reason });
    }
    let plan = catalog::plan(arguments, found, bundle, &mut questions)?;
    let text = yaml::write(&plan);
    Config::parse(&text, &plan.file).map_err(|problems| InitError::Unloadable(Box::new(problems)))?;
    if let Some(warning) = plan.open_warning() {
        eprintln!("{warning}\n");
    }
    if is_printed {
        let key = plan.client.as_ref().map(|client| format!("{KEY_SHOWN}\n\n  {}", client.key()));
        key.iter().for_each(|shown| eprintln!("{shown}"));
        return Ok(print_whole(text.as_bytes()));
    }
    write(&arguments.out, &text)?;
    keep_schema(&arguments.out)?;
    println!("Wrote {}.\n", arguments.out.display());
    let code = check::run(&CheckArguments::of_file(&arguments.out));
    if code == ExitCode::from(CONFIG) {
        println!("\nSomething is missing on this machine: `pointsman doctor -c {}` says what.", plan.file);
    }
    let key = plan.client.as_ref().map(FirstClient::key);
    if let Some(key) = key {
        println!("\n{KEY_SHOWN}\n\n  {key}");
    }
    print!("{}", snippets::text(plan.listen, plan.keys, key, &plan.file));
    Ok(code)
}

/// Refuses arguments that contradict each other or make nothing that loads, before anybody is asked.
fn examine(arguments: &InitArguments) -> Result<(), InitError> {
    let unused = |argument, reason| Err(InitError::Unused { argument, reason });
    if arguments.is_printed() && arguments.force {
        return unused("--force", "`-o -` writes no file");
    }
    let looks = arguments.local.iter().flatten().any(|address| !address.is_empty());
    if arguments.offline && looks {
        return unused("--local", "`--offline` asks nobody (allowed: one of them)");
    }
    if !arguments.is_printed() && !arguments.force && arguments.out.exists() {
        return Err(InitError::Exists(arguments.out.clone()));
    }
    let mut names: Vec<&str> = arguments.provider.iter().map(|named| &*named.name).collect();
    names.sort_unstable();
    if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(InitError::Twice(pair[0].to_owned()));
    }
    if first_client::is_open(arguments.admin) {
        return Err(InitError::OpenAdmin(arguments.admin));
    }
    match &arguments.bundle {
        Some(folder) if !folder.join("bundle.yaml").is_file() => Err(InitError::NotABundle(folder.clone())),
        _ => Ok(()),
    }
}

fn survey(arguments: &InitArguments) -> Result<Vec<FoundProvider>, InitError> {
    let usual = || LOCAL_SERVERS.map(|server| format!("127.0.0.1:{}", server.port)).to_vec();
    let mut local = arguments.local.clone().unwrap_or_else(usual);
    local.retain(|address| !address.is_empty());
    let plan = SurveyPlan {
        environment: &|name| std::env::var(name).ok(),
        named: &arguments.provider,
        local: &local,
        reach: if arguments.offline { SurveyReach::Offline } else { SurveyReach::Asks },
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(InitError::Runtime)?;
    Ok(runtime.block_on(survey::look(&plan)))
}

/// Shows what was found, and returns the providers that are to be used.
fn usable(found: Vec<FoundProvider>, questions: &mut Questions) -> Result<Vec<FoundProvider>, InitError> {
    if found.is_empty() {
        return Err(InitError::Nothing);
    }
    eprintln!("Found:");
    for provider in &found {
        eprintln!("{}", provider.report());
    }
    let usable: Vec<FoundProvider> = found.into_iter().filter(FoundProvider::is_usable).collect();
    if usable.is_empty() {
        return Err(InitError::NoModels);
    }
    let names: Vec<&str> = usable.iter().map(|provider| &*provider.name).collect();
    let all = names.join(", ");
    let pick = |answer: &str| {
        let wanted = answer.split([',', ' ']).filter(|name| !name.is_empty());
        let place = |name: &str| {
            let place = names.iter().position(|own| *own == name);
            place.ok_or_else(|| format!("`{name}` was not found (allowed: {all})"))
        };
        wanted.map(place).collect::<Result<Vec<_>, _>>()
    };
    let places =
        questions.ask("Providers to use, the first one's models first", &all, pick).map_err(InitError::Answer)?;
    Ok(places.into_iter().map(|place| usable[place].clone()).collect())
}

/// Writes a file in one step, so that a gateway that watches it never sees half of it.
fn write(path: &Path, text: &str) -> Result<(), InitError> {
    let failed = |source| InitError::Write { path: path.to_owned(), source };
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    let next = path.with_extension(format!("next-{}", std::process::id()));
    std::fs::write(&next, text).and_then(|()| std::fs::rename(&next, path)).map_err(failed)
}

/// Puts the schema beside the configuration, where there is none yet.
fn keep_schema(file: &Path) -> Result<(), InitError> {
    let path = file.with_file_name(SCHEMA);
    if !path.exists() {
        return write(&path, &schema::text());
    }
    if std::fs::read_to_string(&path).is_ok_and(|text| text != schema::text()) {
        eprintln!("{} is another version's and stays: `pointsman schema > {}` renews it", SCHEMA, path.display());
    }
    Ok(())
}
