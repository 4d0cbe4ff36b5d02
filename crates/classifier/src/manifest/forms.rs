//! Lexical forms: heads that stand in for another one because they need no encoder.
//!
//! A form has its own weights over features and n-grams, and the labels and kind of the head that it stands for. With a
//! `confidence` the cascade may stop at it; without, it is only a rung of the degrade ladder.

use std::collections::BTreeMap;
use std::fmt;

use pointsman_core::config::Name;
use pointsman_core::scores::HeadScores;
use serde::{Deserialize, Serialize};

use super::{HeadKind, HeadSpec, HeadSpecError, InputBlock, Manifest, ManifestError};

/// The probability of a form's label from which on the encoder need not run.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(untagged)]
pub enum StopConfidence {
    /// One for all labels.
    Any(f32),
    /// One for each label; a label that is not named is never enough.
    ByLabel(BTreeMap<Name, f32>),
}

/// An error of a head that claims to be the lexical form of another.
#[derive(Debug, thiserror::Error, PartialEq)]
#[expect(missing_docs, reason = "each field is named for what it holds")]
pub enum LexicalFormError {
    /// The head that it stands for does not exist.
    #[error("stands for `{stands_for}`, which is no head (heads: {})", list(.heads))]
    Unknown { stands_for: Name, heads: Vec<Name> },
    /// The head that it stands for is a form itself.
    #[error("stands for `{stands_for}`, which is a lexical form itself")]
    OfForm { stands_for: Name },
    /// The labels of the two heads are not the same, in the same order.
    #[error("has the labels {}; `{stands_for}`, which it stands for, has {}", list(.labels), list(.expected))]
    Labels { stands_for: Name, labels: Vec<Name>, expected: Vec<Name> },
    /// The kinds of the two heads differ.
    #[error("is {kind:?}; `{stands_for}`, which it stands for, is {expected:?}")]
    Kind { stands_for: Name, kind: HeadKind, expected: HeadKind },
    /// The form reads the embedding that it is to do without.
    #[error("stands for `{stands_for}`, but reads the embedding")]
    ReadsEmbedding { stands_for: Name },
    /// A form of the same head exists already.
    #[error("stands for `{stands_for}`, as `{other}` does; a head has one lexical form")]
    Twice { stands_for: Name, other: Name },
    /// The confidence is no probability that a best label could need.
    #[error("has confidence {value}, must be above 0.5 and at most 1")]
    Confidence { value: f32 },
    /// A confidence is set for a label that the head does not have.
    #[error("has a confidence for `{label}`, which is none of its labels ({})", list(.labels))]
    ConfidenceLabel { label: Name, labels: Vec<Name> },
    /// A confidence is set on a head that stands for no other.
    #[error("has a `confidence`, but no `stands_for`")]
    ConfidenceAlone,
}

impl StopConfidence {
    /// Returns whether scores are sure enough of the label that they decide.
    #[must_use]
    pub fn suffices(&self, scores: &HeadScores) -> bool {
        let Some((label, probability)) = scores.decided() else { return false };
        let least = match self {
            Self::Any(least) => Some(*least),
            Self::ByLabel(least) => least.iter().find(|(name, _)| ***name == **label).map(|(_, least)| *least),
        };
        least.is_some_and(|least| probability >= least)
    }

    /// Returns the largest of its probabilities, as far as one is known.
    #[must_use]
    pub fn most(&self) -> Option<f32> {
        match self {
            Self::Any(least) => Some(*least),
            Self::ByLabel(least) => least.values().copied().reduce(f32::max),
        }
    }

    fn check(&self, labels: &[Name]) -> Result<(), LexicalFormError> {
        let value = |value: &f32| match *value > 0.5 && *value <= 1.0 {
            true => Ok(()),
            false => Err(LexicalFormError::Confidence { value: *value }),
        };
        match self {
            Self::Any(least) => value(least),
            Self::ByLabel(by_label) => by_label.iter().try_for_each(|(label, least)| match labels.contains(label) {
                true => value(least),
                false => Err(LexicalFormError::ConfidenceLabel { label: label.clone(), labels: labels.to_vec() }),
            }),
        }
    }
}

impl fmt::Display for StopConfidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any(least) => write!(f, "{least}"),
            Self::ByLabel(least) => {
                let parts: Vec<_> = least.iter().map(|(label, least)| format!("{label} {least}")).collect();
                f.write_str(&parts.join(", "))
            }
        }
    }
}

impl Manifest {
    /// Returns whether a head needs the encoder.
    #[must_use]
    pub fn reads_embedding(&self, head: &HeadSpec) -> bool {
        // The head of a sequence classification reads the logits, which are the encoder's.
        let own = head.mix.is_empty() && (head.inputs.is_empty() || head.inputs.contains(&InputBlock::Embedding));
        own || head.parts().filter_map(|part| self.head(part.as_str())).any(|part| self.reads_embedding(part))
    }

    /// Returns the lexical form of the head called `name`.
    #[must_use]
    pub fn lexical_form(&self, name: &str) -> Option<&HeadSpec> {
        self.heads.iter().find(|head| head.stands_for.as_ref().is_some_and(|other| other.as_str() == name))
    }
}

/// Checks every form against the head that it stands for.
pub(super) fn check(manifest: &Manifest) -> Result<(), ManifestError> {
    for head in &manifest.heads {
        check_form(manifest, head).map_err(|problem| head.error(HeadSpecError::Form(problem)))?;
    }
    Ok(())
}

fn check_form(manifest: &Manifest, head: &HeadSpec) -> Result<(), LexicalFormError> {
    let Some(stands_for) = &head.stands_for else {
        return if head.confidence.is_some() { Err(LexicalFormError::ConfidenceAlone) } else { Ok(()) };
    };
    let stands_for = || stands_for.clone();
    let Some(full) = manifest.head(stands_for().as_str()) else {
        let heads = manifest.heads.iter().map(|head| head.name.clone()).collect();
        return Err(LexicalFormError::Unknown { stands_for: stands_for(), heads });
    };
    if full.stands_for.is_some() {
        return Err(LexicalFormError::OfForm { stands_for: stands_for() });
    }
    if head.labels != full.labels {
        let (labels, expected) = (head.labels.clone(), full.labels.clone());
        return Err(LexicalFormError::Labels { stands_for: stands_for(), labels, expected });
    }
    if head.kind != full.kind {
        return Err(LexicalFormError::Kind { stands_for: stands_for(), kind: head.kind, expected: full.kind });
    }
    if manifest.reads_embedding(head) {
        return Err(LexicalFormError::ReadsEmbedding { stands_for: stands_for() });
    }
    let first = manifest.lexical_form(full.name.as_str()).unwrap_or(head);
    if first.name != head.name {
        return Err(LexicalFormError::Twice { stands_for: stands_for(), other: first.name.clone() });
    }
    head.confidence.as_ref().map_or(Ok(()), |confidence| confidence.check(&head.labels))
}

fn list(names: &[Name]) -> String {
    names.iter().map(Name::as_str).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const FULL: &str =
        "{name: tier, kind: multinomial, labels: [simple, complex], inputs: [embedding, features], temperature: 1}";
    const FORM: &str = "{name: quick, kind: multinomial, labels: [simple, complex], inputs: [features, ngrams], \
                        temperature: 1, stands_for: tier, confidence: 0.9}";

    fn manifest(heads: &[&str]) -> Result<Manifest, ManifestError> {
        Manifest::parse(&format!(
            "format: 1\nname: tiny\nversion: v1\ndescription: d\n\
             encoder: {{file: m, output: o, dimension: 4, precision: fp32}}\n\
             tokenizer: {{file: t, max_tokens: 16, head_tokens: 9}}\nheads_file: h\nfeatures_file: f\ngolden_file: g\n\
             heads: [{}]\nfiles: {{m: a, t: a, h: a, f: a, g: a}}\n",
            heads.join(", ")
        ))
    }

    fn refusal(form: &str) -> String {
        manifest(&[FULL, form]).expect_err("a wrong form").to_string()
    }

    #[test]
    fn a_form_is_found_by_the_head_that_it_stands_for() {
        let manifest = manifest(&[FORM, FULL]).expect("a sound manifest");

        let form = manifest.lexical_form("tier").expect("a form");

        assert_eq!((form.name.as_str(), &form.confidence), ("quick", &Some(StopConfidence::Any(0.9))));
        assert!(manifest.lexical_form("quick").is_none());
        assert!(!manifest.reads_embedding(form) && manifest.reads_embedding(manifest.head("tier").expect("a head")));
    }

    #[test]
    fn a_form_without_confidence_is_allowed() {
        assert!(manifest(&[FULL, &FORM.replace(", confidence: 0.9", "")]).is_ok());
    }

    #[test]
    fn each_way_a_form_can_be_wrong_is_told() {
        let cases = [
            ("stands_for: tier", "stands_for: mood", "stands for `mood`, which is no head (heads: tier, quick)"),
            ("stands_for: tier", "stands_for: quick", "stands for `quick`, which is a lexical form itself"),
            (
                "[simple, complex]",
                "[complex, simple]",
                "has the labels complex, simple; `tier`, which it stands for, has",
            ),
            ("multinomial", "ordinal", "is Ordinal; `tier`, which it stands for, is Multinomial"),
            ("[features, ngrams]", "[embedding]", "stands for `tier`, but reads the embedding"),
            ("confidence: 0.9", "confidence: 0.5", "has confidence 0.5, must be above 0.5 and at most 1"),
            ("confidence: 0.9", "confidence: 1.1", "has confidence 1.1, must be above 0.5 and at most 1"),
            ("confidence: 0.9", "confidence: {simple: 0.4}", "has confidence 0.4, must be above 0.5 and at most 1"),
            ("confidence: 0.9", "confidence: {hard: 0.9}", "has a confidence for `hard`, which is none of its labels"),
            ("stands_for: tier, ", "", "has a `confidence`, but no `stands_for`"),
        ];
        for (from, to, expected) in cases {
            let refusal = refusal(&FORM.replacen(from, to, 1));

            assert!(refusal.starts_with("bundle.yaml: head `quick` ") && refusal.contains(expected), "{to}: {refusal}");
        }
    }

    #[test]
    fn a_confidence_by_label_is_that_of_the_label_which_is_decided() {
        let form = FORM.replace("confidence: 0.9", "confidence: {simple: 0.8}");
        let manifest = manifest(&[FULL, &form]).expect("a sound manifest");
        let confidence = manifest.lexical_form("tier").and_then(|form| form.confidence.clone()).expect("a confidence");
        let suffices = |simple: f32| {
            confidence.suffices(&HeadScores::new("tier", &["simple", "complex"], &[simple, 1.0 - simple]))
        };

        assert_eq!([0.79, 0.8, 0.1].map(suffices), [false, true, false], "no label but `simple` is ever enough");
        assert_eq!((confidence.to_string().as_str(), confidence.most()), ("simple 0.8", Some(0.8)));
    }

    #[test]
    fn a_head_with_two_forms_is_refused() {
        let second = FORM.replace("quick", "quicker");

        let refusal = manifest(&[FULL, FORM, &second]).expect_err("two forms").to_string();

        let expected = "bundle.yaml: head `quicker` stands for `tier`, as `quick` does; a head has one lexical form";
        assert_eq!(refusal, expected);
    }
}
