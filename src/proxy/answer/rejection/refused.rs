//! The rejections of bodies that a reader or a translation has refused.

use pointsman_core::prompt::ParseError;
use pointsman_translation::{Field, TranslationRefusal};

use super::Rejection;
use super::wording::routed_paths;
use crate::classify::{ClassifyError, MAX_INPUTS};
use crate::decisions::{DecisionError, DecisionProblem};
use crate::inference::InferenceError;
use crate::judge::ProbabilityJudgeError;

impl From<TranslationRefusal> for Rejection {
    fn from(refusal: TranslationRefusal) -> Self {
        let param = match &refusal {
            TranslationRefusal::Malformed { place, .. } => place.clone(),
            TranslationRefusal::Lossy(losses) => {
                losses.left_out().next().map(Field::as_str).unwrap_or_default().to_owned()
            }
            TranslationRefusal::Unsayable(loss) => loss.place.clone().unwrap_or_else(|| loss.field.as_str().to_owned()),
        };
        Self::Untranslatable { message: refusal.to_string(), param: Some(param).filter(|param| !param.is_empty()) }
    }
}

impl From<ParseError> for Rejection {
    fn from(error: ParseError) -> Self {
        match error {
            ParseError::InvalidJson { message, line, column } => Self::InvalidJson { message, line, column },
            ParseError::NotAnObject => Self::InvalidBody,
            ParseError::ModelMissing => Self::ModelMissing,
            ParseError::ModelNotAString => Self::ModelNotAString,
            ParseError::ModelTwice => Self::ModelTwice,
            ParseError::TooMany { list, limit } => Self::TooManyElements { list, limit },
            ParseError::TooDeep { limit } => Self::TooDeep { limit },
            ParseError::KeyInAnotherCase { key } => Self::KeyInAnotherCase { key },
            ParseError::AmbiguousModel => Self::AmbiguousModel,
        }
    }
}

impl From<ClassifyError> for Rejection {
    fn from(error: ClassifyError) -> Self {
        let inputs = |message: String| Self::InvalidQuestion { param: Some("inputs"), message };
        match error {
            ClassifyError::Malformed { message } => {
                Self::InvalidQuestion { param: None, message: format!("The request body cannot be read: {message}.") }
            }
            ClassifyError::WrongCount { inputs: count } => {
                inputs(format!("`inputs` has {count} inputs (allowed: 1 to {MAX_INPUTS})."))
            }
            ClassifyError::UnknownClassifier { classifier, known } => Self::ClassifierNotFound { classifier, known },
            ClassifyError::UnknownPath { index } => inputs(format!(
                "`inputs[{index}].path` is none that prompts are read at. Those are {}.",
                routed_paths()
            )),
            ClassifyError::Unreadable { index, error } => {
                inputs(format!("`inputs[{index}].body`: {}", Self::from(error)))
            }
            ClassifyError::NoText { index } => inputs(format!("`inputs[{index}]` has no words to judge.")),
            ClassifyError::Overloaded => Self::Overloaded,
            ClassifyError::Deadline => Self::DeadlineExceeded,
            ClassifyError::Unavailable { classifier, reason } => Self::ClassifierUnavailable { classifier, reason },
        }
    }
}

impl From<InferenceError> for Rejection {
    fn from(error: InferenceError) -> Self {
        match error {
            InferenceError::Invalid { message } => Self::InvalidQuestion { param: None, message },
            InferenceError::UnknownPath => Self::PathNotFound,
            InferenceError::NotReady => Self::NotReady,
            InferenceError::UnknownVersion { model, version } => Self::ClassifierVersionNotFound { model, version },
            InferenceError::Classify(error) => error.into(),
        }
    }
}

impl From<DecisionError> for Rejection {
    fn from(error: DecisionError) -> Self {
        let input = |message: String| Self::InvalidQuestion { param: Some("input"), message };
        match error {
            DecisionError::Invalid(DecisionProblem { param, message }) => {
                Self::InvalidQuestion { param: Some(param).filter(|param| !param.is_empty()), message }
            }
            DecisionError::UnknownModel { model, known } => Self::ModelNotFound { model, models: known },
            DecisionError::Classify(ClassifyError::NoText { .. }) => {
                input("`input` has no words of a user to judge.".to_owned())
            }
            DecisionError::Classify(ClassifyError::Unreadable { error, .. }) => {
                input(format!("`input` cannot be read: {}", Self::from(error)))
            }
            DecisionError::Classify(error) => error.into(),
            DecisionError::Judge(error) => error.into(),
        }
    }
}

impl From<ProbabilityJudgeError> for Rejection {
    fn from(error: ProbabilityJudgeError) -> Self {
        match error {
            ProbabilityJudgeError::Busy { provider } => Self::ProviderBusy { provider },
            ProbabilityJudgeError::Timeout { provider } => Self::UpstreamTimeout { provider },
            ProbabilityJudgeError::Unreachable { provider } => Self::UpstreamUnreachable { provider },
            ProbabilityJudgeError::Refused { provider, status } if status == 429 || status >= 500 => {
                Self::UpstreamRefused { provider, status, said: String::new(), retry_after: None }
            }
            // What else it refuses is between the operator and the provider.
            ProbabilityJudgeError::Refused { provider, .. } | ProbabilityJudgeError::BadAnswer { provider } => {
                Self::UpstreamError { provider }
            }
        }
    }
}
