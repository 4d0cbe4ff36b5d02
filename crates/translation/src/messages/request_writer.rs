//! Requests, written.

use std::ops::Range;

use super::block_writer::BlockWriting;
use super::prefill;
use super::thinking_writer::ThinkingPlan;
use super::tool_writer;
use super::turn_writer::Conversation;
use crate::conversion::schema::AnthropicSchema;
use crate::json::writer::{ObjectWriter, push_list, push_value};
use crate::loss::{Field, LossReport};
use crate::neutral::{CacheMark, NeutralRequest, OutputFormat, Sampling, Verbosity};
use crate::translation::{RequestWriting, TranslationTarget};

/// The longest name of a user that the API takes.
const LONGEST_USER: usize = 256;

/// Writes a request. The place of the model's name is returned.
pub(super) fn write(
    request: &NeutralRequest<'_>,
    target: &TranslationTarget<'_>,
    writing: &mut RequestWriting<'_>,
) -> Range<usize> {
    let mut plan = ThinkingPlan::of(request, target, writing.losses);
    let mut blocks = BlockWriting::new(writing.losses);
    let conversation = Conversation::of(&request.turns, &mut blocks);
    if conversation.is_prefilled() {
        prefill::note(target.model, &mut plan, blocks.losses);
    }
    let mut body = ObjectWriter::open(writing.body);
    let out = body.key("model");
    let start = out.len();
    push_value(out, target.model);
    let model_span = start..out.len();
    body.value("max_tokens", &plan.max_tokens);
    write_cache_rules(request, &mut body, &mut blocks);
    tool_writer::write(request, &mut body, &mut blocks);
    conversation.write(&mut body, &mut blocks);
    plan.write(&mut body);
    let losses = blocks.losses;
    write_output(request, &plan, &mut body, losses);
    write_sampling(&request.sampling, &plan, &mut body, losses);
    write_user(request, &mut body, losses);
    write_tier(request, &mut body, losses);
    if request.stream {
        body.value("stream", &true);
    }
    body.close();
    note_unsayable(request, losses);
    model_span
}

/// Writes one mark for the whole request, where the client wants its prompt kept: caching is not implicit here.
fn write_cache_rules(request: &NeutralRequest<'_>, body: &mut ObjectWriter<'_>, blocks: &mut BlockWriting<'_>) {
    let rules = &request.cache;
    let wished = rules.key.is_some() || rules.ttl.is_some();
    let has_marks = request.tools.iter().any(|tool| tool.cache.is_some())
        || request.turns.iter().flat_map(|turn| &turn.parts).any(|part| part.cache.is_some());
    if wished {
        blocks.losses.changed(Field::CacheRules, "marks of the prompt cache");
    }
    let mark = rules.marks_all.or((wished && !has_marks).then_some(CacheMark { ttl: rules.ttl }));
    blocks.write_mark(body, mark);
}

fn write_output(
    request: &NeutralRequest<'_>,
    plan: &ThinkingPlan,
    body: &mut ObjectWriter<'_>,
    losses: &mut LossReport,
) {
    let schema = request.output.as_ref().and_then(|output| answer_schema(output, losses));
    if plan.effort.is_none() && schema.is_none() {
        return;
    }
    let mut config = ObjectWriter::open(body.key("output_config"));
    config.optional("effort", plan.effort);
    if let Some(schema) = schema {
        let mut format = ObjectWriter::of_type("json_schema", config.key("format"));
        format.raw("schema", &schema.json);
        format.close();
    }
    config.close();
}

/// Returns the schema of the answer in the form that the API takes.
fn answer_schema(output: &OutputFormat<'_>, losses: &mut LossReport) -> Option<AnthropicSchema> {
    let OutputFormat::Schema { schema, strict, description, .. } = output else {
        losses.dropped(Field::OutputFormat);
        return None;
    };
    let Some(written) = AnthropicSchema::of(schema) else {
        losses.dropped_as(Field::OutputFormat, "a schema that is recursive or open");
        return None;
    };
    if description.is_some() {
        losses.changed(Field::OutputFormat, "no description beside the schema");
    }
    if *strict == Some(false) {
        losses.changed(Field::OutputFormat, "strict");
    }
    if let Some(changes) = &written.changes {
        losses.changed(Field::OutputFormat, changes);
    }
    Some(written)
}

fn write_sampling(sampling: &Sampling<'_>, plan: &ThinkingPlan, body: &mut ObjectWriter<'_>, losses: &mut LossReport) {
    let stops: Vec<_> = sampling.stop.iter().filter(|text| !text.trim().is_empty()).collect();
    if stops.len() < sampling.stop.len() {
        losses.dropped(Field::Stop);
    }
    if !stops.is_empty() {
        push_list(body.key("stop_sequences"), stops, |out, text| push_value(out, &**text));
    }
    // One is the default of both, and newer models take one of the two alone.
    let temperature = sampling.temperature.filter(|temperature| !is_one(*temperature));
    let top_p = sampling.top_p.filter(|top_p| !is_one(*top_p));
    let (temperature, top_p) = match (temperature, top_p) {
        (Some(_), _) if plan.is_on() => {
            losses.dropped(Field::Temperature);
            (None, top_p)
        }
        (Some(temperature), Some(_)) => {
            losses.dropped(Field::TopP);
            (Some(temperature), None)
        }
        both => both,
    };
    if let Some(temperature) = temperature {
        if temperature > 1.0 {
            losses.changed(Field::Temperature, "1");
        }
        body.value("temperature", &temperature.min(1.0));
    }
    // Beside thinking the API takes 0.95 and above.
    match top_p {
        Some(top_p) if plan.is_on() && top_p < 0.95 => losses.dropped(Field::TopP),
        top_p => {
            body.optional("top_p", top_p);
        }
    }
    match whole(sampling.top_k) {
        Some(_) if plan.is_on() => losses.dropped(Field::TopK),
        top_k => {
            body.optional("top_k", top_k);
        }
    }
}

fn is_one(number: f64) -> bool {
    (number - 1.0).abs() < f64::EPSILON
}

/// Returns a number of tokens, which Google's SDK writes as `40.0`.
fn whole(number: Option<f64>) -> Option<u64> {
    let number = number.filter(|number| (1.0..=1e9).contains(number))?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is between one and a billion")]
    let whole = number.round() as u64;
    Some(whole)
}

fn write_user(request: &NeutralRequest<'_>, body: &mut ObjectWriter<'_>, losses: &mut LossReport) {
    let Some(user) = request.user.as_deref() else { return };
    if user.len() > LONGEST_USER {
        return losses.dropped(Field::User);
    }
    let mut metadata = ObjectWriter::open(body.key("metadata"));
    metadata.value("user_id", user);
    metadata.close();
}

fn write_tier(request: &NeutralRequest<'_>, body: &mut ObjectWriter<'_>, losses: &mut LossReport) {
    match request.service_tier.as_deref() {
        None | Some("auto") => {}
        Some("default" | "standard" | "standard_only") => body.word("service_tier", "standard_only"),
        Some(_) => losses.dropped(Field::ServiceTier),
    }
}

/// Notes what this API has no field for.
fn note_unsayable(request: &NeutralRequest<'_>, losses: &mut LossReport) {
    let sampling = &request.sampling;
    let is_set = |number: Option<f64>| number.is_some_and(|number| number != 0.0);
    if sampling.choices.is_some_and(|choices| choices > 1) {
        losses.refused(Field::Choices, "one answer for each request");
    }
    let lost = [
        (sampling.seed.is_some(), Field::Seed),
        (is_set(sampling.presence_penalty), Field::PresencePenalty),
        (is_set(sampling.frequency_penalty), Field::FrequencyPenalty),
        (sampling.logit_bias.is_some_and(|bias| bias.get() != "{}"), Field::LogitBias),
        (sampling.logprobs == Some(true) || sampling.top_logprobs.is_some_and(|most| most > 0), Field::Logprobs),
        (request.verbosity.is_some_and(|verbosity| verbosity != Verbosity::Medium), Field::Verbosity),
        (request.metadata.is_some_and(|metadata| metadata.get() != "{}"), Field::Metadata),
        (request.store == Some(true), Field::Store),
    ];
    for (_, field) in lost.into_iter().filter(|(is_lost, _)| *is_lost) {
        losses.dropped(field);
    }
}
