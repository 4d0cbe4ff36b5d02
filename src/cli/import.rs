//! `pointsman import`: the configuration of another router or gateway, as one of Pointsman's.
//!
//! The configuration goes to stdout or into a new file, findings to stderr: one for every line that did not carry over.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::ValueEnum;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use pointsman_core::config::{Config, RegularFileError};
use pointsman_import::{Finding, FindingKind, ForeignFile, ForeignRouter, ImportError, ImportedConfig};
use serde::Serialize;

use super::bundle_folder::{self, BUNDLE};
use super::{CONFIG, FINDINGS, UNAVAILABLE, USAGE, fail};

/// The exit code for data of the wrong form (`EX_DATAERR`).
const BAD_DATA: u8 = 65;

/// The file to import.
#[derive(Debug, clap::Args)]
pub(super) struct ImportArguments {
    /// The project that the file is for.
    #[arg(long, value_parser = PossibleValuesParser::new(ForeignRouter::ALL.map(ForeignRouter::as_str)).map(|name| router_of(&name)))]
    from: ForeignRouter,
    /// The other project's file: YAML, JSON, TOML, or a script that starts RouteLLM.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Writes the configuration into this new file, in place of stdout.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// The form of the findings on stderr.
    #[arg(long, value_enum, default_value_t = FindingsForm::Text)]
    findings: FindingsForm,
    /// The classifier's bundle, as the configuration names it: relative to the configuration file's folder. By default
    /// `models/pointsman-mini`, or the one that was installed with Pointsman where that is not there.
    #[arg(long, value_name = "FOLDER")]
    bundle: Option<String>,
}

/// The form of the findings.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum FindingsForm {
    /// `FILE:LINE: KEY: what: why`, one a line, and how many there are.
    Text,
    /// One array of objects.
    Json,
}

/// A finding as JSON has it.
#[derive(Serialize)]
struct PlacedFinding<'f> {
    file: String,
    #[serde(flatten)]
    finding: &'f Finding,
}

#[derive(Debug, thiserror::Error)]
enum ImportFailure {
    #[error("cannot read `{}`", path.display())]
    Read { path: PathBuf, source: RegularFileError },
    #[error("{}", shown(path, error))]
    Import { path: PathBuf, error: ImportError },
    #[error("cannot write `{}`", path.display())]
    Write { path: PathBuf, source: io::Error },
}

pub(super) fn run(arguments: &ImportArguments) -> ExitCode {
    match import(arguments) {
        Ok(imported) => {
            report(arguments, &imported.findings);
            if imported.findings.is_empty() { ExitCode::SUCCESS } else { FINDINGS.into() }
        }
        Err(error) => {
            // Without a finding there is nothing to say but the error: least of all that every line carried over.
            if let ImportFailure::Import { error: ImportError::NothingToServe { findings, .. }, .. } = &error
                && !findings.is_empty()
            {
                report(arguments, findings);
            }
            fail(&error, error.code())
        }
    }
}

fn import(arguments: &ImportArguments) -> Result<ImportedConfig, ImportFailure> {
    let path = &arguments.file;
    let text = Config::read_text(path).map_err(|source| ImportFailure::Read { path: path.clone(), source })?;
    let name = path.to_string_lossy();
    let file = ForeignFile { router: arguments.from, name: &name, text: &text };
    let imported = pointsman_import::import(&file, &bundle(arguments))
        .map_err(|error| ImportFailure::Import { path: path.clone(), error })?;
    let written = match &arguments.output {
        Some(output) => write_new(output, &imported.text).map_err(|source| (output.clone(), source)),
        None => io::stdout().write_all(imported.text.as_bytes()).map_err(|source| ("stdout".into(), source)),
    };
    written.map_err(|(path, source)| ImportFailure::Write { path, source })?;
    Ok(imported)
}

/// Returns the bundle's folder as the configuration names it.
fn bundle(arguments: &ImportArguments) -> String {
    if let Some(bundle) = &arguments.bundle {
        return bundle.clone();
    }
    let folder = arguments.output.as_deref().and_then(Path::parent).unwrap_or(Path::new(""));
    let installed = bundle_folder::installed().filter(|_| !folder.join(BUNDLE).is_dir());
    installed.map_or_else(|| BUNDLE.to_owned(), |bundle| bundle.display().to_string())
}

/// Writes a file that is not there yet: what an operator has is not replaced.
fn write_new(path: &Path, text: &str) -> io::Result<()> {
    OpenOptions::new().write(true).create_new(true).open(path)?.write_all(text.as_bytes())
}

/// Says what did not carry over.
fn report(arguments: &ImportArguments, findings: &[Finding]) {
    let file = arguments.file.display();
    match arguments.findings {
        FindingsForm::Text => {
            for finding in findings {
                eprintln!("{file}:{finding}");
            }
            eprintln!("{}", summary(findings));
        }
        FindingsForm::Json => {
            let placed: Vec<_> =
                findings.iter().map(|finding| PlacedFinding { file: file.to_string(), finding }).collect();
            eprintln!("{}", serde_json::to_string_pretty(&placed).expect("texts and numbers are JSON"));
        }
    }
}

fn summary(findings: &[Finding]) -> String {
    let count = |kind: FindingKind| findings.iter().filter(|finding| finding.kind == kind).count();
    let [left_out, changed, secret] = [FindingKind::LeftOut, FindingKind::Changed, FindingKind::Secret].map(count);
    match findings.len() {
        0 => "every line carried over".to_owned(),
        all => format!("{all} findings: {left_out} left out, {changed} changed, {secret} secrets that were not copied"),
    }
}

/// An unreadable file is placed as findings are.
fn shown(path: &Path, error: &ImportError) -> String {
    match error {
        ImportError::Unreadable { .. } => format!("{}:{error}", path.display()),
        _ => format!("{}: {error}", path.display()),
    }
}

fn router_of(name: &str) -> ForeignRouter {
    let found = ForeignRouter::ALL.into_iter().find(|router| router.as_str() == name);
    found.expect("clap lets the listed names through alone")
}

impl ImportFailure {
    const fn code(&self) -> u8 {
        match self {
            Self::Read { .. } => USAGE,
            Self::Import { error: ImportError::Invalid { .. }, .. } => CONFIG,
            Self::Import { .. } => BAD_DATA,
            Self::Write { .. } => UNAVAILABLE,
        }
    }
}
