//! Weights beside the graph: the files that they stand in, each of which the manifest must list.
//!
//! PyTorch's exporter writes them by default, whatever their size, and every export above 2 GiB has them. ONNX Runtime
//! would open such a file by itself, in the working directory when it was handed bytes: it is never left to.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto};
use crate::onnx::error::GraphError;

/// The keys by which a tensor says where its numbers stand; ONNX Runtime knows others, under which more can stand.
const KEYS: [&str; 4] = ["location", "offset", "length", "checksum"];

/// The operator that runs an engine which an execution provider compiled, and its attribute for where that stands.
const ENGINE: (&str, &str) = ("EPContext", "embed_mode");

/// The bytes of files by their names.
type FileBytes = BTreeMap<String, Arc<[u8]>>;

/// Returns the files that a model's weights stand in, out of the `verified` ones of its bundle.
///
/// # Errors
/// When a file is not among the verified ones, is too short, or belongs to a part of the model that cannot have any.
pub(in crate::onnx) fn external_files(model: &ModelProto, verified: &FileBytes) -> Result<FileBytes, GraphError> {
    let Some(graph) = &model.graph else { return Ok(FileBytes::new()) };
    refuse_nested(model, graph)?;
    refuse_engines(model, graph)?;
    let mut files = FileBytes::new();
    for tensor in graph.initializer.iter().filter(|tensor| tensor.is_external()) {
        tensor.check_keys()?;
        let location = tensor.entry("location").unwrap_or_default().to_owned();
        if location.is_empty() || location.contains(['/', '\\']) || [".", ".."].contains(&location.as_str()) {
            return Err(GraphError::WeightsLocation { location });
        }
        let Some(bytes) = verified.get(&location) else { return Err(GraphError::WeightsUnlisted { location }) };
        tensor.check_range(&location, bytes.len())?;
        files.entry(location).or_insert_with(|| Arc::clone(bytes));
    }
    Ok(files)
}

/// Refuses weights in other files anywhere but among the main graph's own: these alone can be handed over from memory.
fn refuse_nested(model: &ModelProto, graph: &GraphProto) -> Result<(), GraphError> {
    let sparse = graph.sparse_initializer.iter().flat_map(super::SparseTensorProto::parts).find(|t| t.is_external());
    let functions = model.functions.iter();
    let defaults = functions.clone().flat_map(|function| &function.attribute).find_map(AttributeProto::external);
    let called = functions.flat_map(|function| &function.node);
    let nested = sparse.or(defaults).or_else(|| called.chain(&graph.node).find_map(NodeProto::external));
    match nested.or_else(|| model.training_graphs().find_map(GraphProto::external)) {
        Some(tensor) => Err(GraphError::WeightsNested { tensor: tensor.name.clone() }),
        None => Ok(()),
    }
}

/// Refuses engines that stand in files of their own: nobody hands those over, and no hash is known of them.
fn refuse_engines(model: &ModelProto, graph: &GraphProto) -> Result<(), GraphError> {
    let called = model.functions.iter().flat_map(|function| &function.node);
    let nodes = graph.node.iter().chain(called);
    let is_any = nodes.chain(model.training_graphs().flat_map(|graph| &graph.node)).any(NodeProto::has_engine_outside);
    if is_any { Err(GraphError::EngineOutside) } else { Ok(()) }
}

impl ModelProto {
    fn training_graphs(&self) -> impl Iterator<Item = &GraphProto> {
        self.training.iter().flat_map(|step| step.initialization.iter().chain(&step.algorithm))
    }
}

impl GraphProto {
    /// Returns a tensor of a nested graph whose numbers stand in another file.
    fn external(&self) -> Option<&TensorProto> {
        let sparse = self.sparse_initializer.iter().flat_map(super::SparseTensorProto::parts);
        let own = self.initializer.iter().chain(sparse).find(|tensor| tensor.is_external());
        own.or_else(|| self.node.iter().find_map(NodeProto::external))
    }
}

impl NodeProto {
    fn external(&self) -> Option<&TensorProto> {
        self.attribute.iter().find_map(AttributeProto::external)
    }

    /// Returns whether the node, or one of a graph in it, runs an engine that does not stand within the model.
    fn has_engine_outside(&self) -> bool {
        let (operator, place) = ENGINE;
        let is_outside = self.op_type == operator && self.attribute.iter().any(|one| one.name == place && one.i != 1);
        let graphs = self.attribute.iter().flat_map(|attribute| attribute.g.iter().chain(&attribute.graphs));
        is_outside || graphs.flat_map(|graph| &graph.node).any(Self::has_engine_outside)
    }
}

impl AttributeProto {
    fn external(&self) -> Option<&TensorProto> {
        let sparse = self.sparse_tensor.iter().chain(&self.sparse_tensors).flat_map(super::SparseTensorProto::parts);
        let own = self.t.iter().chain(&self.tensors).chain(sparse).find(|tensor| tensor.is_external());
        own.or_else(|| self.g.iter().chain(&self.graphs).find_map(GraphProto::external))
    }
}

impl TensorProto {
    /// Returns whether anything says so: a location that is not known is read by others as they like.
    fn is_external(&self) -> bool {
        self.data_location != 0 || !self.external_data.is_empty()
    }

    /// Checks that each key is known and there once: of two, ONNX Runtime takes the other one.
    fn check_keys(&self) -> Result<(), GraphError> {
        let keys = || self.external_data.iter().map(|entry| entry.key.as_str());
        let is_wrong = |key: &&str| !KEYS.contains(key) || keys().filter(|other| other == key).count() > 1;
        match keys().find(is_wrong) {
            Some(key) => Err(GraphError::WeightsKey { tensor: self.name.clone(), key: key.to_owned() }),
            None => Ok(()),
        }
    }

    fn entry(&self, key: &str) -> Option<&str> {
        self.external_data.iter().find(|entry| entry.key == key).map(|entry| entry.value.as_str())
    }

    /// Checks that a file of `bytes` bytes holds the tensor.
    fn check_range(&self, location: &str, bytes: usize) -> Result<(), GraphError> {
        let number = |key| self.entry(key).map_or(Some(0_u64), |text| text.parse().ok());
        let end = number("offset").zip(number("length")).and_then(|(offset, length)| offset.checked_add(length));
        if end.is_some_and(|end| u64::try_from(bytes).is_ok_and(|bytes| end <= bytes)) {
            return Ok(());
        }
        let end = end.map_or_else(|| "no number".to_owned(), |end| format!("byte {end}"));
        Err(GraphError::WeightsCut { location: location.to_owned(), tensor: self.name.clone(), end, bytes })
    }
}

#[cfg(test)]
mod tests {
    use super::super::EntryProto;
    use super::*;

    fn external(name: &str, entries: &[(&str, &str)]) -> TensorProto {
        let external_data =
            entries.iter().map(|(key, value)| EntryProto { key: (*key).into(), value: (*value).into() }).collect();
        TensorProto { name: name.into(), external_data, data_location: 1, ..TensorProto::default() }
    }

    fn model(graph: GraphProto) -> ModelProto {
        ModelProto { graph: Some(graph), ..ModelProto::default() }
    }

    fn of_tensor(tensor: TensorProto) -> ModelProto {
        model(GraphProto { initializer: vec![tensor], ..GraphProto::default() })
    }

    fn verified() -> FileBytes {
        [("w.data".to_owned(), Arc::from(vec![0_u8; 100])), ("other".to_owned(), Arc::from(vec![0_u8; 1]))].into()
    }

    fn refusal(model: &ModelProto) -> String {
        external_files(model, &verified()).expect_err("weights that cannot be").to_string()
    }

    #[test]
    fn only_the_files_that_weights_stand_in_are_handed_over() {
        let model = of_tensor(external("w", &[("location", "w.data"), ("offset", "40"), ("length", "60")]));

        let files = external_files(&model, &verified()).expect("listed");

        assert_eq!(files.keys().collect::<Vec<_>>(), ["w.data"]);
    }

    #[test]
    fn a_file_that_is_not_listed_is_refused_with_the_cure() {
        let refusal = refusal(&of_tensor(external("w", &[("location", "model.onnx.data")])));

        assert!(refusal.contains("weights stand in `model.onnx.data`, which has no sha256 under `files`"), "{refusal}");
        assert!(refusal.contains("add `model.onnx.data: <sha256>`"), "{refusal}");
    }

    #[test]
    fn a_place_outside_of_the_folder_is_refused() {
        for location in ["../w.data", "/etc/passwd", "sub/w.data", "*/_ORT_MEM_ADDR_/*", "..", ""] {
            let refusal = refusal(&of_tensor(external("w", &[("location", location)])));

            assert!(refusal.contains(&format!("`{location}`, which is not a plain file name")), "{refusal}");
        }
    }

    #[test]
    fn a_file_that_is_too_short_is_refused_with_both_figures() {
        for (offset, length, end) in
            [("50", "60", "byte 110"), ("18446744073709551615", "2", "no number"), ("-1", "1", "no")]
        {
            let entries = [("location", "w.data"), ("offset", offset), ("length", length)];

            let refusal = refusal(&of_tensor(external("w", &entries)));

            assert!(refusal.contains(end) && refusal.contains("of 100"), "{refusal}");
        }
    }

    #[test]
    fn weights_of_nested_parts_are_refused() {
        let tensor = || external("inner", &[("location", "w.data")]);
        let inner = GraphProto { initializer: vec![tensor()], ..GraphProto::default() };
        let attributes = [
            AttributeProto { t: Some(tensor()), ..AttributeProto::default() },
            AttributeProto { g: Some(inner), ..AttributeProto::default() },
        ];
        for attribute in attributes {
            let node = NodeProto { attribute: vec![attribute], ..NodeProto::default() };
            let called = super::super::FunctionProto { node: vec![node.clone()], ..Default::default() };
            for model in [
                model(GraphProto { node: vec![node], ..GraphProto::default() }),
                ModelProto { functions: vec![called], ..model(GraphProto::default()) },
            ] {
                assert!(refusal(&model).contains("`inner`"), "{}", refusal(&model));
            }
        }
    }

    #[test]
    fn weights_of_training_graphs_and_of_a_function_s_defaults_are_refused() {
        let inner =
            || GraphProto { initializer: vec![external("inner", &[("location", "w.data")])], ..GraphProto::default() };
        let step = |graph| super::super::TrainingInfoProto { algorithm: Some(graph), ..Default::default() };
        let attribute = AttributeProto { g: Some(inner()), ..AttributeProto::default() };
        let function = super::super::FunctionProto { attribute: vec![attribute], ..Default::default() };

        for model in [
            ModelProto { training: vec![step(inner())], ..model(GraphProto::default()) },
            ModelProto { functions: vec![function], ..model(GraphProto::default()) },
        ] {
            assert!(refusal(&model).contains("`inner`"), "{}", refusal(&model));
        }
    }

    #[test]
    fn a_key_that_is_there_twice_or_unknown_is_refused() {
        for more in [("location", "/etc/hostname"), ("prepacked_0", "x;0;1;y"), ("offset", "0")] {
            let entries = [("location", "w.data"), ("offset", "0"), ("length", "60"), more];

            let refusal = refusal(&of_tensor(external("w", &entries)));

            assert!(refusal.contains(&format!("`w` has the key `{}` twice", more.0)), "{refusal}");
        }
    }

    #[test]
    fn whatever_names_a_file_counts_as_external() {
        let unknown = TensorProto { data_location: 5, ..external("w", &[]) };
        let inline = TensorProto { data_location: 0, ..external("w", &[("location", "elsewhere")]) };

        for tensor in [unknown, inline] {
            assert!(refusal(&of_tensor(tensor)).contains("weights stand in"));
        }
    }

    #[test]
    fn an_engine_in_a_file_of_its_own_is_refused_wherever_it_is_run() {
        let attribute = |mode| AttributeProto { name: "embed_mode".into(), i: mode, ..AttributeProto::default() };
        let engine =
            |mode| NodeProto { op_type: "EPContext".into(), attribute: vec![attribute(mode)], ..NodeProto::default() };
        let of = |node| model(GraphProto { node: vec![node], ..GraphProto::default() });
        let body = GraphProto { node: vec![engine(0)], ..GraphProto::default() };
        let inner = AttributeProto { g: Some(body), ..AttributeProto::default() };

        for model in [of(engine(0)), of(NodeProto { attribute: vec![inner], ..NodeProto::default() })] {
            assert!(refusal(&model).contains("a file of its own"), "{}", refusal(&model));
        }
        external_files(&of(engine(1)), &verified()).expect("it stands within the model");
    }

    #[test]
    fn a_file_in_another_format_is_refused() {
        let error = super::super::parse(b"\x20\0\0\0ORTM and more").expect_err("another format");

        assert!(error.to_string().contains("ONNX Runtime's own format"), "{error}");
    }
}
