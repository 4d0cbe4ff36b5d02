//! The contract of a graph: the inputs that are fed and the output that is read, whatever number types they have.
//!
//! A type is taken where a cast to or from it is exact: ids are whole numbers, a mask is 0 and 1, and every 16-bit float
//! is a 32-bit one.

use ort::value::{Outlet, TensorElementType};

use super::error::{GraphError, SessionError};
use crate::manifest::EncoderSpec;

/// The input that holds the ids; every graph has it.
pub(super) const IDS: &str = "input_ids";

/// An input that the graph takes, and the type of its numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct GraphInput {
    pub(super) name: &'static str,
    pub(super) role: InputRole,
    pub(super) element: TensorElementType,
}

/// The meaning of an input's numbers, [batch, sequence] each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum InputRole {
    /// The ids of the tokens.
    Ids,
    /// 1 for a token, 0 for padding.
    Mask,
    /// Zeros, since there is one text.
    Types,
    /// The places of the tokens, from 0.
    Positions,
}

/// The inputs and the output that a graph was found to have.
#[derive(Debug)]
pub(super) struct GraphContract {
    pub(super) inputs: Vec<GraphInput>,
    pub(super) element: TensorElementType,
}

impl InputRole {
    const ALL: [(&'static str, Self); 4] = [
        (IDS, Self::Ids),
        ("attention_mask", Self::Mask),
        ("token_type_ids", Self::Types),
        ("position_ids", Self::Positions),
    ];

    /// Returns the types that hold its numbers exactly.
    const fn elements(self) -> &'static [TensorElementType] {
        use TensorElementType::{Bool, Float16, Float32, Int32, Int64};
        match self {
            Self::Mask => &[Int64, Int32, Float32, Float16, Bool],
            Self::Ids | Self::Types | Self::Positions => &[Int64, Int32],
        }
    }
}

/// The types of an output that 32-bit floats hold exactly.
const OUTPUTS: [TensorElementType; 3] =
    [TensorElementType::Float32, TensorElementType::Float16, TensorElementType::Bfloat16];

impl GraphContract {
    /// Checks the inputs and the output of a graph against a manifest.
    pub(super) fn check(spec: &EncoderSpec, inputs: &[Outlet], outputs: &[Outlet]) -> Result<Self, SessionError> {
        let check = ContractCheck { spec };
        let taken = InputRole::ALL.into_iter().filter_map(|known| check.input(inputs, known).transpose());
        let taken = taken.collect::<Result<Vec<_>, _>>()?;
        if let Some(other) = inputs.iter().find(|input| taken.iter().all(|known| known.name != input.name())) {
            let names = InputRole::ALL.map(|(name, _)| name).join(", ");
            return Err(check.refusal(format!("input `{}`", other.name()), "an input", &format!("only {names}")));
        }
        Ok(Self { inputs: taken, element: check.output(outputs)? })
    }

    /// Returns whether the graph is told which tokens are padding.
    pub(super) fn has_mask(&self) -> bool {
        self.inputs.iter().any(|input| input.role == InputRole::Mask)
    }
}

/// A check of a graph against a manifest.
struct ContractCheck<'s> {
    spec: &'s EncoderSpec,
}

impl ContractCheck<'_> {
    /// Returns an input that may be missing, unless it holds the ids.
    fn input(
        &self,
        inputs: &[Outlet],
        (name, role): (&'static str, InputRole),
    ) -> Result<Option<GraphInput>, SessionError> {
        let part = || format!("input `{name}`");
        let elements = role.elements().iter().map(ToString::to_string).collect::<Vec<_>>().join(" or ");
        let expected = format!("{elements} [batch, sequence]");
        let Some(input) = inputs.iter().find(|input| input.name() == name) else {
            return match role {
                InputRole::Ids => Err(self.refusal(part(), "missing", &expected)),
                _ => Ok(None),
            };
        };
        let dtype = input.dtype();
        let element = dtype.tensor_type().filter(|element| role.elements().contains(element));
        let shape = dtype.tensor_shape().filter(|shape| shape.len() == 2);
        let (Some(element), Some(shape)) = (element, shape) else {
            return Err(self.refusal(part(), &dtype.to_string(), &expected));
        };
        if shape.iter().any(|length| *length >= 0) {
            let axis = |length: &i64| if *length < 0 { "any".to_owned() } else { length.to_string() };
            let [batch, sequence] = [&shape[0], &shape[1]].map(axis);
            let shape = format!("[batch {batch}, sequence {sequence}]");
            let problem = GraphError::FixedAxes { input: name.to_owned(), shape };
            return Err(SessionError::Model { file: self.spec.file.clone(), problem });
        }
        Ok(Some(GraphInput { name, role, element }))
    }

    /// Returns the type of the output's numbers.
    fn output(&self, outputs: &[Outlet]) -> Result<TensorElementType, SessionError> {
        let EncoderSpec { output: name, dimension, .. } = self.spec;
        let part = || format!("output `{name}`");
        let expected = format!("f32 or f16 or bf16 [batch, {dimension}]");
        let Some(output) = outputs.iter().find(|output| output.name() == name) else {
            return Err(self.refusal(part(), "missing", &expected));
        };
        let width = i64::try_from(*dimension).unwrap_or(i64::MAX);
        let fits = |dimensions: &[i64]| match dimensions {
            [_, last] => *last == width || *last == -1,
            // One logit may come without an axis of its own.
            [_] => width == 1,
            _ => false,
        };
        let dtype = output.dtype();
        match dtype.tensor_type().filter(|element| OUTPUTS.contains(element)) {
            Some(element) if dtype.tensor_shape().is_some_and(|shape| fits(shape)) => Ok(element),
            _ => Err(self.refusal(part(), &dtype.to_string(), &expected)),
        }
    }

    fn refusal(&self, part: String, actual: &str, expected: &str) -> SessionError {
        let (actual, expected) = (actual.to_owned(), expected.to_owned());
        SessionError::Graph { file: self.spec.file.clone(), part, actual, expected }
    }
}
