//! The encoder that runs: one ONNX Runtime session, owned by one worker because `run` takes it mutably.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use ort::session::builder::GraphOptimizationLevel;
use ort::session::{RunOptions, Session, SessionInputValue};
use ort::value::{Outlet, Tensor, TensorElementType};

use super::device::SessionDevice;
use super::error::SessionError;
use super::runtime::{ExecutionProvider, OnnxRuntime};
use crate::bundle::Bundle;
use crate::manifest::EncoderSpec;
use crate::scoring::encoder::{Encoder, RunTerminator};
use crate::scoring::error::InferenceError;
use crate::scoring::tokenize::TokenIds;

/// The inputs of every encoder, int64 of shape [batch, sequence].
const INPUTS: [&str; 2] = ["input_ids", "attention_mask"];

/// The input that some encoders take besides: zeros, since there is one text.
const TYPES: &str = "token_type_ids";

/// An ONNX Runtime session whose inputs and outputs were checked.
pub(crate) struct OnnxEncoder {
    session: Session,
    /// Ends the run that goes on, see [`Encoder::brake`].
    run: Arc<RunOptions>,
    output: String,
    dimension: usize,
    padding: BatchPadding,
}

/// The padding that fills the rows of a batch up to the longest.
#[derive(Debug, Clone, Copy)]
struct BatchPadding {
    /// The id in the places that the mask hides.
    id: i64,
    /// True where the graph takes token types.
    types: bool,
}

/// The options of a session.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SessionOptions {
    pub(crate) device: SessionDevice,
    pub(crate) threads: usize,
    /// The most bytes of a GPU's memory; nothing bounds the CPU's.
    pub(crate) memory_limit: Option<usize>,
}

impl OnnxEncoder {
    /// Creates the session from the model's bytes, the very ones whose hash was checked.
    pub(crate) fn new(runtime: &OnnxRuntime, bundle: &Bundle, options: SessionOptions) -> Result<Self, SessionError> {
        let (spec, model) = (&bundle.manifest.encoder, &bundle.model);
        let session = session(runtime, model, options)
            .map_err(|source| SessionError::Load { file: spec.file.clone(), source: source.into() })?;
        let contract = GraphContract { spec };
        contract.check_inputs(session.inputs())?;
        contract.check_output(session.outputs())?;
        let types = session.inputs().iter().any(|input| input.name() == TYPES);
        let padding = BatchPadding { id: bundle.tokenizer.pad(), types };
        let run = RunOptions::new()
            .map_err(|source| SessionError::Load { file: spec.file.clone(), source: source.into() })?;
        Ok(Self { session, run: Arc::new(run), output: spec.output.clone(), dimension: spec.dimension, padding })
    }
}

impl Encoder for OnnxEncoder {
    fn embed(&mut self, batch: &[TokenIds]) -> Result<Vec<Vec<f32>>, InferenceError> {
        let inputs = inputs(batch, self.padding).map_err(run_error)?;
        self.run.unterminate().map_err(run_error)?; // the run before may have been ended
        let outputs = self.session.run_with_options(inputs, &self.run).map_err(run_error)?;
        let (shape, values) = outputs[self.output.as_str()].try_extract_tensor::<f32>().map_err(run_error)?;
        let expected = [batch.len(), self.dimension].map(|size| i64::try_from(size).unwrap_or(i64::MAX));
        if shape[..] != expected {
            return Err(InferenceError::Shape { actual: shape.to_vec(), expected: expected.to_vec() });
        }
        Ok(values.chunks_exact(self.dimension).map(<[f32]>::to_vec).collect())
    }

    fn brake(&self) -> RunTerminator {
        let run = Arc::clone(&self.run);
        Box::new(move || {
            if let Err(error) = run.terminate() {
                tracing::error!(%error, "ONNX Runtime does not end a run");
            }
        })
    }
}

fn session(runtime: &OnnxRuntime, model: &[u8], options: SessionOptions) -> ort::Result<Session> {
    let SessionOptions { device, threads, .. } = options;
    let environment = runtime.environment();
    for provider in providers(device) {
        runtime.load_provider(*provider)?;
    }
    let mut devices = Vec::new();
    for provider in providers(device) {
        let number = if let SessionDevice::Cuda(number) = device { number } else { 0 };
        let number = usize::try_from(number).unwrap_or(usize::MAX);
        let mut own = environment.devices().filter(|device| device.ep().is_ok_and(|name| name == provider.name));
        let missing = || ort::Error::new(format!("{} finds no device {number}", provider.name));
        devices.push(own.nth(number).ok_or_else(missing)?);
    }
    let mut builder = Session::builder(environment)?;
    if !devices.is_empty() {
        builder = builder.with_devices(devices, Some(&provider_options(options)))?;
    }
    builder
        .with_optimization_level(GraphOptimizationLevel::All)?
        .with_intra_threads(threads)?
        .with_inter_threads(1)?
        // A spinning pool takes up to twice the CPU, from the proxy's own threads.
        .with_intra_op_spinning(false)?
        .commit_from_memory(model)
}

/// Returns the providers that a device needs, the preferred one first; what none of them takes runs on the CPU.
const fn providers(device: SessionDevice) -> &'static [ExecutionProvider] {
    match device {
        SessionDevice::Cpu => &[],
        SessionDevice::Cuda(_) => &[ExecutionProvider::CUDA],
        SessionDevice::TensorRt => &[ExecutionProvider::TENSORRT, ExecutionProvider::CUDA],
    }
}

/// Returns what the providers of a device are told: how much of its memory their arena may take.
fn provider_options(options: SessionOptions) -> Vec<(String, String)> {
    let Some(limit) = options.memory_limit else { return Vec::new() };
    let option = |provider: &ExecutionProvider| {
        let key = if *provider == ExecutionProvider::TENSORRT { "trt_max_workspace_size" } else { "gpu_mem_limit" };
        (format!("{}.{key}", provider.name), limit.to_string())
    };
    providers(options.device).iter().map(option).collect()
}

/// Pads to the longest of the batch; the mask hides the padding.
fn inputs(
    batch: &[TokenIds],
    padding: BatchPadding,
) -> ort::Result<Vec<(Cow<'static, str>, SessionInputValue<'static>)>> {
    let width = batch.iter().map(|tokens| tokens.ids.len()).max().unwrap_or_default();
    let shape = [batch.len(), width];
    let (mut ids, mut mask) = (vec![padding.id; batch.len() * width], vec![0; batch.len() * width]);
    for (row, tokens) in batch.iter().enumerate() {
        let cells = row * width..row * width + tokens.ids.len();
        ids[cells.clone()].copy_from_slice(&tokens.ids);
        mask[cells].fill(1);
    }
    let tensor = |values: Vec<i64>| Tensor::from_array((shape, values));
    let mut inputs = ort::inputs!["input_ids" => tensor(ids)?, "attention_mask" => tensor(mask)?];
    if padding.types {
        inputs.extend(ort::inputs![TYPES => tensor(vec![0; batch.len() * width])?]);
    }
    Ok(inputs)
}

fn run_error(error: ort::Error) -> InferenceError {
    InferenceError::Run(error.into())
}

/// The bundle contract's demands on the graph.
struct GraphContract<'s> {
    spec: &'s EncoderSpec,
}

/// The tensor that an input or output of the graph must be; its shape in words.
#[derive(Debug, Clone, Copy)]
struct ExpectedTensor<'s> {
    element: TensorElementType,
    shape: &'s str,
}

impl fmt::Display for ExpectedTensor<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.element, self.shape)
    }
}

impl GraphContract<'_> {
    fn check_inputs(&self, inputs: &[Outlet]) -> Result<(), SessionError> {
        let has_types = inputs.iter().any(|input| input.name() == TYPES);
        for name in INPUTS.into_iter().chain(has_types.then_some(TYPES)) {
            let input = inputs.iter().find(|input| input.name() == name);
            let rank = |dimensions: &[i64]| dimensions.len() == 2;
            let expected = ExpectedTensor { element: TensorElementType::Int64, shape: "[batch, sequence]" };
            self.check(&format!("input `{name}`"), input, expected, rank)?;
        }
        match inputs.iter().find(|input| input.name() != TYPES && !INPUTS.contains(&input.name())) {
            Some(input) => {
                let names = format!("only {}, {TYPES}", INPUTS.join(", "));
                Err(self.refusal(format!("input `{}`", input.name()), "an input".into(), names))
            }
            None => Ok(()),
        }
    }

    fn check_output(&self, outputs: &[Outlet]) -> Result<(), SessionError> {
        let EncoderSpec { output: name, dimension, .. } = self.spec;
        let output = outputs.iter().find(|output| output.name() == name);
        let width = i64::try_from(*dimension).unwrap_or(i64::MAX);
        let fits = |dimensions: &[i64]| matches!(dimensions, [_, last] if *last == width || *last == -1);
        let shape = format!("[batch, {dimension}]");
        let expected = ExpectedTensor { element: TensorElementType::Float32, shape: &shape };
        self.check(&format!("output `{name}`"), output, expected, fits)
    }

    /// Checks the element type and the shape of an input or output; `fits` decides about the shape.
    fn check(
        &self,
        part: &str,
        outlet: Option<&Outlet>,
        expected: ExpectedTensor<'_>,
        fits: impl Fn(&[i64]) -> bool,
    ) -> Result<(), SessionError> {
        let Some(outlet) = outlet else {
            return Err(self.refusal(part.to_owned(), "missing".into(), expected.to_string()));
        };
        let dtype = outlet.dtype();
        if dtype.tensor_type() == Some(expected.element) && dtype.tensor_shape().is_some_and(|shape| fits(shape)) {
            return Ok(());
        }
        Err(self.refusal(part.to_owned(), dtype.to_string(), expected.to_string()))
    }

    fn refusal(&self, part: String, actual: String, expected: String) -> SessionError {
        SessionError::Graph { file: self.spec.file.clone(), part, actual, expected }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(device: SessionDevice, memory_limit: Option<usize>) -> Vec<String> {
        let options = provider_options(SessionOptions { device, threads: 1, memory_limit });
        options.into_iter().map(|(key, value)| format!("{key}={value}")).collect()
    }

    #[test]
    fn a_memory_limit_is_told_to_the_providers_of_a_gpu() {
        assert_eq!(told(SessionDevice::Cuda(1), Some(1 << 30)), ["CUDAExecutionProvider.gpu_mem_limit=1073741824"]);
        assert_eq!(
            told(SessionDevice::TensorRt, Some(64)),
            ["TensorrtExecutionProvider.trt_max_workspace_size=64", "CUDAExecutionProvider.gpu_mem_limit=64"]
        );
    }

    #[test]
    fn nobody_is_told_what_there_is_no_limit_for() {
        assert!(told(SessionDevice::Cuda(0), None).is_empty());
        assert!(told(SessionDevice::Cpu, Some(64)).is_empty());
    }
}
