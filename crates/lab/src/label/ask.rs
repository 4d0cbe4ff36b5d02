//! The question about a row, and what becomes of its answer.

use serde_json::{Value, json};

use super::{LabelError, LabelRun, UnlabelledRow};
use crate::judge::{JudgeBudget, PricedJudge, QuestionOutcome, ReadVerdict, VerdictForm, VerdictQuestion};

/// A row to settle.
pub(super) struct LabelTask {
    pub(super) row: UnlabelledRow,
    pub(super) id: String,
    pub(super) question: VerdictQuestion,
}

impl LabelRun {
    /// Puts the question of a row.
    pub(super) fn question(&self, row: &UnlabelledRow) -> Result<VerdictQuestion, LabelError> {
        let mut values = row.rest.clone();
        values.insert("prompt".into(), json!(row.prompt));
        let form = VerdictForm { name: self.rubric.name(), schema: self.rubric.schema() };
        Ok(VerdictQuestion::new(&self.client, &self.rubric.messages(&values)?, &form))
    }

    /// Asks until there is a verdict; returns the keys that rows get, and what it cost.
    ///
    /// # Errors
    /// When the judge refuses for good, whatever it is asked.
    pub(super) async fn ask(
        &self,
        question: &VerdictQuestion,
        budget: &JudgeBudget,
    ) -> Result<(QuestionOutcome<Value>, f64), LabelError> {
        let judge = PricedJudge { client: &self.client, price: self.price, budget };
        let (outcome, cost) = judge.ask(question, |content| self.rubric.verdict(content)).await?;
        let keys = |ReadVerdict { verdict, usage }| ReadVerdict { verdict: self.answer_keys(&verdict, usage), usage };
        Ok((outcome.map(keys), cost))
    }
}
