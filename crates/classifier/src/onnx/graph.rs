//! The parts of an ONNX file that are read before ONNX Runtime sees it: where weights stand, and how many tokens the
//! embedding knows.
//!
//! The messages name the fields that are read, by their numbers in `onnx.proto`; all others are skipped, the weights
//! among them. Every field that can hold a tensor or a node is named, because a tensor can stand in any of them.

mod embedding;
mod external;

use prost::Message;

pub(super) use self::embedding::embedding_rows;
pub(super) use self::external::external_files;
use super::error::GraphError;

/// The mark of ONNX Runtime's own format at its place in a file, which would be read in place of the model.
const OTHER_FORMAT: (std::ops::Range<usize>, &[u8]) = (4..8, b"ORTM");

/// A model, of which only the main graph is run.
#[derive(Clone, PartialEq, Message)]
pub(super) struct ModelProto {
    #[prost(message, optional, tag = "7")]
    graph: Option<GraphProto>,
    /// Functions of the model's own; their nodes may hold tensors.
    #[prost(message, repeated, tag = "25")]
    functions: Vec<FunctionProto>,
    /// Graphs for training on.
    #[prost(message, repeated, tag = "20")]
    training: Vec<TrainingInfoProto>,
}

/// The graphs of a step of training.
#[derive(Clone, PartialEq, Message)]
struct TrainingInfoProto {
    #[prost(message, optional, tag = "1")]
    initialization: Option<GraphProto>,
    #[prost(message, optional, tag = "2")]
    algorithm: Option<GraphProto>,
}

/// A graph: nodes in order, and the tensors that they read.
#[derive(Clone, PartialEq, Message)]
struct GraphProto {
    #[prost(message, repeated, tag = "1")]
    node: Vec<NodeProto>,
    #[prost(message, repeated, tag = "5")]
    initializer: Vec<TensorProto>,
    #[prost(message, repeated, tag = "15")]
    sparse_initializer: Vec<SparseTensorProto>,
}

/// A function that nodes call by its name.
#[derive(Clone, PartialEq, Message)]
struct FunctionProto {
    #[prost(message, repeated, tag = "7")]
    node: Vec<NodeProto>,
    /// Defaults of the attributes of nodes that call it.
    #[prost(message, repeated, tag = "11")]
    attribute: Vec<AttributeProto>,
}

/// An operator with its inputs and outputs by name.
#[derive(Clone, PartialEq, Message)]
struct NodeProto {
    #[prost(string, repeated, tag = "1")]
    input: Vec<String>,
    #[prost(string, repeated, tag = "2")]
    output: Vec<String>,
    #[prost(string, tag = "4")]
    op_type: String,
    #[prost(message, repeated, tag = "5")]
    attribute: Vec<AttributeProto>,
}

/// A constant of a node: a number, tensors or nested graphs.
#[derive(Clone, PartialEq, Message)]
struct AttributeProto {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(int64, tag = "3")]
    i: i64,
    #[prost(message, optional, tag = "5")]
    t: Option<TensorProto>,
    #[prost(message, optional, tag = "6")]
    g: Option<GraphProto>,
    #[prost(message, repeated, tag = "10")]
    tensors: Vec<TensorProto>,
    #[prost(message, repeated, tag = "11")]
    graphs: Vec<GraphProto>,
    #[prost(message, optional, tag = "22")]
    sparse_tensor: Option<SparseTensorProto>,
    #[prost(message, repeated, tag = "23")]
    sparse_tensors: Vec<SparseTensorProto>,
}

/// A tensor without its numbers.
#[derive(Clone, PartialEq, Message)]
struct TensorProto {
    #[prost(int64, repeated, tag = "1")]
    dims: Vec<i64>,
    #[prost(string, tag = "8")]
    name: String,
    /// Where the numbers stand, as keys and values: `location`, `offset`, `length`.
    #[prost(message, repeated, tag = "13")]
    external_data: Vec<EntryProto>,
    /// 1 where the numbers stand in another file.
    #[prost(int32, tag = "14")]
    data_location: i32,
}

/// A tensor of mostly zeros.
#[derive(Clone, PartialEq, Message)]
struct SparseTensorProto {
    #[prost(message, optional, tag = "1")]
    values: Option<TensorProto>,
    #[prost(message, optional, tag = "2")]
    indices: Option<TensorProto>,
}

/// A key and its value.
#[derive(Clone, PartialEq, Message)]
struct EntryProto {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(string, tag = "2")]
    value: String,
}

/// Reads a model's file.
pub(super) fn parse(bytes: &[u8]) -> Result<ModelProto, GraphError> {
    let (place, mark) = OTHER_FORMAT;
    if bytes.get(place) == Some(mark) {
        return Err(GraphError::Syntax("it is in ONNX Runtime's own format".into()));
    }
    let model = ModelProto::decode(bytes).map_err(|error| GraphError::Syntax(Box::new(error)))?;
    match model.graph {
        Some(_) => Ok(model),
        None => Err(GraphError::Syntax("it holds no graph".into())),
    }
}

impl SparseTensorProto {
    fn parts(&self) -> impl Iterator<Item = &TensorProto> {
        self.values.iter().chain(&self.indices)
    }
}
