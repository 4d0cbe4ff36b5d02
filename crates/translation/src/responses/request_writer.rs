//! Requests, written.

use std::ops::Range;

use serde_json::value::RawValue;

use super::input_writer::InputWriter;
use super::tool_writer;
use crate::conversion::{effort, schema, tool_id};
use crate::family::DialectFamily;
use crate::json::writer::{ListWriter, ObjectWriter, push_value};
use crate::loss::{Field, LossReport};
use crate::neutral::{
    CacheRules, CacheTtl, NeutralRequest, OutputFormat, PartBody, Reasoning, ReasoningMode, ThoughtForm, Turn,
    Verbosity,
};
use crate::translation::{RequestWriting, TranslationTarget};

/// The fewest tokens that the API lets an answer be limited to.
const LEAST_MAX_TOKENS: u64 = 16;

/// The longest name of a user.
const LONGEST_USER: usize = 64;

/// Writes a request. The place of the model's name in it is returned.
pub(super) fn write(
    request: &NeutralRequest<'_>,
    target: &TranslationTarget<'_>,
    writing: &mut RequestWriting<'_>,
) -> Range<usize> {
    let RequestWriting { body, losses } = writing;
    let mut object = ObjectWriter::open(body);
    let model = object.key("model");
    let start = model.len();
    push_value(model, target.model);
    let model_span = start..model.len();
    let first = write_instructions(&request.turns, &mut object, losses);
    let mut list = ListWriter::open(object.key("input"));
    InputWriter::new(&mut list, losses).turns(&request.turns, first);
    list.close();
    tool_writer::write(request, &mut object, losses);
    if request.stream {
        object.raw("stream", "true");
    }
    // The vendor keeps answers unless it is told not to, and no other API does.
    object.raw("store", if request.store == Some(true) { "true" } else { "false" });
    write_limits(request, &mut object, losses);
    if let Some(reasoning) = &request.reasoning {
        if request.wants_adaptive_thinking() {
            losses.changed(Field::Reasoning, "adaptive: the model's usual effort");
        }
        write_reasoning(reasoning, &mut object, losses);
    }
    write_text(request, &mut object, losses);
    write_include(request, target, &mut object);
    write_cache(&request.cache, &mut object, losses);
    write_labels(request, &mut object, losses);
    object.close();
    note_sampling(request, losses);
    model_span
}

/// Writes the first turn to the place for it, where it is nothing but a text of the operator's and others follow. The place
/// of the first turn of the input is returned.
fn write_instructions(turns: &[Turn<'_>], object: &mut ObjectWriter<'_>, losses: &mut LossReport) -> usize {
    let [first, _, ..] = turns else { return 0 };
    let [part] = &*first.parts else { return 0 };
    match &part.body {
        PartBody::Text { text, .. } if first.role.is_instruction() && first.name.is_none() && !text.is_empty() => {
            if part.cache.is_some() {
                losses.changed(Field::CacheMarks, "implicit caching");
            }
            object.text("instructions", text);
            1
        }
        _ => 0,
    }
}

fn write_limits(request: &NeutralRequest<'_>, object: &mut ObjectWriter<'_>, losses: &mut LossReport) {
    match request.max_tokens {
        Some(0) => losses.refused(Field::MaxTokens, "max_tokens: 0"),
        Some(wanted) if wanted < LEAST_MAX_TOKENS => {
            losses.changed(Field::MaxTokens, format!("{LEAST_MAX_TOKENS} instead of {wanted}"));
            object.number("max_output_tokens", LEAST_MAX_TOKENS);
        }
        Some(wanted) => object.number("max_output_tokens", wanted),
        None => {}
    }
    object.optional("temperature", request.sampling.temperature);
    object.optional("top_p", request.sampling.top_p);
    if let Some(wanted) = request.sampling.top_logprobs {
        object.number("top_logprobs", wanted);
    }
}

/// Notes what of sampling the API does not have.
fn note_sampling(request: &NeutralRequest<'_>, losses: &mut LossReport) {
    let sampling = &request.sampling;
    if sampling.choices.is_some_and(|choices| choices > 1) {
        losses.refused(Field::Choices, "one answer for each request");
    }
    let is_set = |value: Option<f64>| value.is_some_and(|value| value != 0.0);
    let lost = [
        (sampling.top_k.is_some(), Field::TopK),
        (sampling.seed.is_some(), Field::Seed),
        (is_set(sampling.presence_penalty), Field::PresencePenalty),
        (is_set(sampling.frequency_penalty), Field::FrequencyPenalty),
        (sampling.logit_bias.is_some(), Field::LogitBias),
        (!sampling.stop.is_empty(), Field::Stop),
    ];
    for (_, field) in lost.into_iter().filter(|(is_lost, _)| *is_lost) {
        losses.dropped(field);
    }
}

fn write_reasoning(reasoning: &Reasoning, object: &mut ObjectWriter<'_>, losses: &mut LossReport) {
    let effort = match (reasoning.mode, effort::of_mode(reasoning.mode)) {
        (ReasoningMode::Off, _) => Some("none"),
        (_, known) => known.map(effort::name),
    };
    if let ReasoningMode::Budget { tokens, .. } = reasoning.mode {
        let effort = effort.unwrap_or_default();
        losses.changed(Field::Reasoning, format!("a budget of {tokens} tokens: effort {effort}"));
    }
    let summary = match reasoning.form {
        Some(ThoughtForm::Summary) => Some("auto"),
        Some(ThoughtForm::Concise) => Some("concise"),
        Some(ThoughtForm::Detailed) => Some("detailed"),
        Some(ThoughtForm::Omitted) | None => None,
    };
    if effort.is_none() && summary.is_none() {
        return;
    }
    let mut inner = ObjectWriter::open(object.key("reasoning"));
    inner.optional_text("effort", effort);
    inner.optional_text("summary", summary);
    inner.close();
}

fn write_text(request: &NeutralRequest<'_>, object: &mut ObjectWriter<'_>, losses: &mut LossReport) {
    let output = match &request.output {
        Some(OutputFormat::Schema { schema, .. }) if !schema::is_of_object(schema) => {
            losses.dropped_as(Field::OutputFormat, schema::NO_OBJECT);
            None
        }
        output => output.as_ref(),
    };
    if output.is_none() && request.verbosity.is_none() {
        return;
    }
    let mut text = ObjectWriter::open(object.key("text"));
    match output {
        Some(OutputFormat::JsonObject) => text.raw("format", r#"{"type":"json_object"}"#),
        Some(OutputFormat::Schema { name, description, schema, strict }) => {
            let mut format = ObjectWriter::of_type("json_schema", text.key("format"));
            // The API wants a name; another says none.
            format.text("name", name.as_deref().unwrap_or("response"));
            format.optional_text("description", description.as_deref());
            format.raw("schema", schema.get());
            if let Some(strict) = output_strict(request, *strict, schema, losses) {
                format.raw("strict", if strict { "true" } else { "false" });
            }
            format.close();
        }
        None => {}
    }
    if let Some(verbosity) = request.verbosity {
        let name = match verbosity {
            Verbosity::Low => "low",
            Verbosity::Medium => "medium",
            Verbosity::High => "high",
        };
        text.text("verbosity", name);
    }
    text.close();
}

/// Returns whether the answer must follow the schema exactly: other vendors' answers always do. A request whose schema is
/// not of the strict form is refused where it is strict.
fn output_strict(
    request: &NeutralRequest<'_>,
    strict: Option<bool>,
    schema: &RawValue,
    losses: &mut LossReport,
) -> Option<bool> {
    let is_google = request.family == Some(DialectFamily::Gemini);
    if strict != Some(true) && !(is_google && strict.is_none()) {
        return strict;
    }
    let is_strict = schema::is_strict(schema);
    if !is_strict {
        losses.changed(Field::OutputFormat, "not strict: its schema is not of OpenAI's strict form");
    }
    Some(is_strict)
}

/// Asks for what the API gives on demand alone: probabilities, and the seals by which a thought is taken up again.
fn write_include(request: &NeutralRequest<'_>, target: &TranslationTarget<'_>, object: &mut ObjectWriter<'_>) {
    let is_off = request.reasoning.is_some_and(|reasoning| reasoning.mode == ReasoningMode::Off);
    let seals = !is_off && may_think(target.model);
    let logprobs = request.sampling.logprobs == Some(true);
    if !seals && !logprobs {
        return;
    }
    let mut list = ListWriter::open(object.key("include"));
    if seals {
        push_value(list.next(), "reasoning.encrypted_content");
    }
    if logprobs {
        push_value(list.next(), "message.output_text.logprobs");
    }
    list.close();
}

/// Tells whether a model may think: those that do not are refused a request that asks for seals.
fn may_think(model: &str) -> bool {
    let name = model.rsplit('/').next().unwrap_or(model);
    !["gpt-3", "gpt-4", "chatgpt-4"].iter().any(|old| name.starts_with(old))
}

fn write_cache(cache: &CacheRules<'_>, object: &mut ObjectWriter<'_>, losses: &mut LossReport) {
    object.optional_text("prompt_cache_key", cache.key.as_deref());
    match cache.ttl {
        Some(CacheTtl::OneDay) => object.text("prompt_cache_retention", "24h"),
        Some(CacheTtl::ThirtyMinutes) => object.raw("prompt_cache_options", r#"{"ttl":"30m"}"#),
        Some(CacheTtl::TwelveHours) => object.raw("prompt_cache_options", r#"{"ttl":"12h"}"#),
        Some(CacheTtl::FiveMinutes | CacheTtl::OneHour) => losses.changed(Field::CacheRules, "implicit caching"),
        None => {}
    }
    if cache.marks_all.is_some() {
        losses.changed(Field::CacheMarks, "implicit caching");
    }
}

fn write_labels(request: &NeutralRequest<'_>, object: &mut ObjectWriter<'_>, losses: &mut LossReport) {
    if let Some(metadata) = request.metadata {
        object.raw("metadata", metadata.get());
    }
    match request.user.as_deref() {
        Some(user) if user.len() > LONGEST_USER => {
            losses.changed(Field::User, "a hash of it");
            object.text("safety_identifier", &tool_id::bounded(user, LONGEST_USER));
        }
        Some(user) => object.text("safety_identifier", user),
        None => {}
    }
    match request.service_tier.as_deref() {
        Some(tier @ ("auto" | "default" | "flex" | "scale" | "priority" | "fast" | "ultrafast")) => {
            object.text("service_tier", tier);
        }
        Some("standard_only" | "standard" | "STANDARD") => {
            losses.changed(Field::ServiceTier, "default");
            object.text("service_tier", "default");
        }
        Some(tier) => losses.dropped_as(Field::ServiceTier, tier),
        None => {}
    }
}
