//! Weights beside the graph: the files that they stand in, each of which the manifest must list.
//!
//! PyTorch's exporter writes them by default, whatever their size, and every export above 2 GiB has them. ONNX Runtime
//! would open such a file by itself, in the working directory when it was handed bytes: it is never left to.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto};
use crate::onnx::error::GraphError;

/// The value of `data_location` for numbers in another file.
const EXTERNAL: i32 = 1;

/// The bytes of files by their names.
type FileBytes = BTreeMap<String, Arc<[u8]>>;

/// Returns the files that a model's weights stand in, out of the `verified` ones of its bundle.
///
/// # Errors
/// When a file is not among the verified ones, is too short, or belongs to a part of the model that cannot have any.
pub(in crate::onnx) fn external_files(model: &ModelProto, verified: &FileBytes) -> Result<FileBytes, GraphError> {
    let Some(graph) = &model.graph else { return Ok(FileBytes::new()) };
    refuse_nested(model, graph)?;
    let mut files = FileBytes::new();
    for tensor in graph.initializer.iter().filter(|tensor| tensor.is_external()) {
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
    let functions = model.functions.iter().flat_map(|function| &function.node);
    let nested = sparse.or_else(|| functions.chain(&graph.node).find_map(NodeProto::external));
    match nested {
        Some(tensor) => Err(GraphError::WeightsNested { tensor: tensor.name.clone() }),
        None => Ok(()),
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
}

impl AttributeProto {
    fn external(&self) -> Option<&TensorProto> {
        let sparse = self.sparse_tensor.iter().chain(&self.sparse_tensors).flat_map(super::SparseTensorProto::parts);
        let own = self.t.iter().chain(&self.tensors).chain(sparse).find(|tensor| tensor.is_external());
        own.or_else(|| self.g.iter().chain(&self.graphs).find_map(GraphProto::external))
    }
}

impl TensorProto {
    fn is_external(&self) -> bool {
        self.data_location == EXTERNAL
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
        TensorProto { name: name.into(), external_data, data_location: EXTERNAL, ..TensorProto::default() }
    }

    fn model(graph: GraphProto) -> ModelProto {
        ModelProto { graph: Some(graph), functions: Vec::new() }
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
            let called = super::super::FunctionProto { node: vec![node.clone()] };
            for model in [
                model(GraphProto { node: vec![node], ..GraphProto::default() }),
                ModelProto { graph: Some(GraphProto::default()), functions: vec![called] },
            ] {
                assert!(refusal(&model).contains("`inner`"), "{}", refusal(&model));
            }
        }
    }
}
