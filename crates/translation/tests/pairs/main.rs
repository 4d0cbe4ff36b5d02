//! What holds of every pair of APIs, on bodies of few words.

mod emptied;
mod halves;
mod media;
mod order;

use pointsman_translation::{
    AnswerDetails, DialectFamily, RequestMemo, TranslatedRequest, Translation, TranslationRefusal, TranslationTarget,
};
use serde_json::Value;

/// Returns every pair of two APIs.
fn pairs() -> impl Iterator<Item = Translation> {
    let all = DialectFamily::ALL;
    let pairs =
        all.into_iter().flat_map(move |client| all.into_iter().map(move |upstream| Translation { client, upstream }));
    pairs.filter(|pair| pair.client != pair.upstream)
}

fn pair(client: DialectFamily, upstream: DialectFamily) -> Translation {
    Translation { client, upstream }
}

fn request(pair: Translation, body: &str) -> Result<TranslatedRequest, TranslationRefusal> {
    let model = match pair.upstream {
        DialectFamily::Chat | DialectFamily::Responses => "gpt-4.1",
        DialectFamily::Messages => "claude-sonnet-4-5",
        DialectFamily::Gemini => "gemini-3-pro",
    };
    pair.request(body.as_bytes(), &TranslationTarget { model, max_output: None })
}

/// Translates a request that goes out. What goes out, and what is lost, as a header has it.
fn sent(pair: Translation, body: &str) -> (Value, String) {
    let translated = request(pair, body).unwrap_or_else(|refusal| panic!("{}: {refusal}", pair.name()));
    (serde_json::from_slice(&translated.body).expect("JSON"), translated.losses.to_string())
}

fn answer(pair: Translation, body: &str) -> Value {
    let answered = with_details(|details| pair.answer(body.as_bytes(), details));
    serde_json::from_slice(&answered.expect("an answer")).expect("JSON")
}

/// Translates a stream event by event. What each event becomes; last what the stream's end does.
fn stream(pair: Translation, events: &[String]) -> Vec<String> {
    let mut stream = with_details(|details| pair.stream(details));
    let mut out: Vec<Vec<u8>> = events.iter().map(|event| stream.push(event.as_bytes())).collect();
    out.push(stream.finish());
    out.into_iter().map(|out| String::from_utf8(out).expect("text")).collect()
}

fn with_details<T>(use_them: impl FnOnce(&AnswerDetails<'_>) -> T) -> T {
    use_them(&AnswerDetails { now: 1, unique: "u1", memo: &RequestMemo::default() })
}

/// Frames the events of a stream, of which an API may name each.
fn framed(events: &[&str]) -> Vec<String> {
    events.iter().map(|event| format!("data: {event}\n\n")).collect()
}

/// Returns every text of a document.
fn texts(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => vec![text],
        Value::Array(list) => list.iter().flat_map(texts).collect(),
        Value::Object(object) => object.values().flat_map(texts).collect(),
        _ => Vec::new(),
    }
}
