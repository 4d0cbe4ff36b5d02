//! The effort: the catalog's, else the client's as near as the family has it, in the dialect's spelling.

use super::super::change::ChangeReason;
use super::super::effort_rule::{EffortRule, EffortSpelling, IdleByDefault};
use super::draft::FitDraft;
use crate::config::Effort;
use crate::prompt::Dialect;

impl FitDraft<'_> {
    /// Sets the effort, and finds whether the model is going to think.
    pub(super) fn fit_effort(&mut self) {
        if self.dialect.is_google() {
            return self.fit_google_thinking();
        }
        if self.effort_key().is_none() {
            return; // a dialect without efforts
        }
        let rule = self.profile.family.and_then(|family| family.effort.as_ref());
        match rule {
            Some(rule) => match rule.spelling {
                EffortSpelling::Claude(thinking) if self.dialect == Dialect::Messages => {
                    self.fit_thinking(rule, thinking);
                }
                EffortSpelling::Switch => self.fit_switch(rule, "enable_thinking"),
                EffortSpelling::TemplateSwitch => self.fit_switch(rule, "chat_template_kwargs.enable_thinking"),
                EffortSpelling::ReasoningEffortOrOff => self.fit_effort_or_off(rule),
                EffortSpelling::ReasoningEffort | EffortSpelling::Google(_) | EffortSpelling::Claude(_) => {
                    self.fit_word(rule);
                }
            },
            None if self.profile.family.is_none() => self.set_word(self.profile.effort),
            // There is nothing to choose, and what the client asks for is left out by a rule.
            None => {}
        }
    }

    /// Returns the key of the effort in the dialect.
    pub(super) const fn effort_key(&self) -> Option<&'static str> {
        match self.dialect {
            Dialect::ChatCompletions => Some("reasoning_effort"),
            Dialect::Responses => Some("reasoning.effort"),
            Dialect::Messages => Some("output_config.effort"),
            _ => None,
        }
    }

    /// Returns the effort that the client asks for.
    pub(super) fn asked_effort(&self) -> Option<Effort> {
        self.effort_key().and_then(|key| self.members.text(key)).and_then(|word| Effort::of(&word))
    }

    /// Returns the reason of an effort that is set: the catalog's, or that the family lacks the client's.
    pub(super) fn effort_reason(&self, source: &'static str) -> ChangeReason {
        self.profile.effort.map_or_else(|| self.by_family(source), |effort| ChangeReason::Effort { effort })
    }

    /// Returns the effort that the model is to think with, as near as its family has it; `None` where nobody says.
    pub(super) fn wanted_effort(&self, rule: &EffortRule) -> Option<Effort> {
        self.profile.effort.or_else(|| self.asked_effort()).and_then(|effort| rule.nearest(effort, self.dialect))
    }

    /// Sets the catalog's effort for a model of no family.
    fn set_word(&mut self, effort: Option<Effort>) {
        if let (Some(effort), Some(key)) = (effort, self.effort_key()) {
            self.set(key, &quoted(effort), ChangeReason::Effort { effort });
        }
    }

    fn fit_word(&mut self, rule: &EffortRule) {
        let wanted = self.wanted_effort(rule);
        if let (Some(wanted), Some(key)) = (wanted, self.effort_key()) {
            let reason = self.effort_reason(rule.source);
            self.set(key, &quoted(wanted), reason);
        }
        self.thinks = wanted.map_or(rule.idle_by_default == IdleByDefault::Thinks, |wanted| wanted != Effort::None);
    }

    /// Sets the effort, or that there is to be no thinking.
    fn fit_effort_or_off(&mut self, rule: &EffortRule) {
        if self.dialect == Dialect::Responses {
            return self.fit_word(rule);
        }
        let reason = self.effort_reason(rule.source);
        if self.profile.effort.or_else(|| self.asked_effort()) == Some(Effort::None) {
            if let Some(key) = self.effort_key() {
                self.drop(key, reason);
            }
            return self.set("thinking.type", "\"disabled\"", reason);
        }
        self.fit_word(rule);
        let mode = self.members.text("thinking.type");
        let is_off = mode.as_deref() == Some("disabled");
        if is_off && self.profile.effort.is_some() || mode.as_deref() == Some("adaptive") {
            self.set("thinking.type", "\"enabled\"", reason);
            self.drop("thinking.budget_tokens", reason);
        } else {
            self.thinks &= !is_off;
        }
    }

    /// Sets a switch that is on or off, in place of the effort.
    fn fit_switch(&mut self, rule: &EffortRule, switch: &str) {
        let own = self.profile.effort;
        let wanted = own.or_else(|| self.asked_effort());
        let reason = self.effort_reason(rule.source);
        if self.dialect != Dialect::ChatCompletions {
            return;
        }
        self.drop("reasoning_effort", reason);
        if let Some(wanted) = wanted.filter(|_| own.is_some() || !self.members.has(switch)) {
            self.set(switch, if wanted == Effort::None { "false" } else { "true" }, reason);
        }
        self.thinks = wanted != Some(Effort::None);
    }
}

/// Returns the effort as JSON.
pub(super) fn quoted(effort: Effort) -> String {
    format!("\"{}\"", effort.as_str())
}
