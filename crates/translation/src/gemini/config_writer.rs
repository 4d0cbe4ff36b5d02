//! `generationConfig` of a request: sampling, limits, thinking, and the form of the answer.

use super::generation::ModelGeneration;
use crate::conversion::effort;
use crate::conversion::schema::not_followed_by_google;
use crate::json::writer::{ObjectWriter, push_texts};
use crate::loss::{Field, LossReport};
use crate::neutral::{Effort, NeutralRequest, OutputFormat, Reasoning, ReasoningMode, Sampling, ThoughtForm, ToolKind};

/// The most texts that end an answer.
const MOST_STOPS: usize = 5;

/// The thinking that a request to Google asks for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct ThinkingAmount {
    /// The tokens; -1 for as many as the model wants.
    budget: Option<i64>,
    level: Option<&'static str>,
    shows: Option<bool>,
}

/// Writes `generationConfig`, unless it would be empty.
pub(super) fn write(
    request: &NeutralRequest<'_>,
    generation: ModelGeneration,
    members: &mut ObjectWriter<'_>,
    losses: &mut LossReport,
) {
    if generation.is_current() && request.wants_adaptive_thinking() {
        losses.changed(Field::Reasoning, "adaptive: the model's usual level");
    }
    let thinking = request.reasoning.map(|reasoning| thinking(reasoning, generation, losses)).unwrap_or_default();
    let limit = limit(request, thinking, losses);
    let mut config = Vec::new();
    let mut fields = ObjectWriter::open(&mut config);
    if let Some(limit) = limit {
        fields.number("maxOutputTokens", limit);
    }
    sampling(&request.sampling, &mut fields, losses);
    if let Some(output) = &request.output {
        format(output, request, generation, &mut ConfigWriting { fields: &mut fields, losses });
    }
    if thinking != ThinkingAmount::default() {
        fields.within("thinkingConfig", |fields| {
            if let Some(budget) = thinking.budget {
                fields.number("thinkingBudget", budget);
            }
            if let Some(level) = thinking.level {
                fields.text("thinkingLevel", level);
            }
            if let Some(shows) = thinking.shows {
                fields.raw("includeThoughts", if shows { "true" } else { "false" });
            }
        });
    }
    fields.close();
    if config.len() > 2 {
        members.key("generationConfig").extend_from_slice(&config);
    }
}

/// The results of writing a field.
struct ConfigWriting<'w, 'o> {
    fields: &'w mut ObjectWriter<'o>,
    losses: &'w mut LossReport,
}

/// Returns the most tokens of the answer, which hold the thoughts: a budget that would leave none is added to them.
fn limit(request: &NeutralRequest<'_>, thinking: ThinkingAmount, losses: &mut LossReport) -> Option<u64> {
    let limit = request.max_tokens?;
    if limit == 0 {
        losses.refused(Field::MaxTokens, "0");
        return None;
    }
    let budget = thinking.budget.and_then(|budget| u64::try_from(budget).ok()).unwrap_or_default();
    if budget < limit {
        return Some(limit);
    }
    let raised = limit.saturating_add(budget);
    losses.changed(Field::MaxTokens, format!("{raised}: the thinking budget beside it"));
    Some(raised)
}

fn sampling(sampling: &Sampling<'_>, fields: &mut ObjectWriter<'_>, losses: &mut LossReport) {
    let numbers = [
        ("temperature", sampling.temperature),
        ("topP", sampling.top_p),
        ("topK", sampling.top_k),
        ("presencePenalty", sampling.presence_penalty),
        ("frequencyPenalty", sampling.frequency_penalty),
    ];
    for (name, value) in numbers {
        if let Some(value) = value {
            fields.float(name, value);
        }
    }
    match sampling.seed.map(i32::try_from) {
        Some(Ok(seed)) => fields.number("seed", seed),
        Some(Err(_)) => losses.dropped(Field::Seed),
        None => {}
    }
    if let Some(choices) = sampling.choices.filter(|choices| *choices != 1) {
        fields.number("candidateCount", choices);
    }
    if sampling.logprobs == Some(true) {
        fields.raw("responseLogprobs", "true");
        if let Some(top) = sampling.top_logprobs {
            fields.number("logprobs", top);
        }
    }
    let stops: Vec<_> = sampling.stop.iter().map(|text| &**text).filter(|text| !text.is_empty()).collect();
    if stops.len().min(MOST_STOPS) < sampling.stop.len() {
        losses.dropped(Field::Stop);
    }
    if !stops.is_empty() {
        push_texts(fields.key("stopSequences"), stops.into_iter().take(MOST_STOPS));
    }
}

/// Writes the form of the answer.
fn format(
    output: &OutputFormat<'_>,
    request: &NeutralRequest<'_>,
    generation: ModelGeneration,
    writing: &mut ConfigWriting<'_, '_>,
) {
    let has_functions = request.tools.iter().any(|tool| !matches!(tool.kind, ToolKind::Server(_)));
    if has_functions && !generation.is_current() {
        // Models before Gemini 3 refuse a request that has both.
        writing.losses.dropped(Field::OutputFormat);
        return;
    }
    writing.fields.text("responseMimeType", "application/json");
    if let OutputFormat::Schema { schema, description, .. } = output {
        writing.fields.raw("responseJsonSchema", schema.get());
        if description.is_some() {
            writing.losses.changed(Field::OutputFormat, "without its description");
        }
        let unfollowed = not_followed_by_google(schema);
        if !unfollowed.is_empty() {
            writing.losses.changed(Field::OutputFormat, format!("not enforced: {}", unfollowed.join(", ")));
        }
    }
}

/// Returns the thinking that comes nearest to what the client asks for.
fn thinking(reasoning: Reasoning, generation: ModelGeneration, losses: &mut LossReport) -> ThinkingAmount {
    let shows = match reasoning.form {
        None => None,
        Some(ThoughtForm::Omitted) => Some(false),
        Some(ThoughtForm::Summary) => Some(true),
        Some(ThoughtForm::Concise | ThoughtForm::Detailed) => {
            losses.changed(Field::ReasoningSummary, "the vendor's length");
            Some(true)
        }
    };
    match (generation, reasoning.mode) {
        (ModelGeneration::Plain, ReasoningMode::Off) => ThinkingAmount::default(),
        (ModelGeneration::Plain, _) => {
            losses.dropped(Field::Reasoning);
            ThinkingAmount::default()
        }
        // Nothing is there to be shown.
        (_, ReasoningMode::Off) => ThinkingAmount { budget: Some(0), level: None, shows: None },
        (ModelGeneration::Budget { most }, mode) => {
            ThinkingAmount { budget: Some(budget(mode, most, losses)), level: None, shows }
        }
        (ModelGeneration::Level, mode) => ThinkingAmount { budget: None, level: level(mode, losses), shows },
    }
}

fn budget(mode: ReasoningMode, most: u64, losses: &mut LossReport) -> i64 {
    let tokens = match mode {
        ReasoningMode::Budget { tokens, .. } if tokens <= most => tokens,
        ReasoningMode::Off | ReasoningMode::Adaptive { effort: None } => return -1,
        ReasoningMode::Budget { .. } => {
            losses.changed(Field::Reasoning, format!("thinkingBudget {most}"));
            most
        }
        ReasoningMode::Adaptive { effort: Some(effort) } | ReasoningMode::Effort(effort) => {
            let tokens = effort::budget(effort).min(most);
            losses.changed(Field::Reasoning, format!("thinkingBudget {tokens}"));
            tokens
        }
    };
    i64::try_from(tokens).unwrap_or(i64::MAX)
}

fn level(mode: ReasoningMode, losses: &mut LossReport) -> Option<&'static str> {
    let effort = effort::of_mode(mode)?;
    let level = match effort {
        Effort::Minimal => "MINIMAL",
        Effort::Low => "LOW",
        Effort::Medium => "MEDIUM",
        Effort::High => "HIGH",
        Effort::XHigh | Effort::Max => "XHIGH",
    };
    let is_another = effort == Effort::Max || matches!(mode, ReasoningMode::Budget { .. });
    if is_another {
        losses.changed(Field::Reasoning, format!("thinkingLevel {level}"));
    }
    Some(level)
}
