//! OpenAI's decisions: `POST /v1/decisions`, a question for each head, one text a request.
//!
//! An answer is `{type: predicate, name, probability}`, `{type: choice, name, choice, confidence, probabilities: [{value,
//! probability}]}`, `{type: score, name, score, confidence, probabilities: [{label, value, probability}]}`, or a
//! `{type: refusal, name}`, which leaves the head without an output.

use pointsman_core::config::{Name, RemoteClassifierConfig, RemoteHead, RemoteQuestion, RemoteQuestionKind};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{RemoteAnswer, RemoteOutput, UnreadableAnswer, json as reading};

#[derive(Deserialize)]
struct Decisions {
    answers: Vec<DecisionAnswer>,
    #[serde(default)]
    model: Option<String>,
    #[serde(default)]
    usage: DecisionUsage,
}

#[derive(Deserialize, Default)]
struct DecisionUsage {
    #[serde(default)]
    input_tokens: u32,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum DecisionAnswer {
    Predicate { probability: f64 },
    Choice { probabilities: Vec<ValueProbability> },
    Score { probabilities: Vec<LevelProbability> },
    Refusal {},
}

#[derive(Deserialize)]
struct ValueProbability {
    value: Value,
    probability: f64,
}

#[derive(Deserialize)]
struct LevelProbability {
    label: String,
    probability: f64,
}

/// The heads that are asked for, with their questions, in the order of their names.
pub(super) fn asked(section: &RemoteClassifierConfig) -> impl Iterator<Item = (&Name, &RemoteHead, &RemoteQuestion)> {
    section.heads.iter().filter_map(|(name, head)| Some((name, head, head.question.as_ref()?)))
}

/// Returns the name that a head's question has.
pub(super) fn question_name<'h>(name: &'h Name, head: &'h RemoteHead) -> &'h str {
    head.output.as_deref().unwrap_or(name)
}

pub(super) fn body(section: &RemoteClassifierConfig, texts: &[&str]) -> String {
    let questions = asked(section).map(|(name, head, question)| {
        let mut asked = json!({"name": question_name(name, head), "instructions": question.instructions});
        let option = |key: &str, label: &String| match question.descriptions.get(label) {
            Some(description) => json!({key: label, "description": description}),
            None => json!({key: label}),
        };
        match question.kind {
            RemoteQuestionKind::Predicate => asked["type"] = "predicate".into(),
            RemoteQuestionKind::Choice => {
                asked["type"] = "choice".into();
                asked["choices"] = head.labels.iter().map(|label| option("value", label)).collect();
            }
            RemoteQuestionKind::Score => {
                asked["type"] = "score".into();
                asked["levels"] = head.labels.iter().map(|label| option("label", label)).collect();
            }
        }
        asked
    });
    let questions: Vec<Value> = questions.collect();
    json!({"model": section.model, "input": texts.first(), "questions": questions}).to_string()
}

pub(super) fn read(section: &RemoteClassifierConfig, body: &[u8]) -> Result<Vec<RemoteAnswer>, UnreadableAnswer> {
    let Decisions { answers, model, usage } = reading::read(body)?;
    let questions: Vec<_> = asked(section).collect();
    if answers.len() != questions.len() {
        return Err(format!("{} answers to {} questions", answers.len(), questions.len()));
    }
    // In the order of the questions.
    let output = |(answer, (name, head, _)): (DecisionAnswer, (&Name, &RemoteHead, _))| {
        let output = match answer {
            DecisionAnswer::Predicate { probability } => RemoteOutput::Row(vec![probability]),
            DecisionAnswer::Choice { probabilities } => {
                RemoteOutput::Named(probabilities.into_iter().map(|it| (spelling(&it.value), it.probability)).collect())
            }
            DecisionAnswer::Score { probabilities } => {
                RemoteOutput::Named(probabilities.into_iter().map(|it| (it.label, it.probability)).collect())
            }
            DecisionAnswer::Refusal {} => return None,
        };
        Some((question_name(name, head).to_owned(), output))
    };
    let outputs = answers.into_iter().zip(questions).filter_map(output).collect();
    Ok(vec![RemoteAnswer { outputs, tokens: usage.input_tokens, version: model, ..RemoteAnswer::default() }])
}

/// Returns the value of a choice, a text or a truth value, as a label.
fn spelling(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
