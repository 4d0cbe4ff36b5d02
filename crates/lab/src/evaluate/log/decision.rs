//! A decision as its line says it. Lines of older versions lack what came later.

use std::collections::BTreeMap;
use std::sync::Arc;

use pointsman_core::features::Features;
use pointsman_core::scores::{Degraded, Familiarity, HeadScores, Scores, Unfamiliar};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::key;

/// A request that was decided.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct LoggedDecision {
    /// The answer's `x-request-id`.
    pub request_id: String,
    /// When the request was over, as RFC 3339.
    #[serde(default)]
    pub time: String,
    /// Who asked, when clients have keys.
    #[serde(default)]
    pub client: Option<String>,
    /// The policy that decided.
    pub policy: String,
    /// The classifier that was asked.
    #[serde(default)]
    pub classifier: Option<String>,
    /// The bundle that it ran.
    #[serde(default)]
    pub bundle: Option<LoggedBundle>,
    /// The strategy that chose, unless a rule did.
    #[serde(default)]
    pub strategy: Option<String>,
    /// Why this model.
    #[serde(default)]
    pub reason: String,
    /// What affinity did, where the policy has it.
    #[serde(default)]
    pub pin: Option<LoggedPin>,
    /// The parameters that rules set.
    #[serde(default)]
    pub set: BTreeMap<String, Value>,
    /// Why the classifier gave no scores.
    #[serde(default)]
    pub degraded: Option<String>,
    /// The best label.
    #[serde(default)]
    pub label: Option<String>,
    /// Head to label to probability.
    #[serde(default)]
    pub scores: Option<BTreeMap<String, BTreeMap<String, f32>>>,
    /// Tokens of the text to judge that the encoder did not read.
    #[serde(default)]
    pub truncated_tokens: Option<u32>,
    /// The share of the text's n-grams that the classifier's training saw.
    #[serde(default)]
    pub known_ngrams: Option<f32>,
    /// What of the text lay beyond that training.
    #[serde(default)]
    pub unfamiliar: Option<String>,
    /// Every feature by its name.
    #[serde(default)]
    pub features: Map<String, Value>,
    /// The model that was chosen.
    pub model: String,
    /// The model that answered, after fallbacks; `None` when the policy only watched.
    #[serde(default)]
    pub answered_by: Option<String>,
    /// What the client got.
    #[serde(default)]
    pub status: Option<u16>,
    /// Tokens of the prompt.
    #[serde(default)]
    pub input_tokens: Option<u64>,
    /// Tokens of the answer.
    #[serde(default)]
    pub output_tokens: Option<u64>,
    /// What the answer cost.
    #[serde(default)]
    pub cost_usd: Option<f64>,
    /// Milliseconds until the answer began.
    #[serde(default)]
    pub first_byte_ms: Option<f64>,
    /// What the requests of one conversation have in common, in hexadecimal digits.
    #[serde(default)]
    pub conversation: Option<String>,
    /// The ask's keyed hash.
    #[serde(default)]
    pub text_hash: Option<String>,
    /// Bytes of the whole ask.
    #[serde(default)]
    pub text_bytes: usize,
    /// The ask, where the operator asked for it; its end may be cut.
    #[serde(default)]
    pub text: Option<String>,
}

/// The bundle behind a decision.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct LoggedBundle {
    /// The manifest's sha256.
    pub sha256: String,
}

/// What affinity did with a request.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct LoggedPin {
    /// What became of the pin.
    pub outcome: String,
    /// The model that the strategy had chosen, where the pin was stronger.
    #[serde(default)]
    pub instead_of: Option<String>,
}

impl LoggedDecision {
    /// Returns the features.
    #[must_use]
    pub fn features(&self) -> Features {
        Features::from_logged(&self.features)
    }

    /// Returns the best label, or what stands in its place.
    #[must_use]
    pub fn label_or_none(&self) -> &str {
        self.label.as_deref().unwrap_or("(none)")
    }

    /// Returns why the classifier gave no scores, if it was asked.
    #[must_use]
    pub fn degraded(&self) -> Option<Degraded> {
        Degraded::ALL.into_iter().find(|degraded| Some(degraded.as_str()) == self.degraded.as_deref())
    }

    /// Returns when the request was over, in seconds since 1970; 0 where the line does not say.
    #[must_use]
    pub fn at(&self) -> u64 {
        let at = humantime::parse_rfc3339(&self.time).ok();
        at.and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok()).unwrap_or_default().as_secs()
    }

    /// Returns what the requests of its conversation have in common, where the line says so.
    #[must_use]
    pub fn conversation(&self) -> Option<u64> {
        u64::from_str_radix(self.conversation.as_deref()?, 16).ok()
    }

    /// Returns the text, if all of it was written.
    #[must_use]
    pub fn whole_text(&self) -> Option<&str> {
        self.text.as_deref().filter(|text| text.len() == self.text_bytes)
    }

    /// Returns the scores with labels in the bundle's order, which `labels` knows by head; `None` when there are none, or a
    /// head lacks one of its labels.
    #[must_use]
    pub fn scores(&self, labels: impl Fn(&str) -> Option<Vec<Arc<str>>>) -> Option<Scores> {
        let head = |(head, probabilities): (&String, &BTreeMap<String, f32>)| {
            let labels = labels(head)?;
            let in_order = labels.iter().map(|label| probabilities.get(&**label).copied());
            let probabilities = in_order.collect::<Option<Vec<f32>>>()?;
            Some(HeadScores { head: head.as_str().into(), labels: labels.into(), probabilities, known: None })
        };
        let heads = self.scores.as_ref()?.iter().filter_map(head).collect();
        let truncated_tokens = self.truncated_tokens.unwrap_or_default();
        Some(Scores { truncated_tokens, familiarity: self.familiarity(), ..Scores::of(heads) })
    }

    fn familiarity(&self) -> Familiarity {
        let is = |unfamiliar: &Unfamiliar| Some(unfamiliar.as_str()) == self.unfamiliar.as_deref();
        Familiarity { known_ngrams: self.known_ngrams, unfamiliar: Unfamiliar::ALL.into_iter().find(is) }
    }

    /// Returns what equal prompts have in common: the hash, else the text, else the request itself.
    #[must_use]
    pub fn group(&self) -> u128 {
        key(self.text_hash.as_deref().or(self.text.as_deref()).unwrap_or(&self.request_id))
    }
}

#[cfg(test)]
mod tests {
    use super::super::LogLine;
    use super::*;

    #[test]
    fn what_affinity_did_and_rules_set_is_read_back_and_old_lines_lack_it() {
        let old = r#"{"kind":"decision","request_id":"a","policy":"p","model":"m","answered_by":"m"}"#;
        let new = r#"{"kind":"decision","request_id":"a","policy":"p","model":"m","time":"1970-01-02T00:00:00.000Z",
            "conversation":"00000000000000ff","pin":{"model":"m","last":"m","age_seconds":1,"idle_seconds":1,
            "in_tool_loop":false,"outcome":"kept","instead_of":"n"},"set":{"seed":7}}"#;
        let read = |line: &str| match LogLine::parse(line.as_bytes()) {
            Some(LogLine::Decision(decision)) => *decision,
            other => panic!("{other:?}"),
        };

        let (old, new) = (read(old), read(new));

        assert_eq!((old.pin, old.set.len(), old.conversation, old.answered_by.as_deref()), (None, 0, None, Some("m")));
        assert_eq!(new.pin, Some(LoggedPin { outcome: "kept".to_owned(), instead_of: Some("n".to_owned()) }));
        assert_eq!((&new.set["seed"], new.at(), new.conversation()), (&Value::from(7), 86_400, Some(255)));
        assert_eq!(new.answered_by, None);
    }

    #[test]
    fn what_was_unfamiliar_is_read_back_with_the_scores_and_another_word_is_nothing() {
        let read = |beyond: &str| {
            let line = format!(
                r#"{{"kind":"decision","request_id":"a","policy":"p","model":"m","known_ngrams":0.25,{beyond}
                "scores":{{"tier":{{"simple":1}}}}}}"#
            );
            let Some(LogLine::Decision(decision)) = LogLine::parse(line.as_bytes()) else { panic!("{line}") };
            decision.scores(|_| Some(vec!["simple".into()])).expect("scores").familiarity
        };

        let told = [r#""unfamiliar":"language","#, r#""unfamiliar":"mood","#, ""].map(read);

        let expected = [Some(Unfamiliar::Language), None, None];
        assert_eq!(told, expected.map(|unfamiliar| Familiarity { known_ngrams: Some(0.25), unfamiliar }));
    }
}
