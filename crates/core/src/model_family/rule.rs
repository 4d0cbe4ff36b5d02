//! A rule of a family about one parameter.

use std::fmt;

use crate::prompt::Dialect;

/// The dialects of OpenAI's chat: what most providers copy.
pub(super) const CHAT: &[Dialect] = &[Dialect::ChatCompletions];
/// OpenAI's responses.
pub(super) const RESPONSES: &[Dialect] = &[Dialect::Responses];
/// Both of OpenAI's dialects with conversations.
pub(super) const OPENAI_BOTH: &[Dialect] = &[Dialect::ChatCompletions, Dialect::Responses];
/// Anthropic's messages.
pub(super) const MESSAGES: &[Dialect] = &[Dialect::Messages];
/// Google's own API.
pub(super) const GOOGLE: &[Dialect] = &[Dialect::GenerateContent, Dialect::StreamGenerateContent];
/// Anthropic's messages, and the chat that gateways translate into them.
pub(super) const CHAT_AND_MESSAGES: &[Dialect] = &[Dialect::ChatCompletions, Dialect::Messages];

/// A rule about one parameter of some dialects.
#[derive(Debug)]
pub(super) struct ParameterRule {
    /// The dialects that it holds in.
    pub(super) dialects: &'static [Dialect],
    /// The parameter: a top-level key, or `object.key`.
    pub(super) key: &'static str,
    pub(super) treatment: Treatment,
    pub(super) condition: RuleCondition,
    /// The source of the fact.
    pub(super) source: &'static str,
}

/// The treatment of a parameter.
#[derive(Debug, Clone, Copy)]
pub(super) enum Treatment {
    /// It is left out.
    Drop,
    /// It is left out unless its value, as JSON, is one of these.
    DropUnless(&'static [&'static str]),
    /// It is left out unless its value is a number of at least this.
    DropBelow(f64),
    /// It goes by another name.
    Rename(&'static str),
}

/// The condition under which a rule holds.
#[derive(Debug, Clone, Copy)]
pub(super) enum RuleCondition {
    /// Always.
    Always,
    /// While the model thinks.
    Thinking,
    /// Where this parameter is there as well.
    Beside(&'static str),
}

impl ParameterRule {
    /// A parameter that is always left out.
    pub(super) const fn drop(dialects: &'static [Dialect], key: &'static str, source: &'static str) -> Self {
        Self { dialects, key, treatment: Treatment::Drop, condition: RuleCondition::Always, source }
    }

    /// A parameter that always goes by another name.
    pub(super) const fn rename(
        dialects: &'static [Dialect],
        key: &'static str,
        new: &'static str,
        source: &'static str,
    ) -> Self {
        Self { dialects, key, treatment: Treatment::Rename(new), condition: RuleCondition::Always, source }
    }

    /// A parameter that is left out while the model thinks.
    pub(super) const fn drop_thinking(dialects: &'static [Dialect], key: &'static str, source: &'static str) -> Self {
        Self { dialects, key, treatment: Treatment::Drop, condition: RuleCondition::Thinking, source }
    }

    /// The rule with another treatment.
    pub(super) const fn treated(self, treatment: Treatment) -> Self {
        Self { treatment, ..self }
    }

    /// The rule under another condition.
    pub(super) const fn under(self, condition: RuleCondition) -> Self {
        Self { condition, ..self }
    }

    pub(super) fn is_for(&self, dialect: Dialect) -> bool {
        self.dialects.contains(&dialect)
    }

    /// Returns whether the parameter is left out, whatever its value is, by a model that `thinks` or not.
    pub(super) const fn drops(&self, thinks: bool) -> bool {
        match (self.treatment, self.condition) {
            (Treatment::Drop, RuleCondition::Always) => true,
            (Treatment::Drop, RuleCondition::Thinking) => thinks,
            _ => false,
        }
    }
}

impl fmt::Display for Treatment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Drop => f.write_str("left out"),
            Self::DropUnless(values) => write!(f, "left out unless {}", values.join(" or ")),
            Self::DropBelow(least) => write!(f, "left out below {least}"),
            Self::Rename(new) => write!(f, "named `{new}`"),
        }
    }
}

impl fmt::Display for RuleCondition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Always => Ok(()),
            Self::Thinking => f.write_str(" while it thinks"),
            Self::Beside(key) => write!(f, " beside `{key}`"),
        }
    }
}
