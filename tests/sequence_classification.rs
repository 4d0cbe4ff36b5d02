//! Whole-graph classifiers, through the worker that serves them, beside PyTorch: 200 prompts an architecture.
//!
//! `tests/fixtures/sequence_bundles.py` wrote bundles and scores with random weights, `own_bundles.py` bundles in the
//! forms that people export, and some that must be refused when they are loaded.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::Duration;

use pointsman_classifier::{Bundle, Classifier, ClassifierHost, OnnxRuntime};
use pointsman_core::config;
use pointsman_core::config::Name;
use pointsman_core::features::Features;
use pointsman_telemetry::Metrics;
use serde::de::DeserializeOwned;
use tokio::time::Instant;

fn fixtures() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures"))
}

fn read<T: DeserializeOwned>(file: &str) -> T {
    serde_json::from_slice(&fs::read(fixtures().join(file)).expect("a fixture")).expect("JSON")
}

fn start(bundle: &str) -> Classifier {
    let host = ClassifierHost {
        base_dir: fixtures(),
        runtime: OnnxRuntime::load().unwrap_or_else(|error| panic!("{error}")),
        metrics: Arc::new(Metrics::new()),
    };
    let config = config::ClassifierConfig { queue: 256, workers: 2, ..config::ClassifierConfig::of(bundle) };
    Classifier::start(&Name::new("default").expect("a name"), &config, &host).unwrap_or_else(|error| panic!("{error}"))
}

/// Scores every prompt at once, so that batches form, and returns the largest difference to PyTorch.
async fn largest_difference(bundle: &str, head: &str) -> f32 {
    let classifier = start(bundle);
    let texts: Vec<String> = read("prompts.json");
    let expected: Vec<Vec<f32>> = read(&format!("{bundle}/expected.json"));
    assert_eq!((texts.len(), expected.len()), (200, 200));
    let (features, deadline) = (Features::default(), Instant::now() + Duration::from_secs(60));

    let scores = texts.iter().map(|text| classifier.classify(text, &features, deadline));
    let scores = futures::future::join_all(scores).await;

    let mut largest = 0.0_f32;
    for (scores, expected) in scores.iter().zip(&expected) {
        let scores = scores.as_ref().expect("scores");
        let actual = &scores.head(head).expect("the bundle's head").probabilities;
        assert_eq!(actual.len(), expected.len());
        assert!((actual.iter().sum::<f32>() - 1.0).abs() < 1e-4, "{actual:?}");
        largest = actual.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(largest, f32::max);
    }
    largest
}

#[tokio::test]
async fn distilbert_scores_as_in_pytorch() {
    let largest = largest_difference("distilbert", "tier").await;

    assert!(largest < 1e-3, "{largest}");
}

#[tokio::test]
async fn complexity_router_scores_as_in_pytorch() {
    let largest = largest_difference("complexity_router", "complexity").await;

    assert!(largest < 1e-3, "{largest}");
}

#[tokio::test]
async fn an_ordinal_head_scores_as_in_pytorch() {
    let largest = largest_difference("ordinal", "complexity").await;

    assert!(largest < 1e-3, "{largest}");
}

/// Scores the golden inputs of one of the `own` bundles at once, padded as they are, and compares them with numpy's.
async fn golden_scores_hold(name: &str) {
    let bundle = Bundle::open(&fixtures().join("own").join(name)).expect("a sound folder");
    let classifier = start(&format!("own/{name}"));
    let (features, deadline) = (Features::default(), Instant::now() + Duration::from_secs(60));
    let golden: Vec<_> = bundle.golden_scores().collect();

    let scores = golden.iter().map(|(text, _)| classifier.classify(text, &features, deadline));
    let scores = futures::future::join_all(scores).await;

    for (scores, (text, expected)) in scores.iter().zip(&golden) {
        let actual = &scores.as_ref().expect("scores").head("tier").expect("the head").probabilities;
        for (actual, expected) in actual.iter().zip(&expected["tier"]) {
            assert!((actual - expected).abs() < 1e-5, "{text}: {actual} for {expected}");
        }
    }
}

#[tokio::test]
async fn weights_in_a_file_beside_the_graph_are_those_of_the_bundle() {
    golden_scores_hold("external").await;
}

#[tokio::test]
async fn independent_labels_have_a_sigmoid_each() {
    golden_scores_hold("independent").await;
}

#[tokio::test]
async fn one_logit_without_an_axis_of_its_own_tells_two_labels() {
    golden_scores_hold("one_logit").await;
}

#[tokio::test]
async fn narrower_numbers_are_cast_where_that_is_exact() {
    golden_scores_hold("int32_fp16").await;
}

#[tokio::test]
async fn a_decoder_finds_its_last_token_by_what_the_file_says_pads() {
    golden_scores_hold("decoder").await;
}

/// Runs `pointsman bundle verify` on a folder, in another one.
fn verify(bundle: &Path, directory: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pointsman"));
    command.arg("bundle").arg("verify").arg(bundle).current_dir(directory);
    command.env("ORT_DYLIB_PATH", OnnxRuntime::load().expect("ONNX Runtime").path());
    command.output().expect("pointsman runs")
}

fn refusal(bundle: &Path) -> String {
    let output = verify(bundle, bundle);
    let text = String::from_utf8(output.stderr).expect("UTF-8");
    assert_eq!(output.status.code(), Some(78), "{text}");
    text
}

fn copy_of(name: &str) -> tempfile::TempDir {
    let copy = tempfile::tempdir().expect("a temporary folder");
    for entry in fs::read_dir(fixtures().join("own").join(name)).expect("a fixture") {
        let entry = entry.expect("an entry");
        fs::copy(entry.path(), copy.path().join(entry.file_name())).expect("a copy");
    }
    copy
}

#[test]
fn weights_in_the_working_directory_are_never_read() {
    let elsewhere = tempfile::tempdir().expect("a temporary folder");
    let weights = fs::read(fixtures().join("own/external/model.onnx.data")).expect("the weights");
    fs::write(elsewhere.path().join("model.onnx.data"), vec![0; weights.len()]).expect("written");

    let output = verify(&fixtures().join("own/external"), elsewhere.path());

    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn weights_that_the_manifest_does_not_list_are_refused_with_the_cure() {
    let copy = copy_of("external");
    let manifest = fs::read_to_string(copy.path().join("bundle.yaml")).expect("the manifest");
    let kept: Vec<&str> = manifest.lines().filter(|line| !line.contains("model.onnx.data")).collect();
    fs::write(copy.path().join("bundle.yaml"), kept.join("\n")).expect("written");

    let refusal = refusal(copy.path());

    let expected = "model.onnx: weights stand in `model.onnx.data`, which has no sha256 under `files` of bundle.yaml";
    assert!(refusal.contains(expected) && refusal.contains("add `model.onnx.data: <sha256>` there"), "{refusal}");
}

#[test]
fn weights_of_another_hash_are_refused() {
    let copy = copy_of("external");
    let path = copy.path().join("model.onnx.data");
    let mut weights = fs::read(&path).expect("the weights");
    weights[0] ^= 1;
    fs::write(&path, weights).expect("written");

    assert!(refusal(copy.path()).contains("model.onnx.data: sha256 is "));
}

#[test]
fn what_no_prompt_should_find_out_is_refused_at_load_with_figures_and_cure() {
    let cases: [(&str, &[&str]); 3] = [
        ("large_vocabulary", &["the embedding has 15 rows", "tokenizer.json gives ids up to 17", "to 18 rows"]),
        ("fixed_axes", &["input `input_ids` takes [batch 1, sequence 16] only", "dynamic axes"]),
        (
            "few_positions",
            &["tokenizer.max_tokens is 16", "inputs of 10 tokens at most", "set max_tokens to 10 or less"],
        ),
    ];
    for (name, expected) in cases {
        let refusal = refusal(&fixtures().join("own").join(name));

        for part in expected {
            assert!(refusal.contains(part), "{name}: {part} not in: {refusal}");
        }
        assert!(!refusal.contains("\u{1b}["), "{name}: a coloured line of the library: {refusal}");
    }
}

/// Returns the commands of the page for those who come from a complexity classifier, without remarks.
fn page_commands(page: &str) -> Vec<String> {
    let (_, console) = page.split_once("```console\n").expect("a console");
    let (console, _) = console.split_once("```").expect("its end");
    let commands = console.lines().filter_map(|line| line.strip_prefix("$ "));
    commands.map(|line| line.split("  ").next().unwrap_or(line).trim_end().to_owned()).collect()
}

/// Puts a checkpoint's bundle, the page's configuration and rows where the page says they are.
fn page_folder(page: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (bundle, fixture) = (folder.path().join("my-bundle"), fixtures().join("complexity_router"));
    fs::create_dir(&bundle).expect("a folder");
    for entry in fs::read_dir(fixture).expect("a fixture") {
        let entry = entry.expect("an entry");
        fs::copy(entry.path(), bundle.join(entry.file_name())).expect("a copy");
    }
    let manifest = fs::read_to_string(bundle.join("bundle.yaml")).expect("the manifest");
    let levels = [("trivial", "'0'"), ("simple", "'1'"), ("moderate", "'2'"), ("complex", "'3'")];
    let manifest = levels
        .iter()
        .fold(manifest, |text, (label, level)| text.replace(&format!("- {label}\n"), &format!("- {level}\n")));
    fs::write(bundle.join("bundle.yaml"), manifest).expect("written");
    let (_, yaml) = page.split_once("```yaml\n").expect("a configuration");
    let (yaml, _) = yaml.split_once("\ntests:").expect("its tests");
    assert!(yaml.contains("bundle: models/pointsman-mini, deadline: 50ms"));
    let yaml = yaml.replace("models/pointsman-mini, deadline: 50ms", "my-bundle, deadline: 10s");
    fs::write(folder.path().join("pointsman.yaml"), yaml).expect("written");
    let row = |level: usize| format!("{{\"prompt\": \"prompt number {level}\", \"label\": \"{}\"}}\n", level % 4);
    fs::write(folder.path().join("test.jsonl"), (0..12).map(row).collect::<String>()).expect("written");
    folder
}

/// The first command needs PyTorch: `make exporter` runs it too, and the others on what it writes.
#[test]
fn what_the_page_for_complexity_classifiers_says_works_word_for_word() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("docs/coming-from/complexity-classifier.md")).expect("the page");
    let commands = page_commands(&page);
    let folder = page_folder(&page);

    let (export, rest) = commands.split_first().expect("commands");
    let options = fs::read_to_string(root.join("models/train/__main__.py")).expect("the exporter's options");
    for option in export.split(' ').filter(|word| word.starts_with("--")) {
        assert!(options.contains(&format!("\"{option}\"")), "{option}");
    }
    assert!(!export.contains("--kind") && export.contains("--labels 0,1,2,3"), "{export}");
    assert_eq!(rest.len(), 3);
    for command in rest {
        let line = command.replacen("pointsman", env!("CARGO_BIN_EXE_pointsman"), 1);
        let mut shell = Command::new("sh");
        shell.args(["-c", &line]).current_dir(folder.path()).env("OPENAI_API_KEY", "sk-example");
        shell.env("ORT_DYLIB_PATH", OnnxRuntime::load().expect("ONNX Runtime").path());
        let output = shell.output().expect("a shell");

        assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
    }
}
