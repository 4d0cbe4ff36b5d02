//! Requests in the words of Google's API.

use std::ops::Range;

use super::generation::ModelGeneration;
use super::{config_writer, tool_writer, turn_writer};
use crate::json::writer::ObjectWriter;
use crate::json::{self, Fields};
use crate::loss::{Field, LossReport};
use crate::neutral::NeutralRequest;
use crate::translation::{RequestWriting, TranslationTarget};

/// Writes a request. No place of it names the model: the path does.
pub(super) fn write(
    request: &NeutralRequest<'_>,
    target: &TranslationTarget<'_>,
    writing: &mut RequestWriting<'_>,
) -> Range<usize> {
    let generation = ModelGeneration::of(target.model);
    let losses = &mut *writing.losses;
    let mut members = ObjectWriter::open(writing.body);
    turn_writer::write(request, generation, &mut members, losses);
    tool_writer::write(request, generation, &mut members, losses);
    config_writer::write(request, generation, &mut members, losses);
    tier(request, &mut members, losses);
    labels(request, &mut members, losses);
    note_unsayable(request, losses);
    members.close();
    0..0
}

/// Writes the tier of service.
fn tier(request: &NeutralRequest<'_>, members: &mut ObjectWriter<'_>, losses: &mut LossReport) {
    match request.service_tier.as_deref() {
        None | Some("auto") => {}
        Some("default" | "standard" | "standard_only") => members.text("serviceTier", "standard"),
        Some(tier @ ("flex" | "priority")) => members.text("serviceTier", tier),
        Some("fast") => {
            losses.changed(Field::ServiceTier, "priority");
            members.text("serviceTier", "priority");
        }
        Some(_) => losses.dropped(Field::ServiceTier),
    }
}

/// Writes labels, where they are such as Google takes.
fn labels(request: &NeutralRequest<'_>, members: &mut ObjectWriter<'_>, losses: &mut LossReport) {
    let Some(raw) = request.metadata else { return };
    let fields = Fields::of(raw).unwrap_or_default();
    if fields.is_empty() {
        return;
    }
    let is_label = |(key, value): (&str, _)| {
        let starts_well = key.starts_with(|letter: char| letter.is_ascii_lowercase());
        starts_well && is_label_text(key) && json::text(value).is_some_and(|value| is_label_text(&value))
    };
    if fields.iter().all(is_label) {
        members.raw("labels", raw.get());
    } else {
        losses.dropped(Field::Metadata);
    }
}

fn is_label_text(text: &str) -> bool {
    let is_legal = |letter: u8| matches!(letter, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-');
    text.len() <= 63 && text.bytes().all(is_legal)
}

/// Notes what no request to Google can say.
fn note_unsayable(request: &NeutralRequest<'_>, losses: &mut LossReport) {
    if request.parallel_calls == Some(false) && !request.tools.is_empty() {
        losses.dropped(Field::ParallelCalls);
    }
    if request.verbosity.is_some() {
        losses.dropped(Field::Verbosity);
    }
    if request.user.is_some() {
        losses.dropped(Field::User);
    }
    // Google's field of that name is of its logs alone, and Vertex AI refuses it.
    if request.store == Some(true) {
        losses.dropped(Field::Store);
    }
    if request.sampling.logit_bias.is_some() {
        losses.dropped(Field::LogitBias);
    }
    if request.cache.key.is_some() || request.cache.ttl.is_some() {
        losses.dropped(Field::CacheRules);
    }
    let has_marks = request.cache.marks_all.is_some()
        || request.tools.iter().any(|tool| tool.cache.is_some())
        || request.turns.iter().flat_map(|turn| &turn.parts).any(|part| part.cache.is_some());
    if has_marks {
        losses.changed(Field::CacheMarks, "implicit caching");
    }
    if request.turns.iter().any(|turn| turn.name.is_some()) {
        losses.dropped(Field::Names);
    }
}
