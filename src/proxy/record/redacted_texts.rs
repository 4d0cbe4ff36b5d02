//! The texts of a line on their way into the log, without what the operator has replaced.

use std::borrow::Cow;

use pointsman_core::usage::AnswerText;
use pointsman_telemetry::decision_log::record::ToolCallRecord;
use pointsman_telemetry::{DecisionLog, RedactedText};

/// The texts of one line, and how much was replaced in them so far.
pub(in crate::proxy) struct RedactedTexts<'l> {
    log: &'l DecisionLog,
    replaced: u64,
}

impl<'l> RedactedTexts<'l> {
    pub(in crate::proxy) const fn new(log: &'l DecisionLog) -> Self {
        Self { log, replaced: 0 }
    }

    /// Returns a whole text as it may be written.
    pub(in crate::proxy) fn whole<'t>(&mut self, text: &'t str) -> Cow<'t, str> {
        let redacted = self.log.redact(text);
        self.note(redacted)
    }

    /// Returns a text whose end may have been cut as it may be written.
    pub(in crate::proxy) fn of<'t>(&mut self, text: &'t str, cut: TextEnd) -> Cow<'t, str> {
        match cut {
            TextEnd::Whole => self.whole(text),
            TextEnd::Cut => {
                let redacted = self.log.redact_cut(text);
                self.note(redacted)
            }
        }
    }

    /// Returns an answer's calls as they may be written.
    pub(in crate::proxy) fn calls<'t>(&mut self, answer: &'t AnswerText) -> Vec<ToolCallRecord<'t>> {
        let end = TextEnd::of(answer);
        let calls = answer.tool_calls.iter();
        calls
            .map(|call| ToolCallRecord { name: self.whole(&call.name), arguments: self.of(&call.arguments, end) })
            .collect()
    }

    /// Returns how much was replaced so far.
    pub(in crate::proxy) const fn replaced(&self) -> u64 {
        self.replaced
    }

    fn note<'t>(&mut self, redacted: RedactedText<'t>) -> Cow<'t, str> {
        self.replaced += redacted.replaced;
        redacted.text
    }
}

/// The end of a text that is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::proxy) enum TextEnd {
    /// The text's own.
    Whole,
    /// The place where it was cut.
    Cut,
}

impl TextEnd {
    /// Returns the end of an answer's text.
    pub(in crate::proxy) const fn of(answer: &AnswerText) -> Self {
        if answer.is_truncated { Self::Cut } else { Self::Whole }
    }
}
