//! The answer to a request for decisions, in the API's JSON.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::Distribution;
use super::heads::{HeadAnswer, HeadAnswers};
use super::question::{DecisionKind, DecisionQuestion, DecisionRequest};
use crate::classify::ClassifyAnswer;
use crate::judge::JudgedAnswers;

/// The answer as far as it is known.
pub(super) struct DecisionReply<'r> {
    request: &'r DecisionRequest,
    /// The probabilities of a question's options, in their order; `None` for one that was declined.
    answers: Vec<Option<Distribution>>,
    input_tokens: u64,
    cached_tokens: u64,
    output_tokens: u64,
    reasoning_tokens: u64,
}

impl<'r> DecisionReply<'r> {
    pub(super) fn new(request: &'r DecisionRequest) -> Self {
        let answers = request.questions().iter().map(|_| None).collect();
        Self { request, answers, input_tokens: 0, cached_tokens: 0, output_tokens: 0, reasoning_tokens: 0 }
    }

    /// Takes the answers of heads.
    pub(super) fn take_heads(&mut self, heads: &HeadAnswers, scored: &ClassifyAnswer) {
        let Some(result) = scored.results.first() else { return };
        self.input_tokens += u64::from(result.scores.tokens);
        for (index, answer) in heads.iter() {
            let head = match answer {
                HeadAnswer::Labels { head } | HeadAnswer::Label { head, .. } => head,
            };
            let Some(scores) = result.scores.head(head) else { continue };
            let labels = scores.labels.iter().map(|label| &**label);
            let by_label: BTreeMap<&str, f64> =
                labels.zip(scores.probabilities.iter().copied().map(f64::from)).collect();
            let of = |label: &str| by_label.get(label).copied().unwrap_or_default();
            self.answers[index] = Some(match (&self.request.questions()[index].kind, answer) {
                (_, HeadAnswer::Label { label, .. }) => vec![of(label), 1.0 - of(label)],
                (DecisionKind::Choice(choices), _) => {
                    choices.items.iter().map(|choice| of(&choice.value.to_string())).collect()
                }
                (DecisionKind::Score(levels), _) => levels.items.iter().map(|level| of(&level.label)).collect(),
                (DecisionKind::Predicate, _) => continue,
            });
        }
    }

    /// Returns the places of the questions that nobody has answered.
    pub(super) fn open_questions(&self) -> Vec<usize> {
        (0..self.answers.len()).filter(|index| self.answers[*index].is_none()).collect()
    }

    /// Takes the answers of a judge to the questions at `places`.
    pub(super) fn take_judged(&mut self, places: &[usize], judged: JudgedAnswers) {
        self.input_tokens += judged.usage.input;
        self.cached_tokens += judged.usage.cached;
        self.output_tokens += judged.usage.output;
        self.reasoning_tokens += judged.usage.reasoning;
        for (index, answer) in places.iter().zip(judged.answers) {
            self.answers[*index] = answer;
        }
    }

    /// Returns the tokens that it took.
    const fn tokens(&self) -> u64 {
        self.input_tokens + self.output_tokens
    }

    /// Writes it.
    pub(super) fn write(&self) -> Bytes {
        let answers = self.request.questions().iter().zip(&self.answers);
        let answers: Vec<Value> = answers.map(|(question, answer)| written(question, answer.as_deref())).collect();
        let reply = json!({
            "answers": answers,
            "model": self.request.model,
            "usage": {
                "input_tokens": self.input_tokens,
                "input_tokens_details": {"cached_tokens": self.cached_tokens, "cache_write_tokens": 0},
                "output_tokens": self.output_tokens,
                "output_tokens_details": {"reasoning_tokens": self.reasoning_tokens},
                "total_tokens": self.tokens(),
            },
        });
        reply.to_string().into()
    }
}

fn written(question: &DecisionQuestion, distribution: Option<&[f64]>) -> Value {
    let mut answer = Map::from_iter([("name".to_owned(), json!(question.name))]);
    let Some(distribution) = distribution else {
        answer.insert("type".to_owned(), "refusal".into());
        return answer.into();
    };
    let best = distribution.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1).then(b.0.cmp(&a.0)));
    let (best, confidence) = best.map_or((0, 0.0), |(index, probability)| (index, *probability));
    let own = match &question.kind {
        DecisionKind::Predicate => json!({"type": "predicate", "probability": distribution[0]}),
        DecisionKind::Choice(choices) => {
            let choices = &choices.items;
            let probabilities = choices.iter().zip(distribution);
            let probabilities: Vec<Value> =
                probabilities.map(|(choice, p)| json!({"value": choice.value, "probability": p})).collect();
            json!({
                "type": "choice", "choice": choices[best].value, "confidence": confidence,
                "probabilities": probabilities,
            })
        }
        DecisionKind::Score(levels) => {
            let probabilities = levels.items.iter().zip(distribution).enumerate();
            let probabilities: Vec<Value> = probabilities
                .map(|(value, (level, p))| json!({"label": level.label, "value": value, "probability": p}))
                .collect();
            let score: f64 = distribution.iter().enumerate().map(|(value, p)| value as f64 * p).sum();
            json!({"type": "score", "score": score, "confidence": confidence, "probabilities": probabilities})
        }
    };
    if let Value::Object(own) = own {
        answer.extend(own);
    }
    answer.into()
}
