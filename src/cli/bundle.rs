//! `pointsman bundle`: what a bundle holds, and whether it would serve.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Subcommand;
use pointsman_classifier::{Bundle, Classifier, ClassifierError, ClassifierHost, Manifest, NgramsSpec, OnnxRuntime};
use pointsman_core::config;
use pointsman_telemetry::Metrics;

use super::table::{ColumnAlign, TextTable};
use super::{CONFIG, UNAVAILABLE, fail};

#[derive(Debug, Subcommand)]
pub(super) enum BundleCommand {
    /// Shows what a bundle holds; reads and checks every file, but runs nothing.
    Inspect(BundleFolder),
    /// Checks a bundle as `serve` would: every file, the graph, a warm-up, the golden inputs; exits with 78 if it is
    /// bad.
    Verify(BundleFolder),
    /// Judges rows and writes what scores, labels and features were like into the bundle, for drift to be measured
    /// against.
    #[cfg(feature = "lab")]
    Reference(super::lab::reference::ReferenceArguments),
}

/// The bundle to use.
#[derive(Debug, clap::Args)]
pub(super) struct BundleFolder {
    /// The bundle's folder.
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

pub(super) fn run(command: &BundleCommand) -> ExitCode {
    match command {
        BundleCommand::Inspect(BundleFolder { folder }) => match Bundle::open(folder) {
            Ok(bundle) => {
                print!("{}", describe(&bundle));
                ExitCode::SUCCESS
            }
            Err(error) => fail(&error, CONFIG),
        },
        #[cfg(feature = "lab")]
        BundleCommand::Reference(command) => super::lab::reference::run(command),
        BundleCommand::Verify(BundleFolder { folder }) => {
            let runtime = match OnnxRuntime::load() {
                Ok(runtime) => runtime,
                Err(error) => return fail(&error, UNAVAILABLE),
            };
            match verify(folder, runtime) {
                Ok(line) => {
                    println!("{line}");
                    ExitCode::SUCCESS
                }
                Err(error) => fail(&error, CONFIG),
            }
        }
    }
}

/// Starts the bundle exactly as `serve` does, and stops it.
fn verify(folder: &Path, runtime: Arc<OnnxRuntime>) -> Result<String, ClassifierError> {
    let bundle = Bundle::open(folder)?;
    let (golden, tolerance) = (bundle.golden_inputs(), bundle.manifest().tolerance());
    let host = ClassifierHost { base_dir: PathBuf::new(), runtime, metrics: Arc::new(Metrics::new()) };
    let name = bundle.manifest().name.clone();
    let classifier = Classifier::start_bundle(&name, &config::ClassifierConfig::of(folder), &host, bundle)?;
    let identity = classifier.identity();
    let runtime = host.runtime.version();
    Ok(format!(
        "{}: ok ({} {}, {golden} golden inputs within {tolerance} on {}, ONNX Runtime {runtime})",
        folder.display(),
        identity.name,
        identity.version,
        classifier.device(),
    ))
}

fn describe(bundle: &Bundle) -> String {
    let (manifest, identity) = (bundle.manifest(), bundle.identity());
    let Manifest { encoder, tokenizer, .. } = manifest;
    let mut text = format!(
        "{} {}: {}\nsha256     {}\nkind       {}\nencoder    {} ({}, {} numbers)\ntokenizer  {} ({} tokens, {} of the start)\ngolden     {} inputs, tolerance {}\n",
        identity.name,
        identity.version,
        manifest.description,
        identity.sha256,
        word(&manifest.kind),
        encoder.file,
        word(&encoder.precision),
        encoder.dimension,
        tokenizer.file,
        tokenizer.max_tokens,
        tokenizer.head_tokens,
        bundle.golden_inputs(),
        manifest.tolerance(),
    );
    text.push_str(&scope(manifest));
    text.push_str("\nheads\n");
    text.push_str(&heads(manifest));
    text.push_str("\nfiles\n");
    let mut files = TextTable::new(["file", "sha256"], [ColumnAlign::Left, ColumnAlign::Left]);
    for (file, sha256) in &manifest.files {
        files.push([file.clone(), sha256.clone()]);
    }
    text.push_str(&files.render());
    for (title, values) in [("training", &manifest.training), ("metrics", &manifest.metrics)] {
        if !values.is_empty() {
            text.push_str(&format!("\n{title}\n"));
        }
        for (key, value) in values {
            text.push_str(&format!("  {key}: {value}\n"));
        }
    }
    text
}

/// Says what texts it was trained for, as far as it says so itself.
fn scope(manifest: &Manifest) -> String {
    let mut text = String::new();
    for (key, declared) in [("languages", &manifest.languages), ("scripts", &manifest.scripts)] {
        let declared = if declared.is_empty() { "not declared".to_owned() } else { declared.join(", ") };
        text.push_str(&format!("{key:10} {declared}\n"));
    }
    if let Some(NgramsSpec { file, sure, least, .. }) = &manifest.ngrams {
        text.push_str(&format!("n-grams    {file} (lexical heads from {sure} known, unfamiliar below {least})\n"));
    }
    text
}

fn heads(manifest: &Manifest) -> String {
    let mut table = TextTable::new(
        ["head", "kind", "labels", "reads", "temperature", "stands for"],
        [
            ColumnAlign::Left,
            ColumnAlign::Left,
            ColumnAlign::Left,
            ColumnAlign::Left,
            ColumnAlign::Right,
            ColumnAlign::Left,
        ],
    );
    for head in &manifest.heads {
        let labels = head.labels.iter().map(config::Name::as_str).collect::<Vec<_>>().join(", ");
        let list = |words: Vec<String>, otherwise: &str| {
            if words.is_empty() { otherwise.to_owned() } else { words.join(", ") }
        };
        let members = head.mix.iter().map(|share| format!("{} x {}", share.head, share.weight)).collect();
        let mut reads = list(head.inputs.iter().map(word).collect(), &list(members, "logits"));
        if let Some(gate) = &head.gate {
            reads.push_str(&format!("; {} unless {}", gate.otherwise, gate.head));
        }
        let temperature = head.temperature.to_string();
        let form = match (&head.stands_for, &head.confidence) {
            (Some(full), Some(confidence)) => format!("{full} from {confidence}"),
            (Some(full), None) => format!("{full} as fallback"),
            (None, _) => String::new(),
        };
        table.push([head.name.to_string(), word(&head.kind), labels, reads, temperature, form]);
    }
    table.render()
}

/// Returns a manifest's word as the manifest spells it.
fn word(value: &impl serde::Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|value| Some(value.as_str()?.to_owned())).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fixture(name: &str) -> PathBuf {
        PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures")).join(name)
    }

    #[test]
    fn an_inspection_shows_heads_labels_and_hashes() {
        let text = describe(&Bundle::open(&fixture("tiny")).expect("a sound bundle"));

        for part in
            ["tiny 1.0.0: a few", "kind       encoder", "simple, medium, complex", "embedding, features", "model.onnx"]
        {
            assert!(text.contains(part), "{part} is not in\n{text}");
        }
    }

    #[test]
    fn a_classifier_without_heads_file_is_shown_to_read_its_logits() {
        let text = describe(&Bundle::open(&fixture("ordinal")).expect("a sound bundle"));

        for part in ["kind       sequence_classification", "ordinal", "logits", "trivial, simple, moderate, complex"] {
            assert!(text.contains(part), "{part} is not in\n{text}");
        }
    }

    #[test]
    fn a_verification_says_what_was_run_and_on_what() {
        let runtime = OnnxRuntime::load().unwrap_or_else(|error| panic!("{error}"));

        let line = verify(&fixture("tiny"), runtime).expect("a sound bundle");

        assert!(line.contains("ok (tiny 1.0.0, 6 golden inputs within 0.001 on cpu, ONNX Runtime 1."), "{line}");
    }

    #[test]
    fn a_folder_that_is_no_bundle_is_bad() {
        let code = run(&BundleCommand::Inspect(BundleFolder { folder: "/nowhere".into() }));

        assert_eq!(format!("{code:?}"), format!("{:?}", ExitCode::from(CONFIG)));
    }
}
