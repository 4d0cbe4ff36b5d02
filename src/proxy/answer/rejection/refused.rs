//! The rejections of bodies that a reader or a translation has refused.

use pointsman_core::prompt::ParseError;
use pointsman_translation::{Field, TranslationRefusal};

use super::Rejection;

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
