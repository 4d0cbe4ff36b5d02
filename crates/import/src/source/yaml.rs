//! YAML, with anchors, merges and duplicate keys, as the tree of a foreign file.

use pointsman_core::config::{NodeContent, SourceFlaw, YamlNode, read_yaml};

use super::{SourceContent, SourceEntry, SourceFault, SourceNode};
use crate::finding::{Finding, FindingKind, FindingLog};

/// Reads `text`; keys that stand there twice are noted, and the first of them counts.
pub(super) fn read(text: &str, findings: &FindingLog) -> Result<SourceNode, SourceFault> {
    let (root, flaws) = read_yaml(text);
    let Some(root) = root else {
        let fault = |SourceFlaw { at, message, .. }| SourceFault { line: at.line, column: at.column, message };
        let empty = SourceFault { line: 1, column: 1, message: "the file is empty".to_owned() };
        return Err(flaws.into_iter().next_back().map_or(empty, fault));
    };
    for SourceFlaw { path, at, message } in flaws {
        let (line, path) = (at.line, path.to_string());
        findings.note(Finding { line, last_line: line, path, kind: FindingKind::LeftOut, message });
    }
    Ok(node_of(root, text))
}

fn node_of(node: YamlNode, text: &str) -> SourceNode {
    let YamlNode { at, kind } = node;
    let content = match kind {
        NodeContent::Scalar { text, plain } => SourceContent::Scalar { text, is_plain: plain },
        NodeContent::List(nodes) => SourceContent::List(nodes.into_iter().map(|node| node_of(node, text)).collect()),
        NodeContent::Map(entries) => {
            let entry = |entry: pointsman_core::config::MapEntry| SourceEntry {
                key: entry.key,
                line: entry.at.line,
                value: node_of(entry.value, text),
            };
            SourceContent::Map(entries.into_iter().map(entry).collect())
        }
        NodeContent::Hole => SourceContent::List(Vec::new()),
    };
    let mut made = SourceNode::new(at.start, at.line, content);
    let written = text.get(at.start..at.end).unwrap_or_default().trim_end();
    made.last_line = at.line + written.matches('\n').count();
    made.close()
}
