//! Requests in the form of chat completions, written: the fields at the top.
//!
//! The servers that a translation goes to are rarely OpenAI's, whose newer API is nearer to every other: so what only
//! OpenAI's server knows (cache marks, free-text tools, lists of allowed tools) is said in words that all know.

use std::borrow::Cow;
use std::ops::Range;

use serde_json::value::RawValue;

use super::{tools_writer, turns_writer};
use crate::conversion::{effort, schema};
use crate::family::DialectFamily;
use crate::json::writer::{ObjectWriter, push_value};
use crate::loss::{Field, LossReport};
use crate::neutral::{CacheTtl, NeutralRequest, OutputFormat, Reasoning, ReasoningMode, Sampling, Verbosity};
use crate::translation::{RequestWriting, TranslationTarget};

/// The most texts that may end an answer.
const MOST_STOPS: usize = 4;

/// Tells whether the request was written in this API.
pub(super) fn is_own(request: &NeutralRequest<'_>) -> bool {
    request.family == Some(DialectFamily::Chat)
}

/// Tells whether the request has a field of this API's alone.
fn has_native(request: &NeutralRequest<'_>, name: &str) -> bool {
    is_own(request) && request.native.iter().any(|field| field.name == name)
}

/// Writes a request. The place of the model's name in it is returned.
pub(super) fn write(
    request: &NeutralRequest<'_>,
    target: &TranslationTarget<'_>,
    writing: &mut RequestWriting<'_>,
) -> Range<usize> {
    let losses = &mut *writing.losses;
    let mut object = ObjectWriter::open(writing.body);
    let out = object.key("model");
    let begin = out.len();
    push_value(out, target.model);
    let span = begin..out.len();
    turns_writer::write(request, object.key("messages"), losses);
    tools_writer::write(request, &mut object, losses);
    limits(request, &mut object, losses);
    sampling(request, &mut object, losses);
    reasoning(request, &mut object, losses);
    output(request, &mut object, losses);
    stream(request, &mut object);
    account(request, &mut object, losses);
    cache(request, &mut object, losses);
    if is_own(request) {
        for field in &request.native {
            object.raw(&field.name, field.raw.get());
        }
    }
    object.close();
    span
}

fn limits(request: &NeutralRequest<'_>, object: &mut ObjectWriter<'_>, losses: &mut LossReport) {
    if request.max_tokens == Some(0) && !is_own(request) {
        losses.refused(Field::MaxTokens, "0, which only fills the prompt cache");
    }
    if !has_native(request, "max_completion_tokens") {
        // The older name: each server of this API knows it, and OpenAI's refuses it with the new one's name.
        object.optional("max_tokens", request.max_tokens.as_ref());
    }
}

fn sampling(request: &NeutralRequest<'_>, object: &mut ObjectWriter<'_>, losses: &mut LossReport) {
    let sampling = &request.sampling;
    object.optional("temperature", sampling.temperature.as_ref()).optional("top_p", sampling.top_p.as_ref());
    if sampling.top_k.is_some() {
        if is_own(request) {
            object.optional("top_k", sampling.top_k.as_ref());
        } else {
            losses.dropped(Field::TopK);
        }
    }
    object.optional("seed", sampling.seed.as_ref());
    object.optional("presence_penalty", sampling.presence_penalty.as_ref());
    object.optional("frequency_penalty", sampling.frequency_penalty.as_ref());
    if let Some(bias) = sampling.logit_bias {
        object.raw("logit_bias", bias.get());
    }
    logprobs(sampling, object);
    object.optional("n", sampling.choices.filter(|choices| *choices != 1).as_ref());
    stop(request, object, losses);
}

fn logprobs(sampling: &Sampling<'_>, object: &mut ObjectWriter<'_>) {
    let alternatives = sampling.top_logprobs.filter(|alternatives| *alternatives > 0);
    if sampling.logprobs == Some(true) || alternatives.is_some() {
        object.value("logprobs", &true).optional("top_logprobs", sampling.top_logprobs.as_ref());
    }
}

fn stop(request: &NeutralRequest<'_>, object: &mut ObjectWriter<'_>, losses: &mut LossReport) {
    let texts = &request.sampling.stop;
    let most = if is_own(request) { texts.len() } else { MOST_STOPS };
    if texts.len() > most {
        losses.dropped_at(Field::Stop, "all but the first four");
    }
    let texts: Vec<&str> = texts.iter().take(most).map(|text| &**text).collect();
    if !texts.is_empty() {
        object.value("stop", &texts);
    }
}

fn reasoning(request: &NeutralRequest<'_>, object: &mut ObjectWriter<'_>, losses: &mut LossReport) {
    let Some(reasoning) = request.reasoning else { return };
    if has_native(request, "reasoning") || has_native(request, "thinking") {
        return;
    }
    if reasoning.form.is_some() {
        losses.dropped(Field::ReasoningSummary);
    }
    if request.wants_adaptive_thinking() {
        losses.changed(Field::Reasoning, "adaptive: the model's usual effort");
    }
    object.optional("reasoning_effort", effort(reasoning, losses));
}

fn effort(reasoning: Reasoning, losses: &mut LossReport) -> Option<&'static str> {
    if reasoning.mode == ReasoningMode::Off {
        return Some("none");
    }
    let name = effort::name(effort::of_mode(reasoning.mode)?);
    if let ReasoningMode::Budget { tokens, effort: None } = reasoning.mode {
        losses.changed(Field::Reasoning, format!("{tokens} tokens: effort {name}"));
    }
    Some(name)
}

fn output(request: &NeutralRequest<'_>, object: &mut ObjectWriter<'_>, losses: &mut LossReport) {
    match &request.output {
        None => {}
        Some(OutputFormat::JsonObject) => {
            let mut format = object.object("response_format");
            format.value("type", "json_object").close();
        }
        Some(OutputFormat::Schema { schema, .. }) if !is_own(request) && !schema::is_of_object(schema) => {
            losses.dropped_as(Field::OutputFormat, schema::NO_OBJECT);
        }
        Some(OutputFormat::Schema { name, description, schema, strict }) => {
            let mut format = object.object("response_format");
            format.value("type", "json_schema");
            let mut named = format.object("json_schema");
            named.text("name", &legal_name(name.as_deref().unwrap_or("response")));
            named.optional("description", description.as_deref()).raw("schema", schema.get());
            named.optional("strict", output_strict(request, *strict, schema, losses).as_ref()).close();
            format.close();
        }
    }
    let verbosity = request.verbosity.map(|verbosity| match verbosity {
        Verbosity::Low => "low",
        Verbosity::Medium => "medium",
        Verbosity::High => "high",
    });
    object.optional("verbosity", verbosity);
}

/// Returns whether the answer must follow the schema exactly: other vendors' answers always do, OpenAI's only to schemas
/// of a strict form.
fn output_strict(
    request: &NeutralRequest<'_>,
    strict: Option<bool>,
    schema: &RawValue,
    losses: &mut LossReport,
) -> Option<bool> {
    let is_openai = matches!(request.family, None | Some(DialectFamily::Chat | DialectFamily::Responses));
    if is_openai || strict == Some(false) {
        return strict;
    }
    if schema::is_strict(schema) {
        return Some(true);
    }
    losses.changed(Field::OutputFormat, "not strict: its schema is not of OpenAI's strict form");
    None
}

/// Returns a name of the letters that the API takes.
fn legal_name(name: &str) -> Cow<'_, str> {
    let is_legal = |letter: char| letter.is_ascii_alphanumeric() || letter == '_' || letter == '-';
    if !name.is_empty() && name.len() <= 64 && name.chars().all(is_legal) {
        return Cow::Borrowed(name);
    }
    let legal: String = name.chars().take(64).map(|letter| if is_legal(letter) { letter } else { '_' }).collect();
    Cow::Owned(if legal.is_empty() { "response".to_owned() } else { legal })
}

fn stream(request: &NeutralRequest<'_>, object: &mut ObjectWriter<'_>) {
    if !request.stream {
        return;
    }
    object.value("stream", &true);
    // Other APIs always say at the end of a stream what it used.
    if !is_own(request) {
        object.object("stream_options").value("include_usage", &true).close();
    }
}

fn account(request: &NeutralRequest<'_>, object: &mut ObjectWriter<'_>, losses: &mut LossReport) {
    if let Some(tier) = request.service_tier.as_deref().filter(|tier| *tier != "auto") {
        match (request.family, tier) {
            (Some(DialectFamily::Chat), tier) | (_, tier @ ("default" | "flex" | "scale" | "priority" | "fast")) => {
                object.value("service_tier", tier);
            }
            (Some(DialectFamily::Messages), "standard_only") => {
                losses.changed(Field::ServiceTier, "default");
                object.value("service_tier", "default");
            }
            _ => losses.dropped(Field::ServiceTier),
        }
    }
    if !has_native(request, "safety_identifier") {
        object.optional("user", request.user.as_deref());
    }
    let stores = request.store == Some(true);
    if stores || is_own(request) {
        object.optional("store", request.store.as_ref());
    }
    if let Some(labels) = request.metadata {
        // OpenAI takes labels only of answers that it keeps.
        if stores || is_own(request) {
            object.raw("metadata", labels.get());
        } else {
            losses.dropped(Field::Metadata);
        }
    }
}

fn cache(request: &NeutralRequest<'_>, object: &mut ObjectWriter<'_>, losses: &mut LossReport) {
    let cache = &request.cache;
    object.optional("prompt_cache_key", cache.key.as_deref());
    if is_own(request) {
        return;
    }
    if cache.ttl.is_some_and(|ttl| ttl != CacheTtl::FiveMinutes) {
        losses.dropped(Field::CacheRules);
    }
    if cache.marks_all.is_some() {
        losses.changed(Field::CacheMarks, "implicit caching");
    }
}
