//! Thinking and the limit of the answer, which depend on each other, written.

use crate::json::writer::ObjectWriter;
use crate::loss::{Field, LossReport};
use crate::neutral::{Effort, NeutralRequest, Reasoning, ReasoningMode, ThoughtForm, ToolChoice};
use crate::translation::TranslationTarget;

/// The limit of an answer whose client gave none, where nothing is known of the model.
const USUAL_LIMIT: u64 = 32_000;

/// The smallest budget that the API takes.
const SMALLEST_BUDGET: u64 = 1024;

/// The thinking that a request asks for, and the limit that goes with it.
#[derive(Debug, Clone, Copy)]
pub(super) struct ThinkingPlan {
    /// The most tokens of the answer.
    pub(super) max_tokens: u64,
    /// The effort, by its name.
    pub(super) effort: Option<&'static str>,
    mode: Option<ThinkingMode>,
    display: Option<&'static str>,
}

/// The type of `thinking`.
#[derive(Debug, Clone, Copy)]
enum ThinkingMode {
    Disabled,
    Adaptive,
    Enabled(u64),
}

impl ThinkingPlan {
    /// Plans the thinking of a request.
    pub(super) fn of(request: &NeutralRequest<'_>, target: &TranslationTarget<'_>, losses: &mut LossReport) -> Self {
        let mut plan = Self { max_tokens: limit(request, target, losses), effort: None, mode: None, display: None };
        let Some(reasoning) = request.reasoning else { return plan };
        plan.effort = effort(reasoning.mode, losses);
        plan.mode = Some(match reasoning.mode {
            ReasoningMode::Off => ThinkingMode::Disabled,
            ReasoningMode::Adaptive { .. } | ReasoningMode::Effort(_) => ThinkingMode::Adaptive,
            ReasoningMode::Budget { tokens, .. } => plan.budget(tokens, target, losses),
        });
        let is_forced = matches!(
            request.tool_choice,
            Some(ToolChoice::Any | ToolChoice::Tool(_) | ToolChoice::Allowed { is_required: true, .. })
        );
        if is_forced && !request.tools.is_empty() {
            plan.turn_off("no thinking before a call that is forced", losses);
        }
        if plan.is_on() {
            plan.display = display(reasoning, losses);
        }
        plan
    }

    /// Tells whether the model thinks.
    pub(super) const fn is_on(&self) -> bool {
        matches!(self.mode, Some(ThinkingMode::Adaptive | ThinkingMode::Enabled(_)))
    }

    /// Keeps the model from thinking, for a reason.
    pub(super) fn turn_off(&mut self, reason: &str, losses: &mut LossReport) {
        if self.is_on() {
            losses.changed(Field::Reasoning, reason);
            self.mode = Some(ThinkingMode::Disabled);
            self.display = None;
        }
    }

    /// Writes `thinking`.
    pub(super) fn write(&self, body: &mut ObjectWriter<'_>) {
        let Some(mode) = self.mode else { return };
        let out = body.key("thinking");
        let mut thinking = match mode {
            ThinkingMode::Disabled => ObjectWriter::of_type("disabled", out),
            ThinkingMode::Adaptive => ObjectWriter::of_type("adaptive", out),
            ThinkingMode::Enabled(_) => ObjectWriter::of_type("enabled", out),
        };
        if let ThinkingMode::Enabled(tokens) = mode {
            thinking.value("budget_tokens", &tokens);
        }
        thinking.optional("display", self.display);
        thinking.close();
    }

    /// Makes room for a budget: it counts towards the limit.
    fn budget(&mut self, tokens: u64, target: &TranslationTarget<'_>, losses: &mut LossReport) -> ThinkingMode {
        let mut budget = tokens;
        if budget < SMALLEST_BUDGET {
            losses.changed(Field::Reasoning, format!("a budget of {SMALLEST_BUDGET}, the smallest"));
            budget = SMALLEST_BUDGET;
        }
        if budget < self.max_tokens {
            return ThinkingMode::Enabled(budget);
        }
        let most = target.max_output.unwrap_or(u64::MAX);
        self.max_tokens = self.max_tokens.saturating_add(budget).min(most);
        losses.changed(Field::MaxTokens, format!("{}: the budget of thinking is a part of it", self.max_tokens));
        if budget < self.max_tokens {
            return ThinkingMode::Enabled(budget);
        }
        budget = self.max_tokens / 2;
        if budget < SMALLEST_BUDGET {
            losses.changed(Field::Reasoning, "no thinking: the model's limit leaves no room for it");
            return ThinkingMode::Disabled;
        }
        losses.changed(Field::Reasoning, format!("a budget of {budget}: half of the model's limit"));
        ThinkingMode::Enabled(budget)
    }
}

fn limit(request: &NeutralRequest<'_>, target: &TranslationTarget<'_>, losses: &mut LossReport) -> u64 {
    request.max_tokens.unwrap_or_else(|| {
        let limit = target.max_output.unwrap_or(USUAL_LIMIT);
        losses.changed(Field::MaxTokens, format!("{limit}: the API wants a limit"));
        limit
    })
}

fn effort(mode: ReasoningMode, losses: &mut LossReport) -> Option<&'static str> {
    let effort = match mode {
        ReasoningMode::Off => None,
        ReasoningMode::Effort(effort) => Some(effort),
        ReasoningMode::Adaptive { effort } | ReasoningMode::Budget { effort, .. } => effort,
    };
    if effort == Some(Effort::Minimal) {
        losses.changed(Field::Reasoning, "effort low");
        return Some("low");
    }
    effort.map(crate::conversion::effort::name)
}

fn display(reasoning: Reasoning, losses: &mut LossReport) -> Option<&'static str> {
    let form = reasoning.form?;
    if let ThoughtForm::Concise | ThoughtForm::Detailed = form {
        losses.changed(Field::ReasoningSummary, "a summary of the vendor's length");
    }
    Some(if form == ThoughtForm::Omitted { "omitted" } else { "summarized" })
}
