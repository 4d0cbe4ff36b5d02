//! `pointsman check`: everything that `serve` would refuse or degrade on, without serving.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use super::CONFIG;
use crate::snapshot::{BuildError, Builder, ClassifierState, Snapshot};
use crate::telemetry::Metrics;

pub(super) fn run(path: &Path) -> ExitCode {
    match build(path) {
        Ok(snapshot) => report(path, &snapshot),
        Err(error) => {
            eprintln!("{error}");
            CONFIG.into()
        }
    }
}

fn build(path: &Path) -> Result<Snapshot, BuildError> {
    let builder = Builder::new(path, Arc::new(Metrics::new()));
    let config = builder.load()?;
    builder.build(config, None)
}

/// A classifier that would not score is a problem here, though a process that serves would go on without it.
fn report(path: &Path, snapshot: &Snapshot) -> ExitCode {
    let mut whole = true;
    for (name, state) in &snapshot.classifiers {
        match state {
            ClassifierState::Ready(classifier) => {
                let identity = classifier.identity();
                println!("classifiers.{name}: {} {} ({})", identity.name, identity.version, short(&identity.sha256));
                if let Some(trouble) = classifier.trouble().filter(|_| classifier.is_down()) {
                    eprintln!("classifiers.{name}: {trouble}");
                    whole = false;
                }
            }
            ClassifierState::Unavailable { reason, detail } => {
                eprintln!("classifiers.{name}: {}: {detail}", reason.as_str());
                whole = false;
            }
        }
    }
    if !whole {
        return CONFIG.into();
    }
    let config = &snapshot.config;
    let (providers, models, policies) = (config.providers.len(), config.models.len(), config.policies.len());
    println!("{}: ok ({providers} providers, {models} models, {policies} policies)", path.display());
    ExitCode::SUCCESS
}

fn short(sha256: &str) -> &str {
    sha256.get(..12).unwrap_or(sha256)
}
