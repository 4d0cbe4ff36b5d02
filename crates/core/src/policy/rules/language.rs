//! The language that the expressions of a configuration share: its names, constants and macros.

use std::sync::Arc;

use super::expression::{CelExpression, ScorePlace};
use super::macros::MacroTable;
use super::vocabulary::{ScoreName, Vocabulary, missing};
use crate::config::{Config, ConfigProblem, KeyPath, Name};
use crate::policy::heads::BundleHeads;

/// The language of a configuration's expressions: their names, constants and macros.
#[derive(Debug)]
pub(in crate::policy) struct RuleLanguage {
    pub(super) vocabulary: Vocabulary,
    pub(in crate::policy) macros: Arc<MacroTable>,
}

impl RuleLanguage {
    /// Reads the language of the expressions of `config`; a mistake in it does not keep the rules from being checked.
    pub(in crate::policy) fn read(config: &Config) -> (Self, Vec<ConfigProblem>) {
        let (mut vocabulary, mut problems) = Vocabulary::new(config);
        let (macros, more) = MacroTable::compile(config, &mut vocabulary);
        problems.extend(more);
        (Self { vocabulary, macros: Arc::new(macros) }, problems)
    }

    /// Checks the scores that the macros read.
    pub(in crate::policy) fn check_labels(
        &self,
        config: &Config,
        classifier: &Name,
        heads: &BundleHeads<'_>,
    ) -> Vec<ConfigProblem> {
        let path = |name: &str| KeyPath::root().key("macros").key(name);
        let macros = self.macros.iter();
        macros.flat_map(|own| score_problems(config, &path(&own.name), &own.value, classifier, heads)).collect()
    }

    pub(in crate::policy) fn constants(&self) -> impl Iterator<Item = &String> {
        self.vocabulary.constants()
    }
}

/// Compares the scores that `expression` reads with the labels of the heads of `classifier`.
pub(super) fn score_problems(
    config: &Config,
    path: &KeyPath,
    expression: &CelExpression,
    classifier: &Name,
    heads: &BundleHeads<'_>,
) -> Vec<ConfigProblem> {
    let places = expression.scores.iter().filter(|place| place.score.classifier == *classifier);
    let problem = |place: &ScorePlace| {
        let ScoreName { head, label, .. } = &place.score;
        let message = match heads.labels(head) {
            None => heads.missing(classifier, head),
            Some(known) if known.iter().any(|known| **known == **label) => return None,
            Some(known) => {
                let missing = missing("label", label, known.iter().map(|label| &**label));
                format!("head `{head}`: {missing}")
            }
        };
        config.problem_within(path, message, place.offset..place.offset + place.width)
    };
    places.filter_map(problem).collect()
}
