//! Weights of heads, and the file that holds them.

use pointsman_classifier::HeadSpec;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, serialize};

/// A head with its weights.
#[derive(Debug)]
pub(in crate::fit) struct HeadWeights {
    pub(in crate::fit) spec: HeadSpec,
    pub(in crate::fit) tensors: Vec<NamedTensor>,
}

/// Numbers with a name and a shape.
#[derive(Debug, Clone)]
pub(in crate::fit) struct NamedTensor {
    pub(in crate::fit) name: String,
    pub(in crate::fit) shape: Vec<usize>,
    pub(in crate::fit) values: Vec<f32>,
}

impl NamedTensor {
    /// Returns the tensors of a head's layer: rows of weights, and their biases.
    pub(in crate::fit) fn layer(head: &str, index: usize, rows: &[Vec<f32>], biases: Vec<f32>) -> [Self; 2] {
        let shape = vec![rows.len(), rows.first().map_or(0, Vec::len)];
        [
            Self { name: format!("{head}.{index}.weight"), shape, values: rows.concat() },
            Self { name: format!("{head}.{index}.bias"), shape: vec![biases.len()], values: biases },
        ]
    }
}

/// Returns the bytes of a heads file with `all`, in order of their names, so that the same weights are the same bytes.
pub(in crate::fit) fn heads_file_of<'t>(all: impl Iterator<Item = &'t NamedTensor>) -> Vec<u8> {
    let mut all: Vec<&NamedTensor> = all.collect();
    all.sort_by(|a, b| a.name.cmp(&b.name));
    let bytes: Vec<Vec<u8>> =
        all.iter().map(|tensor| tensor.values.iter().flat_map(|value| value.to_le_bytes()).collect()).collect();
    let views = all.iter().zip(&bytes).map(|(tensor, bytes)| {
        let view = TensorView::new(Dtype::F32, tensor.shape.clone(), bytes).expect("shapes of our own");
        (tensor.name.as_str(), view)
    });
    serialize(views, None).expect("tensors of our own")
}
