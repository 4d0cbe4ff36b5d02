//! The tensors of a run: a batch of tokens as the graph's inputs, and its output as 32-bit floats.

use std::borrow::Cow;

use half::{bf16, f16};
use ort::session::SessionInputValue;
use ort::value::{DynValue, Tensor, TensorElementType};

use super::contract::{GraphInput, InputRole};
use crate::scoring::tokenize::{PaddingSide, TokenIds, TokenPadding};

/// The inputs of a run by their names.
pub(super) type RunInputs = Vec<(Cow<'static, str>, SessionInputValue<'static>)>;

/// The values of an output and its shape.
pub(super) struct OutputValues {
    pub(super) shape: Vec<i64>,
    pub(super) values: Vec<f32>,
}

/// Pads to the longest of the batch; the mask hides the padding.
pub(super) fn inputs(batch: &[TokenIds], wanted: &[GraphInput], padding: TokenPadding) -> ort::Result<RunInputs> {
    let width = batch.iter().map(|tokens| tokens.ids.len()).max().unwrap_or_default();
    let tensor = |input: &GraphInput| {
        let filler = if input.role == InputRole::Ids { padding.id } else { 0 };
        let mut values = vec![filler; batch.len() * width];
        for (row, tokens) in batch.iter().enumerate() {
            let start = match padding.side {
                PaddingSide::Right => row * width,
                PaddingSide::Left => (row + 1) * width - tokens.ids.len(),
            };
            fill(&mut values[start..start + tokens.ids.len()], &tokens.ids, input.role);
        }
        let value = of_type(input.element, [batch.len(), width], values)?;
        Ok((Cow::Borrowed(input.name), value))
    };
    wanted.iter().map(tensor).collect()
}

/// Writes what an input says of the tokens of one text.
fn fill(cells: &mut [i64], ids: &[i64], role: InputRole) {
    match role {
        InputRole::Ids => cells.copy_from_slice(ids),
        InputRole::Mask => cells.fill(1),
        InputRole::Types => cells.fill(0),
        InputRole::Positions => cells.iter_mut().zip(0..).for_each(|(cell, place)| *cell = place),
    }
}

/// Casts to the graph's type, which the contract found to hold the values exactly.
fn of_type(element: TensorElementType, shape: [usize; 2], values: Vec<i64>) -> ort::Result<SessionInputValue<'static>> {
    // 0 and 1 of a mask are the only numbers that become floats.
    let flag = |value: &i64| if *value == 0 { 0.0_f32 } else { 1.0 };
    Ok(match element {
        TensorElementType::Int32 => {
            let whole = |value: i64| i32::try_from(value).unwrap_or(i32::MAX);
            Tensor::from_array((shape, values.into_iter().map(whole).collect::<Vec<_>>()))?.into()
        }
        TensorElementType::Float32 => Tensor::from_array((shape, values.iter().map(flag).collect::<Vec<_>>()))?.into(),
        TensorElementType::Float16 => {
            let half = |value: &i64| f16::from_f32(flag(value));
            Tensor::from_array((shape, values.iter().map(half).collect::<Vec<_>>()))?.into()
        }
        TensorElementType::Bool => {
            Tensor::from_array((shape, values.iter().map(|value| *value != 0).collect::<Vec<_>>()))?.into()
        }
        _ => Tensor::from_array((shape, values))?.into(),
    })
}

/// Reads an output whose numbers are of the type `element`.
pub(super) fn output(value: &DynValue, element: TensorElementType) -> ort::Result<OutputValues> {
    Ok(match element {
        TensorElementType::Float16 => {
            let (shape, values) = value.try_extract_tensor::<f16>()?;
            OutputValues { shape: shape.to_vec(), values: values.iter().copied().map(f16::to_f32).collect() }
        }
        TensorElementType::Bfloat16 => {
            let (shape, values) = value.try_extract_tensor::<bf16>()?;
            OutputValues { shape: shape.to_vec(), values: values.iter().copied().map(bf16::to_f32).collect() }
        }
        _ => {
            let (shape, values) = value.try_extract_tensor::<f32>()?;
            OutputValues { shape: shape.to_vec(), values: values.to_vec() }
        }
    })
}
