//! The embedding of a model: how many tokens it has a row for.

use std::collections::{HashMap, HashSet};

use super::{GraphProto, ModelProto, NodeProto, TensorProto};

/// Operators that hand on the ids or the rows they were given, in another type, shape or order.
const HANDED_ON: [&str; 8] =
    ["Cast", "DequantizeLinear", "Flatten", "Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze"];

/// Returns the least number of rows of the tables that are looked up by the input called `ids`; `None` where no look-up
/// is found, as in graphs that compute their way there.
pub(in crate::onnx) fn embedding_rows(model: &ModelProto, ids: &str) -> Option<u64> {
    let graph = model.graph.as_ref()?;
    let sources = TensorSources::of(graph);
    graph.node.iter().filter_map(|node| sources.rows(node, ids)).min()
}

/// The nodes and tensors of a graph by the names that they give.
struct TensorSources<'g> {
    nodes: HashMap<&'g str, &'g NodeProto>,
    tensors: HashMap<&'g str, &'g TensorProto>,
}

impl<'g> TensorSources<'g> {
    fn of(graph: &'g GraphProto) -> Self {
        let nodes = graph.node.iter().flat_map(|node| node.output.iter().map(move |name| (name.as_str(), node)));
        let own = graph.initializer.iter().map(|tensor| (tensor.name.as_str(), tensor));
        let constant = |node: &'g NodeProto| {
            let tensor = node.attribute.iter().find_map(|attribute| attribute.t.as_ref())?;
            Some((node.output.first()?.as_str(), tensor))
        };
        let constants = graph.node.iter().filter(|node| node.op_type == "Constant").filter_map(constant);
        Self { nodes: nodes.collect(), tensors: own.chain(constants).collect() }
    }

    /// Returns the rows of the table that a node looks up by the input called `ids`.
    fn rows(&self, node: &NodeProto, ids: &str) -> Option<u64> {
        let (table, index) = match node.op_type.as_str() {
            "Gather" | "GatherBlockQuantized" if node.looks_up_rows() => (0, 1),
            "EmbedLayerNormalization" | "QEmbedLayerNormalization" => (2, 0),
            _ => return None,
        };
        if self.origin(node.input.get(index)?) != ids {
            return None;
        }
        let tensor = self.tensors.get(self.origin(node.input.get(table)?))?;
        u64::try_from(*tensor.dims.first()?).ok()
    }

    /// Returns the name of what a value was handed on from.
    fn origin<'n>(&'n self, mut name: &'n str) -> &'n str {
        let mut seen = HashSet::new();
        while let Some(node) = self.nodes.get(name).filter(|node| HANDED_ON.contains(&node.op_type.as_str())) {
            let Some(before) = node.input.first().filter(|_| seen.insert(name)) else { break };
            name = before;
        }
        name
    }
}

impl NodeProto {
    /// Returns whether rows are looked up, and not what stands in a row.
    fn looks_up_rows(&self) -> bool {
        let axis = |name| self.attribute.iter().find(|attribute| attribute.name == name).map_or(0, |axis| axis.i);
        axis("axis") == 0 && axis("gather_axis") == 0
    }
}

#[cfg(test)]
mod tests {
    use super::super::AttributeProto;
    use super::*;

    fn node(op_type: &str, input: &[&str], output: &str) -> NodeProto {
        NodeProto {
            op_type: op_type.into(),
            input: input.iter().map(|name| (*name).into()).collect(),
            output: vec![output.into()],
            attribute: Vec::new(),
        }
    }

    fn rows(nodes: Vec<NodeProto>) -> Option<u64> {
        let tensor =
            |name: &str, rows| TensorProto { name: name.into(), dims: vec![rows, 4], ..TensorProto::default() };
        let initializer = vec![tensor("words", 30), tensor("places", 8)];
        let graph = GraphProto { node: nodes, initializer, ..GraphProto::default() };
        embedding_rows(&ModelProto { graph: Some(graph), ..ModelProto::default() }, "input_ids")
    }

    #[test]
    fn the_table_that_the_ids_look_up_is_the_embedding() {
        assert_eq!(
            rows(vec![node("Gather", &["places", "position_ids"], "p"), node("Gather", &["words", "input_ids"], "w")]),
            Some(30)
        );
    }

    #[test]
    fn casts_on_both_sides_are_seen_through() {
        let nodes = vec![
            node("Cast", &["input_ids"], "ids"),
            node("DequantizeLinear", &["words", "scale"], "table"),
            node("Gather", &["table", "ids"], "w"),
        ];

        assert_eq!(rows(nodes), Some(30));
    }

    #[test]
    fn a_fused_embedding_is_known() {
        assert_eq!(rows(vec![node("EmbedLayerNormalization", &["input_ids", "", "words"], "w")]), Some(30));
    }

    #[test]
    fn other_look_ups_say_nothing() {
        let across = NodeProto {
            attribute: vec![AttributeProto { name: "axis".into(), i: 1, ..AttributeProto::default() }],
            ..node("Gather", &["words", "input_ids"], "w")
        };

        assert_eq!(rows(vec![across, node("Gather", &["input_ids", "one"], "first")]), None);
        assert_eq!(rows(vec![node("Cast", &["loop"], "loop"), node("Gather", &["words", "loop"], "w")]), None);
    }
}
