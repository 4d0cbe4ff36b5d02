//! The reference of a row: what the graders that need no judge compare an answer with.

use jsonschema::Validator;
use regex::{Regex, RegexBuilder};
use serde_json::{Map, Value};

use super::choice::ChoiceOptions;
use super::command::UnitTests;
use super::number::{NumberTolerance, WrittenNumber};
use super::schema;
use super::{ExactGrader, GraderKind};

/// The number of options where a reference does not say it.
const OPTIONS: usize = 5;

/// Bytes that a compiled pattern may take.
const PATTERN_SIZE: usize = 1 << 20;

/// The check that one grader makes.
#[derive(Debug)]
pub(super) enum ExactCheck {
    Choice { right: char, options: ChoiceOptions },
    Number { right: WrittenNumber, tolerance: NumberTolerance },
    Pattern(Regex),
    Schema(Box<Validator>),
    Tests(UnitTests),
}

impl ExactCheck {
    /// Reads the check of one grader out of a reference; `None` where the reference has nothing for it.
    pub(super) fn read(
        grader: ExactGrader,
        reference: &Map<String, Value>,
        tolerance: f64,
    ) -> Result<Option<Self>, String> {
        let Some(value) = reference.get(grader.kind().as_str()).filter(|value| !value.is_null()) else {
            return Ok(None);
        };
        let check = match grader {
            ExactGrader::Choice => choice(value, reference.get("choices"))?,
            ExactGrader::Number => number(value, reference.get("tolerance"), tolerance)?,
            ExactGrader::Pattern => {
                let pattern = value.as_str().ok_or("`pattern` is no string")?;
                let compiled = RegexBuilder::new(pattern).size_limit(PATTERN_SIZE).build();
                Self::Pattern(compiled.map_err(|error| format!("`pattern`: {error}"))?)
            }
            ExactGrader::Schema => {
                Self::Schema(Box::new(schema::validator(value).map_err(|error| format!("`schema`: {error}"))?))
            }
            ExactGrader::Tests => Self::Tests(UnitTests::parse(value)?),
        };
        Ok(Some(check))
    }
}

fn choice(value: &Value, choices: Option<&Value>) -> Result<ExactCheck, String> {
    let text = value.as_str().map(|text| text.trim().trim_matches(['(', ')', '.']).to_ascii_uppercase());
    let mut letters = text.as_deref().unwrap_or_default().chars();
    let (Some(right @ 'A'..='Z'), None) = (letters.next(), letters.next()) else {
        return Err("`choice` is no letter (allowed: A to Z)".to_owned());
    };
    let place = usize::from(right as u8 - b'A') + 1;
    let (count, texts) = match choices {
        None | Some(Value::Null) => (OPTIONS.max(place), Vec::new()),
        Some(Value::Array(texts)) => {
            let text = |text: &Value| text.as_str().map_or_else(|| text.to_string(), str::to_owned);
            (texts.len(), texts.iter().map(text).collect())
        }
        Some(count) => {
            let count = count.as_u64().and_then(|count| usize::try_from(count).ok());
            (count.ok_or("`choices` is neither a number nor the options")?, Vec::new())
        }
    };
    if place > count || count > 26 {
        return Err(format!("`choice` {right} is not among {count} `choices` (allowed: 1 to 26)"));
    }
    Ok(ExactCheck::Choice { right, options: ChoiceOptions { count, texts } })
}

fn number(value: &Value, own: Option<&Value>, tolerance: f64) -> Result<ExactCheck, String> {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let right = WrittenNumber::parse(&text).ok_or("`number` is no number")?;
    let tolerance = match own.filter(|own| !own.is_null()) {
        None => NumberTolerance::Relative(tolerance),
        Some(own) => {
            let room = own.as_f64().filter(|room| *room >= 0.0);
            NumberTolerance::Absolute(room.ok_or("`tolerance` is no number of 0 or more")?)
        }
    };
    Ok(ExactCheck::Number { right, tolerance })
}

/// Returns the reference as a judge is shown it: what is known of the right answer.
pub(super) fn shown(reference: Option<&Map<String, Value>>) -> String {
    let Some(reference) = reference else { return "None is known.".to_owned() };
    for kind in ["text", GraderKind::Choice.as_str(), GraderKind::Number.as_str()] {
        match reference.get(kind) {
            Some(Value::String(text)) => return text.clone(),
            Some(Value::Number(number)) => return number.to_string(),
            _ => {}
        }
    }
    "None is known.".to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(grader: ExactGrader, reference: Value) -> Result<Option<ExactCheck>, String> {
        let Value::Object(reference) = reference else { panic!("an object") };
        ExactCheck::read(grader, &reference, 0.0)
    }

    #[test]
    fn a_choice_is_a_letter_among_the_options() {
        let count = |reference: Value| match read(ExactGrader::Choice, reference) {
            Ok(Some(ExactCheck::Choice { right, options })) => Some((right, options.count, options.texts.len())),
            _ => None,
        };

        assert_eq!(count(json!({"choice": "B", "choices": 4})), Some(('B', 4, 0)));
        assert_eq!(count(json!({"choice": "(b)", "choices": ["x", "y"]})), Some(('B', 2, 2)));
        assert_eq!(count(json!({"choice": "C"})), Some(('C', 5, 0)));
        assert_eq!(count(json!({"choice": "H"})), Some(('H', 8, 0)));
        for wrong in [
            json!({"choice": "E", "choices": 4}),
            json!({"choice": "BC"}),
            json!({"choice": 2}),
            json!({"choice": "A", "choices": "four"}),
            json!({"choice": "A", "choices": 30}),
        ] {
            assert!(read(ExactGrader::Choice, wrong.clone()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_reference_has_a_check_for_the_graders_that_it_names() {
        let reference = json!({"number": "1,000", "tolerance": 5, "pattern": "^a", "choice": null});

        assert!(matches!(read(ExactGrader::Number, reference.clone()), Ok(Some(ExactCheck::Number { .. }))));
        assert!(matches!(read(ExactGrader::Pattern, reference.clone()), Ok(Some(ExactCheck::Pattern(_)))));
        assert!(matches!(read(ExactGrader::Choice, reference.clone()), Ok(None)));
        assert!(matches!(read(ExactGrader::Schema, reference), Ok(None)));
    }

    #[test]
    fn references_that_cannot_be_read_say_why() {
        for (grader, reference, why) in [
            (ExactGrader::Number, json!({"number": "many"}), "`number` is no number"),
            (ExactGrader::Number, json!({"number": 1, "tolerance": -1}), "`tolerance` is no number"),
            (ExactGrader::Pattern, json!({"pattern": "("}), "`pattern`: "),
            (ExactGrader::Schema, json!({"schema": {"type": 3}}), "`schema`: "),
            (ExactGrader::Tests, json!({"tests": {"cmd": "x"}}), "`tests` has `cmd`"),
        ] {
            let error = read(grader, reference).expect_err(why);
            assert!(error.starts_with(why), "{error}");
        }
    }

    #[test]
    fn a_judge_is_shown_the_text_before_the_letter_and_says_when_nothing_is_known() {
        let reference = json!({"choice": "B", "text": "Paris", "schema": {}});

        assert_eq!(shown(reference.as_object()), "Paris");
        assert_eq!(shown(json!({"number": 42}).as_object()), "42");
        assert_eq!(shown(None), "None is known.");
    }
}
