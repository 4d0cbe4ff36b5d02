//! Levels: the thresholds on a head's expected level that decide its label, checked against the head's labels.
//!
//! The thresholds themselves are a type of `core`, where labels are decided.

use pointsman_core::scores::{LevelLean, LevelThresholds};

use super::{HeadKind, HeadSpec};

/// The most by which the shares of a prior may miss one in sum; they are written rounded.
const PRIOR_TOLERANCE: f32 = 0.01;

/// An error of the `levels` of a head.
#[derive(Debug, thiserror::Error, PartialEq)]
#[expect(missing_docs, reason = "each field is named for what it holds")]
pub enum LevelsError {
    /// The labels hold apart from each other, so no prompt stands on a scale of them.
    #[error("has `levels`, but its labels hold independently, without an order")]
    Independent,
    /// The head stands for another one, whose thresholds hold for it as well.
    #[error("has `levels`, but those of `{stands_for}`, which it stands for, count")]
    OfForm { stands_for: String },
    /// The prior is no share of each label.
    #[error("has levels.prior {prior:?} (allowed: a share of each of {labels} labels, 1 in sum)")]
    Prior { prior: Vec<f32>, labels: usize },
    /// The thresholds of a lean are too many or too few, out of bounds, or fall.
    #[error(
        "has levels.{lean} {thresholds:?} (allowed: {expected} numbers above 0 and at most 1, none below the one before)"
    )]
    Thresholds { lean: &'static str, thresholds: Vec<f32>, expected: usize },
    /// A lean decides a lower label than a cheaper lean does.
    #[error("has a threshold of levels.{lean} above that of levels.{cheaper} (allowed: the same or less)")]
    Order { lean: &'static str, cheaper: &'static str },
}

/// Checks the levels of a head, if it has some.
pub(super) fn check(head: &HeadSpec) -> Result<(), LevelsError> {
    let Some(levels) = &head.levels else { return Ok(()) };
    if head.kind == HeadKind::Independent {
        return Err(LevelsError::Independent);
    }
    if let Some(stands_for) = &head.stands_for {
        return Err(LevelsError::OfForm { stands_for: stands_for.to_string() });
    }
    let labels = head.labels.len();
    let is_share = |share: &f32| (0.0..=1.0).contains(share);
    let is_whole = (levels.prior.iter().sum::<f32>() - 1.0).abs() <= PRIOR_TOLERANCE;
    if levels.prior.len() != labels || !levels.prior.iter().all(is_share) || !is_whole {
        return Err(LevelsError::Prior { prior: levels.prior.clone(), labels });
    }
    for lean in LevelLean::ALL {
        check_thresholds(lean, levels.of(lean), labels - 1)?;
    }
    for [cheaper, lean] in [[LevelLean::Cheap, LevelLean::Even], [LevelLean::Even, LevelLean::Strong]] {
        check_order(levels, cheaper, lean)?;
    }
    Ok(())
}

fn check_thresholds(lean: LevelLean, thresholds: &[f32], expected: usize) -> Result<(), LevelsError> {
    let is_within = thresholds.iter().all(|threshold| *threshold > 0.0 && *threshold <= 1.0);
    if thresholds.len() == expected && is_within && thresholds.is_sorted() {
        return Ok(());
    }
    Err(LevelsError::Thresholds { lean: lean.as_str(), thresholds: thresholds.to_vec(), expected })
}

fn check_order(levels: &LevelThresholds, cheaper: LevelLean, lean: LevelLean) -> Result<(), LevelsError> {
    let (least, thresholds) = (levels.of(cheaper), levels.of(lean));
    if thresholds.iter().zip(least).all(|(threshold, least)| threshold <= least) {
        return Ok(());
    }
    Err(LevelsError::Order { lean: lean.as_str(), cheaper: cheaper.as_str() })
}

#[cfg(test)]
mod tests {
    use crate::manifest::{Manifest, ManifestError};

    const LEVELS: &str = "{prior: [0.6, 0.3, 0.1], cheap: [0.5, 0.8], even: [0.4, 0.7], strong: [0.2, 0.4]}";

    fn manifest(levels: &str, kind: &str) -> Result<Manifest, ManifestError> {
        Manifest::parse(&format!(
            "format: 1\nname: tiny\nversion: v1\ndescription: d\n\
             encoder: {{file: m, output: o, dimension: 4, precision: fp32}}\n\
             tokenizer: {{file: t, max_tokens: 16, head_tokens: 9}}\nheads_file: h\nfeatures_file: f\ngolden_file: g\n\
             heads: [{{name: tier, kind: {kind}, labels: [simple, medium, complex], inputs: [embedding], temperature: 1,\n  \
               levels: {levels}}},\n  \
               {{name: quick, kind: {kind}, labels: [simple, medium, complex], inputs: [ngrams], temperature: 1,\n  \
               stands_for: tier}}]\nfiles: {{m: a, t: a, h: a, f: a, g: a}}\n"
        ))
    }

    #[test]
    fn the_levels_of_a_head_hold_for_its_lexical_form_too() {
        let manifest = manifest(LEVELS, "multinomial").expect("a sound manifest");

        let [own, form] = ["tier", "quick"].map(|name| manifest.labels_of(manifest.head(name).expect("a head")).levels);

        assert_eq!(own.expect("levels").even, [0.4, 0.7]);
        assert_eq!(form.expect("levels of the head").even, [0.4, 0.7]);
    }

    #[test]
    fn each_way_levels_can_be_wrong_is_told() {
        let cases = [
            ("[0.6, 0.3, 0.1]", "[0.6, 0.4]", "has levels.prior [0.6, 0.4] (allowed: a share of each of 3 labels"),
            ("[0.6, 0.3, 0.1]", "[0.6, 0.3, 0.3]", "has levels.prior [0.6, 0.3, 0.3]"),
            ("[0.5, 0.8]", "[0.5]", "has levels.cheap [0.5] (allowed: 2 numbers above 0 and at most 1"),
            ("[0.4, 0.7]", "[0.7, 0.4]", "has levels.even [0.7, 0.4] (allowed: 2 numbers"),
            ("[0.2, 0.4]", "[0.0, 0.4]", "has levels.strong [0.0, 0.4] (allowed: 2 numbers"),
            ("[0.2, 0.4]", "[0.2, .nan]", "has levels.strong [0.2, NaN] (allowed: 2 numbers"),
            ("[0.2, 0.4]", "[0.2, 0.75]", "has a threshold of levels.strong above that of levels.even"),
        ];
        for (from, to, expected) in cases {
            let refusal = manifest(&LEVELS.replacen(from, to, 1), "multinomial").expect_err("wrong levels").to_string();

            assert!(refusal.starts_with("bundle.yaml: head `tier` ") && refusal.contains(expected), "{to}: {refusal}");
        }
        let refusal = manifest(LEVELS, "independent").expect_err("no order").to_string();
        assert!(refusal.contains("its labels hold independently"), "{refusal}");
    }
}
