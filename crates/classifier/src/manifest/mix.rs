//! Heads that are no plain layers: mixtures, their hidden members, votes of exemplars, trees.

use pointsman_core::config::Name;
use serde::{Deserialize, Serialize};

use super::{HeadKind, HeadSpec, HeadSpecError, InputBlock, Manifest, ManifestError};

/// A member of a mixture.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct MixtureMember {
    /// The head.
    pub head: Name,
    /// The factor of its log probabilities; above 0.
    pub weight: f32,
}

/// The vote of exemplars: the nearest ones, each with `exp(sharpness * (similarity - 1))`, where the similarity is the
/// dot product of the inputs.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct NeighbourVote {
    /// The number of exemplars that vote; at least 1.
    pub count: usize,
    /// The weight of nearness; at least 0.
    pub sharpness: f32,
}

/// Symmetric trees over embedding and features, in place of layers: all nodes of a level ask the same question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct TreesSpec {
    /// Questions on the way to a leaf; 1 to 8.
    pub depth: usize,
}

/// An error of a mixture, of a member of one, of a vote or of trees.
#[derive(Debug, thiserror::Error, PartialEq)]
#[expect(missing_docs, reason = "each field is named for what it holds")]
pub enum MixtureError {
    /// A mixture has inputs, a vote or trees of its own, which it would not read.
    #[error("is a mixture and has `inputs`, `neighbours` or `trees` of its own")]
    Inputs,
    /// A member does not exist.
    #[error("mixes `{member}`, which is no head")]
    Unknown { member: Name },
    /// A member is a mixture, or the mixture itself.
    #[error("mixes `{member}`, which is a mixture")]
    Nested { member: Name },
    /// A member has other labels, or in another order.
    #[error("mixes `{member}`, whose labels are others")]
    Labels { member: Name },
    /// A weight says nothing.
    #[error("mixes `{member}` with weight {weight}, must be above 0")]
    Weight { member: Name, weight: f32 },
    /// A hidden head is part of no other.
    #[error("is hidden, and no mixture or gate has it")]
    Unused,
    /// A hidden head is a lexical form.
    #[error("is hidden and stands for another head")]
    HiddenForm,
    /// The number of neighbours or their sharpness gives no vote.
    #[error("has {count} neighbours with sharpness {sharpness}, must be at least 1 and 0")]
    Neighbours { count: usize, sharpness: f32 },
    /// A vote says which label, not which level.
    #[error("has `neighbours` and must be multinomial")]
    Ordinal,
    /// Labels that hold apart from each other cannot share a probability.
    #[error("is independent and has `{key}`, which is for labels of which one holds")]
    Independent { key: &'static str },
    /// The labels of a part hold apart from each other.
    #[error("uses `{member}`, which is independent")]
    IndependentMember { member: Name },
    /// A calibration is no rising curve.
    #[error(
        "has an `isotonic` whose `from` and `to` are no rising curve of two or more probabilities, `to` above 0 and below 1"
    )]
    Isotonic,
    /// Trees are asked nothing, too much, or about n-grams.
    #[error("has trees of depth {depth}, must be 1 to 8, over embedding and features only, and no `neighbours`")]
    Trees { depth: usize },
}

/// Checks what a mixture, its members and votes need.
pub(super) fn check(manifest: &Manifest) -> Result<(), ManifestError> {
    for head in &manifest.heads {
        let checked = check_hidden(manifest, head).and_then(|()| check_own(head));
        let checked = checked.and_then(|()| check_parts(manifest, head));
        let checked = checked.and_then(|()| check_mix(manifest, head));
        checked.map_err(|problem| head.error(HeadSpecError::Mix(problem)))?;
    }
    match manifest.heads.iter().all(|head| head.hidden) {
        true => Err(ManifestError::NoHeads),
        false => Ok(()),
    }
}

fn check_hidden(manifest: &Manifest, head: &HeadSpec) -> Result<(), MixtureError> {
    let used = || manifest.heads.iter().flat_map(HeadSpec::parts).any(|part| *part == head.name);
    match head {
        HeadSpec { hidden: true, stands_for: Some(_), .. } => Err(MixtureError::HiddenForm),
        HeadSpec { hidden: true, .. } if !used() => Err(MixtureError::Unused),
        _ => Ok(()),
    }
}

/// Checks votes, trees and curves.
fn check_own(head: &HeadSpec) -> Result<(), MixtureError> {
    let shared = [
        ("isotonic", head.isotonic.is_some()),
        ("neighbours", head.neighbours.is_some()),
        ("mix", !head.mix.is_empty()),
        ("gate", head.gate.is_some()),
    ];
    if let Some((key, _)) = shared.into_iter().find(|(_, is_there)| *is_there && head.kind == HeadKind::Independent) {
        return Err(MixtureError::Independent { key });
    }
    if head.isotonic.as_ref().is_some_and(|curve| !curve.is_sound()) {
        return Err(MixtureError::Isotonic);
    }
    if let Some(TreesSpec { depth }) = head.trees {
        let fits = (1..=8).contains(&depth) && !head.inputs.contains(&InputBlock::Ngrams) && head.neighbours.is_none();
        return if fits { Ok(()) } else { Err(MixtureError::Trees { depth }) };
    }
    let Some(NeighbourVote { count, sharpness }) = head.neighbours else { return Ok(()) };
    if count == 0 || !(sharpness.is_finite() && sharpness >= 0.0) {
        return Err(MixtureError::Neighbours { count, sharpness });
    }
    if head.kind == HeadKind::Ordinal { Err(MixtureError::Ordinal) } else { Ok(()) }
}

fn check_parts(manifest: &Manifest, head: &HeadSpec) -> Result<(), MixtureError> {
    let is_independent =
        |part: &&Name| manifest.head(part.as_str()).is_some_and(|part| part.kind == HeadKind::Independent);
    match head.parts().find(is_independent) {
        Some(member) => Err(MixtureError::IndependentMember { member: member.clone() }),
        None => Ok(()),
    }
}

fn check_mix(manifest: &Manifest, head: &HeadSpec) -> Result<(), MixtureError> {
    let reads = !head.inputs.is_empty() || head.neighbours.is_some() || head.trees.is_some();
    if reads && !head.mix.is_empty() {
        return Err(MixtureError::Inputs);
    }
    for MixtureMember { head: member, weight } in &head.mix {
        let member = || member.clone();
        let Some(found) = manifest.head(member().as_str()) else {
            return Err(MixtureError::Unknown { member: member() });
        };
        if !found.mix.is_empty() {
            return Err(MixtureError::Nested { member: member() });
        }
        if found.labels != head.labels {
            return Err(MixtureError::Labels { member: member() });
        }
        if !(weight.is_finite() && *weight > 0.0) {
            return Err(MixtureError::Weight { member: member(), weight: *weight });
        }
    }
    Ok(())
}

#[cfg(test)]
impl Manifest {
    /// Reads the manifest of a bundle of which only the heads matter, as a list in YAML.
    pub(crate) fn of_heads(heads: &str) -> Result<Self, ManifestError> {
        let rest = "format: 1
name: n
version: v
description: d
encoder: {file: m, output: o, dimension: 4, precision: fp32}
tokenizer: {file: t, max_tokens: 8, head_tokens: 4}
heads_file: h
features_file: f
golden_file: g
files: {m: a, t: a, h: a, f: a, g: a}
heads:
";
        Self::parse(&format!("{rest}{heads}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADS: &str = "
- {name: words, kind: multinomial, labels: [weak, strong], inputs: [ngrams], temperature: 1, hidden: true}
- {name: near, kind: multinomial, labels: [weak, strong], inputs: [embedding], temperature: 1, neighbours: {count: 3, sharpness: 10}}
- {name: wins, kind: multinomial, labels: [weak, strong], temperature: 1, mix: [{head: words, weight: 0.5}, {head: near, weight: 2}]}
";

    #[test]
    fn a_mixture_reads_what_its_members_read() {
        let manifest = Manifest::of_heads(HEADS).expect("sound");

        let reads = |name: &str| manifest.reads_embedding(manifest.head(name).expect("a head"));
        assert_eq!(["words", "near", "wins"].map(reads), [false, true, true]);
    }

    #[test]
    fn each_way_a_mixture_can_be_wrong_is_told() {
        let cases = [
            ("weight: 2", "weight: 0", "mixes `near` with weight 0, must be above 0"),
            ("head: near", "head: far", "mixes `far`, which is no head"),
            ("head: near", "head: wins", "mixes `wins`, which is a mixture"),
            ("[weak, strong], temperature", "[strong, weak], temperature", "mixes `words`, whose labels are others"),
            ("{name: wins, ", "{name: wins, inputs: [ngrams], ", "is a mixture and has `inputs`"),
            ("{name: words, ", "{name: words, trees: {depth: 3}, ", "has trees of depth 3, must be 1 to 8, over"),
            (
                "temperature: 1, mix",
                "temperature: 1, isotonic: {from: [0.2, 0.1], to: [0.1, 0.2]}, mix",
                "has an `isotonic`",
            ),
            ("head: words", "head: near", "`words` is hidden, and no mixture or gate has it"),
            ("hidden: true", "hidden: true, stands_for: near", "is hidden and stands for another head"),
            ("count: 3", "count: 0", "has 0 neighbours with sharpness 10"),
            (
                "{name: near, kind: multinomial",
                "{name: near, kind: ordinal",
                "`near` has `neighbours` and must be multinomial",
            ),
            (
                "{name: words, kind: multinomial",
                "{name: words, kind: independent",
                "uses `words`, which is independent",
            ),
            ("{name: near, kind: multinomial", "{name: near, kind: independent", "is independent and has `neighbours`"),
        ];
        for (from, to, expected) in cases {
            assert!(HEADS.contains(from), "{from}");

            let error = Manifest::of_heads(&HEADS.replacen(from, to, 1)).expect_err("wrong").to_string();

            assert!(error.contains(expected), "{to}: {error}");
        }
    }
}
