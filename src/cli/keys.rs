//! `pointsman keys`: client keys made, listed, rotated and revoked in the registry that a configuration names, with or
//! without a running gateway. A gateway takes a change over by itself.

use std::io;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use pointsman_core::config::{Config, ConfigProblems, Name, StoreConfig, UtcMoment};
use pointsman_telemetry::logging::{self, LogFormat};
use pointsman_telemetry::{AuditLine, Metrics};

use super::table::{ColumnAlign, TextTable};
use super::{CONFIG, REFUSED, UNAVAILABLE, USAGE, fail};
use crate::clients::{ClientKeyRegistry, IssuedKey, KeyRegistryError, NewKey, PlainKey};
use crate::store::{SharedStore, StoreError};
use crate::upstream::TrustedAuthorities;

/// The longest wait for the store.
const PATIENCE: Duration = Duration::from_secs(5);

/// The pause between two looks at the store.
const PAUSE: Duration = Duration::from_millis(20);

/// What to do with client keys.
#[derive(Debug, clap::Subcommand)]
pub(super) enum KeysCommand {
    /// Makes a key for a client, and prints it: it is shown this once.
    Create(CreateArguments),
    /// Lists the keys of the registry.
    List(ListArguments),
    /// Replaces a key by a new one, which keeps its name and budgets, and prints it; the former stays good for a while.
    Rotate(RotateArguments),
    /// Ends a key.
    Revoke(RevokeArguments),
}

/// The key to make.
#[derive(Debug, clap::Args)]
pub(super) struct CreateArguments {
    #[command(flatten)]
    file: super::ConfigFile,
    /// The client that it is for, by its name in the configuration.
    #[arg(value_name = "CLIENT", value_parser = Name::new)]
    client: Name,
    /// The moment from which it is good no longer, such as 2027-01-01T00:00:00Z.
    #[arg(long, value_name = "MOMENT")]
    expires: Option<UtcMoment>,
    /// What it is for, at most 200 characters.
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
}

/// The registry to list.
#[derive(Debug, clap::Args)]
pub(super) struct ListArguments {
    #[command(flatten)]
    file: super::ConfigFile,
    /// Only those of this client.
    #[arg(long, value_name = "CLIENT")]
    client: Option<String>,
}

/// The key to rotate.
#[derive(Debug, clap::Args)]
pub(super) struct RotateArguments {
    #[command(flatten)]
    file: super::ConfigFile,
    /// The key's name, as the list shows it.
    #[arg(value_name = "KEY")]
    id: String,
    /// The time in which the former key stays good; 0s ends every former key at once.
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = humantime::parse_duration)]
    grace: Duration,
}

/// The key to revoke.
#[derive(Debug, clap::Args)]
pub(super) struct RevokeArguments {
    #[command(flatten)]
    file: super::ConfigFile,
    /// The key's name, as the list shows it.
    #[arg(value_name = "KEY")]
    id: String,
}

/// The reason why keys cannot be shown or changed.
#[derive(Debug, thiserror::Error)]
enum KeysError {
    #[error(transparent)]
    Config(#[from] ConfigProblems),
    #[error(
        "no registry is configured (allowed: with `client_keys: {{file: keys.jsonl}}` or `client_keys: {{store: {{}}}}`)"
    )]
    NoRegistry,
    #[error("there is no client `{name}` (allowed: {known})")]
    UnknownClient { name: Name, known: String },
    #[error("{message}")]
    StoreSettings { message: String },
    #[error("store.redis")]
    Store(#[from] StoreError),
    #[error("the store does not answer: {trouble}")]
    StoreAway { trouble: String },
    #[error(transparent)]
    Registry(#[from] KeyRegistryError),
    #[error("cannot start a runtime")]
    Runtime(#[from] io::Error),
}

/// A registry that is open, and the store that it may be in.
struct OpenedRegistry {
    registry: Arc<ClientKeyRegistry>,
    store: Option<SharedStore>,
    config: Config,
}

pub(super) fn run(command: &KeysCommand, format: LogFormat) -> ExitCode {
    if let Err(error) = logging::init_with(format, "warn") {
        return fail(&error, USAGE);
    }
    match carry_out(command) {
        Ok(text) => super::print_whole(text.as_bytes()),
        Err(KeysError::Config(problems)) => {
            eprintln!("{problems}");
            CONFIG.into()
        }
        Err(error) => {
            let code = match error {
                KeysError::UnknownClient { .. } | KeysError::NoRegistry | KeysError::StoreSettings { .. } => CONFIG,
                KeysError::Registry(
                    KeyRegistryError::UnknownKey { .. }
                    | KeyRegistryError::NotActive { .. }
                    | KeyRegistryError::TooManyFormer { .. }
                    | KeyRegistryError::BadOrder { .. },
                ) => REFUSED,
                _ => UNAVAILABLE,
            };
            fail(&error, code)
        }
    }
}

fn carry_out(command: &KeysCommand) -> Result<String, KeysError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        match command {
            KeysCommand::Create(arguments) => create(arguments).await,
            KeysCommand::List(arguments) => list(arguments).await,
            KeysCommand::Rotate(RotateArguments { file, id, grace }) => {
                let OpenedRegistry { registry, store, .. } = open(&file.config).await?;
                let (key, plain) = registry.rotate(id, *grace, store.as_ref()).await?;
                Ok(announced(&key, &plain, "key_rotated"))
            }
            KeysCommand::Revoke(RevokeArguments { file, id }) => {
                let OpenedRegistry { registry, store, .. } = open(&file.config).await?;
                let key = registry.revoke(id, store.as_ref()).await?;
                write_down(&key, "key_revoked");
                Ok(format!("{} of {} is revoked\n", key.id, key.client))
            }
        }
    })
}

async fn create(arguments: &CreateArguments) -> Result<String, KeysError> {
    let CreateArguments { file, client, expires, note } = arguments;
    let OpenedRegistry { registry, store, config } = open(&file.config).await?;
    let clients = config.clients.unwrap_or_default();
    if !clients.contains_key(client) {
        let known = clients.keys().map(Name::as_str).collect::<Vec<_>>().join(", ");
        return Err(KeysError::UnknownClient { name: client.clone(), known });
    }
    let order = NewKey { client: client.clone(), expires: *expires, note: note.clone() };
    let (key, plain) = registry.create(order, store.as_ref()).await?;
    Ok(announced(&key, &plain, "key_made"))
}

async fn list(arguments: &ListArguments) -> Result<String, KeysError> {
    let OpenedRegistry { registry, .. } = open(&arguments.file.config).await?;
    let now = now();
    let header = ["key", "client", "standing", "created", "expires", "note"];
    let mut table = TextTable::new(header, [ColumnAlign::Left; 6]);
    for key in registry.keys() {
        if arguments.client.as_ref().is_some_and(|client| *key.client != **client) {
            continue;
        }
        table.push([
            key.id.to_string(),
            key.client.to_string(),
            key.standing(now).as_str().to_owned(),
            moment(key.created),
            key.expires.map(moment).unwrap_or_default(),
            key.note.clone().unwrap_or_default(),
        ]);
    }
    Ok(table.render())
}

/// Opens the registry of a configuration, and the store that it is in.
async fn open(path: &Path) -> Result<OpenedRegistry, KeysError> {
    let (config, metrics) = (Config::load(path)?, Arc::new(Metrics::new()));
    let base_dir = path.parent().unwrap_or(Path::new(""));
    let section = config.client_keys.as_ref().ok_or(KeysError::NoRegistry)?;
    let registry = ClientKeyRegistry::open(section, base_dir, None, &metrics)?;
    let store = if registry.is_in_store() { Some(connect(&config, base_dir, &metrics).await?) } else { None };
    registry.read_again(store.as_ref()).await?;
    Ok(OpenedRegistry { registry, store, config })
}

/// Connects to the store, and waits until it answers.
async fn connect(config: &Config, base_dir: &Path, metrics: &Metrics) -> Result<SharedStore, KeysError> {
    let Some(StoreConfig::Redis(redis)) = &config.store else { return Err(KeysError::NoRegistry) };
    let access = redis.access(&|name| std::env::var(name).ok(), base_dir).map_err(|wrong| {
        let problems: Vec<_> = wrong.iter().map(|(path, problem)| format!("{path}: {problem}")).collect();
        KeysError::StoreSettings { message: problems.join("\n") }
    })?;
    let settings = |problem: String| KeysError::StoreSettings { message: format!("store.redis.tls.ca: {problem}") };
    let ca = redis.tls.as_ref().and_then(|tls| tls.ca.as_ref());
    let trust = ca.map(|file| TrustedAuthorities::read(&base_dir.join(file))).transpose().map_err(settings)?;
    let authorities = trust.map(|trust| trust.authorities().clone());
    let store = SharedStore::start(access, authorities, redis, metrics.store())?;
    store.look();
    let answers = async {
        while store.trouble().is_some() {
            tokio::time::sleep(PAUSE).await;
        }
    };
    if tokio::time::timeout(PATIENCE, answers).await.is_err() {
        let trouble = store.trouble().map(|trouble| trouble.to_string()).unwrap_or_default();
        return Err(KeysError::StoreAway { trouble });
    }
    Ok(store)
}

/// Says which key it is, to people, and returns the key alone, so that a script can take it.
fn announced(key: &IssuedKey, plain: &PlainKey, action: &'static str) -> String {
    let IssuedKey { id, client, .. } = key;
    let former: Vec<String> = key.former(now()).into_iter().map(moment).collect();
    match former.as_slice() {
        [] => eprintln!("{id} of {client}. Shown this once:"),
        [until] => eprintln!("{id} of {client}; the former key is good until {until}. Shown this once:"),
        [..] => eprintln!("{id} of {client}; former keys are good until {}. Shown this once:", former.join(", ")),
    }
    write_down(key, action);
    format!("{}\n", plain.expose())
}

/// Writes a change into the command's log: a running gateway writes down what it takes over, and does not know whose it is.
fn write_down(key: &IssuedKey, action: &'static str) {
    let subject = format!("{} of {}", key.id, key.client);
    let caller = format!("uid {}", rustix::process::getuid().as_raw());
    AuditLine::of_change(action, &subject, "command", &caller).emit();
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

fn moment(moment: UtcMoment) -> String {
    humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_secs(moment.0)).to_string()
}
