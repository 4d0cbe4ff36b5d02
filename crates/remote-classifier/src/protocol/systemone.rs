//! Typesafe AI's System One: `POST /v1/systemone`, a question for each head, one text a request.
//!
//! `{"model", "state": text, "questions": {NAME: {"type": noul | choice | score, "instructions", "criteria"}}}` is answered
//! by `{"model", "answers": {NAME: {"type": "noul", "noul": number} | {"type": "choice", "choice", "probabilities": {OPTION:
//! number}} | {"type": "score", "score", "probabilities": {"0": number, ...}}}, "usage": {"input_tokens", "output_tokens"}}`.

use pointsman_core::config::{RemoteClassifierConfig, RemoteHead, RemoteQuestion, RemoteQuestionKind};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::decisions::{asked, question_name};
use super::json::{self as reading, OrderedMembers};
use super::{RemoteAnswer, RemoteOutput, UnreadableAnswer};

#[derive(Deserialize)]
struct SystemOne {
    answers: OrderedMembers<SystemOneAnswer>,
    #[serde(default)]
    model: Option<String>,
    #[serde(default)]
    usage: SystemOneUsage,
}

#[derive(Deserialize, Default)]
struct SystemOneUsage {
    #[serde(default)]
    input_tokens: u32,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum SystemOneAnswer {
    Noul { noul: f64 },
    Choice { probabilities: OrderedMembers<f64> },
    Score { probabilities: OrderedMembers<f64> },
}

pub(super) fn body(section: &RemoteClassifierConfig, texts: &[&str]) -> String {
    let question = |(name, head, question): (_, &RemoteHead, &RemoteQuestion)| {
        let kind = match question.kind {
            RemoteQuestionKind::Predicate => "noul",
            RemoteQuestionKind::Choice => "choice",
            RemoteQuestionKind::Score => "score",
        };
        let mut body = json!({"type": kind, "instructions": question.instructions});
        if let Some(criteria) = criteria(head, question) {
            body["criteria"] = criteria;
        }
        (question_name(name, head).to_owned(), body)
    };
    let questions: Map<String, Value> = asked(section).map(question).collect();
    json!({"model": section.model, "state": texts.first(), "questions": questions}).to_string()
}

/// Returns what the labels mean, as each kind of question says it; a label without a description means itself.
fn criteria(head: &RemoteHead, question: &RemoteQuestion) -> Option<Value> {
    let meaning = |label: &String| question.descriptions.get(label).unwrap_or(label).clone();
    match (question.kind, &*head.labels) {
        (RemoteQuestionKind::Predicate, [no, yes]) if !question.descriptions.is_empty() => {
            Some(json!({"true": meaning(yes), "false": meaning(no)}))
        }
        (RemoteQuestionKind::Predicate, _) => None,
        (RemoteQuestionKind::Choice, labels) => {
            Some(Value::Object(labels.iter().map(|label| (label.clone(), meaning(label).into())).collect()))
        }
        (RemoteQuestionKind::Score, labels) => Some(labels.iter().map(meaning).collect()),
    }
}

pub(super) fn read(section: &RemoteClassifierConfig, body: &[u8]) -> Result<Vec<RemoteAnswer>, UnreadableAnswer> {
    let SystemOne { answers: OrderedMembers(answers), model, usage } = reading::read(body)?;
    let labels = |name: &str| asked(section).find(|(own, head, _)| question_name(own, head) == name);
    let mut outputs = Vec::with_capacity(answers.len());
    for (name, answer) in answers {
        let output = match answer {
            SystemOneAnswer::Noul { noul } => RemoteOutput::Row(vec![noul]),
            SystemOneAnswer::Choice { probabilities } => RemoteOutput::Named(probabilities.0),
            SystemOneAnswer::Score { probabilities } => {
                let head = labels(&name).map(|(_, head, _)| head);
                RemoteOutput::Row(by_level(probabilities.0, head.map_or(0, |head| head.labels.len()))?)
            }
        };
        outputs.push((name, output));
    }
    Ok(vec![RemoteAnswer { outputs, tokens: usage.input_tokens, version: model, ..RemoteAnswer::default() }])
}

/// Puts the probabilities of levels, which are named by their numbers, in their order.
fn by_level(pairs: Vec<(String, f64)>, levels: usize) -> Result<Vec<f64>, UnreadableAnswer> {
    let mut row = vec![0.0; levels];
    for (level, probability) in pairs {
        let place = level.parse::<usize>().ok().and_then(|level| row.get_mut(level));
        *place.ok_or_else(|| format!("a level of {levels} that was not asked for"))? = probability;
    }
    Ok(row)
}
