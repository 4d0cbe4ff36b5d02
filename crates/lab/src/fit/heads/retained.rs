//! Retained heads: those of the base that the new ones do not replace. The encoder is the same, so their scores are the
//! same.

use std::fs;

use pointsman_classifier::{Bundle, BundleKind, HeadSpec, InputBlock};
use pointsman_core::config::Name;
use safetensors::SafeTensors;
use safetensors::tensor::TensorView;

use super::weights::{HeadWeights, NamedTensor};
use crate::fit::{FitError, FitRequest, file_error};

/// Heads with their weights, as the base has them.
#[derive(Debug, Default)]
pub(in crate::fit) struct RetainedHeads {
    pub(in crate::fit) specs: Vec<HeadSpec>,
    pub(in crate::fit) tensors: Vec<NamedTensor>,
}

impl RetainedHeads {
    /// Returns whether it has a head called `name`.
    pub(in crate::fit) fn has(&self, name: &str) -> bool {
        self.specs.iter().any(|spec| spec.name.as_str() == name)
    }
}

/// The base's heads file, and where features stand among the inputs of its layers.
pub(in crate::fit) struct BaseHeadsFile<'b> {
    tensors: SafeTensors<'b>,
    base: &'b Bundle,
    /// The number of features that the new bundle has besides the base's.
    wider: usize,
}

impl<'b> BaseHeadsFile<'b> {
    /// Opens the bytes of the heads file of `base`.
    pub(in crate::fit) fn new(base: &'b Bundle, bytes: &'b [u8], wider: usize) -> Self {
        Self { tensors: SafeTensors::deserialize(bytes).expect("the base was parsed before"), base, wider }
    }

    /// Returns the weights of a head, under the name that it will have; layers over features get columns that weigh
    /// nothing.
    pub(in crate::fit) fn of(&self, spec: &HeadSpec, name: &str) -> Vec<NamedTensor> {
        let width = |block: &InputBlock| match block {
            InputBlock::Embedding => self.base.manifest().encoder.dimension,
            InputBlock::Features => self.base.inputs().len(),
            InputBlock::Ngrams => pointsman_classifier::NGRAM_BUCKETS,
        };
        let features = spec.inputs.iter().position(|block| *block == InputBlock::Features);
        let end = features.map(|features| spec.inputs[..=features].iter().map(width).sum::<usize>());
        let tensor = |(full, view): (String, TensorView<'_>)| {
            let part = full.strip_prefix(spec.name.as_str()).filter(|part| is_part(part))?;
            let values = view.data().as_chunks().0.iter().map(|bytes: &[u8; 4]| f32::from_le_bytes(*bytes)).collect();
            let tensor = NamedTensor { name: format!("{name}{part}"), shape: view.shape().to_vec(), values };
            Some(match end.filter(|_| part == ".0.weight") {
                Some(at) => widened(tensor, at, self.wider),
                None => tensor,
            })
        };
        self.tensors.tensors().into_iter().filter_map(tensor).collect()
    }
}

/// Returns the bytes of the heads file of `base`, where it has one.
pub(in crate::fit) fn heads_file(fit: &FitRequest, base: &Bundle) -> Result<Option<Vec<u8>>, FitError> {
    let manifest = base.manifest();
    let Some(file) = manifest.heads_file.as_ref().filter(|_| manifest.kind == BundleKind::Encoder) else {
        return Ok(None);
    };
    let path = fit.base.join(file);
    fs::read(&path).map(Some).map_err(file_error(&path))
}

/// Returns the heads of `base` that the `new` ones neither replace nor leave without use.
pub(in crate::fit) fn retained(base: &Bundle, parts: Option<&BaseHeadsFile<'_>>, new: &[HeadWeights]) -> RetainedHeads {
    let Some(parts) = parts else { return RetainedHeads::default() };
    let specs = staying(&base.manifest().heads, new);
    let tensors = specs.iter().flat_map(|spec| parts.of(spec, spec.name.as_str())).collect();
    RetainedHeads { specs, tensors }
}

/// Returns whether `rest`, what follows a head's name, is the name of a layer: other heads' names may start the same.
fn is_part(rest: &str) -> bool {
    let Some((layer, part)) = rest.strip_prefix('.').and_then(|rest| rest.split_once('.')) else { return false };
    layer == "trees" || (layer.bytes().all(|byte| byte.is_ascii_digit()) && ["weight", "bias"].contains(&part))
}

/// Returns the heads that are not replaced, less those that miss a part, stand for what is gone, or are hidden and of
/// no use.
fn staying(heads: &[HeadSpec], new: &[HeadWeights]) -> Vec<HeadSpec> {
    let replaced = |spec: &HeadSpec| new.iter().any(|head| head.spec.name == spec.name);
    let mut specs: Vec<HeadSpec> = heads.iter().filter(|spec| !replaced(spec)).cloned().collect();
    // Each that goes may take others along.
    loop {
        let all = specs.clone();
        let has = |name: &Name| all.iter().any(|spec| spec.name == *name);
        let used = |spec: &HeadSpec| all.iter().flat_map(HeadSpec::parts).any(|part| *part == spec.name);
        let whole = |spec: &HeadSpec| spec.parts().chain(&spec.stands_for).all(has);
        specs.retain(|spec| whole(spec) && (!spec.hidden || used(spec)));
        if specs.len() == all.len() {
            return specs;
        }
    }
}

/// Returns a matrix with `more` columns of zeros in front of column `at`.
fn widened(tensor: NamedTensor, at: usize, more: usize) -> NamedTensor {
    let [rows, columns] = tensor.shape[..] else { return tensor };
    let row = |row: &[f32]| [&row[..at], &vec![0.0; more], &row[at..]].concat();
    let values = tensor.values.chunks_exact(columns).flat_map(row).collect();
    NamedTensor { shape: vec![rows, columns + more], values, ..tensor }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fit::fixtures::manifest_of_heads;

    #[test]
    fn a_gate_keeps_its_heads_and_they_go_with_what_asked_them() {
        let base = manifest_of_heads(
            "
- {name: known, kind: multinomial, labels: [foreign, known], inputs: [ngrams], temperature: 1, hidden: true}
- {name: length, kind: multinomial, labels: [weak, strong], inputs: [features], temperature: 1, hidden: true}
- {name: wins, kind: multinomial, labels: [weak, strong], inputs: [ngrams], temperature: 1, gate: {head: known, otherwise: length}}
- {name: own, kind: multinomial, labels: [weak, strong], inputs: [ngrams], temperature: 1, hidden: true, gate: {head: far, otherwise: length}}
- {name: far, kind: multinomial, labels: [foreign, known], inputs: [ngrams], temperature: 1, hidden: true}
- {name: mixed, kind: multinomial, labels: [weak, strong], temperature: 1, mix: [{head: own, weight: 1}]}
- {name: tier, kind: multinomial, labels: [low, high], inputs: [ngrams], temperature: 1}
",
        )
        .expect("sound");
        let left = |replaced: &str| {
            let spec = base.head(replaced).expect("a head").clone();
            let staying = staying(&base.heads, &[HeadWeights { spec, tensors: Vec::new() }]);
            staying.into_iter().map(|spec| spec.name.to_string()).collect::<Vec<_>>()
        };

        assert_eq!(left("tier"), ["known", "length", "wins", "own", "far", "mixed"]);
        assert_eq!(left("wins"), ["length", "own", "far", "mixed", "tier"]);
        assert_eq!(left("mixed"), ["known", "length", "wins", "tier"]);
        assert_eq!(left("far"), ["known", "length", "wins", "tier"]);
    }

    #[test]
    fn new_columns_weigh_nothing_and_stand_behind_the_known_features() {
        let tensor = NamedTensor { name: "t".into(), shape: vec![2, 3], values: vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0] };

        let wide = widened(tensor, 2, 1);

        assert_eq!((wide.shape, wide.values), (vec![2, 4], vec![1.0, 2.0, 0.0, 3.0, 4.0, 5.0, 0.0, 6.0]));
    }

    #[test]
    fn a_layer_belongs_to_the_head_whose_whole_name_it_starts_with() {
        assert!(is_part(".0.weight") && is_part(".trees.leaf"));
        assert!(!is_part("_lexical.0.weight") && !is_part("/words.0.weight") && !is_part(".1.0.weight"));
    }
}
