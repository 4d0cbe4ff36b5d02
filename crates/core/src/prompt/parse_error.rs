//! Reasons why a body cannot be routed.

use thiserror::Error;

use super::reading::CountedList;

/// A reason why a body cannot be routed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ParseError {
    /// The body is not JSON.
    #[error("the body is not valid JSON: {message} at line {line} column {column}")]
    InvalidJson {
        /// The text that the parser met or missed.
        message: String,
        /// The line it happened on, from 1.
        line: usize,
        /// The byte of the line, from 1; 0 where the line has none.
        column: usize,
    },
    /// The body is JSON of another type.
    #[error("the body must be a JSON object")]
    NotAnObject,
    /// No top-level `model`.
    #[error("`model` is missing")]
    ModelMissing,
    /// The top-level `model` is of another type.
    #[error("`model` must be a string")]
    ModelNotAString,
    /// Two top-level `model` keys: parsers differ in which one they believe.
    #[error("`model` is given more than once")]
    ModelTwice,
    /// A list is longer than is allowed, or all of a kind together are.
    #[error("there are more than {limit} {}", list.as_str())]
    TooMany {
        /// The kind of list.
        list: CountedList,
        /// The most elements that are allowed.
        limit: usize,
    },
    /// Objects and arrays lie deeper within each other than is allowed.
    #[error("objects and arrays are nested more than {limit} deep")]
    TooDeep {
        /// The most levels that are allowed.
        limit: usize,
    },
    /// A key of the API stands there in another case: servers differ in whether they read it.
    #[error("the key `{key}` is written in another case than the API's")]
    KeyInAnotherCase {
        /// The key as it stands there.
        key: String,
    },
    /// Servers differ in which model a form, or what comes in place of one, names.
    #[error("the model that the body names can be read in more than one way")]
    AmbiguousModel,
}

impl ParseError {
    /// Returns the stable code for answers, metrics and logs.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::InvalidJson { .. } => "invalid_json",
            Self::NotAnObject => "invalid_body",
            Self::ModelMissing => "model_missing",
            Self::ModelNotAString => "model_not_a_string",
            Self::ModelTwice => "model_twice",
            Self::TooMany { .. } => "too_many_elements",
            Self::TooDeep { .. } => "too_deep",
            Self::KeyInAnotherCase { .. } => "key_in_another_case",
            Self::AmbiguousModel => "ambiguous_model",
        }
    }
}

impl From<serde_json::Error> for ParseError {
    /// Tells malformed JSON from JSON that is no object: reading is tolerant below the top level, so a type error can
    /// only mean the latter.
    fn from(error: serde_json::Error) -> Self {
        if error.is_data() {
            return Self::NotAnObject;
        }
        let (line, column) = (error.line(), error.column());
        let text = error.to_string();
        let message = text.strip_suffix(&format!(" at line {line} column {column}")).unwrap_or(&text).to_owned();
        Self::InvalidJson { message, line, column }
    }
}
