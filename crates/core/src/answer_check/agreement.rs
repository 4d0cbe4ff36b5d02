//! How far answers to one request agree.
//!
//! Two answers agree where they say the same: the same JSON, the same final answer (a number or a choice letter that both
//! end with), or nearly the same words. Meaning beyond that is for a judge.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

use crate::judgement::spoken;

/// The share of words in common from which on two answers say the same.
const SAME_WORDS: f64 = 0.7;

/// What announces a final answer.
static FINAL: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?i)(?:\\boxed\{([^{}]{1,60})\}|(?:answer|result|solution|antwort|ergebnis)(?:\s+is|\s+ist)?\s*[:=]?\s*\**\s*\$?([-+]?\d[\d,.]*|\(?(?-i:[A-H])\)?(?:\b|$))|####\s*([-+]?\d[\d,.]*))")
        .expect("a literal that compiles")
});

/// A number anywhere.
static NUMBER: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"[-+]?\d[\d,]*(?:\.\d+)?").expect("a literal that compiles"));

/// The most characters of a text whose only number is its answer.
const SHORT: usize = 80;

/// Returns the share of the answers that say the same as `held`, itself included.
#[must_use]
pub fn agreement<'a>(held: &str, others: impl IntoIterator<Item = &'a str>) -> f64 {
    let held = AnswerMeaning::of(held);
    let (mut all, mut same) = (1_u32, 1_u32);
    for other in others {
        all += 1;
        same += u32::from(held.agrees_with(&AnswerMeaning::of(other)));
    }
    f64::from(same) / f64::from(all)
}

/// What an answer says, as far as it can be compared.
struct AnswerMeaning {
    json: Option<Value>,
    last: Option<String>,
    words: BTreeMap<String, u32>,
}

impl AnswerMeaning {
    fn of(answer: &str) -> Self {
        let text = spoken(answer);
        let text = text.trim();
        let json = serde_json::from_str::<Value>(text).ok().filter(|value| value.is_object() || value.is_array());
        let mut words = BTreeMap::new();
        for word in text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()) {
            *words.entry(word.to_lowercase()).or_default() += 1;
        }
        Self { json, last: last_answer(text), words }
    }

    fn agrees_with(&self, other: &Self) -> bool {
        if let (Some(own), Some(other)) = (&self.json, &other.json) {
            return own == other;
        }
        match (&self.last, &other.last) {
            (Some(own), Some(other)) => own == other,
            (None, None) => self.words_in_common(other) >= SAME_WORDS,
            _ => false,
        }
    }

    /// Returns twice the words in common by the words of both.
    fn words_in_common(&self, other: &Self) -> f64 {
        let count = |words: &BTreeMap<String, u32>| words.values().sum::<u32>();
        let all = count(&self.words) + count(&other.words);
        let common: u32 = self.words.iter().filter_map(|(word, n)| Some(*n.min(other.words.get(word)?))).sum();
        if all == 0 { 1.0 } else { f64::from(2 * common) / f64::from(all) }
    }
}

/// Returns the final answer that a text announces, or the only number of a short one.
fn last_answer(text: &str) -> Option<String> {
    let announced = FINAL.captures_iter(text).last();
    let announced = announced.and_then(|found| found.iter().skip(1).flatten().next().map(|it| it.as_str().to_owned()));
    let number = || {
        let mut numbers = NUMBER.find_iter(text).filter(|_| text.chars().count() <= SHORT);
        numbers.next().filter(|_| numbers.next().is_none()).map(|it| it.as_str().to_owned())
    };
    let letter = || (text.len() <= 3).then(|| text.to_owned()).filter(|text| text.chars().any(char::is_alphabetic));
    announced.or_else(number).or_else(letter).map(|said| normal(&said))
}

/// Returns a final answer without the marks that say nothing: `1,000.0` is `1000`.
fn normal(said: &str) -> String {
    let said: String = said.chars().filter(|c| !matches!(c, ',' | '$' | '(' | ')' | '*' | ' ')).collect();
    let said = said.trim_end_matches('.').to_lowercase();
    match said.parse::<f64>() {
        Ok(number) => number.to_string(),
        Err(_) => said,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::float_cmp, reason = "shares of a few answers are exact")]
    fn answers_agree_by_what_they_end_with_their_json_or_their_words() {
        let all = |held: &str, others: &[&str]| agreement(held, others.iter().copied());

        assert_eq!(all("The answer is 42.", &["So the answer is: 42", "Answer: 42.0", "answer is 41"]), 0.75);
        assert_eq!(all("42", &["It is 42.", "It is 43."]), 2.0 / 3.0);
        assert_eq!(all("{\"a\": 1, \"b\": 2}", &["{\"b\":2,\"a\":1}", "{\"a\": 2}"]), 2.0 / 3.0);
        assert_eq!(all("B", &["The answer is B", "(C)"]), 2.0 / 3.0);
        assert_eq!(
            all("Paris is the capital of France.", &["The capital of France is Paris.", "I do not know."]),
            2.0 / 3.0
        );
        assert_eq!(all("", &[]), 1.0);
    }
}
