//! A sound bundle is broken in one way, and must be refused with a message that names the file and the value.

use std::fs;
use std::path::PathBuf;

use safetensors::tensor::{Dtype, TensorView, serialize_to_file};

use super::*;
use crate::Classifier;
use crate::manifest::FILE;
use crate::serving::tests::{config, fixture, host, name};

/// A copy of the fixture that may be broken.
struct BundleCopy(tempfile::TempDir);

impl BundleCopy {
    fn new() -> Self {
        let copy = Self(tempfile::tempdir().expect("a temporary folder"));
        for entry in fs::read_dir(fixture()).expect("the fixture") {
            let path = entry.expect("an entry").path();
            fs::copy(&path, copy.path(path.file_name().and_then(|name| name.to_str()).expect("a name")))
                .expect("a copy");
        }
        copy
    }

    fn path(&self, file: &str) -> PathBuf {
        self.0.path().join(file)
    }

    /// Changes a file behind the manifest's back.
    fn damage(self, file: &str, change: impl FnOnce(&mut Vec<u8>)) -> Self {
        let mut bytes = fs::read(self.path(file)).expect("the file");
        change(&mut bytes);
        fs::write(self.path(file), bytes).expect("written");
        self
    }

    /// Replaces text in a file that it must hold, and puts the new hash into the manifest.
    fn replace(self, file: &str, from: &str, to: &str) -> Self {
        let before = fs::read_to_string(self.path(file)).expect("text");
        assert!(before.contains(from), "{file} does not hold {from}");
        self.write(file, before.replacen(from, to, 1).as_bytes())
    }

    /// Writes a file, and its hash into the manifest.
    fn write(self, file: &str, bytes: &[u8]) -> Self {
        let before = sha256(&fs::read(self.path(file)).expect("the file"));
        fs::write(self.path(file), bytes).expect("written");
        if file == FILE {
            return self;
        }
        let manifest = fs::read_to_string(self.path(FILE)).expect("the manifest");
        fs::write(self.path(FILE), manifest.replace(&before, &sha256(bytes))).expect("written");
        self
    }

    /// Writes the heads file with one tensor more, less or different.
    fn tensors(self, change: impl FnOnce(&mut BTreeMap<String, (Dtype, Vec<usize>, Vec<u8>)>)) -> Self {
        let bytes = fs::read(self.path("heads.safetensors")).expect("the heads");
        let file = safetensors::SafeTensors::deserialize(&bytes).expect("safetensors");
        let owned = |view: TensorView<'_>| (view.dtype(), view.shape().to_vec(), view.data().to_vec());
        let mut tensors = file.tensors().into_iter().map(|(name, view)| (name, owned(view))).collect();
        change(&mut tensors);
        let views = tensors.iter().map(|(name, (dtype, shape, data))| {
            (name, TensorView::new(*dtype, shape.clone(), data).expect("a tensor that fits its shape"))
        });
        let new = self.path("new.safetensors");
        serialize_to_file(views, None, &new).expect("written");
        let bytes = fs::read(new).expect("the new heads");
        self.write("heads.safetensors", &bytes)
    }

    /// Says why the folder is refused before there is a session.
    fn refusal(&self) -> String {
        Bundle::open(self.0.path()).expect_err("a broken bundle").to_string()
    }

    /// Says why the folder is refused when it should start to serve.
    fn start_refusal(&self) -> String {
        Bundle::open(self.0.path()).expect("the files are sound");
        Classifier::start(&name(), &config("."), &host(self.0.path())).expect_err("a broken bundle").to_string()
    }
}

fn floats(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

#[test]
fn the_unbroken_copy_starts() {
    let copy = BundleCopy::new();

    let started = Classifier::start(&name(), &config("."), &host(copy.0.path()));

    assert!(started.is_ok(), "{started:?}");
}

#[test]
fn a_flipped_bit_in_any_file_is_found() {
    for file in ["model.onnx", "tokenizer.json", "heads.safetensors", "features.json", "golden.json"] {
        let copy = BundleCopy::new().damage(file, |bytes| bytes[40] ^= 1);

        let refusal = copy.refusal();

        assert!(refusal.starts_with(&format!("{file}: sha256 is ")), "{refusal}");
    }
}

#[test]
fn a_truncated_file_is_found_and_its_size_told() {
    let copy = BundleCopy::new().damage("heads.safetensors", |bytes| bytes.truncate(100));

    let refusal = copy.refusal();

    assert!(refusal.starts_with("heads.safetensors: sha256 is ") && refusal.contains("(100 bytes)"), "{refusal}");
}

#[test]
fn a_missing_file_is_named() {
    let copy = BundleCopy::new();
    fs::remove_file(copy.path("golden.json")).expect("removed");

    let error = Bundle::open(copy.0.path()).expect_err("a broken bundle");

    assert!(matches!(&error, BundleError::Read { path, .. } if path.ends_with("golden.json")), "{error}");
}

#[test]
fn a_file_that_is_no_regular_one_or_beyond_its_bound_is_refused_at_once_whatever_it_is_for() {
    for file in ["bundle.yaml", "tokenizer.json", "heads.safetensors", "golden.json", "model.onnx"] {
        let copy = BundleCopy::new();
        fs::remove_file(copy.path(file)).expect("the file");
        fs::create_dir(copy.path(file)).expect("a folder in its place");
        let folder = (copy.refusal(), Bundle::verify(copy.0.path()).expect_err("a folder").to_string());

        fs::remove_dir(copy.path(file)).expect("the folder");
        fs::File::create(copy.path(file)).and_then(|file| file.set_len(40 << 30)).expect("a sparse file");
        let (sparse, verified) = (copy.refusal(), Bundle::verify(copy.0.path()).expect_err("too large").to_string());

        assert!(folder.0.contains(&format!("{file}: is a folder (allowed: a regular file of at most")), "{folder:?}");
        assert_eq!(folder.0, folder.1);
        assert!(sparse.contains(&format!("{file}: has more bytes than are read (allowed: a regular file")), "{sparse}");
        assert_eq!(sparse, verified);
    }
}

#[test]
fn a_folder_that_is_verified_is_the_bundle_that_opens() {
    let copy = BundleCopy::new();

    let identity = Bundle::verify(copy.0.path()).expect("sound");

    assert_eq!(identity, *Bundle::open(copy.0.path()).expect("sound").identity());
    let damaged = copy.damage("model.onnx", |bytes| bytes[0] ^= 1);
    assert_eq!(Bundle::verify(damaged.0.path()).expect_err("another file").to_string(), damaged.refusal());
}

#[test]
fn a_missing_folder_is_named() {
    let error = Bundle::open(Path::new("/nowhere/bundle")).expect_err("no folder");

    assert!(error.to_string().starts_with("cannot read /nowhere/bundle/bundle.yaml: "), "{error}");
}

#[test]
fn what_the_manifest_says_is_checked() {
    let cases = [
        ("format: 1", "format: 2", "bundle.yaml: format is 2, only 1 is supported"),
        ("name: tiny", "name: tiny\nnmae: tiny", "unknown field"),
        ("precision: fp32", "precision: fp12", "fp12"),
        ("max_tokens: 16", "max_tokens: 2", "max_tokens 2 with head_tokens 9"),
        ("max_tokens: 16", "max_tokens: 16, least_tokens: 17", "least_tokens 17; allowed are 3 to max_tokens, 16"),
        ("head_tokens: 9", "head_tokens: 15", "max_tokens 16 with head_tokens 15"),
        ("medium, complex", "simple, complex", "head `tier` has the label `simple` twice"),
        ("simple, medium, complex", "simple", "head `tier` has 1 labels"),
        ("activation: relu", "activation: relu, aliases: {nano: tiny}", "head `tier` has the alias `nano` for `tiny`"),
        (
            "activation: relu",
            "activation: relu, aliases: {medium: simple}",
            "the alias `medium` for `simple`; it must be",
        ),
        ("inputs: [embedding, features]", "inputs: []", "head `tier` reads []"),
        ("temperature: 1.5", "temperature: 0", "head `tier` has temperature 0"),
        ("temperature: 1.5", "temperature: .nan", "head `tier` has temperature NaN"),
        ("  golden.json: ", "  ../golden.json: ", "golden.json has no sha256 under `files`"),
        ("files:\n", "files:\n  ../secret: ab\n", "`../secret` is not a plain file name"),
        ("metrics:", "golden_tolerance: 0\nmetrics:", "golden_tolerance is 0"),
        ("heads_file: heads.safetensors\n", "", "`heads_file` is required"),
        ("features_file: features.json\n", "", "`features_file` is required"),
        ("format: 1", "format: 1\nkind: sequence_classification", "a sequence_classification has no `heads_file`"),
    ];
    for (from, to, expected) in cases {
        let refusal = BundleCopy::new().replace(FILE, from, to).refusal();

        assert!(refusal.starts_with("bundle.yaml: ") && refusal.contains(expected), "{to}: {refusal}");
    }
}

#[test]
fn a_sequence_classification_has_one_head_of_as_many_logits_as_its_labels_need() {
    let folder = fixture().parent().expect("a parent").join("distilbert");
    let manifest = fs::read_to_string(folder.join(FILE)).expect("the manifest");
    let cases = [
        ("dimension: 3", "dimension: 4", "encoder.dimension is 4, the labels of head `tier` need 3 logits"),
        ("kind: multinomial", "kind: ordinal", "encoder.dimension is 3, the labels of head `tier` need 2 logits"),
        ("kind: multinomial", "kind: multinomial\n  inputs: [embedding]", "has no `inputs`"),
        ("files:", "features_file: golden.json\nfiles:", "has no `features_file`"),
    ];
    for (from, to, expected) in cases {
        assert!(manifest.contains(from), "{from}");

        let refusal = Manifest::parse(&manifest.replacen(from, to, 1)).expect_err("a broken manifest").to_string();

        assert!(refusal.contains(expected), "{to}: {refusal}");
    }
}

#[test]
fn a_label_is_found_by_its_name_and_by_its_aliases() {
    let copy =
        BundleCopy::new().replace(FILE, "activation: relu", "activation: relu, aliases: {nano: simple, o4: complex}");
    let bundle = Bundle::open(copy.0.path()).expect("a sound bundle");

    let head = bundle.manifest().head("tier").expect("the head");

    assert_eq!(["simple", "nano", "o4", "tiny"].map(|text| head.label(text)), [Some(0), Some(0), Some(2), None]);
}

#[test]
fn a_head_that_is_there_twice_is_refused() {
    let manifest = fs::read_to_string(fixture().join(FILE)).expect("the manifest");
    let head = manifest.lines().find(|line| line.contains("name: tier")).expect("the head");

    let refusal = BundleCopy::new().replace(FILE, head, &format!("{head}\n{head}")).refusal();

    assert_eq!(refusal, "bundle.yaml: head `tier` is there twice");
}

#[test]
fn one_label_more_than_the_weights_have_is_refused() {
    let refusal = BundleCopy::new().replace(FILE, "medium, complex", "medium, complex, expert").refusal();

    assert_eq!(refusal, "heads.safetensors: tensor `tier.1.weight` has shape [3, 5], expected [4 labels, 5 inputs]");
}

#[test]
fn a_head_without_weights_is_refused() {
    let refusal = BundleCopy::new().replace(FILE, "name: tier", "name: mood").refusal();

    assert_eq!(refusal, "heads.safetensors has no tensor `mood.0.weight`");
}

#[test]
fn a_tensor_that_no_head_reads_is_refused() {
    let refusal = BundleCopy::new()
        .tensors(|tensors| drop(tensors.insert("tier.2.bias".into(), (Dtype::F32, vec![1], floats(&[0.0])))))
        .refusal();

    assert_eq!(refusal, "heads.safetensors: tensor `tier.2.bias` belongs to no head of bundle.yaml");
}

#[test]
fn a_missing_bias_is_refused() {
    let refusal = BundleCopy::new().tensors(|tensors| drop(tensors.remove("tier.1.bias"))).refusal();

    assert_eq!(refusal, "heads.safetensors has no tensor `tier.1.bias`");
}

#[test]
fn weights_for_another_number_of_inputs_are_refused() {
    let refusal = BundleCopy::new().replace(FILE, "inputs: [embedding, features]", "inputs: [embedding]").refusal();

    assert_eq!(refusal, "heads.safetensors: tensor `tier.0.weight` has shape [5, 6], expected [any, 4 inputs]");
}

#[test]
fn weights_of_another_type_are_refused() {
    let refusal = BundleCopy::new()
        .tensors(|tensors| drop(tensors.insert("tier.1.bias".into(), (Dtype::F16, vec![3], vec![0; 6]))))
        .refusal();

    assert_eq!(refusal, "heads.safetensors: tensor `tier.1.bias` is F16, must be F32");
}

#[test]
fn a_weight_that_is_not_a_number_is_refused() {
    let refusal = BundleCopy::new()
        .tensors(|tensors| {
            tensors.insert("tier.1.bias".into(), (Dtype::F32, vec![3], floats(&[0.0, f32::NAN, 0.0])));
        })
        .refusal();

    assert_eq!(refusal, "heads.safetensors: tensor `tier.1.bias` holds NaN at 1");
}

#[test]
fn files_that_are_something_else_are_refused() {
    let cases = [
        ("tokenizer.json", "tokenizer.json is not a tokenizer"),
        ("heads.safetensors", "heads.safetensors is not a safetensors file"),
        ("features.json", "features.json is not a list of features"),
        ("golden.json", "golden.json is not a list of golden inputs"),
    ];
    for (file, expected) in cases {
        assert_eq!(BundleCopy::new().write(file, b"{\"a\": 1}").refusal(), expected);
    }
}

#[test]
fn a_bundle_without_golden_inputs_is_refused() {
    assert_eq!(BundleCopy::new().write("golden.json", b"[]").refusal(), "golden.json holds no golden inputs");
}

#[test]
fn golden_scores_for_other_heads_are_refused() {
    let refusal = BundleCopy::new().replace("golden.json", "\"tier\"", "\"mood\"").refusal();

    assert_eq!(refusal, "golden.json: input 0 has mood: 3 scores, the bundle has tier: 3 scores");
}

#[test]
fn a_golden_score_that_is_off_is_refused_with_both_values() {
    let refusal = BundleCopy::new().replace("golden.json", "0.437", "0.537").start_refusal();

    assert!(refusal.starts_with("golden.json: input 0 scores 0.437"), "{refusal}");
    assert!(refusal.contains("for tier `simple`, expected 0.537"), "{refusal}");
    assert!(refusal.ends_with("(tolerance 0.001)"), "{refusal}");
}

#[test]
fn the_manifest_may_allow_a_golden_score_to_be_off() {
    let copy = BundleCopy::new().replace("golden.json", "0.437", "0.537").replace(
        FILE,
        "metrics:",
        "golden_tolerance: 0.2\nmetrics:",
    );

    let started = Classifier::start(&name(), &config("."), &host(copy.0.path()));

    assert!(started.is_ok(), "{started:?}");
}

#[test]
fn a_model_that_is_no_model_is_refused() {
    let refusal = BundleCopy::new().write("model.onnx", b"not a model").start_refusal();

    assert!(refusal.starts_with("model.onnx: is not an ONNX model: "), "{refusal}");
}

#[test]
fn an_output_that_the_model_does_not_have_is_refused() {
    let refusal = BundleCopy::new().replace(FILE, "output: sentence_embedding", "output: logits").start_refusal();

    assert_eq!(refusal, "model.onnx: output `logits` is missing, expected f32 or f16 or bf16 [batch, 4]");
}

#[test]
fn an_output_of_another_width_is_refused() {
    let copy = BundleCopy::new().replace(FILE, "dimension: 4", "dimension: 3").tensors(|tensors| {
        tensors.insert("tier.0.weight".into(), (Dtype::F32, vec![5, 5], floats(&[0.0; 25])));
    });

    let refusal = copy.start_refusal();

    assert!(refusal.starts_with("model.onnx: output `sentence_embedding` is "), "{refusal}");
    assert!(refusal.ends_with("expected f32 or f16 or bf16 [batch, 3]"), "{refusal}");
}

#[test]
fn an_input_that_the_model_does_not_take_is_refused() {
    let rename = |bytes: &mut Vec<u8>| {
        while let Some(at) = bytes.windows(14).position(|window| window == b"token_type_ids") {
            bytes[at..at + 14].copy_from_slice(b"token_kind_ids");
        }
    };
    let mut model = fs::read(fixture().join("model.onnx")).expect("the model");
    rename(&mut model);

    let refusal = BundleCopy::new().write("model.onnx", &model).start_refusal();

    assert_eq!(
        refusal,
        "model.onnx: input `token_kind_ids` is an input, expected only input_ids, attention_mask, token_type_ids, position_ids"
    );
}

#[test]
fn other_weights_of_the_same_shape_fail_the_golden_check() {
    let refusal = BundleCopy::new()
        .tensors(|tensors| {
            tensors.insert("tier.1.bias".into(), (Dtype::F32, vec![3], floats(&[9.0, 0.0, 0.0])));
        })
        .start_refusal();

    assert!(refusal.starts_with("golden.json: input "), "{refusal}");
}
