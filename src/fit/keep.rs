//! The base's heads that stay: the encoder is the same, so they say what they said.

use std::fs;

use safetensors::SafeTensors;

use super::heads::Fitted;
use super::tensors::Tensor;
use super::{Fit, FitError, file_error};
use crate::classifier::{Block, Bundle, HeadSpec, Kind};

/// Heads with their weights, as the base has them.
#[derive(Debug, Default)]
pub(super) struct Kept {
    pub(super) specs: Vec<HeadSpec>,
    pub(super) tensors: Vec<Tensor>,
}

impl Kept {
    /// Returns whether it has a head called `name`.
    pub(super) fn has(&self, name: &str) -> bool {
        self.specs.iter().any(|spec| spec.name.as_str() == name)
    }
}

/// Returns the heads of `base` that the `new` ones neither replace nor leave without use; layers over features get
/// `wider` more columns, which weigh nothing.
pub(super) fn kept(fit: &Fit, base: &Bundle, new: &[Fitted], wider: usize) -> Result<Kept, FitError> {
    let manifest = base.manifest();
    let Some(file) = manifest.heads_file.as_ref().filter(|_| manifest.kind == Kind::Encoder) else {
        return Ok(Kept::default());
    };
    let specs = staying(&manifest.heads, new);
    let path = fit.base.join(file);
    let bytes = fs::read(&path).map_err(file_error(&path))?;
    let tensors = SafeTensors::deserialize(&bytes).expect("the base was parsed before");
    let width = |block: &Block| match block {
        Block::Embedding => manifest.encoder.dimension,
        Block::Features => base.inputs().len(),
        Block::Ngrams => crate::classifier::NGRAM_PLACES,
    };
    let mut kept = Kept::default();
    for (name, view) in tensors.tensors() {
        let owner = specs.iter().find(|spec| name.strip_prefix(spec.name.as_str()).is_some_and(is_part));
        let Some(spec) = owner else { continue };
        let values = view.data().as_chunks().0.iter().map(|bytes: &[u8; 4]| f32::from_le_bytes(*bytes)).collect();
        let tensor = Tensor { shape: view.shape().to_vec(), values, name };
        let first = tensor.name == format!("{}.0.weight", spec.name);
        let end = spec.inputs.iter().position(|block| *block == Block::Features);
        let at = end.map(|features| spec.inputs[..=features].iter().map(width).sum::<usize>());
        kept.tensors.push(match at.filter(|_| first) {
            Some(at) => widened(tensor, at, wider),
            None => tensor,
        });
    }
    kept.specs = specs;
    Ok(kept)
}

/// Returns whether `rest`, what follows a head's name, is the name of a layer: other heads' names may start the same.
fn is_part(rest: &str) -> bool {
    let Some((layer, part)) = rest.strip_prefix('.').and_then(|rest| rest.split_once('.')) else { return false };
    layer == "trees" || (layer.bytes().all(|byte| byte.is_ascii_digit()) && ["weight", "bias"].contains(&part))
}

fn staying(heads: &[HeadSpec], new: &[Fitted]) -> Vec<HeadSpec> {
    let replaced = |name: &str| new.iter().any(|head| head.spec.name.as_str() == name);
    let mut specs: Vec<HeadSpec> = heads.to_vec();
    // A form of a head that is replaced, a mixture whose members are.
    specs.retain(|spec| {
        let form = spec.stands_for.as_ref().is_some_and(|other| replaced(other.as_str()));
        let mixture = spec.mix.iter().any(|share| replaced(share.head.as_str()));
        !(replaced(spec.name.as_str()) || form || mixture)
    });
    let all = specs.clone();
    let used = |spec: &HeadSpec| all.iter().flat_map(|other| &other.mix).any(|share| share.head == spec.name);
    specs.retain(|spec| !spec.hidden || used(spec));
    // Forms of mixtures that are gone.
    let all = specs.clone();
    specs.retain(|spec| spec.stands_for.as_ref().is_none_or(|name| all.iter().any(|other| other.name == *name)));
    specs
}

/// Returns a matrix with `more` columns of zeros in front of column `at`.
fn widened(tensor: Tensor, at: usize, more: usize) -> Tensor {
    let [rows, columns] = tensor.shape[..] else { return tensor };
    let row = |row: &[f32]| [&row[..at], &vec![0.0; more], &row[at..]].concat();
    let values = tensor.values.chunks_exact(columns).flat_map(row).collect();
    Tensor { shape: vec![rows, columns + more], values, ..tensor }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_columns_weigh_nothing_and_stand_behind_the_known_features() {
        let tensor = Tensor { name: "t".into(), shape: vec![2, 3], values: vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0] };

        let wide = widened(tensor, 2, 1);

        assert_eq!((wide.shape, wide.values), (vec![2, 4], vec![1.0, 2.0, 0.0, 3.0, 4.0, 5.0, 0.0, 6.0]));
    }

    #[test]
    fn a_layer_belongs_to_the_head_whose_whole_name_it_starts_with() {
        assert!(is_part(".0.weight") && is_part(".trees.leaf"));
        assert!(!is_part("_lexical.0.weight") && !is_part("/words.0.weight") && !is_part(".1.0.weight"));
    }
}
