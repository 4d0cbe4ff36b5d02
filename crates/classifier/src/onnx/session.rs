//! The encoder that runs: one ONNX Runtime session, owned by one worker because `run` takes it mutably.

use std::collections::BTreeMap;
use std::sync::Arc;

use ort::ep::CPU;
use ort::logging::LogLevel;
use ort::session::builder::GraphOptimizationLevel;
use ort::session::{RunOptions, Session};

use super::contract::{GraphContract, IDS};
use super::device::SessionDevice;
use super::error::{GraphError, SessionError};
use super::graph;
use super::runtime::{ExecutionProvider, OnnxRuntime};
use super::tensors::{self, OutputValues};
use crate::bundle::Bundle;
use crate::scoring::encoder::{Encoder, RunTerminator};
use crate::scoring::error::InferenceError;
use crate::scoring::tokenize::{TokenIds, TokenPadding, Tokenizer};

/// An ONNX Runtime session whose inputs and outputs were checked.
pub(crate) struct OnnxEncoder {
    session: Session,
    /// Ends the run that goes on, see [`Encoder::brake`].
    run: Arc<RunOptions>,
    contract: GraphContract,
    output: String,
    dimension: usize,
    /// The padding of shorter texts; without it, texts of one length alone share a run.
    padding: Option<TokenPadding>,
    /// The rows of the embedding, if the graph shows them.
    embedding_rows: Option<u64>,
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
        let spec = &bundle.manifest.encoder;
        let refused = |problem| SessionError::Model { file: spec.file.clone(), problem };
        let load = |source: ort::Error| SessionError::Load { file: spec.file.clone(), source: source.into() };
        let model = graph::parse(&bundle.model).map_err(refused)?;
        let weights = graph::external_files(&model, &bundle.weights).map_err(refused)?;
        let embedding_rows = graph::embedding_rows(&model, IDS);
        check_vocabulary(embedding_rows, &bundle.tokenizer).map_err(refused)?;
        let session = session(runtime, options, &bundle.model, weights).map_err(load)?;
        let contract = GraphContract::check(spec, session.inputs(), session.outputs())?;
        let padding = bundle.tokenizer.padding().filter(|_| contract.has_mask());
        let run = RunOptions::new().map_err(load)?;
        let (output, dimension) = (spec.output.clone(), spec.dimension);
        Ok(Self { session, run: Arc::new(run), contract, output, dimension, padding, embedding_rows })
    }

    /// Returns whether the graph showed that it has a row for each id of the tokenizer.
    pub(crate) const fn is_vocabulary_checked(&self) -> bool {
        self.embedding_rows.is_some()
    }

    /// Runs texts that are of one length, or may be padded to one.
    fn run(&mut self, batch: &[TokenIds], padding: TokenPadding) -> Result<Vec<Vec<f32>>, InferenceError> {
        let inputs = tensors::inputs(batch, &self.contract.inputs, padding).map_err(run_error)?;
        self.run.unterminate().map_err(run_error)?; // the run before may have been ended
        let outputs = self.session.run_with_options(inputs, &self.run).map_err(run_error)?;
        let output = tensors::output(&outputs[self.output.as_str()], self.contract.element).map_err(run_error)?;
        let OutputValues { shape, values } = output;
        let expected = [batch.len(), self.dimension].map(|size| i64::try_from(size).unwrap_or(i64::MAX));
        if shape != expected && !(self.dimension == 1 && shape == expected[..1]) {
            return Err(InferenceError::Shape { actual: shape, expected: expected.to_vec() });
        }
        Ok(values.chunks_exact(self.dimension).map(<[f32]>::to_vec).collect())
    }
}

impl Encoder for OnnxEncoder {
    fn embed(&mut self, batch: &[TokenIds]) -> Result<Vec<Vec<f32>>, InferenceError> {
        let same = batch.windows(2).all(|pair| pair[0].ids.len() == pair[1].ids.len());
        match self.padding {
            Some(padding) => self.run(batch, padding),
            None if same => self.run(batch, TokenPadding::default()),
            // Nobody says what pads, or the graph would not be told where: a guess would change scores.
            None => {
                let alone = batch.iter().map(|tokens| self.run(std::slice::from_ref(tokens), TokenPadding::default()));
                let rows = alone.collect::<Result<Vec<_>, _>>()?;
                Ok(rows.into_iter().flatten().collect())
            }
        }
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

/// Refuses a tokenizer with ids beyond the `rows` of the embedding, as far as these are known.
fn check_vocabulary(rows: Option<u64>, tokenizer: &Tokenizer) -> Result<(), GraphError> {
    match (rows, tokenizer.largest_id()) {
        (Some(rows), largest) if largest >= rows => {
            Err(GraphError::Vocabulary { rows, tokenizer: tokenizer.file().to_owned(), largest })
        }
        _ => Ok(()),
    }
}

fn session(
    runtime: &OnnxRuntime,
    options: SessionOptions,
    model: &[u8],
    weights: BTreeMap<String, Arc<[u8]>>,
) -> ort::Result<Session> {
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
    builder = if devices.is_empty() {
        // An arena keeps the largest run's memory for good. The process's allocator hands it out as fast, and gives it
        // back a second later. Patterns are kept for each shape, and of texts there are as many as lengths.
        builder
            .with_execution_providers([CPU::default().with_arena_allocator(false).build()])?
            .with_memory_pattern(false)?
    } else {
        builder.with_devices(devices, Some(&provider_options(options)))?
    };
    // Copied while the session is created, so nothing keeps them afterwards.
    for (name, bytes) in weights {
        builder = builder.with_external_initializer_file_in_memory(name, bytes)?;
    }
    builder
        .with_optimization_level(GraphOptimizationLevel::All)?
        .with_intra_threads(threads)?
        .with_inter_threads(1)?
        // What fails is an error of ours; its own lines would add one in colours for each prompt.
        .with_log_level(LogLevel::Fatal)?
        // A spinning pool takes up to 14 times the CPU, from the proxy's own threads.
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

fn run_error(error: ort::Error) -> InferenceError {
    InferenceError::Run(error.into())
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
