//! The reasons why a batch has no answer.

use pointsman_core::config::Name;
use pointsman_core::prompt::ParseError;
use pointsman_core::scores::ClassifierFailure;

/// The reason why a batch has no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ClassifyError {
    /// The body is not the JSON of a batch.
    Malformed { message: String },
    /// The batch is empty, or has more inputs than one request may.
    WrongCount { inputs: usize },
    /// No classifier has the name, or several are configured and none is named.
    UnknownClassifier { classifier: Option<String>, known: Vec<String> },
    /// No API is spoken at an input's path.
    UnknownPath { index: usize },
    /// An input's body cannot be read.
    Unreadable { index: usize, error: ParseError },
    /// An input holds no words to judge.
    NoText { index: usize },
    /// The classifier's queue is full.
    Overloaded,
    /// The classifier's deadline, or the caller's own, has passed.
    Deadline,
    /// The classifier is not loaded, or its encoder fails.
    Unavailable { classifier: Name, reason: ClassifierFailure },
}

impl ClassifyError {
    /// Returns the error of an input without scores, the first of its batch.
    pub(super) fn of_failure(classifier: &Name, reason: ClassifierFailure) -> Self {
        match reason {
            ClassifierFailure::NoText | ClassifierFailure::NoAsk => Self::NoText { index: 0 },
            ClassifierFailure::QueueFull => Self::Overloaded,
            ClassifierFailure::Deadline => Self::Deadline,
            ClassifierFailure::RuntimeMissing
            | ClassifierFailure::BundleUnavailable
            | ClassifierFailure::WorkerGone
            | ClassifierFailure::Inference
            | ClassifierFailure::Poisoned
            | ClassifierFailure::RemoteUnreachable
            | ClassifierFailure::RemoteRefused
            | ClassifierFailure::RemoteBadAnswer
            | ClassifierFailure::RemoteResting => Self::Unavailable { classifier: classifier.clone(), reason },
        }
    }

    /// Returns the error as that of the input at `index`.
    pub(super) fn at(self, index: usize) -> Self {
        match self {
            Self::UnknownPath { .. } => Self::UnknownPath { index },
            Self::Unreadable { error, .. } => Self::Unreadable { index, error },
            Self::NoText { .. } => Self::NoText { index },
            other => other,
        }
    }
}
