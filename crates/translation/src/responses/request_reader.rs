//! Requests, read.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::content_reader::ttl_of;
use super::input_reader::{InputItems, InputReader};
use super::tool_reader::{ToolReading, tool_choice};
use crate::conversion::effort;
use crate::json::{self, Fields};
use crate::loss::{Field, LossReport};
use crate::neutral::{
    NeutralRequest, OutputFormat, Part, Reasoning, ReasoningMode, ThoughtForm, Turn, TurnRole, Verbosity,
};
use crate::refusal::TranslationRefusal;

/// Reads a request.
pub(super) fn read<'b>(body: &'b [u8], losses: &mut LossReport) -> Result<NeutralRequest<'b>, TranslationRefusal> {
    let fields = Fields::of_document(body).map_err(|error| TranslationRefusal::malformed("body", error.to_string()))?;
    let mut request = NeutralRequest::new(fields.text("model").unwrap_or_default());
    if let Some(instructions) = fields.text("instructions").filter(|text| !text.is_empty()) {
        request.turns.push(Turn { role: TurnRole::System, name: None, parts: vec![Part::text(instructions)] });
    }
    if let Some(raw) = fields.get("tools") {
        ToolReading { tools: &mut request.tools, losses }.list(raw)?;
    }
    let mut update = None;
    if let Some(raw) = fields.get("input") {
        let items: InputItems<'b> = InputReader::new(losses).read(raw)?;
        request.turns.extend(items.turns);
        request.tools.extend(items.tools);
        update = items.update;
    }
    for (name, raw) in fields.iter() {
        if !json::is_null(raw) {
            read_field(name, raw, &mut Reading { request: &mut request, losses });
        }
    }
    if let Some(update) = update {
        read_update(&update, &mut Reading { request: &mut request, losses });
    }
    Ok(request)
}

struct Reading<'b, 'r> {
    request: &'r mut NeutralRequest<'b>,
    losses: &'r mut LossReport,
}

fn read_field<'b>(name: &str, raw: &'b RawValue, reading: &mut Reading<'b, '_>) {
    let Reading { request, losses } = reading;
    match name {
        "model" | "input" | "instructions" | "tools" => {}
        "stream" => request.stream = json::value(raw).unwrap_or(false),
        "tool_choice" => request.tool_choice = tool_choice(raw, losses),
        "parallel_tool_calls" => request.parallel_calls = plain(name, raw, losses),
        "max_output_tokens" => request.max_tokens = plain(name, raw, losses),
        "temperature" => request.sampling.temperature = plain(name, raw, losses),
        "top_p" => request.sampling.top_p = plain(name, raw, losses),
        "top_logprobs" => read_top_logprobs(raw, reading),
        "reasoning" => read_reasoning(raw, reading),
        "text" => read_text(raw, reading),
        "store" => request.store = plain(name, raw, losses),
        "include" => read_include(raw, reading),
        "service_tier" => request.service_tier = json::text(raw),
        "metadata" => request.metadata = Some(raw).filter(|raw| raw.get() != "{}"),
        // The newer name of the user counts where both are there, as it does with the vendor.
        "safety_identifier" => request.user = json::text(raw),
        "user" => request.user = request.user.take().or_else(|| json::text(raw)),
        "prompt_cache_key" => request.cache.key = json::text(raw),
        "prompt_cache_retention" => request.cache.ttl = json::text(raw).and_then(|ttl| ttl_of(&ttl)),
        "prompt_cache_options" => read_cache_options(raw, reading),
        _ => read_own_field(name, raw, losses),
    }
}

/// Reads fields that no other API has.
fn read_own_field(name: &str, raw: &RawValue, losses: &mut LossReport) {
    let is_off = matches!(raw.get(), "false" | "{}" | "[]" | r#""disabled""#);
    match name {
        "previous_response_id" | "conversation" | "prompt" => losses.refused(Field::StoredState, name),
        "background" if !is_off => losses.refused(Field::Background, "background: true"),
        "max_tool_calls" => losses.dropped(Field::MaxToolCalls),
        "truncation" if !is_off => losses.dropped_as(Field::Truncation, raw.get()),
        "context_management" if !is_off => losses.dropped_as(Field::Truncation, name),
        "background_options" if !is_off => losses.dropped_as(Field::Background, name),
        "moderation" | "access_programs" => losses.dropped_as(Field::Safety, name),
        // An answer that is translated is never padded, which is all that the option says.
        "stream_options" if raw.get().contains("true") => losses.dropped(Field::StreamOptions),
        "stream_options" => {}
        "client_metadata" => losses.dropped_as(Field::Metadata, name),
        _ if is_off => {}
        _ => losses.dropped_at(Field::Other, name),
    }
}

/// Reads a value of a plain type; one of another type is left out.
fn plain<'b, T: serde::Deserialize<'b>>(name: &str, raw: &'b RawValue, losses: &mut LossReport) -> Option<T> {
    let value = json::value(raw);
    if value.is_none() {
        losses.dropped_at(Field::Other, name);
    }
    value
}

/// Reads the number of alternatives; of zero alternatives nothing is asked.
fn read_top_logprobs(raw: &RawValue, reading: &mut Reading<'_, '_>) {
    let wanted: Option<u64> = plain("top_logprobs", raw, reading.losses);
    if let Some(wanted) = wanted.filter(|wanted| *wanted > 0) {
        reading.request.sampling.top_logprobs = Some(wanted);
    }
}

fn read_include(raw: &RawValue, reading: &mut Reading<'_, '_>) {
    for wanted in json::list(raw).unwrap_or_default().into_iter().filter_map(json::text) {
        match &*wanted {
            // Seals are carried whether or not they are asked for.
            "reasoning.encrypted_content" => {}
            "message.output_text.logprobs" => reading.request.sampling.logprobs = Some(true),
            _ => reading.losses.dropped_as(Field::Include, wanted),
        }
    }
}

fn read_reasoning(raw: &RawValue, reading: &mut Reading<'_, '_>) {
    let Reading { request, losses } = reading;
    let Some(fields) = Fields::of(raw) else {
        losses.dropped_at(Field::Reasoning, "reasoning");
        return;
    };
    let form = match fields.text("summary").or_else(|| fields.text("generate_summary")).as_deref() {
        Some("auto") => Some(ThoughtForm::Summary),
        Some("concise") => Some(ThoughtForm::Concise),
        Some("detailed") => Some(ThoughtForm::Detailed),
        Some("none") => Some(ThoughtForm::Omitted),
        _ => None,
    };
    let effort = fields.text("effort");
    let mode = effort.as_deref().and_then(mode_of_effort);
    if let Some(effort) = effort.filter(|_| mode.is_none()) {
        losses.dropped_as(Field::Reasoning, effort);
    }
    for (name, raw) in fields.iter() {
        match (name, raw.get()) {
            ("effort" | "summary" | "generate_summary", _) | (_, "null") => {}
            ("context", r#""auto""#) | ("mode", r#""standard""#) => {}
            _ => losses.dropped_as(Field::Reasoning, name),
        }
    }
    // Without an effort the model thinks as much as it does by default: nothing is said of it.
    if mode.is_some() || form.is_some() {
        let mode = mode.unwrap_or(ReasoningMode::Adaptive { effort: None });
        request.reasoning = Some(Reasoning { mode, form });
    }
}

fn mode_of_effort(effort: &str) -> Option<ReasoningMode> {
    Some(match effort {
        "none" => ReasoningMode::Off,
        name => ReasoningMode::Effort(effort::named(name)?),
    })
}

fn read_text<'b>(raw: &'b RawValue, reading: &mut Reading<'b, '_>) {
    let Some(fields) = Fields::of(raw) else {
        reading.losses.dropped_at(Field::OutputFormat, "text");
        return;
    };
    if let Some(format) = fields.object("format") {
        read_format(&format, reading);
    }
    reading.request.verbosity = match fields.text("verbosity").as_deref() {
        Some("low") => Some(Verbosity::Low),
        Some("medium") => Some(Verbosity::Medium),
        Some("high") => Some(Verbosity::High),
        _ => None,
    };
    for (name, _) in fields.iter().filter(|(name, _)| !matches!(*name, "format" | "verbosity")) {
        reading.losses.dropped_at(Field::Other, format!("text.{name}"));
    }
}

fn read_format<'b>(format: &Fields<'b>, reading: &mut Reading<'b, '_>) {
    let kind = format.text("type").unwrap_or_default();
    reading.request.output = match (&*kind, format.get("schema")) {
        ("text", _) => None,
        ("json_object", _) => Some(OutputFormat::JsonObject),
        ("json_schema", Some(schema)) => Some(OutputFormat::Schema {
            name: format.text("name"),
            description: format.text("description"),
            schema,
            strict: format.value("strict"),
        }),
        _ => {
            reading.losses.dropped_as(Field::OutputFormat, kind);
            None
        }
    };
}

fn read_cache_options(raw: &RawValue, reading: &mut Reading<'_, '_>) {
    let Some(options) = Fields::of(raw) else { return };
    for (name, raw) in options.iter() {
        match (name, json::text(raw).as_deref()) {
            ("ttl", Some(ttl)) => reading.request.cache.ttl = ttl_of(ttl),
            ("mode", Some("implicit")) => {}
            (_, None) if matches!(raw.get(), "null" | "false") => {}
            _ => reading.losses.dropped_as(Field::CacheRules, name),
        }
    }
}

/// Reads what a later item says of the effort and the form of the answers from there on.
fn read_update<'b>(update: &Fields<'b>, reading: &mut Reading<'b, '_>) {
    let effort: Option<Cow<'_, str>> = update.object("reasoning").and_then(|reasoning| reasoning.text("effort"));
    if let Some(mode) = effort.as_deref().and_then(mode_of_effort) {
        let form = reading.request.reasoning.and_then(|reasoning| reasoning.form);
        reading.request.reasoning = Some(Reasoning { mode, form });
    }
    if let Some(format) = update.object("text").and_then(|text| text.object("format")) {
        read_format(&format, reading);
    }
}
