//! The ways in which asking a judge comes to nothing.

/// The failure of a question to a judge. Never an error to the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum JudgeFailure {
    /// The judge took too long.
    Timeout,
    /// The judge refused, failed, or could not be reached.
    Failed,
    /// The judge's answer was none of the choices.
    BadAnswer,
    /// The judge's tokens ran out before it answered.
    Truncated,
    /// The judge failed too often lately and is left alone.
    Resting,
    /// As many questions are open as are allowed.
    Busy,
    /// The prompt holds no text to judge.
    NoText,
    /// The judge cannot be asked here: in a replay, or a test of the configuration.
    Unavailable,
}

/// A question to a judge that came to nothing, and what it cost all the same.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct UnansweredQuestion {
    /// The reason.
    pub failure: JudgeFailure,
    /// US dollars for an answer that was none; `None` where there was none, or the judge has no price.
    pub cost_usd: Option<f64>,
}

impl From<JudgeFailure> for UnansweredQuestion {
    fn from(failure: JudgeFailure) -> Self {
        Self { failure, cost_usd: None }
    }
}

impl JudgeFailure {
    /// Every failure, for the metrics to register up front.
    pub const ALL: [Self; 8] = [
        Self::Timeout,
        Self::Failed,
        Self::BadAnswer,
        Self::Truncated,
        Self::Resting,
        Self::Busy,
        Self::NoText,
        Self::Unavailable,
    ];

    /// Returns the stable name used in metrics and decisions.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Failed => "failed",
            Self::BadAnswer => "bad_answer",
            Self::Truncated => "truncated",
            Self::Resting => "resting",
            Self::Busy => "busy",
            Self::NoText => "no_text",
            Self::Unavailable => "unavailable",
        }
    }
}
