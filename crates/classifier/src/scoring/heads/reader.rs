//! The tensors of a heads file.

use safetensors::{Dtype, SafeTensors};

use super::error::HeadsError;
use super::layer::DenseLayer;
use crate::manifest::HeadSpec;

/// Reads the tensors of a heads file and checks their shapes.
pub(super) struct TensorReader<'b> {
    file: &'b str,
    tensors: SafeTensors<'b>,
    read: Vec<String>,
}

impl<'b> TensorReader<'b> {
    pub(super) fn new(file: &'b str, bytes: &'b [u8]) -> Result<Self, HeadsError> {
        let tensors =
            SafeTensors::deserialize(bytes).map_err(|source| HeadsError::Syntax { file: file.to_owned(), source })?;
        Ok(Self { file, tensors, read: Vec::new() })
    }

    /// Reads `<head>.0.weight`, `<head>.0.bias`, `<head>.1.weight`, ... from `inputs` numbers to one a label.
    pub(super) fn layers(&mut self, spec: &HeadSpec, mut inputs: usize) -> Result<Vec<DenseLayer>, HeadsError> {
        let mut layers = Vec::new();
        loop {
            let prefix = format!("{}.{}", spec.name, layers.len());
            let last = self.tensors.tensor(&format!("{}.{}.weight", spec.name, layers.len() + 1)).is_err();
            let outputs = if last { Some(spec.logits()) } else { None };
            let layer = self.layer(&prefix, inputs, outputs)?;
            inputs = layer.bias.len();
            layers.push(layer);
            if last {
                return Ok(layers);
            }
        }
    }

    fn layer(&mut self, prefix: &str, inputs: usize, outputs: Option<usize>) -> Result<DenseLayer, HeadsError> {
        let name = format!("{prefix}.weight");
        let (shape, weight) = self.tensor(&name)?;
        let fits =
            matches!(shape[..], [rows, columns] if rows > 0 && columns == inputs && outputs.is_none_or(|o| o == rows));
        if !fits {
            let rows = outputs.map_or("any".to_owned(), |labels| format!("{labels} labels"));
            return Err(self.misshapen(name, shape, format!("[{rows}, {inputs} inputs]")));
        }
        let rows = shape[0];
        let name = format!("{prefix}.bias");
        let (shape, bias) = self.tensor(&name)?;
        if shape != [rows] {
            return Err(self.misshapen(name, shape, format!("[{rows}]")));
        }
        Ok(DenseLayer { weight, bias, inputs, sparse: None })
    }

    pub(super) fn tensor(&mut self, name: &str) -> Result<(Vec<usize>, Vec<f32>), HeadsError> {
        let (file, tensor) = (self.file.to_owned(), name.to_owned());
        let Ok(view) = self.tensors.tensor(name) else {
            return Err(HeadsError::Missing { file, tensor });
        };
        if view.dtype() != Dtype::F32 {
            return Err(HeadsError::Type { file, tensor, actual: format!("{:?}", view.dtype()) });
        }
        let values: Vec<f32> =
            view.data().as_chunks().0.iter().map(|bytes: &[u8; 4]| f32::from_le_bytes(*bytes)).collect();
        if let Some(index) = values.iter().position(|value| !value.is_finite()) {
            return Err(HeadsError::NotFinite { file, tensor, index, value: values[index] });
        }
        self.read.push(tensor);
        Ok((view.shape().to_vec(), values))
    }

    /// Reads the tensor called `name` and refuses another shape.
    pub(super) fn shaped(&mut self, name: String, expected: &[usize]) -> Result<Vec<f32>, HeadsError> {
        let (shape, values) = self.tensor(&name)?;
        if shape != expected {
            return Err(self.misshapen(name, shape, format!("{expected:?}")));
        }
        Ok(values)
    }

    pub(super) fn misshapen(&self, tensor: String, actual: Vec<usize>, expected: String) -> HeadsError {
        HeadsError::Shape { file: self.file.to_owned(), tensor, actual, expected }
    }

    /// Refuses tensors that no head read: a name is wrong, or a layer is missing before them.
    pub(super) fn finish(self) -> Result<(), HeadsError> {
        let unread = self.tensors.names().into_iter().find(|name| !self.read.iter().any(|read| read == name));
        match unread {
            Some(tensor) => Err(HeadsError::Unexpected { file: self.file.to_owned(), tensor: tensor.to_owned() }),
            None => Ok(()),
        }
    }
}
