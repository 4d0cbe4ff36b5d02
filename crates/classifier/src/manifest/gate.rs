//! Gates: what a head says of prompts that are unlike those it was fitted on.

use pointsman_core::config::Name;
use serde::{Deserialize, Serialize};

use super::{HeadSpec, HeadSpecError, Manifest, ManifestError};

/// Blends a head with another one, by how probable it is that the head knows prompts of this kind: a mixture of two
/// experts.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct GateSpec {
    /// A head of two labels; the second says that the prompt is like those that the gated head was fitted on.
    pub head: Name,
    /// The head, with the same labels, that speaks for all other prompts.
    pub otherwise: Name,
}

/// An error of a head's gate.
#[derive(Debug, thiserror::Error, PartialEq)]
#[expect(missing_docs, reason = "each field is named for what it holds")]
pub enum GateError {
    /// A part does not exist.
    #[error("has a gate of `{part}`, which is no head")]
    Unknown { part: Name },
    /// A part is a mixture or gated, or the head itself.
    #[error("has a gate of `{part}`, which is a mixture or has a gate itself")]
    Nested { part: Name },
    /// The head that tells must say yes or no.
    #[error("has a gate of `{part}`, which has {labels} labels and must have two")]
    Labels { part: Name, labels: usize },
    /// Blending needs the same labels in the same order.
    #[error("has a gate that otherwise asks `{part}`, whose labels are others")]
    Otherwise { part: Name },
}

/// Checks the gate of every head that has one.
pub(super) fn check(manifest: &Manifest) -> Result<(), ManifestError> {
    for head in &manifest.heads {
        check_gate(manifest, head).map_err(|problem| head.error(HeadSpecError::Gate(problem)))?;
    }
    Ok(())
}

fn check_gate(manifest: &Manifest, head: &HeadSpec) -> Result<(), GateError> {
    let Some(gate) = &head.gate else { return Ok(()) };
    let part = |part: &Name| match manifest.head(part.as_str()) {
        None => Err(GateError::Unknown { part: part.clone() }),
        Some(found) if !found.mix.is_empty() || found.gate.is_some() => Err(GateError::Nested { part: part.clone() }),
        Some(found) => Ok(found),
    };
    let (asked, otherwise) = (part(&gate.head)?, part(&gate.otherwise)?);
    if asked.labels.len() != 2 {
        return Err(GateError::Labels { part: gate.head.clone(), labels: asked.labels.len() });
    }
    if otherwise.labels != head.labels {
        return Err(GateError::Otherwise { part: gate.otherwise.clone() });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADS: &str = "
- {name: known, kind: multinomial, labels: [foreign, known], inputs: [ngrams], temperature: 1, hidden: true}
- {name: length, kind: multinomial, labels: [weak, strong], inputs: [features], temperature: 1, hidden: true}
- {name: wins, kind: multinomial, labels: [weak, strong], inputs: [features], temperature: 1, gate: {head: known, otherwise: length}}
";

    #[test]
    fn a_gated_head_reads_what_its_parts_read() {
        let reads = |heads: &str| {
            let manifest = Manifest::of_heads(heads).expect("sound");
            manifest.reads_embedding(manifest.head("wins").expect("a head"))
        };

        assert!(!reads(HEADS));
        assert!(reads(&HEADS.replacen("[ngrams]", "[embedding]", 1)));
    }

    #[test]
    fn each_way_a_gate_can_be_wrong_is_told() {
        let cases = [
            ("head: known", "head: nobody", "has a gate of `nobody`, which is no head"),
            ("head: known", "head: wins", "has a gate of `wins`, which is a mixture or has a gate itself"),
            (
                "[foreign, known]",
                "[foreign, known, other]",
                "has a gate of `known`, which has 3 labels and must have two",
            ),
            ("[weak, strong]", "[strong, weak]", "has a gate that otherwise asks `length`, whose labels are others"),
            ("otherwise: length", "otherwise: wins", "has a gate of `wins`, which is a mixture or has a gate itself"),
            ("otherwise: length}", "otherwise: length, other: 1}", "other"),
        ];
        for (from, to, expected) in cases {
            assert!(HEADS.contains(from), "{from}");

            let error = Manifest::of_heads(&HEADS.replacen(from, to, 1)).expect_err("wrong").to_string();

            assert!(error.contains(expected), "{to}: {error}");
        }
    }
}
