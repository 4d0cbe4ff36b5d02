//! The new bundle: the base's encoder, tokenizer and other heads, the fitted heads, golden scores, a card.

mod card;
mod coverage;
pub(super) mod reference;

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;

use pointsman_classifier::{
    Bundle, BundleError, BundleKind, Embedder, HeadInputs, HeadSpec, Heads, Manifest, Ngrams, OnnxRuntime,
};
use pointsman_core::config::Name;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::features::FeaturesFile;
use super::heads::{BaseHeadsFile, RetainedHeads, exported, heads_file, heads_file_of, retained};
use super::report::FitReport;
use super::rows::{self, TrainingRow};
use super::training::TrainedHeads;
use super::training_set::TrainingSet;
use super::{FitError, FitRequest, file_error};

/// The contents of the new bundle.
pub(super) struct BundleContents<'c> {
    pub(super) base: &'c Bundle,
    pub(super) set: &'c TrainingSet,
    pub(super) trained: &'c TrainedHeads,
    pub(super) report: &'c FitReport,
    pub(super) features: FeaturesFile,
    /// The rows that the heads learnt from.
    pub(super) rows: &'c [TrainingRow],
    /// ONNX Runtime, loaded where the heads read embeddings.
    pub(super) runtime: Option<Arc<OnnxRuntime>>,
}

/// Writes the bundle into the folder that `fit` names.
pub(super) fn write(fit: &FitRequest, content: &BundleContents<'_>) -> Result<(), FitError> {
    let BundleContents { base, set, trained, report, features, .. } = content;
    let heads_file = heads_file(fit, base)?;
    let wider = set.features.len() - features.of_base;
    let parts = heads_file.as_deref().map(|bytes| BaseHeadsFile::new(base, bytes, wider));
    let new = exported(set, trained, base.manifest(), parts.as_ref());
    let kept = retained(base, parts.as_ref(), &new);
    let tensors = heads_file_of(new.iter().flat_map(|head| head.tensors.iter()).chain(&kept.tensors));
    let specs = kept.specs.iter().chain(new.iter().map(|head| &head.spec)).cloned().collect();
    let mut manifest = manifest(fit, base, report, specs)?;
    coverage::widen(&mut manifest, content.rows);
    let record = coverage::record(fit, base, content.rows)?;
    let heads_file = manifest.heads_file.clone().unwrap_or_default();
    let parsed = Heads::parse(&manifest, &heads_file, &tensors, set.features.len());
    let parsed = parsed.map_err(BundleError::from)?;
    let golden = golden(content, &parsed, &kept)?;
    let (model, tokenizer) = (manifest.encoder.file.clone(), manifest.tokenizer.file.clone());
    let read = |file: &str| {
        let path = fit.base.join(file);
        fs::read(&path).map_err(file_error(&path))
    };
    let files = [
        (model.clone(), read(&model)?),
        (tokenizer.clone(), read(&tokenizer)?),
        (heads_file, tensors),
        (manifest.features_file.clone().unwrap_or_default(), features.bytes.clone()),
        (manifest.golden_file.clone(), golden),
        ("README.md".to_owned(), card::card(&manifest, report).into_bytes()),
    ];
    let mut files: Vec<_> = files.into_iter().chain(record).collect();
    // What no key names and nothing replaces is the encoder's: weights that it keeps outside of its graph.
    let others = base.other_files().filter(|(name, _)| !files.iter().any(|(own, _)| own == name));
    files.extend(others.map(|(name, bytes)| (name.to_owned(), bytes.to_vec())).collect::<Vec<_>>());
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

fn manifest(fit: &FitRequest, base: &Bundle, report: &FitReport, heads: Vec<HeadSpec>) -> Result<Manifest, FitError> {
    let mut manifest = base.manifest().clone();
    manifest.heads = heads;
    // The base may be a whole classifier: then its logits are the embedding, and it has neither file.
    manifest.kind = BundleKind::Encoder;
    manifest.heads_file.get_or_insert_with(|| "heads.safetensors".to_owned());
    manifest.features_file.get_or_insert_with(|| "features.json".to_owned());
    // The old reference says nothing of the new heads' scores.
    manifest.reference_file = None;
    let suffix = fit.task.as_str().replace('_', "-");
    if !manifest.name.as_str().ends_with(&suffix) {
        manifest.name = Name::new(&format!("{}-{suffix}", manifest.name)).map_err(|message| fit.refuse(message))?;
    }
    manifest.description =
        format!("{}, with {} fitted on {}", base.identity().name, fit.task.as_str(), report.data.file);
    let value = |value: Value| BTreeMap::from_iter(value.as_object().cloned().unwrap_or_default());
    manifest.training = value(json!({
        "data": {report.data.file.as_str(): report.data.sha256}, "seed": fit.seed, "rows": report.n_train,
        "base": {"name": base.identity().name, "sha256": base.identity().sha256, "training": base.manifest().training},
        "members": report.members, "command": card::command(fit, report),
    }));
    manifest.metrics = value(json!({
        "cross_validation": report.cross_validation, "base": base.manifest().metrics,
    }));
    Ok(manifest)
}

/// Scores the base's golden texts with the new heads; the scores of retained heads are known.
fn golden(content: &BundleContents<'_>, heads: &Heads, kept: &RetainedHeads) -> Result<Vec<u8>, FitError> {
    let BundleContents { base, set, runtime, .. } = content;
    let mut embedder = runtime.as_ref().map(|runtime| Embedder::new(base, runtime, 1)).transpose()?;
    // Retained heads may read what nobody computes here.
    let nothing = vec![0.0; base.manifest().encoder.dimension];
    let mut inputs = Vec::new();
    for (text, known) in base.golden_scores() {
        let embedding = embedder.as_mut().map(|embedder| embedder.embed(text)).transpose()?;
        let features = set.features.scale(&rows::features(text));
        let ngrams = Ngrams::of(&base.tokenizer().budget().excerpt(text));
        let embedding = embedding.as_ref().unwrap_or(&nothing);
        let scores = heads.score(HeadInputs { embedding, features: &features, ngrams: &ngrams })?;
        let score = |head: &str| known.get(head).filter(|_| kept.has(head)).map(Vec::as_slice);
        let scores: BTreeMap<&str, &[f32]> =
            scores.iter().map(|head| (&*head.head, score(&head.head).unwrap_or(&head.probabilities))).collect();
        inputs.push(json!({"text": text, "scores": scores}));
    }
    Ok(serde_json::to_vec_pretty(&inputs).expect("plain data"))
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
