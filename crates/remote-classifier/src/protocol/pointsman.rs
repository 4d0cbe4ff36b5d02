//! Another Pointsman: `POST /v1/classify`.
//!
//! `{"classifier"?, "inputs": [text, ...]}` is answered by `{"classifier", "version", "results": [{"heads": {HEAD:
//! {"label", "probabilities": {LABEL: number}} | {"value": number}}, "tokens", "truncated"}]}`.

use serde::Deserialize;
use serde_json::json;

use super::json::{self as reading, OrderedMembers};
use super::{RemoteAnswer, RemoteOutput, UnreadableAnswer};

#[derive(Deserialize)]
struct ClassifyAnswer {
    #[serde(default)]
    version: Option<String>,
    results: Vec<ClassifiedText>,
}

#[derive(Deserialize)]
struct ClassifiedText {
    heads: OrderedMembers<ClassifiedHead>,
    #[serde(default)]
    tokens: u32,
    #[serde(default)]
    truncated: bool,
}

#[derive(Deserialize)]
struct ClassifiedHead {
    #[serde(default)]
    probabilities: Option<OrderedMembers<f64>>,
    #[serde(default)]
    value: Option<f64>,
}

pub(super) fn body(classifier: Option<&str>, texts: &[&str]) -> String {
    match classifier {
        Some(classifier) => json!({"classifier": classifier, "inputs": texts}),
        None => json!({"inputs": texts}),
    }
    .to_string()
}

pub(super) fn read(body: &[u8]) -> Result<Vec<RemoteAnswer>, UnreadableAnswer> {
    let ClassifyAnswer { version, results } = reading::read(body)?;
    let answer = |ClassifiedText { heads, tokens, truncated }| {
        let output = |(name, head): (String, ClassifiedHead)| {
            let output = match (head.probabilities, head.value) {
                (Some(OrderedMembers(pairs)), _) => RemoteOutput::Named(pairs),
                (None, Some(value)) => RemoteOutput::Row(vec![value]),
                (None, None) => return Err(format!("head `{name}` has neither probabilities nor a value")),
            };
            Ok((name, output))
        };
        let OrderedMembers(heads) = heads;
        let outputs = heads.into_iter().map(output).collect::<Result<_, _>>()?;
        let (names, version) = (Vec::new(), version.clone());
        Ok(RemoteAnswer { outputs, names, tokens, is_truncated: truncated, version })
    };
    results.into_iter().map(answer).collect()
}
