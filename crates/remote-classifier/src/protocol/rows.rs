//! Servers that answer with a row of numbers for each text: `vLLM` and `SGLang`.
//!
//! As vLLM 0.33.0 has it (`entrypoints/pooling`): `/classify` and `/pooling` take `{"model"?, "input": [text, ...]}`;
//! `/classify` answers `{"data": [{"index", "label", "probs": [...], "num_classes"}]}` with the label of the highest
//! probability alone, `/pooling` `{"data": [{"index", "data": [...]}]}`. As SGLang 0.5.23 has it: `/v1/classify` is vLLM's
//! `/classify`, and `/classify` takes `{"text": [text, ...]}` and answers `[{"embedding": [...]}, ...]`, one text alone without the list.

use serde::Deserialize;
use serde_json::json;

use super::{RemoteAnswer, RemoteOutput, RowNames, UnreadableAnswer, json as reading};

#[derive(Deserialize)]
struct RowList<T> {
    data: Vec<T>,
    #[serde(default)]
    usage: RowUsage,
}

#[derive(Clone, Copy, Default, Deserialize)]
struct RowUsage {
    #[serde(default)]
    prompt_tokens: u32,
}

#[derive(Deserialize)]
struct ClassRow {
    index: usize,
    /// The label of the highest probability.
    #[serde(default)]
    label: Option<String>,
    probs: Vec<f64>,
}

/// A text's row of values.
struct TextRow {
    index: usize,
    values: Vec<f64>,
    label: Option<String>,
}

#[derive(Deserialize)]
struct PooledRow {
    index: usize,
    data: Vec<f64>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum EmbeddingRows {
    One(EmbeddingRow),
    Several(Vec<EmbeddingRow>),
}

#[derive(Deserialize)]
struct EmbeddingRow {
    embedding: Vec<f64>,
}

pub(super) fn openai_body(model: Option<&str>, texts: &[&str]) -> String {
    match model {
        Some(model) => json!({"model": model, "input": texts}),
        None => json!({"input": texts}),
    }
    .to_string()
}

pub(super) fn sglang_body(texts: &[&str]) -> String {
    json!({"text": texts}).to_string()
}

pub(super) fn read_classes(body: &[u8]) -> Result<Vec<RemoteAnswer>, UnreadableAnswer> {
    let RowList { data, usage }: RowList<ClassRow> = reading::read(body)?;
    let row = |ClassRow { index, label, probs }| TextRow { index, values: probs, label };
    Ok(in_order(data.into_iter().map(row).collect(), usage))
}

pub(super) fn read_pooled(body: &[u8]) -> Result<Vec<RemoteAnswer>, UnreadableAnswer> {
    let RowList { data, usage }: RowList<PooledRow> = reading::read(body)?;
    let row = |PooledRow { index, data }| TextRow { index, values: data, label: None };
    Ok(in_order(data.into_iter().map(row).collect(), usage))
}

pub(super) fn read_embeddings(body: &[u8]) -> Result<Vec<RemoteAnswer>, UnreadableAnswer> {
    let rows = match reading::read(body)? {
        EmbeddingRows::One(row) => vec![row],
        EmbeddingRows::Several(rows) => rows,
    };
    let row = |(index, EmbeddingRow { embedding })| TextRow { index, values: embedding, label: None };
    Ok(in_order(rows.into_iter().enumerate().map(row).collect(), RowUsage::default()))
}

fn in_order(mut rows: Vec<TextRow>, usage: RowUsage) -> Vec<RemoteAnswer> {
    rows.sort_by_key(|row| row.index);
    // The usage is that of all texts together.
    let tokens = if rows.len() == 1 { usage.prompt_tokens } else { 0 };
    let answer = |TextRow { values, label, .. }| RemoteAnswer {
        outputs: vec![(String::new(), RemoteOutput::Row(values))],
        names: label.map(|label| (String::new(), RowNames::Highest(label))).into_iter().collect(),
        tokens,
        ..RemoteAnswer::default()
    };
    rows.into_iter().map(answer).collect()
}
