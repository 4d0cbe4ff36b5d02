//! Who pays for a judge's answers.

use bytes::Bytes;
use pointsman_core::config::{Name, TokenPrice};
use pointsman_core::features::TokenCounter;

/// An account that answers are charged to, each as soon as it is known what it cost.
pub(crate) trait JudgeAccount: Sync {
    /// Returns whether `model` may be asked at the account's expense.
    fn may_ask(&self, model: &Name) -> bool;

    /// Takes what a question cost.
    fn pay(&self, cost: JudgeCost);
}

/// The cost of a question.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct JudgeCost {
    /// Tokens of question and answer together.
    pub tokens: u64,
    /// US dollars; 0 where the model has no price.
    pub dollars: f64,
}

/// The operator's account: for questions of its own, which no budget bounds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OperatorAccount;

/// A question that is at its provider. What nobody waits for any more, or what comes back without its usage, is charged by
/// the length of the question: the provider has been at work.
pub(super) struct SentQuestion<'q> {
    account: &'q dyn JudgeAccount,
    body: Bytes,
    price: Option<&'q TokenPrice>,
    is_settled: bool,
}

impl JudgeAccount for OperatorAccount {
    fn may_ask(&self, _: &Name) -> bool {
        true
    }

    fn pay(&self, _: JudgeCost) {}
}

impl<'q> SentQuestion<'q> {
    pub(super) fn new(account: &'q dyn JudgeAccount, body: &Bytes, price: Option<&'q TokenPrice>) -> Self {
        Self { account, body: body.clone(), price, is_settled: false }
    }

    /// Charges what it cost.
    pub(super) fn settle(mut self, cost: JudgeCost) {
        self.is_settled = true;
        self.account.pay(cost);
    }

    /// Charges nothing: the provider gave no answer.
    pub(super) fn forgive(mut self) {
        self.is_settled = true;
    }
}

impl Drop for SentQuestion<'_> {
    fn drop(&mut self) {
        if self.is_settled {
            return;
        }
        let text = String::from_utf8_lossy(&self.body);
        let tokens = TokenCounter::new().count([&*text]).tokens;
        let dollars = self.price.map_or(0.0, |price| price.of(tokens, 0, 0));
        self.account.pay(JudgeCost { tokens, dollars });
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[derive(Default)]
    struct Purse(Mutex<Vec<JudgeCost>>);

    impl JudgeAccount for Purse {
        fn may_ask(&self, _: &Name) -> bool {
            true
        }

        fn pay(&self, cost: JudgeCost) {
            self.0.lock().expect("no panic").push(cost);
        }
    }

    #[test]
    fn a_question_is_charged_once_by_its_usage_or_by_its_length_and_an_error_not_at_all() {
        let purse = Purse::default();
        let price = serde_json::from_str(r#"{"input": 2.0, "output": 8.0}"#).expect("a price");
        let body = Bytes::from_static(b"one two three four");
        let sent = || SentQuestion::new(&purse, &body, Some(&price));
        let known = JudgeCost { tokens: 1010, dollars: 0.5 };

        sent().settle(known);
        sent().forgive();
        drop(sent());

        let by_length = JudgeCost { tokens: 4, dollars: 8e-6 };
        assert_eq!(*purse.0.lock().expect("no panic"), [known, by_length]);
    }
}
