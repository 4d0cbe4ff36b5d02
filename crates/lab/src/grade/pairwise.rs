//! Two answers side by side: a judge sees each pair in both orders and never learns which model wrote which.
//!
//! Judges prefer the answer that stands first more often than it deserves. So an answer wins only if it wins in both
//! orders; where the orders disagree, the comparison is a tie.

use serde_json::{Value, json};

use super::GradeError;
use super::panel::{PanelQuestion, PanelState, shown};
use crate::answers::AnswerGrade;

/// The outcome of an answer beside the baseline's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PairOutcome {
    Win,
    Tie,
    Loss,
}

/// Two answers to one prompt.
pub(super) struct AnswerPair<'a> {
    pub(super) prompt: &'a str,
    pub(super) reference: String,
    /// The answer that is graded.
    pub(super) answer: &'a str,
    /// The answer that it is compared with.
    pub(super) baseline: &'a str,
    /// The model that gave the baseline's answer; the judge never sees it.
    pub(super) against: &'a str,
}

impl PairOutcome {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Win => "win",
            Self::Tie => "tie",
            Self::Loss => "loss",
        }
    }

    const fn score(self) -> f64 {
        match self {
            Self::Win => 1.0,
            Self::Tie => 0.5,
            Self::Loss => 0.0,
        }
    }

    /// Reads a verdict on a pair in which the graded answer stood first, or second.
    fn of(label: &str, graded: &str) -> Self {
        match label {
            "tie" => Self::Tie,
            winner if winner == graded => Self::Win,
            _ => Self::Loss,
        }
    }

    /// Returns what both orders say together.
    fn of_orders(orders: [Self; 2]) -> Self {
        if orders[0] == orders[1] { orders[0] } else { Self::Tie }
    }
}

/// Returns one grade a judge; none of a judge that gave no verdict in one of the orders.
pub(super) async fn compare(panel: &PanelState<'_>, pair: &AnswerPair<'_>) -> Result<Vec<AnswerGrade>, GradeError> {
    if pair.answer.trim() == pair.baseline.trim() {
        return Ok(vec![grade(pair.against, [PairOutcome::Tie; 2], "the answers are the same")]);
    }
    let mut grades = Vec::new();
    for judge in &panel.panel.judges {
        let (mut orders, mut reasons, mut cost) = (Vec::new(), Vec::new(), 0.0);
        for (graded, texts) in [
            ("first", [("first", pair.answer), ("second", pair.baseline)]),
            ("second", [("first", pair.baseline), ("second", pair.answer)]),
        ] {
            let shown = shown(pair.prompt, &pair.reference, &texts);
            let Some(verdict) = panel.verdict(judge, PanelQuestion::Pair, &shown).await? else { break };
            orders.push(PairOutcome::of(verdict.label.as_deref().unwrap_or("tie"), graded));
            reasons.extend(verdict.reason);
            cost += verdict.cost_usd;
        }
        let &[one, other] = orders.as_slice() else { continue };
        grades.push(AnswerGrade {
            judge: Some(judge.client.model().to_owned()),
            cost_usd: Some(cost),
            ..grade(pair.against, [one, other], &reasons.join(" | "))
        });
    }
    Ok(grades)
}

/// Returns the grade of the baseline's own answers: a tie with itself.
pub(super) fn of_baseline(model: &str) -> AnswerGrade {
    let mut grade = grade(model, [PairOutcome::Tie; 2], "the baseline itself");
    grade.other.remove("orders"); // no comparison was made
    grade
}

fn grade(against: &str, orders: [PairOutcome; 2], reason: &str) -> AnswerGrade {
    let outcome = PairOutcome::of_orders(orders);
    let mut grade = AnswerGrade {
        grader: "pairwise".to_owned(),
        score: outcome.score(),
        reason: (!reason.is_empty()).then(|| reason.to_owned()),
        ..AnswerGrade::default()
    };
    grade.other.insert("outcome".to_owned(), json!(outcome.as_str()));
    grade.other.insert("against".to_owned(), json!(against));
    grade.other.insert("orders".to_owned(), Value::from(orders.map(PairOutcome::as_str).to_vec()));
    grade
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_wins_only_in_both_orders_and_orders_that_disagree_are_a_tie() {
        let both = |first: &str, second: &str| {
            PairOutcome::of_orders([PairOutcome::of(first, "first"), PairOutcome::of(second, "second")])
        };

        assert_eq!(both("first", "second"), PairOutcome::Win);
        assert_eq!(both("second", "first"), PairOutcome::Loss);
        assert_eq!(both("tie", "tie"), PairOutcome::Tie);
        // The judge took whatever stood first, or second.
        assert_eq!((both("first", "first"), both("second", "second")), (PairOutcome::Tie, PairOutcome::Tie));
        assert_eq!((both("first", "tie"), both("tie", "first")), (PairOutcome::Tie, PairOutcome::Tie));
    }

    #[test]
    fn a_grade_keeps_both_orders_and_whom_it_was_compared_with() {
        let grade = grade("large", [PairOutcome::Win, PairOutcome::Loss], "one | other");

        assert_eq!((grade.score, grade.reason.as_deref()), (0.5, Some("one | other")));
        assert_eq!(grade.other["orders"], json!(["win", "loss"]));
        assert_eq!((&grade.other["against"], &grade.other["outcome"]), (&json!("large"), &json!("tie")));
    }
}
