//! `pointsman doctor`: what keeps a gateway from working, on this machine and at its providers.
//!
//! Every line says how something is and what to do. Exits with 78 for a bad configuration, with 1 where something fails
//! (with `--strict` where it warns too). Sends keys to their own providers alone, and asks models only with `--send`.

#[cfg(feature = "lab")]
mod answers;
mod certificates;
mod client_keys;
mod finding;
mod machine;
mod neighbours;
mod ports;
mod providers;

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use pointsman_telemetry::Metrics;
use serde_json::json;

use self::finding::{DoctorFinding, FindingGrade};
use super::admin_client::{AdminClient, AdminCredential};
use super::{CONFIG, ConfigFile, REFUSED, UNAVAILABLE, check, fail, print_whole};
use crate::snapshot::{BuildError, Snapshot, SnapshotBuilder};

/// What `doctor` can be asked for.
#[derive(Debug, clap::Args)]
pub(super) struct DoctorArguments {
    #[command(flatten)]
    file: ConfigFile,
    /// Asks every model of the catalog for one short answer, which providers charge for.
    #[cfg(feature = "lab")]
    #[arg(long)]
    send: bool,
    /// Treats warnings as failures.
    #[arg(long)]
    strict: bool,
    /// Prints one JSON object.
    #[arg(long)]
    json: bool,
    /// The longest wait for each connection and answer, such as 5s.
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = humantime::parse_duration)]
    patience: Duration,
    #[command(flatten)]
    credential: AdminCredential,
}

pub(super) fn run(arguments: &DoctorArguments) -> ExitCode {
    let path = &arguments.file.config;
    let built = build(path);
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error, UNAVAILABLE),
    };
    let (findings, is_config_good) = match &built {
        Ok(snapshot) => (runtime.block_on(Box::pin(examine(arguments, snapshot))), true),
        Err(error) => (of_bad_file(path, error), false),
    };
    runtime.shutdown_background();
    let worst = findings.iter().map(|finding| finding.grade).max().unwrap_or(FindingGrade::Ok);
    let is_well = worst < if arguments.strict { FindingGrade::Warn } else { FindingGrade::Fail };
    let text =
        if arguments.json { format!("{}\n", json!({"ok": is_well, "findings": findings})) } else { report(&findings) };
    let shown = print_whole(text.as_bytes());
    match (is_config_good, is_well) {
        (false, _) => CONFIG.into(),
        (true, false) => REFUSED.into(),
        (true, true) => shown,
    }
}

fn build(path: &Path) -> Result<Snapshot, BuildError> {
    let builder = Arc::new(SnapshotBuilder::new(path, Arc::new(Metrics::new())));
    let prepared = builder.prepare_in_time()?;
    builder.build_in_time(prepared, None)
}

/// Says what is wrong with the file, and how the machine is.
fn of_bad_file(path: &Path, error: &BuildError) -> Vec<DoctorFinding> {
    let advice = "mend the file; `pointsman check` shows all of its problems";
    vec![
        DoctorFinding::fail("configuration", error.to_string(), advice),
        machine::onnx_runtime(None),
        machine::watches(path),
    ]
}

async fn examine(arguments: &DoctorArguments, snapshot: &Snapshot) -> Vec<DoctorFinding> {
    let path = &arguments.file.config;
    let base_dir = path.parent().unwrap_or(Path::new(""));
    let config = &snapshot.config;
    let loads = format!("{} loads ({})", path.display(), check::counts(snapshot, 0));
    let mut findings = vec![DoctorFinding::ok("configuration", loads)];
    let client = AdminClient::new(&config.admin, base_dir, &arguments.credential, arguments.patience);
    findings.extend(ports::look(config, client).await);
    findings.push(machine::onnx_runtime(Some(config)));
    findings.extend(machine::classifiers(snapshot));
    findings.push(machine::file_descriptors(config));
    findings.push(machine::watches(path));
    findings.extend(certificates::of_listeners(config, base_dir));
    findings.extend(client_keys::look(snapshot));
    findings.extend(neighbours::look(config, base_dir, arguments.patience).await);
    findings.extend(providers::look(snapshot, arguments.patience).await);
    #[cfg(feature = "lab")]
    if arguments.send {
        findings.extend(answers::look(path).await);
    }
    findings
}

fn report(findings: &[DoctorFinding]) -> String {
    let width = findings.iter().map(|finding| finding.check.chars().count()).max().unwrap_or(0);
    let lines: String = findings.iter().map(|finding| finding.render(width)).collect();
    let count = |grade: FindingGrade| findings.iter().filter(|finding| finding.grade == grade).count();
    format!("{lines}\n{} failed, {} with a warning\n", count(FindingGrade::Fail), count(FindingGrade::Warn))
}
