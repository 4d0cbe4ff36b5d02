//! Envelopes around prompts: how often what a harness puts around an ask changes the label that it gets.
//!
//! Each prompt of a sample is judged alone and within envelopes of twelve kinds, before it, behind it and beside the
//! result of a tool that it called for. Two figures stand beside each other: the label of the ask, which is what a
//! request is routed by, and the label of the newest user turn as a whole, which is what it would be routed by if
//! nothing were left out.

mod kinds;

use std::path::Path;

use pointsman_classifier::{BundleIdentity, ScoreRequest, ScoredHeads};
use pointsman_core::features::{Features, TokenCounter};
use pointsman_core::prompt::{Dialect, Prompt};
use serde::Serialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use self::kinds::{EnvelopeSample, KINDS};
use super::scoring::PATIENCE;
use super::{EvaluateError, Evaluation};
use crate::dataset::{DataIdentity, Dataset};

/// Positions of an envelope.
const PLACES: [&str; 3] = ["before", "behind", "beside_tool_result"];

/// Label flips by kind and place of envelopes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EnvelopeReport {
    /// The bundle.
    pub bundle: BundleIdentity,
    /// The head whose label is compared.
    pub head: String,
    /// The data.
    pub data: DataIdentity,
    /// The seed of the sample.
    pub seed: u64,
    /// Prompts of the sample.
    pub rows: usize,
    /// One entry for each kind and place.
    pub flips: Vec<EnvelopeFlips>,
}

/// Label flips of the sample's prompts within one kind of envelope at one position.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EnvelopeFlips {
    /// The kind of envelope.
    pub envelope: &'static str,
    /// The envelope's position: `before`, `behind`, `beside_tool_result`.
    pub place: &'static str,
    /// Prompts whose ask gets another label than the prompt alone.
    pub ask: usize,
    /// Prompts whose newest user turn, taken as a whole, gets another label.
    pub whole_turn: usize,
}

impl Evaluation {
    /// Judges a sample of `rows` prompts of the file at `data` within every kind of envelope; `seed` decides the
    /// sample.
    ///
    /// # Errors
    /// When a row cannot be read or gets no scores, or the file holds none.
    ///
    /// # Panics
    /// Never: the bodies that it makes are requests.
    pub async fn envelopes(&self, data: &Path, seed: u64, rows: usize) -> Result<EnvelopeReport, EvaluateError> {
        let mut dataset = Dataset::open(data)?;
        let prompts = (&mut dataset).map(|row| row.map(|row| row.asked.text)).collect::<Result<Vec<_>, _>>()?;
        let prompts = sample(prompts, seed, rows);
        if prompts.is_empty() {
            return Err(EvaluateError::Empty { path: data.to_owned() });
        }
        let mut flips: Vec<EnvelopeFlips> = KINDS
            .iter()
            .flat_map(|kind| PLACES.map(|place| EnvelopeFlips { envelope: kind.name, place, ask: 0, whole_turn: 0 }))
            .collect();
        for prompt in &prompts {
            let alone = self.label(prompt).await?;
            let forms = KINDS.iter().flat_map(|kind| PLACES.map(|place| kind.around(prompt, place)));
            for (form, flips) in forms.zip(&mut flips) {
                let body = form.to_string();
                let read = Prompt::parse(Dialect::Messages, body.as_bytes()).expect("a body of our own parses");
                let features = Features::of(&read, &TokenCounter::new());
                flips.ask += usize::from(self.label_of(read.newest_ask(), &features).await? != alone);
                flips.whole_turn += usize::from(self.label(&newest_user_text(&form)).await? != alone);
            }
        }
        Ok(EnvelopeReport {
            bundle: self.classifier.identity().clone(),
            head: self.head.name.to_string(),
            data: DataIdentity::new(data, dataset.sha256()),
            seed,
            rows: prompts.len(),
            flips,
        })
    }

    /// Returns the label of a text that is a whole prompt; `None` where there is nothing to judge.
    async fn label(&self, text: &str) -> Result<Option<usize>, EvaluateError> {
        if text.trim().is_empty() {
            return Ok(None);
        }
        let body = json!({"model": "evaluate", "messages": [{"role": "user", "content": text}]}).to_string();
        let prompt = Prompt::parse(Dialect::ChatCompletions, body.as_bytes()).expect("a body of our own parses");
        self.label_of(text, &Features::of(&prompt, &TokenCounter::new())).await
    }

    /// Returns the label of a text by the features of its request.
    async fn label_of(&self, text: &str, features: &Features) -> Result<Option<usize>, EvaluateError> {
        if text.trim().is_empty() {
            return Ok(None);
        }
        let heads = [self.head.name.clone()];
        let ask = ScoreRequest {
            text,
            features,
            deadline: Instant::now() + PATIENCE,
            heads: &heads,
            scored: ScoredHeads::Read,
        };
        let unscored = |reason| EvaluateError::Unscored { line: 0, reason };
        let scores = self.classifier.score(ask).await.map_err(|reason| unscored(reason.as_str()))?;
        let label = scores.head(self.head.name.as_str()).and_then(|head| self.head.label(head.decided()?.0));
        label.map(Some).ok_or_else(|| unscored("no_scores"))
    }
}

impl EnvelopeSample {
    /// Returns a request whose newest user turn, or the turn that it answers, is `prompt` with the envelope at `place`.
    fn around(&self, prompt: &str, place: &str) -> Value {
        let text = |text: &str| json!({"type": "text", "text": text});
        let asked = match self.wrap {
            Some(wrap) => wrap.replace("ASK", prompt),
            None => prompt.to_owned(),
        };
        let user = |content: Value| json!({"role": "user", "content": content});
        let messages = match place {
            "before" => json!([user(json!([text(self.text), text(&asked)]))]),
            "behind" => json!([user(json!([text(&asked), text(self.text)]))]),
            _ => {
                let call = json!({"type": "tool_use", "id": "t1", "name": "Read", "input": {"path": "a.txt"}});
                let result = json!({"type": "tool_result", "tool_use_id": "t1", "content": "x = 1"});
                let called = json!({"role": "assistant", "content": [call]});
                json!([user(json!([text(&asked)])), called, user(json!([result, text(self.text)]))])
            }
        };
        json!({"model": "auto", "max_tokens": 100, "tools": [{"name": "Read"}], "messages": messages})
    }
}

/// Returns the text parts of the newest turn, joined as a reader joins them that leaves nothing out.
fn newest_user_text(body: &Value) -> String {
    let parts = body["messages"].as_array().and_then(|messages| messages.last()?["content"].as_array());
    let texts = parts.into_iter().flatten().filter_map(|part| part["text"].as_str());
    texts.collect::<Vec<_>>().join("\n")
}

/// Draws `rows` different prompts; the same file and seed give the same ones.
fn sample(mut prompts: Vec<String>, seed: u64, rows: usize) -> Vec<String> {
    prompts.retain(|prompt| !prompt.trim().is_empty());
    prompts.sort_unstable();
    prompts.dedup();
    prompts.sort_by_cached_key(|prompt| Sha256::new().chain_update(seed.to_le_bytes()).chain_update(prompt).finalize());
    prompts.truncate(rows);
    prompts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_decided_by_its_seed_and_holds_no_prompt_twice() {
        let prompts = || (0..50).chain(0..50).map(|number| format!("prompt {number}")).chain([" ".into()]).collect();

        let drawn = sample(prompts(), 7, 20);

        assert_eq!(drawn, sample(prompts(), 7, 20));
        assert_ne!(drawn, sample(prompts(), 8, 20));
        let mut different = drawn.clone();
        different.sort_unstable();
        different.dedup();
        assert_eq!(different.len(), 20);
    }

    #[test]
    fn every_kind_is_left_out_at_every_place() {
        for (kind, place) in KINDS.iter().flat_map(|kind| PLACES.map(|place| (kind, place))) {
            let body = kind.around("Who wrote Hamlet?", place).to_string();
            let prompt = Prompt::parse(Dialect::Messages, body.as_bytes()).expect("a prompt");

            assert_eq!(prompt.newest_ask(), "Who wrote Hamlet?", "{} {place}", kind.name);
        }
    }
}
