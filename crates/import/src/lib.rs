//! Importers: configurations of other LLM routers and gateways, as a configuration of Pointsman.
//!
//! [`import`] takes the text of a foreign file and returns a configuration that loads, with a [`Finding`] for every
//! line that did not carry over as it stands there. A file is read into a tree that knows which of its values were
//! taken over (`source`, `reader`); the importer of each project puts what it knows into a draft (`draft`,
//! `deployments`), and what it did not take is found at the end. Secrets are named and never copied (`credentials`).
//!
//! Nothing here opens files, asks the network or reads variables.

mod bifrost;
mod claude_code_router;
mod credentials;
mod deployments;
mod draft;
mod efforts;
mod expression;
mod finding;
mod key_variables;
mod litellm;
mod reader;
mod repair;
mod routellm;
mod semantic_router;
mod source;
mod switchyard;
mod vendors;
mod yaml_text;

use pointsman_core::config::{Config, ConfigProblems};
use pointsman_core::model_family::catalog_problems;
use pointsman_core::policy::PolicySet;

use self::draft::Draft;
use self::finding::FindingLog;
pub use self::finding::{Finding, FindingKind};
use self::key_variables::KeyVariables;
use self::reader::SourceValue;

/// The most things that are taken out because the loader refuses them.
const MAX_REPAIRS: usize = 100;

/// A project whose configurations can be imported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ForeignRouter {
    /// LiteLLM's proxy: `config.yaml`.
    Litellm,
    /// Bifrost: `config.json`.
    Bifrost,
    /// RouteLLM: a script that starts its server, or the YAML of its routers.
    Routellm,
    /// Switchyard: `routes.toml`, or the older YAML.
    Switchyard,
    /// claude-code-router: `config.json`.
    ClaudeCodeRouter,
    /// vLLM Semantic Router: `config.yaml`.
    SemanticRouter,
}

/// A foreign file that is to be imported.
#[derive(Debug, Clone, Copy)]
pub struct ForeignFile<'f> {
    /// The project that it is for.
    pub router: ForeignRouter,
    /// The file's name, whose extension says its format.
    pub name: &'f str,
    /// The file's text.
    pub text: &'f str,
}

/// A configuration that was made of a foreign file.
#[derive(Debug, Clone)]
pub struct ImportedConfig {
    /// The text of the configuration, which loads.
    pub text: String,
    /// What did not carry over as it stands in the foreign file, in the order of its lines.
    pub findings: Vec<Finding>,
}

/// The reason why a foreign file gives no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The file is not what it seems to be.
    #[error("{line}:{column}: {message}")]
    Unreadable {
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
        /// The fault.
        message: String,
    },
    /// No provider of the file could be taken over.
    #[error("nothing in the file names a provider that Pointsman could ask: is it a file of {}?", router.as_str())]
    NothingToServe {
        /// The project that the file was taken for.
        router: ForeignRouter,
        /// What was found nevertheless.
        findings: Vec<Finding>,
    },
    /// The configuration does not load, which is a fault of the importer.
    #[error("the configuration that was made does not load:\n{problems}")]
    Invalid {
        /// What the loader says.
        problems: Box<ConfigProblems>,
        /// The configuration.
        text: String,
    },
}

impl ForeignRouter {
    /// Every project.
    pub const ALL: [Self; 6] =
        [Self::Litellm, Self::Bifrost, Self::Routellm, Self::Switchyard, Self::ClaudeCodeRouter, Self::SemanticRouter];

    /// Returns the project's name on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Litellm => "litellm",
            Self::Bifrost => "bifrost",
            Self::Routellm => "routellm",
            Self::Switchyard => "switchyard",
            Self::ClaudeCodeRouter => "claude-code-router",
            Self::SemanticRouter => "semantic-router",
        }
    }
}

/// Makes a configuration of a foreign file, whose classifier has the bundle in the folder `bundle`.
///
/// # Errors
/// When the file cannot be read as its format, names no provider, or gives a configuration that does not load.
pub fn import(file: &ForeignFile<'_>, bundle: &str) -> Result<ImportedConfig, ImportError> {
    let variables = KeyVariables::default();
    let mut reading = read(file, &variables)?;
    if variables.has_conflict() {
        // A line behind a key says that the variable which the key got holds another one.
        reading = read(file, &variables.for_second_reading())?;
    }
    let (mut draft, findings) = reading;
    if draft.providers.is_empty() {
        return Err(ImportError::NothingToServe { router: file.router, findings: findings.into_sorted() });
    }
    if draft.models.is_empty() && draft.default_provider.is_none() {
        let first = draft.providers.iter().find(|provider| !provider.is_cloud());
        draft.default_provider = first.map(|provider| provider.name.clone());
    }
    make_loadable(&mut draft, bundle, &findings)?;
    let findings = findings.into_sorted();
    let text = draft.written(&heading(file, &draft, findings.len()), bundle);
    Ok(ImportedConfig { text, findings })
}

/// Puts what a foreign file says into a draft, and notes what does not carry over.
fn read(file: &ForeignFile<'_>, variables: &KeyVariables) -> Result<(Draft, FindingLog), ImportError> {
    let findings = FindingLog::default();
    let mut draft = Draft::default();
    if file.router == ForeignRouter::Routellm && routellm::is_script(file.text) {
        routellm::import_script(file.text, &mut draft, &findings);
        return Ok((draft, findings));
    }
    let root = source::read(file.name, file.text, &findings).map_err(|fault| ImportError::Unreadable {
        line: fault.line,
        column: fault.column,
        message: fault.message,
    })?;
    let value = SourceValue::root(&root, &findings, variables);
    match file.router {
        ForeignRouter::Litellm => litellm::import(&value, &mut draft),
        ForeignRouter::Bifrost => bifrost::import(&value, &mut draft),
        ForeignRouter::Routellm => routellm::import(&value, &mut draft, &findings),
        ForeignRouter::Switchyard => switchyard::import(&value, &mut draft),
        ForeignRouter::ClaudeCodeRouter => claude_code_router::import(&value, &mut draft),
        ForeignRouter::SemanticRouter => semantic_router::import(&value, &mut draft),
    }
    root.leftovers(&findings);
    Ok((draft, findings))
}

/// Takes out of `draft` what the loader refuses, one thing after the other.
fn make_loadable(draft: &mut Draft, bundle: &str, findings: &FindingLog) -> Result<(), ImportError> {
    for _ in 0..MAX_REPAIRS {
        let text = draft.written("", bundle);
        let Err(problems) = checked(&text) else { return Ok(()) };
        let taken = problems.iter().find(|problem| repair::take_out(draft, problem));
        let Some(problem) = taken else {
            return Err(ImportError::Invalid { problems: Box::new(problems), text });
        };
        findings.note(Finding {
            line: 1,
            last_line: 1,
            path: problem.path.clone(),
            kind: FindingKind::LeftOut,
            message: format!("the configuration cannot have what was made of it here: {}", problem.message),
        });
    }
    let text = draft.written("", bundle);
    checked(&text).map_err(|problems| ImportError::Invalid { problems: Box::new(problems), text })
}

/// The comment at the top of the configuration.
fn heading(file: &ForeignFile<'_>, draft: &Draft, findings: usize) -> String {
    let name = file.name.rsplit(['/', '\\']).next().unwrap_or(file.name);
    let name: String = name.chars().filter(|c| !c.is_control()).collect();
    let mut text = format!(
        "Made of `{name}` by `pointsman import --from {}`, with {findings} findings. `pointsman check -c FILE` checks it.",
        file.router.as_str()
    );
    let variables = draft.variables();
    if !variables.is_empty() {
        let variables: Vec<String> = variables.into_iter().collect();
        text.push_str(&format!("\nVariables that hold keys: {}", variables.join(", ")));
    }
    text
}

/// Loads the configuration as far as that goes without files, variables and bundles.
fn checked(text: &str) -> Result<(), ConfigProblems> {
    let config = Config::parse(text, "imported.yaml")?;
    let problems = catalog_problems(&config);
    if !problems.is_empty() {
        return Err(ConfigProblems::new("imported.yaml", problems));
    }
    PolicySet::compile(&config).map(drop).map_err(|problems| ConfigProblems::new("imported.yaml", problems))
}
