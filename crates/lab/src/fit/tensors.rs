//! A heads file.

use safetensors::tensor::TensorView;
use safetensors::{Dtype, serialize};

/// Numbers with a name and a shape.
#[derive(Debug, Clone)]
pub(super) struct Tensor {
    pub(super) name: String,
    pub(super) shape: Vec<usize>,
    pub(super) values: Vec<f32>,
}

impl Tensor {
    /// Returns the tensors of a head's layer: rows of weights, and their biases.
    pub(super) fn layer(head: &str, index: usize, rows: &[Vec<f32>], biases: Vec<f32>) -> [Self; 2] {
        let shape = vec![rows.len(), rows.first().map_or(0, Vec::len)];
        [
            Self { name: format!("{head}.{index}.weight"), shape, values: rows.concat() },
            Self { name: format!("{head}.{index}.bias"), shape: vec![biases.len()], values: biases },
        ]
    }
}

/// Returns the bytes of a file with `all`, in order of their names, so that the same weights are the same bytes.
pub(super) fn tensors<'t>(all: impl Iterator<Item = &'t Tensor>) -> Vec<u8> {
    let mut all: Vec<&Tensor> = all.collect();
    all.sort_by(|a, b| a.name.cmp(&b.name));
    let bytes: Vec<Vec<u8>> =
        all.iter().map(|tensor| tensor.values.iter().flat_map(|value| value.to_le_bytes()).collect()).collect();
    let views = all.iter().zip(&bytes).map(|(tensor, bytes)| {
        let view = TensorView::new(Dtype::F32, tensor.shape.clone(), bytes).expect("shapes of our own");
        (tensor.name.as_str(), view)
    });
    serialize(views, None).expect("tensors of our own")
}
