//! The purpose of a request: whether a person waits for its answer, or an agent keeps house.
//!
//! Told by sure signs alone ([`signs`]): what harnesses begin their own questions with. A request that shows none is an
//! answer's, so that a person who asks for a title or a summary gets what everybody gets.

mod detection;
mod signs;

pub(super) use self::detection::is_planning;
pub(super) use self::signs::add_markdown;

/// The purpose of a request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// The answer to what was asked, or a step on the way to it.
    #[default]
    Answer,
    /// A title or a name for a conversation.
    Title,
    /// A summary of a conversation, such as one that has become too long.
    Summary,
    /// The subject of a conversation or a command: a new topic, tags, the paths that a command touches.
    Topic,
    /// A test of the account and the connection.
    Probe,
    /// Questions that the person may want to ask next.
    Suggestion,
}

impl Purpose {
    /// Every purpose.
    pub const ALL: [Self; 6] = [Self::Answer, Self::Title, Self::Summary, Self::Topic, Self::Probe, Self::Suggestion];

    /// Returns the stable name used in rules, metrics and logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Answer => "answer",
            Self::Title => "title",
            Self::Summary => "summary",
            Self::Topic => "topic",
            Self::Probe => "probe",
            Self::Suggestion => "suggestion",
        }
    }

    /// Returns the purpose called `name`.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|purpose| purpose.as_str() == name)
    }

    /// Tells whether an agent keeps house by it: nobody waits for the answer itself.
    #[must_use]
    pub const fn is_housekeeping(self) -> bool {
        !matches!(self, Self::Answer)
    }
}

#[cfg(test)]
mod tests;
