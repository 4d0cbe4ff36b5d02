//! The questions that heads answer.

use std::collections::BTreeSet;

use pointsman_classifier::Classifier;
use pointsman_core::scores::OfferedHead;

use super::question::{ChoiceValue, DecisionKind, DecisionQuestion};

/// The heads that answer questions, by the questions' places.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct HeadAnswers(Vec<(usize, HeadAnswer)>);

/// The part of a head's answer that a question asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum HeadAnswer {
    /// All of its labels.
    Labels { head: String },
    /// One of them.
    Label { head: String, label: String },
}

impl HeadAnswers {
    /// Finds the heads of a classifier that answer questions.
    pub(super) fn of(classifier: &Classifier, questions: &[DecisionQuestion]) -> Self {
        let heads: Vec<OfferedHead<'_>> = classifier.own_heads().collect();
        Self::among(&heads, questions)
    }

    fn among(heads: &[OfferedHead<'_>], questions: &[DecisionQuestion]) -> Self {
        let found = questions.iter().enumerate();
        Self(found.filter_map(|(index, question)| Some((index, answering(heads, question)?))).collect())
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, &HeadAnswer)> {
        self.0.iter().map(|(index, answer)| (*index, answer))
    }
}

/// Returns the head that answers a question: among those whose labels are its options the one that it names, else the
/// first of the bundle.
fn answering(heads: &[OfferedHead<'_>], question: &DecisionQuestion) -> Option<HeadAnswer> {
    let named = |head: &OfferedHead<'_>| question.name.as_deref() == Some(head.name);
    let all = |fits: &dyn Fn(&OfferedHead<'_>) -> bool| {
        let fitting: Vec<_> = heads.iter().filter(|head| fits(head)).collect();
        let found = fitting.iter().find(|head| named(head)).or_else(|| fitting.first());
        found.map(|head| HeadAnswer::Labels { head: head.name.to_owned() })
    };
    match &question.kind {
        DecisionKind::Choice(choices) => {
            let options: Option<BTreeSet<&str>> = choices
                .items
                .iter()
                .map(|choice| match &choice.value {
                    ChoiceValue::Text(text) => Some(&**text),
                    ChoiceValue::Bool(_) => None,
                })
                .collect();
            let options = options?;
            all(&|head| head.labels.iter().map(|label| &**label).collect::<BTreeSet<_>>() == options)
        }
        DecisionKind::Score(levels) => {
            let levels: Vec<&str> = levels.items.iter().map(|level| &*level.label).collect();
            all(&|head| head.labels.iter().map(|label| &**label).eq(levels.iter().copied()))
        }
        DecisionKind::Predicate => {
            let (head, label) = question.name.as_deref()?.rsplit_once('.')?;
            let found = heads.iter().find(|offered| offered.name == head)?;
            let label = found.labels.iter().find(|own| ***own == *label)?;
            Some(HeadAnswer::Label { head: head.to_owned(), label: label.to_string() })
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;

    fn labels(names: &[&str]) -> Vec<Arc<str>> {
        names.iter().copied().map(Arc::from).collect()
    }

    fn found(question: serde_json::Value) -> Option<String> {
        let (tier, difficulty, safe) =
            (labels(&["simple", "complex"]), labels(&["simple", "complex"]), labels(&["no", "yes"]));
        let head = |name, labels| OfferedHead { name, labels, levels: None };
        let heads = [head("tier", &tier), head("difficulty", &difficulty), head("safe", &safe)];
        let question: DecisionQuestion = serde_json::from_value(question).expect("a question");
        let found = HeadAnswers::among(&heads, &[question]);
        found.iter().next().map(|(_, answer)| match answer {
            HeadAnswer::Labels { head } => head.clone(),
            HeadAnswer::Label { head, label } => format!("{head}={label}"),
        })
    }

    fn choice(name: Option<&str>, values: &[serde_json::Value]) -> serde_json::Value {
        let choices: Vec<_> = values.iter().map(|value| json!({"value": value})).collect();
        json!({"type": "choice", "instructions": "Which?", "name": name, "choices": choices})
    }

    #[test]
    fn a_choice_with_a_head_s_labels_in_any_order_is_that_head_s_and_its_name_tells_heads_apart() {
        let [simple, complex] = [json!("simple"), json!("complex")];

        assert_eq!(found(choice(None, &[complex.clone(), simple.clone()])).as_deref(), Some("tier"));
        assert_eq!(
            found(choice(Some("difficulty"), &[simple.clone(), complex.clone()])).as_deref(),
            Some("difficulty")
        );
        assert_eq!(found(choice(None, &[simple.clone(), complex.clone(), json!("other")])), None);
        assert_eq!(found(choice(None, &[json!(true), json!(false)])), None);
    }

    #[test]
    fn the_levels_of_a_score_are_a_head_s_labels_in_their_order() {
        let score = |levels: [&str; 2]| {
            let levels: Vec<_> = levels.iter().map(|label| json!({"label": label})).collect();
            json!({"type": "score", "instructions": "How?", "levels": levels})
        };

        assert_eq!(found(score(["no", "yes"])).as_deref(), Some("safe"));
        assert_eq!(found(score(["yes", "no"])), None);
    }

    #[test]
    fn a_predicate_names_a_head_and_a_label() {
        let predicate = |name: &str| json!({"type": "predicate", "instructions": "Is it?", "name": name});

        assert_eq!(found(predicate("safe.yes")).as_deref(), Some("safe=yes"));
        for other in ["safe", "safe.maybe", "other.yes", "."] {
            assert_eq!(found(predicate(other)), None, "{other}");
        }
    }
}
