//! Probabilities of tokens: Google's `logprobsResult`, and the form that OpenAI's chat completions have.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::json::writer::{ListWriter, ObjectWriter};

/// The probabilities as Google writes them.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct GoogleLogprobs<'b> {
    #[serde(borrow)]
    chosen_candidates: Vec<GoogleToken<'b>>,
    top_candidates: Vec<GoogleAlternatives<'b>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct GoogleAlternatives<'b> {
    #[serde(borrow)]
    candidates: Vec<GoogleToken<'b>>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct GoogleToken<'b> {
    #[serde(borrow)]
    token: Cow<'b, str>,
    log_probability: f64,
}

/// The probabilities as OpenAI writes them.
#[derive(Deserialize, Default)]
#[serde(default)]
struct OpenAiLogprobs<'b> {
    #[serde(borrow)]
    content: Option<Vec<OpenAiToken<'b>>>,
    refusal: Option<Vec<OpenAiToken<'b>>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct OpenAiToken<'b> {
    #[serde(borrow)]
    token: Cow<'b, str>,
    logprob: f64,
    top_logprobs: Option<Vec<OpenAiToken<'b>>>,
}

/// Returns Google's probabilities in OpenAI's form; `None` where they are in no form that is known.
pub(super) fn to_open(raw: &RawValue) -> Option<Vec<u8>> {
    let form: GoogleLogprobs<'_> = serde_json::from_str(raw.get()).ok()?;
    let mut out = Vec::new();
    let mut members = ObjectWriter::open(&mut out);
    let mut tokens = ListWriter::open(members.key("content"));
    for (index, chosen) in form.chosen_candidates.iter().enumerate() {
        let mut token = ObjectWriter::open(tokens.next());
        open_token(chosen, &mut token);
        let mut top = ListWriter::open(token.key("top_logprobs"));
        for other in form.top_candidates.get(index).map(|top| &*top.candidates).unwrap_or_default() {
            let mut alternative = ObjectWriter::open(top.next());
            open_token(other, &mut alternative);
            alternative.close();
        }
        top.close();
        token.close();
    }
    tokens.close();
    members.raw("refusal", "null");
    members.close();
    Some(out)
}

fn open_token(token: &GoogleToken<'_>, members: &mut ObjectWriter<'_>) {
    members.text("token", &token.token);
    members.float("logprob", token.log_probability);
    let mut bytes = ListWriter::open(members.key("bytes"));
    for byte in token.token.bytes() {
        bytes.next().extend_from_slice(byte.to_string().as_bytes());
    }
    bytes.close();
}

/// Writes OpenAI's probabilities in Google's form; nothing where they are in no form that is known.
pub(super) fn write_google(raw: &RawValue, members: &mut ObjectWriter<'_>) {
    let tokens = if raw.get().starts_with('[') {
        serde_json::from_str::<Vec<OpenAiToken<'_>>>(raw.get()).ok()
    } else {
        serde_json::from_str::<OpenAiLogprobs<'_>>(raw.get()).ok().and_then(|form| form.content.or(form.refusal))
    };
    let Some(tokens) = tokens else { return };
    members.within("logprobsResult", |members| {
        let mut chosen = ListWriter::open(members.key("chosenCandidates"));
        for token in &tokens {
            google_token(token, chosen.next());
        }
        chosen.close();
        if tokens.iter().all(|token| token.top_logprobs.as_ref().is_none_or(Vec::is_empty)) {
            return;
        }
        let mut top = ListWriter::open(members.key("topCandidates"));
        for token in &tokens {
            let mut place = ObjectWriter::open(top.next());
            let mut alternatives = ListWriter::open(place.key("candidates"));
            for alternative in token.top_logprobs.as_deref().unwrap_or_default() {
                google_token(alternative, alternatives.next());
            }
            alternatives.close();
            place.close();
        }
        top.close();
    });
}

fn google_token(token: &OpenAiToken<'_>, out: &mut Vec<u8>) {
    let mut members = ObjectWriter::open(out);
    members.text("token", &token.token);
    members.float("logProbability", token.logprob);
    members.close();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_come_back_as_they_were() {
        let google = r#"{"logprobsResult":{"chosenCandidates":[{"token":"ü","logProbability":-0.5}],"topCandidates":[{"candidates":[{"token":"ü","logProbability":-0.5},{"token":"u","logProbability":-3}]}]}}"#;
        let fields = crate::json::Fields::of_document(google.as_bytes()).expect("an object");

        let open = to_open(fields.get("logprobsResult").expect("there")).expect("known");

        assert_eq!(
            String::from_utf8_lossy(&open),
            r#"{"content":[{"token":"ü","logprob":-0.5,"bytes":[195,188],"top_logprobs":[{"token":"ü","logprob":-0.5,"bytes":[195,188]},{"token":"u","logprob":-3,"bytes":[117]}]}],"refusal":null}"#
        );
        let open: &RawValue = serde_json::from_slice(&open).expect("JSON");
        let mut back = Vec::new();
        let mut members = ObjectWriter::open(&mut back);
        write_google(open, &mut members);
        members.close();
        assert_eq!(String::from_utf8_lossy(&back), google);
    }
}
