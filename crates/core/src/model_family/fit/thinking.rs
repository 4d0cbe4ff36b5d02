//! Anthropic's thinking: which mode, which budget, and which effort beside it.

use memchr::memmem;
use serde_json::Value;

use super::super::change::ChangeReason;
use super::super::effort_rule::{ClaudeModes, ClaudeOff, ClaudeThinking, EffortRule, IdleByDefault};
use super::draft::FitDraft;
use super::effort::quoted;
use crate::config::Effort;

/// The least tokens that a budget may have.
const LEAST_BUDGET: u64 = 1024;

/// The beginnings of ids of calls that Anthropic's API has not given: OpenAI's, and those that a translation has made or coded.
const OTHERS_IDS: [&[u8]; 3] = [b"\"call_", b"\"gemini_call_", b"\"pmid_"];

/// The thinking that a request is to have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum WantedThinking {
    /// Nobody says.
    Unsaid,
    /// None.
    Off,
    /// Some, with the client's own budget.
    On { budget: Option<u64> },
}

impl FitDraft<'_> {
    /// Makes thinking and effort fit a Claude.
    pub(super) fn fit_thinking(&mut self, rule: &EffortRule, claude: ClaudeThinking) {
        let wanted = self.wanted_thinking();
        self.thinks = match wanted {
            WantedThinking::On { .. } => true,
            WantedThinking::Off => claude.off == ClaudeOff::Never,
            WantedThinking::Unsaid => rule.idle_by_default == IdleByDefault::Thinks,
        };
        let has_adaptive = matches!(claude.modes, ClaudeModes::BudgetOrAdaptive | ClaudeModes::Adaptive);
        match wanted {
            WantedThinking::Off => self.turn_off(rule, claude),
            WantedThinking::On { budget } if has_adaptive => self.turn_adaptive(rule, claude, budget),
            WantedThinking::On { budget } => self.turn_to_budget(rule, budget),
            WantedThinking::Unsaid => {}
        }
        self.fit_output_effort(rule, claude, wanted);
    }

    fn wanted_thinking(&self) -> WantedThinking {
        let budget = self.members.count("thinking.budget_tokens");
        match (self.profile.effort, self.members.text("thinking.type").as_deref()) {
            (Some(Effort::None), _) | (None, Some("disabled" | "between_tools")) => WantedThinking::Off,
            (Some(_), _) => WantedThinking::On { budget: None },
            (None, Some("enabled" | "adaptive")) => WantedThinking::On { budget },
            (None, _) => WantedThinking::Unsaid,
        }
    }

    fn turn_off(&mut self, rule: &EffortRule, claude: ClaudeThinking) {
        let reason = self.effort_reason(rule.source);
        let said = self.members.text("thinking.type");
        let word = match claude.off {
            ClaudeOff::Never => return self.drop("thinking", reason),
            ClaudeOff::BetweenTools => "between_tools",
            ClaudeOff::Disabled => "disabled",
        };
        // Where a model does not think by itself, nothing has to be said.
        if said.as_deref() == Some(word) || said.is_none() && rule.idle_by_default == IdleByDefault::Idle {
            return;
        }
        self.set("thinking.type", &format!("\"{word}\""), reason);
        self.drop("thinking.budget_tokens", reason);
        self.drop("thinking.display", reason);
    }

    /// Turns thinking to `adaptive`; a budget that the family does not take becomes an effort.
    fn turn_adaptive(&mut self, rule: &EffortRule, claude: ClaudeThinking, budget: Option<u64>) {
        let reason = self.effort_reason(rule.source);
        let said = self.members.text("thinking.type");
        let takes_budgets = claude.modes == ClaudeModes::BudgetOrAdaptive && self.profile.effort.is_none();
        if said.as_deref() == Some("enabled") && takes_budgets {
            return self.turn_to_budget(rule, budget);
        }
        // Where a model thinks by itself, nothing has to be said.
        if said.is_some() || rule.idle_by_default == IdleByDefault::Idle {
            self.set("thinking.type", "\"adaptive\"", reason);
            self.drop("thinking.budget_tokens", reason);
        }
    }

    /// Turns thinking to a budget, below the longest answer.
    fn turn_to_budget(&mut self, rule: &EffortRule, asked: Option<u64>) {
        let reason = self.effort_reason(rule.source);
        let may_think = match self.members.text("thinking.type").as_deref() {
            Some("enabled") => !self.answers_anothers_call(),
            _ => self.may_begin_to_think(),
        };
        let effort = self.wanted_effort(rule);
        let wanted = asked.unwrap_or_else(|| budget_of(effort.unwrap_or(Effort::Medium))).max(LEAST_BUDGET);
        let budget = self.length().map_or(Some(wanted), |length| budget_within(wanted, length));
        let Some(budget) = budget.filter(|_| may_think) else {
            self.thinks = false;
            return self.drop("thinking", reason);
        };
        self.set("thinking.type", "\"enabled\"", reason);
        match asked {
            Some(asked) if budget < asked => self.lower("thinking.budget_tokens", budget, ChangeReason::Limit),
            _ => self.set("thinking.budget_tokens", &budget.to_string(), reason),
        }
    }

    /// Returns whether thinking may be turned on where the client has not: a budget goes neither with a tool that must
    /// be called, nor with a turn of the model's own that began without thinking.
    fn may_begin_to_think(&self) -> bool {
        let forces = |choice: String| matches!(&*choice, "any" | "tool");
        if self.members.text("tool_choice.type").is_some_and(forces) {
            return false;
        }
        let messages: Vec<Value> = self.members.read("messages").unwrap_or_default();
        let is_by = |message: &&Value, role: &str| message["role"] == role;
        let answers_a_tool = messages.last().is_some_and(|last| is_by(&last, "user") && has_part(last, "tool_result"));
        let own = messages.iter().rev().find(|message| is_by(message, "assistant"));
        let thought = own.is_some_and(|own| has_part(own, "thinking") || has_part(own, "redacted_thinking"));
        !answers_a_tool || thought
    }

    /// Returns whether the client's own budget would be refused because the conversation has moved here amid a loop: the calls
    /// that are answered are another vendor's, made without a thought.
    fn answers_anothers_call(&self) -> bool {
        let holds_others = |messages: bytes::Bytes| OTHERS_IDS.iter().any(|id| memmem::find(&messages, id).is_some());
        self.members.get("messages").is_some_and(holds_others) && !self.may_begin_to_think()
    }

    /// Sets the effort beside thinking, or leaves it out where there is none.
    fn fit_output_effort(&mut self, rule: &EffortRule, claude: ClaudeThinking, wanted: WantedThinking) {
        const KEY: &str = "output_config.effort";
        let reason = self.effort_reason(rule.source);
        if claude.modes == ClaudeModes::Budget {
            return self.drop(KEY, reason);
        }
        let budget = match wanted {
            WantedThinking::On { budget } if claude.modes == ClaudeModes::Adaptive => budget,
            _ => None,
        };
        let effort = self.profile.effort.or_else(|| self.asked_effort()).or_else(|| budget.map(effort_of));
        let levels: Vec<Effort> = rule.levels.iter().copied().filter(|level| *level != Effort::None).collect();
        let named = effort.filter(|effort| *effort != Effort::None).and_then(|effort| effort.nearest(&levels));
        let Some(effort) = named else {
            if self.profile.effort == Some(Effort::None) {
                self.drop(KEY, reason);
            }
            return;
        };
        let is_off = wanted == WantedThinking::Off && claude.off != ClaudeOff::Never;
        let effort = if is_off { effort.min(claude.most_when_off) } else { effort };
        self.set(KEY, &quoted(effort), reason);
    }
}

fn has_part(message: &Value, kind: &str) -> bool {
    message["content"].as_array().is_some_and(|parts| parts.iter().any(|part| part["type"] == kind))
}

/// Returns a budget that leaves a quarter of the longest answer for the answer itself; `None` where no budget fits.
fn budget_within(wanted: u64, length: u64) -> Option<u64> {
    if wanted < length {
        return Some(wanted);
    }
    let lowered = (length / 4).saturating_mul(3).max(LEAST_BUDGET);
    (lowered < length).then_some(lowered)
}

/// Returns the budget that stands for an effort.
const fn budget_of(effort: Effort) -> u64 {
    match effort {
        Effort::None | Effort::Minimal => LEAST_BUDGET,
        Effort::Low => 2048,
        Effort::Medium => 10_000,
        Effort::High => 16_384,
        Effort::Xhigh | Effort::Max => 32_768,
    }
}

/// Returns the effort that a budget stands for.
const fn effort_of(budget: u64) -> Effort {
    match budget {
        0..=4096 => Effort::Low,
        4097..=12_000 => Effort::Medium,
        12_001..=24_000 => Effort::High,
        _ => Effort::Xhigh,
    }
}
