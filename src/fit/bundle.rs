//! The new bundle: the base's encoder and tokenizer, the fitted heads, golden scores, a card.

use std::collections::BTreeMap;
use std::fs;

use safetensors::tensor::TensorView;
use safetensors::{Dtype, serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::task::{EMBEDDING_NORM, Learner, NGRAM_SCALE};
use super::train::Trained;
use super::{Fit, FitError, FitReport, Task, file_error};
use crate::classifier::{Activation, Blocks, Bundle, Embedder, HeadKind, HeadSpec, Heads, Manifest, Ngrams, Runtime};
use crate::config::Name;

/// A head with its layers: rows of weights and their biases.
struct Fitted {
    spec: HeadSpec,
    layers: Vec<(Vec<Vec<f32>>, Vec<f32>)>,
}

/// Writes the bundle into the folder that `fit` names.
pub(super) fn write(
    fit: &Fit,
    base: &Bundle,
    learner: &Learner,
    trained: &Trained,
    report: &FitReport,
) -> Result<(), FitError> {
    let heads = heads(fit, learner, trained);
    let tensors = tensors(&heads);
    let mut manifest = base.manifest().clone();
    manifest.heads = heads.into_iter().map(|head| head.spec).collect();
    manifest.name = Name::new(&format!("{}-{}", manifest.name, fit.task.as_str().replace('_', "-")))
        .map_err(|message| fit.refuse(message))?;
    manifest.description = format!("{} fitted on {}", fit.task.as_str(), report.data.file);
    let value = |value: Value| BTreeMap::from_iter(value.as_object().cloned().unwrap_or_default());
    manifest.training = value(json!({
        "data": {report.data.file.as_str(): report.data.sha256}, "seed": fit.seed, "rows": report.n_train,
        "base": {"name": base.identity().name, "sha256": base.identity().sha256}, "penalty": report.penalty,
        "command": command(fit, report),
    }));
    manifest.metrics = value(json!({"cross_validation": report.cross_validation}));

    // What the base's scores were like says nothing about these.
    manifest.reference_file = None;
    // The base may be a whole classifier, which has neither.
    let heads_file = manifest.heads_file.get_or_insert_with(|| "heads.safetensors".to_owned()).clone();
    let features_file = manifest.features_file.get_or_insert_with(|| "features.json".to_owned()).clone();
    let parsed = Heads::parse(&manifest, &heads_file, &tensors, learner.features.len())?;
    let golden = golden(fit, base, learner, &parsed)?;
    let (model, tokenizer) = (manifest.encoder.file.clone(), manifest.tokenizer.file.clone());
    let read = |file: &str| {
        let path = fit.base.join(file);
        fs::read(&path).map_err(file_error(&path))
    };
    let files = [
        (model.clone(), read(&model)?),
        (tokenizer.clone(), read(&tokenizer)?),
        (heads_file, tensors),
        (features_file, learner.features_json.clone()),
        (manifest.golden_file.clone(), golden),
        ("README.md".to_owned(), card(&manifest, report).into_bytes()),
    ];
    manifest.files = files.iter().map(|(name, bytes)| (name.clone(), sha256(bytes))).collect();
    // JSON is YAML.
    let manifest = serde_json::to_vec_pretty(&manifest).expect("a manifest is plain data");
    fs::create_dir_all(&fit.out).map_err(file_error(&fit.out))?;
    for (name, bytes) in files.iter().chain([&("bundle.yaml".to_owned(), manifest)]) {
        let path = fit.out.join(name);
        fs::write(&path, bytes).map_err(file_error(&path))?;
    }
    Ok(())
}

fn heads(fit: &Fit, learner: &Learner, trained: &Trained) -> Vec<Fitted> {
    let rows = rows(fit, learner, trained);
    let spec = |name: &str, labels: Vec<Name>, activation, temperature: f64| HeadSpec {
        name: Name::new(name).expect("a task or a model names it"),
        kind: HeadKind::Multinomial,
        aliases: learner.template.as_ref().map(|head| head.aliases.clone()).unwrap_or_default(),
        labels,
        inputs: fit.inputs.blocks(),
        activation,
        temperature: temperature as f32,
        stands_for: None,
        confidence: None,
    };
    match fit.task {
        Task::Tier | Task::Domain => {
            let spec = spec(fit.task.as_str(), learner.names.clone(), Activation::Relu, trained.temperature);
            vec![Fitted { spec, layers: vec![rows] }]
        }
        Task::StrongWeak => {
            vec![strong_wins(spec("strong-wins", learner.names.clone(), Activation::Tanh, 1.0), rows, trained)]
        }
        Task::Success => {
            let one = |((model, row), bias): ((&Name, Vec<f32>), f32)| {
                let labels = ["fails", "succeeds"].map(|label| Name::new(label).expect("a name")).to_vec();
                let spec = spec(&format!("success/{model}"), labels, Activation::Relu, trained.temperature);
                let nothing = vec![0.0; row.len()];
                Fitted { spec, layers: vec![(vec![nothing, row], vec![0.0, bias])] }
            };
            learner.names.iter().zip(rows.0).zip(rows.1).map(one).collect()
        }
    }
}

/// Two units that each know one model's chance, and the difference of the two as the logit: a logistic function is a
/// hyperbolic tangent, `s(z) = (1 + tanh(z / 2)) / 2`.
fn strong_wins(spec: HeadSpec, (mut rows, mut biases): (Vec<Vec<f32>>, Vec<f32>), trained: &Trained) -> Fitted {
    rows.iter_mut().flatten().chain(&mut biases).for_each(|value| *value /= 2.0);
    let (slope, offset) = trained.wins;
    let half = (slope / 2.0) as f32;
    Fitted { spec, layers: vec![(rows, biases), (vec![vec![0.0, 0.0], vec![half, -half]], vec![0.0, offset as f32])] }
}

/// Returns the weights for unscaled inputs.
fn rows(fit: &Fit, learner: &Learner, trained: &Trained) -> (Vec<Vec<f32>>, Vec<f32>) {
    let shape = trained.regression.shape;
    let embedding = if fit.inputs.embedding() { shape.dense - learner.features.len() } else { 0 };
    let scale = |index: usize| match index {
        index if index < embedding => EMBEDDING_NORM,
        index if index < shape.dense => 1.0,
        _ => NGRAM_SCALE,
    };
    let row = |row: &[f64]| {
        let weights = row[..shape.row() - 1].iter().enumerate().map(|(index, weight)| *weight as f32 * scale(index));
        (weights.collect(), row[shape.row() - 1] as f32)
    };
    trained.regression.weights.chunks_exact(shape.row()).map(row).unzip()
}

fn tensors(heads: &[Fitted]) -> Vec<u8> {
    let mut tensors: Vec<(String, Vec<usize>, Vec<u8>)> = Vec::new();
    for head in heads {
        for (index, (rows, biases)) in head.layers.iter().enumerate() {
            let bytes = |values: &[f32]| values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>();
            let name = |part: &str| format!("{}.{index}.{part}", head.spec.name);
            tensors.push((name("weight"), vec![rows.len(), rows[0].len()], bytes(&rows.concat())));
            tensors.push((name("bias"), vec![biases.len()], bytes(biases)));
        }
    }
    // In order, so that the same weights are the same bytes.
    tensors.sort_by(|a, b| a.0.cmp(&b.0));
    let views = tensors.iter().map(|(name, shape, bytes)| {
        (name.as_str(), TensorView::new(Dtype::F32, shape.clone(), bytes).expect("shapes of our own"))
    });
    serialize(views, None).expect("tensors of our own")
}

/// Scores the base's golden texts with the new heads.
fn golden(fit: &Fit, base: &Bundle, learner: &Learner, heads: &Heads) -> Result<Vec<u8>, FitError> {
    let mut embedder = match fit.inputs.embedding() {
        // The library is loaded: the rows were embedded.
        true => Runtime::load().ok().map(|runtime| Embedder::new(base, &runtime, 1)).transpose()?,
        false => None,
    };
    let mut inputs = Vec::new();
    for text in base.golden_texts() {
        let embedding = embedder.as_mut().map(|embedder| embedder.embed(text)).transpose()?.unwrap_or_default();
        let features = learner.features.scale(&super::examples::features(text));
        let ngrams = Ngrams::of(&base.tokenizer().budget().excerpt(text));
        let scores = heads.score(Blocks { embedding: &embedding, features: &features, ngrams: &ngrams })?;
        let scores: BTreeMap<&str, &[f32]> = scores.iter().map(|head| (&*head.head, &*head.probabilities)).collect();
        inputs.push(json!({"text": text, "scores": scores}));
    }
    Ok(serde_json::to_vec_pretty(&inputs).expect("plain data"))
}

fn command(fit: &Fit, report: &FitReport) -> String {
    let limit = fit.limit.map_or_else(String::new, |limit| format!(" --limit {limit}"));
    format!("pointsman fit --task {} --data {} --seed {}{limit}", fit.task.as_str(), report.data.file, fit.seed)
}

fn card(manifest: &Manifest, report: &FitReport) -> String {
    let heads: Vec<&str> = manifest.heads.iter().map(|head| head.name.as_str()).collect();
    let metrics = serde_json::to_string_pretty(&report.cross_validation).expect("plain data");
    format!(
        "# {} {}\n\n{}. Heads: {}.\n\nFitted on {} rows of `{}` (sha256 `{}`; {} rows left out), over the frozen encoder of the \
         bundle with the manifest sha256 `{}`. Seed {}, penalty {}, temperature {:.4}.\n\nProbabilities are calibrated on this data: \
         elsewhere they promise nothing.\n\n## Cross-validation\n\n```json\n{metrics}\n```\n",
        manifest.name,
        manifest.version,
        manifest.description,
        heads.join(", "),
        report.n_train,
        report.data.file,
        report.data.sha256,
        report.left_out,
        report.base_sha256,
        report.seed,
        report.penalty,
        report.temperature
    )
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
