//! The body as the client meant it, from which every attempt's body is made.

use std::collections::BTreeMap;
use std::ops::Range;

use bytes::Bytes;
use pointsman_core::prompt::{Dialect, Edits, Prompt};
use serde_json::Value;

use crate::upstream::Target;

/// A body that was read, and what must be known of it to send it to one model or another.
#[derive(Debug, Clone)]
pub(in crate::proxy) struct Original {
    /// The whole body, decoded and otherwise untouched.
    pub(in crate::proxy) body: Bytes,
    /// The API that it is written for.
    pub(in crate::proxy) dialect: Dialect,
    /// Where it names its model.
    pub(in crate::proxy) model_span: Range<usize>,
    /// Whether the client wants a stream.
    pub(in crate::proxy) stream: bool,
    /// Whether the client itself asked for an event with the usage.
    include_usage: bool,
    /// Whether a rule asks for one.
    rule_includes_usage: bool,
}

impl Original {
    /// Keeps `body`, which `prompt` was read from.
    pub(in crate::proxy) fn new(body: &Bytes, prompt: &Prompt<'_>) -> Self {
        Self {
            body: body.clone(),
            dialect: prompt.dialect,
            model_span: prompt.model_span.clone(),
            stream: prompt.parameters.stream,
            include_usage: prompt.parameters.include_usage,
            rule_includes_usage: false,
        }
    }

    /// Sets top-level parameters, before any model's own rules; whatever the client sent for them. `stream_options` only
    /// where they are known.
    pub(in crate::proxy) fn set(&mut self, parameters: &BTreeMap<String, Value>) {
        if parameters.is_empty() || !self.dialect.generates() {
            return;
        }
        let edits = Edits::new(&[], &BTreeMap::new(), parameters);
        let streams = self.stream && self.dialect.has_stream_options();
        let edits = if streams { edits } else { edits.without("stream_options") };
        self.rule_includes_usage = parameters.get("stream_options.include_usage") == Some(&Value::Bool(true));
        let (body, model_span) = edits.apply_around(&self.body, self.model_span.clone());
        (self.body, self.model_span) = (body, model_span);
    }

    /// Returns whether `target`'s stream will hold an event with the usage only because we ask for it.
    pub(in crate::proxy) fn gets_usage_unasked(&self, target: &Target) -> bool {
        self.stream
            && !self.include_usage
            && self.dialect.has_stream_options()
            && (target.asks_for_usage || self.rule_includes_usage)
    }

    /// Returns the body for `target`: with its model's name, and adapted by its rules. One copy at most.
    pub(in crate::proxy) fn body_for(&self, target: &Target) -> Bytes {
        target.edits(self.dialect, self.stream).apply(&self.body, self.model_span.clone(), &target.upstream_name)
    }
}
