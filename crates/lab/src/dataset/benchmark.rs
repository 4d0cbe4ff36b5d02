//! Rows of public benchmarks as prompts with a reference: multiple choice (`question` with `choices` or `options`) and
//! questions with an `answer`, of which GSM8K's end with `#### <number>`.

use serde_json::{Map, Value, json};

/// The line that asks for a letter and nothing else, so that the answer can be graded by it.
const LETTER_ALONE: &str = "Answer with the letter of the right choice alone.";

/// The mark before the final number of an answer in GSM8K.
const FINAL_NUMBER: &str = "####";

/// The most choices that have a letter each.
const LETTERS: usize = 26;

/// Gives a benchmark's row a `prompt`, and its answer to a `reference`; leaves other rows as they are.
pub(super) fn adopt(row: &mut Map<String, Value>) -> Result<(), &'static str> {
    let asks = ["prompt", "messages", "text"].iter().any(|key| row.get(*key).is_some_and(|value| !value.is_null()));
    if asks {
        if let Some(number) = row.get("answer").and_then(Value::as_str).and_then(final_number) {
            row.entry("reference").or_insert_with(|| json!({ "number": number }));
        }
        return Ok(());
    }
    let Some(Value::String(question)) = row.get("question") else { return Ok(()) };
    let question = question.trim().to_owned();
    let choices = ["choices", "options"].iter().find_map(|key| row.get(*key)).map(choices).transpose()?;
    let (prompt, reference) = match choices {
        Some(choices) => {
            let answer = row.get("answer").or_else(|| row.get("answerKey"));
            let letter = answer.map(|answer| letter_of(answer, &choices)).transpose()?;
            let reference = letter.map(|letter| json!({"choice": letter, "choices": choices.len()}));
            (asked(&question, &choices), reference)
        }
        None => {
            let answer = row.get("answer").and_then(Value::as_str);
            let reference = answer.map(|answer| match final_number(answer) {
                Some(number) => json!({ "number": number }),
                None => json!({ "text": answer }),
            });
            (question, reference)
        }
    };
    row.insert("prompt".to_owned(), json!(prompt));
    if let Some(reference) = reference {
        row.entry("reference").or_insert(reference);
    }
    for key in ["question", "choices", "options"] {
        row.remove(key); // they stand in the prompt now
    }
    Ok(())
}

/// A choice and the label that the file gives it.
struct LabelledChoice {
    label: String,
    text: String,
}

fn choices(value: &Value) -> Result<Vec<LabelledChoice>, &'static str> {
    const WRONG: &str = "`choices` are no list of texts";
    let text = |value: &Value| value.as_str().map(str::to_owned).ok_or(WRONG);
    let choices: Vec<LabelledChoice> = match value {
        Value::Array(texts) => {
            let labelled = texts
                .iter()
                .enumerate()
                .map(|(index, it)| Ok::<_, &str>(LabelledChoice { label: letter(index).to_string(), text: text(it)? }));
            labelled.collect::<Result<_, _>>()?
        }
        // As ARC has them: two lists of one length.
        Value::Object(lists) if lists.get("text").is_some_and(Value::is_array) => {
            let texts = lists["text"].as_array().into_iter().flatten();
            let labels = lists.get("label").and_then(Value::as_array).ok_or(WRONG)?;
            let pairs = texts
                .zip(labels)
                .map(|(it, label)| Ok::<_, &str>(LabelledChoice { label: text(label)?, text: text(it)? }));
            pairs.collect::<Result<_, _>>()?
        }
        Value::Object(by_letter) => {
            let pairs = by_letter
                .iter()
                .map(|(label, it)| Ok::<_, &str>(LabelledChoice { label: label.clone(), text: text(it)? }));
            pairs.collect::<Result<_, _>>()?
        }
        _ => return Err(WRONG),
    };
    match choices.len() {
        2..=LETTERS => Ok(choices),
        _ => Err("`choices` are not 2 to 26"),
    }
}

/// Returns the letter of the right choice, which a file names by its label, its place from 0, or its text.
fn letter_of(answer: &Value, choices: &[LabelledChoice]) -> Result<char, &'static str> {
    let place = match answer {
        Value::Number(place) => place.as_u64().and_then(|place| usize::try_from(place).ok()),
        Value::String(said) => {
            let said = said.trim();
            let by_label = choices.iter().position(|choice| choice.label.eq_ignore_ascii_case(said));
            by_label.or_else(|| choices.iter().position(|choice| choice.text.trim() == said))
        }
        _ => None,
    };
    place.filter(|place| *place < choices.len()).map(letter).ok_or("`answer` is none of the `choices`")
}

fn asked(question: &str, choices: &[LabelledChoice]) -> String {
    let lines =
        choices.iter().enumerate().map(|(index, choice)| format!("{}. {}\n", letter(index), choice.text.trim()));
    format!("{question}\n\n{}\n{LETTER_ALONE}", lines.collect::<String>())
}

fn letter(index: usize) -> char {
    u8::try_from(index).ok().filter(|index| usize::from(*index) < LETTERS).map_or('?', |index| char::from(b'A' + index))
}

/// Returns the number after the last mark, without the separators of thousands.
fn final_number(answer: &str) -> Option<String> {
    let (_, number) = answer.rsplit_once(FINAL_NUMBER)?;
    let number = number.trim().replace(',', "");
    (!number.is_empty() && number.len() < 64 && !number.contains(char::is_whitespace)).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn adopted(row: Value) -> Result<Value, &'static str> {
        let Value::Object(mut row) = row else { panic!("an object") };
        adopt(&mut row)?;
        Ok(Value::Object(row))
    }

    #[test]
    fn multiple_choice_becomes_a_prompt_and_the_letter_of_the_right_choice() {
        let expected = json!({"choice": "B", "choices": 3});
        let choices = json!(["one", "two", "three"]);
        for answer in [json!(1), json!("B"), json!("b"), json!("two")] {
            let row = adopted(json!({"question": "1+1?", "choices": choices, "answer": answer})).expect("a row");

            assert_eq!(row["reference"], expected, "{answer}");
            assert_eq!(
                row["prompt"],
                "1+1?\n\nA. one\nB. two\nC. three\n\nAnswer with the letter of the right choice alone."
            );
            assert!(row.get("choices").is_none() && row.get("question").is_none());
        }
    }

    #[test]
    fn choices_may_have_labels_of_their_own() {
        let arc = json!({"question": "q", "choices": {"text": ["x", "y"], "label": ["1", "2"]}, "answerKey": "2"});
        let lettered = json!({"question": "q", "options": {"A": "x", "B": "y"}, "answer": "A"});

        assert_eq!(adopted(arc).expect("a row")["reference"], json!({"choice": "B", "choices": 2}));
        assert_eq!(adopted(lettered).expect("a row")["reference"], json!({"choice": "A", "choices": 2}));
    }

    #[test]
    fn a_final_number_is_the_reference_of_a_question_and_of_a_prompt() {
        let answer = "He has 1,000 + 234 = <<1000+234=1234>>1,234.\n#### 1,234";

        for key in ["question", "prompt"] {
            let row = adopted(json!({key: "How many?", "answer": answer})).expect("a row");

            assert_eq!((&row["prompt"], &row["reference"]), (&json!("How many?"), &json!({"number": "1234"})));
        }
    }

    #[test]
    fn another_answer_is_a_reference_in_words_and_a_reference_that_stands_there_stays() {
        let words = adopted(json!({"question": "Capital of Australia?", "answer": "Canberra"})).expect("a row");
        let own = json!({"question": "q", "answer": "#### 1", "reference": {"pattern": "one"}});

        assert_eq!(words["reference"], json!({"text": "Canberra"}));
        assert_eq!(adopted(own).expect("a row")["reference"], json!({"pattern": "one"}));
    }

    #[test]
    fn an_answer_that_is_no_choice_is_refused() {
        let row = |answer: Value| json!({"question": "q", "choices": ["x", "y"], "answer": answer});

        for answer in [json!(2), json!("C"), json!(null)] {
            assert_eq!(adopted(row(answer)), Err("`answer` is none of the `choices`"));
        }
        assert_eq!(adopted(json!({"question": "q", "choices": ["x"]})), Err("`choices` are not 2 to 26"));
    }
}
