//! A judge's answer: the text that it means to be read, and the one label in it.
//!
//! Owns reading: models wrap what a schema would forbid in fences, prose and thoughts, and servers leave it there.
//! Thoughts are taken out, JSON is found wherever it stands, and a label counts when exactly one is meant. Refuses to
//! choose between two labels, and to read what a server says are thoughts (`reasoning_content`) as the answer.

use std::sync::Arc;

use serde_json::{Deserializer, Map, Value};

/// Marks that models put around thoughts, in lower case.
const THOUGHTS: [[&str; 2]; 7] = [
    ["<think>", "</think>"],
    ["<thinking>", "</thinking>"],
    ["<thought>", "</thought>"],
    ["<reasoning>", "</reasoning>"],
    ["[think]", "[/think]"],
    ["<|start_thinking|>", "<|end_thinking|>"],
    ["◁think▷", "◁/think▷"],
];

/// The mark after which gpt-oss answers, where a server does not take its channels apart.
const FINAL_CHANNEL: &str = "<|channel|>final<|message|>";

/// Words that take the label after them back.
const DENIALS: [&str; 5] = ["not", "isn't", "isn’t", "never", "than"];

/// Objects of an answer that are looked at, the last ones; more than any answer has, so that one of braces alone costs
/// little.
const MOST_OBJECTS: usize = 64;

/// Characters of a rationale that are kept.
const MOST_RATIONALE: usize = 300;

/// The labels that a judge may answer with.
#[derive(Debug)]
pub struct JudgeLabels(Vec<Arc<str>>);

/// The answer of a judge, as its text was read.
#[derive(Debug, Clone, PartialEq)]
pub struct JudgeAnswer {
    /// The label, as the judge was given it.
    pub label: Arc<str>,
    /// The judge's confidence in the label, 0 to 1.
    pub confidence: Option<f32>,
    /// The judge's own words for the label.
    pub rationale: Option<Arc<str>>,
}

/// The end of an answer's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnswerEnding {
    /// The answer came to its own end, or the server says nothing of it.
    Whole,
    /// The answer's tokens ran out.
    Cut,
}

impl AnswerEnding {
    /// Reads a `finish_reason`, in the words of OpenAI and of those who translate for others.
    pub fn of(choice: &Value) -> Self {
        let word = choice["finish_reason"].as_str().unwrap_or_default().to_ascii_lowercase();
        if matches!(word.as_str(), "length" | "max_tokens" | "max_output_tokens") { Self::Cut } else { Self::Whole }
    }
}

impl JudgeLabels {
    /// Collects the labels, in their order.
    pub fn new<'l>(labels: impl Iterator<Item = &'l str>) -> Self {
        Self(labels.map(Arc::from).collect())
    }

    /// Iterates over the labels.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|label| &**label)
    }

    /// Reads an answer's text: JSON with a `label`, or else prose that names exactly one. Of an answer that was cut
    /// only JSON counts, which is whole where it closes.
    pub fn read(&self, text: &str, ending: AnswerEnding) -> Option<JudgeAnswer> {
        let text = spoken(text);
        let objects = objects(&text);
        let mut labelled = Vec::new();
        objects.iter().for_each(|object| holders(object, "label", &mut labelled));
        let Some(last) = labelled.last() else {
            let label = self.named_in(&text).filter(|_| ending == AnswerEnding::Whole)?;
            return Some(JudgeAnswer { label, confidence: None, rationale: None });
        };
        let named: Vec<Arc<str>> =
            labelled.iter().filter_map(|object| self.of_word(object["label"].as_str()?)).collect();
        let label = named.first().filter(|first| named.iter().all(|label| label == *first))?;
        let holder = labelled.iter().rfind(|object| object["label"].as_str().and_then(|it| self.of_word(it)).is_some());
        let holder = holder.unwrap_or(last);
        Some(JudgeAnswer {
            label: Arc::clone(label),
            confidence: holder.get("confidence").and_then(share),
            rationale: holder.get("reason").and_then(Value::as_str).and_then(sentence),
        })
    }

    /// Returns the label that a word is, as it stands or in another case.
    fn of_word(&self, word: &str) -> Option<Arc<str>> {
        let exact = |word: &str| self.0.iter().find(|label| ***label == *word).cloned();
        let bare = word.trim_matches(|c: char| !c.is_alphanumeric());
        if let Some(exact) = exact(word.trim()).or_else(|| exact(bare)) {
            return Some(exact);
        }
        let mut alike = self.0.iter().filter(|label| label.eq_ignore_ascii_case(bare));
        alike.next().filter(|_| alike.next().is_none()).cloned()
    }

    /// Returns the only label that stands in a text as a word, unless it is only taken back.
    fn named_in(&self, text: &str) -> Option<Arc<str>> {
        // What joins a name's parts joins a word's only where a label has it: `hard.` ends a sentence, `gpt-4.1` does
        // not.
        let has = |mark: char| self.0.iter().any(|label| label.contains(mark));
        let joints: Vec<char> =
            ['.', ':', '/'].into_iter().filter(|mark| has(*mark)).chain(['-', '_', '\'', '’']).collect();
        let is_part = |c: char| c.is_alphanumeric() || joints.contains(&c);
        let (mut found, mut is_meant, mut is_denied): (Option<Arc<str>>, bool, bool) = (None, false, false);
        for word in text.split(|c: char| !is_part(c)).filter(|word| !word.is_empty()) {
            if let Some(label) = self.of_word(word) {
                if found.as_ref().is_some_and(|other| *other != label) {
                    return None;
                }
                found = Some(label);
                is_meant |= !is_denied;
            }
            is_denied = DENIALS.iter().any(|denial| denial.eq_ignore_ascii_case(word));
        }
        found.filter(|_| is_meant)
    }
}

/// Returns the text of an answer's message: its `content`, or the text among its parts. Thoughts that stand beside it
/// are none.
pub fn text_of(message: &Value) -> String {
    let text_in = |part: &Value| match part["type"].as_str() {
        Some("text" | "output_text") => part["text"].as_str().map(str::to_owned),
        _ => part.as_str().map(str::to_owned),
    };
    match &message["content"] {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts.iter().filter_map(text_in).collect::<Vec<_>>().join("\n"),
        _ => String::new(),
    }
}

/// Returns an answer's text without the thoughts in it, and without the quotes of JSON where it is one string.
pub fn spoken(text: &str) -> String {
    let text = text.trim();
    match serde_json::from_str(text) {
        Ok(Value::String(quoted)) => return quoted,
        // A mark within JSON is a part of it.
        Ok(Value::Object(_)) => return text.to_owned(),
        _ => {}
    }
    let text = text.rfind(FINAL_CHANNEL).map_or(text, |at| {
        let last = &text[at + FINAL_CHANNEL.len()..];
        last.split("<|").next().unwrap_or(last)
    });
    THOUGHTS.into_iter().fold(text.to_owned(), |text, marks| without(&text, marks))
}

/// Takes out what stands between two marks. A chat template may have written the opening one, so that a text begins
/// with thoughts; thoughts that do not close are all that follows.
fn without(text: &str, [open, close]: [&str; 2]) -> String {
    let lower = text.to_ascii_lowercase();
    let find = |mark: &str, from: usize| lower[from..].find(mark).map(|at| from + at);
    let (mut kept, mut at) = (String::new(), 0);
    loop {
        let (opened, closed) = (find(open, at), find(close, at));
        match (opened, closed) {
            (None, None) => return kept + &text[at..],
            (Some(opened), None) => return kept + &text[at..opened],
            (Some(opened), Some(closed)) if opened < closed => {
                kept.push_str(&text[at..opened]);
                at = closed + close.len();
            }
            (_, Some(closed)) => {
                kept.clear();
                at = closed + close.len();
            }
        }
    }
}

/// Returns the JSON objects in a text that stand in no other, in their order.
pub fn objects(text: &str) -> Vec<Map<String, Value>> {
    let mut at = text.rmatch_indices('{').nth(MOST_OBJECTS - 1).map_or(0, |(at, _)| at);
    let mut found = Vec::new();
    while let Some(open) = text[at..].find('{') {
        at += open;
        let mut stream = Deserializer::from_str(&text[at..]).into_iter();
        let object = stream.next().and_then(Result::ok);
        at += if object.is_some() { stream.byte_offset() } else { 1 };
        found.extend(object);
    }
    found
}

/// Collects the objects within an object, itself included, that have `key`.
fn holders<'o>(object: &'o Map<String, Value>, key: &str, found: &mut Vec<&'o Map<String, Value>>) {
    if object.contains_key(key) {
        return found.push(object);
    }
    object.values().filter_map(Value::as_object).for_each(|inner| holders(inner, key, found));
}

/// Reads a confidence; one that is out of bounds says nothing.
fn share(value: &Value) -> Option<f32> {
    let number = value.as_f64().or_else(|| value.as_str()?.trim().parse().ok())?;
    #[expect(clippy::cast_possible_truncation, reason = "a number from 0 to 1")]
    (0.0..=1.0).contains(&number).then_some(number as f32)
}

/// Returns what a judge says in prose, on one line and not too long.
fn sentence(text: &str) -> Option<Arc<str>> {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let kept: String = line.chars().filter(|c| !c.is_control()).take(MOST_RATIONALE).collect();
    (!kept.is_empty()).then(|| kept.into())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn labels() -> JudgeLabels {
        JudgeLabels::new(["easy", "hard", "gpt-4.1", "gpt-4.1-mini"].into_iter())
    }

    fn label(text: &str) -> Option<String> {
        labels().read(text, AnswerEnding::Whole).map(|said| said.label.to_string())
    }

    #[test]
    fn one_label_is_read_however_it_is_wrapped() {
        let easy = [
            r#"{"label": "easy"}"#,
            "easy\n",
            "\"easy\"",
            "Easy",
            "EASY.",
            "**easy**",
            "_easy_",
            "`easy`",
            "Label: easy",
            "label:easy",
            "- easy",
            "```json\n{\"label\": \"easy\"}\n```",
            "```\neasy\n```",
            "Sure! Here is my answer:\n\n{\"label\": \"Easy\"}\n\nLet me know.",
            "A hard look says: {\"label\": \"easy\"}",
            "{\"note\": \"x\"} {\"label\": \"easy\"} {\"n\": 1}",
            "{\"answer\": {\"label\": \"easy\"}}",
            "[{\"label\": \"easy\"}]",
            r#""{\"label\": \"easy\"}""#,
            "{\"label\": \"easy|hard\"} would be the form.\n{\"label\": \"easy\"}",
            "{\"reason\": \"no <think> and not hard\", \"label\": \"easy\"}",
            "{'label': 'easy'}",
            "The request is easy, easy enough for the small one.",
            "<think>Is it hard? {\"label\": \"hard\"}</think>{\"label\": \"easy\"}",
            "Maybe hard, maybe easy.\n</think>\n\neasy",
            "<THINK>hard</THINK>\neasy",
            "[THINK]hard[/THINK]easy",
            "<|channel|>analysis<|message|>hard?<|end|><|start|>assistant<|channel|>final<|message|>easy<|return|>",
        ];
        for text in easy {
            assert_eq!(label(text).as_deref(), Some("easy"), "{text}");
        }
    }

    #[test]
    fn no_label_or_two_of_them_are_none() {
        let none = [
            "",
            "medium",
            r#"{"label": 1}"#,
            r#"{"label": "medium"} and not easy"#,
            r#"{"tier": "x"}"#,
            "easy or hard",
            "easy/hard",
            "It is not hard.",
            "uneasy",
            "hard-working",
            "<think>easy",
            "<think>easy</think>",
            "{\"label\": \"easy\"} {\"label\": \"hard\"}",
            "{\"label\": \"ea",
        ];
        for text in none {
            assert_eq!(label(text), None, "{text}");
        }
    }

    #[test]
    fn a_label_within_a_longer_one_is_not_meant() {
        assert_eq!(label("I choose gpt-4.1-mini.").as_deref(), Some("gpt-4.1-mini"));
        assert_eq!(label("I choose GPT-4.1, of course.").as_deref(), Some("gpt-4.1"));
        assert_eq!(label("gpt-4"), None);
    }

    #[test]
    fn labels_that_differ_by_their_case_are_told_apart_or_not_read() {
        let labels = JudgeLabels::new(["Pro", "pro"].into_iter());
        let read = |text: &str| labels.read(text, AnswerEnding::Whole).map(|said| said.label.to_string());

        assert_eq!((read("Pro"), read("pro"), read("PRO")), (Some("Pro".into()), Some("pro".into()), None));
    }

    #[test]
    fn an_answer_that_was_cut_counts_where_its_json_is_whole() {
        let read = |text: &str| labels().read(text, AnswerEnding::Cut).map(|said| said.label.to_string());

        assert_eq!(read("{\"label\": \"easy\"}\n\n\n").as_deref(), Some("easy"));
        assert_eq!((read("It is easy to see that"), read("{\"label\": \"easy\"")), (None, None));
    }

    #[test]
    fn confidence_and_rationale_are_read_within_bounds() {
        let said = |text: &str| labels().read(text, AnswerEnding::Whole).expect("a label");
        let long = json!({"reason": format!("a\nproof {}", "x".repeat(900)), "label": "hard", "confidence": "0.5"});

        let (short, long) = (said(r#"{"label": "easy", "confidence": 7, "reason": " "}"#), said(&long.to_string()));

        assert_eq!((short.confidence, short.rationale), (None, None));
        let rationale = long.rationale.expect("a rationale");
        assert_eq!((long.confidence, rationale.chars().count()), (Some(0.5), MOST_RATIONALE));
        assert!(rationale.starts_with("a proof x"), "{rationale}");
    }

    #[test]
    fn parts_are_read_and_thoughts_beside_the_answer_are_not() {
        let parts = json!({"content": [
            {"type": "thinking", "thinking": [{"type": "text", "text": "hard"}]},
            {"type": "text", "text": "easy"},
        ]});
        let thoughts = json!({"content": null, "reasoning_content": "hard", "reasoning": "hard"});

        assert_eq!((text_of(&parts).as_str(), text_of(&thoughts).as_str()), ("easy", ""));
    }

    #[test]
    fn the_end_of_an_answer_is_known_in_several_words() {
        for word in ["length", "max_tokens", "MAX_TOKENS"] {
            assert_eq!(AnswerEnding::of(&json!({"finish_reason": word})), AnswerEnding::Cut);
        }
        assert_eq!(AnswerEnding::of(&json!({"finish_reason": "stop"})), AnswerEnding::Whole);
        assert_eq!(AnswerEnding::of(&json!({})), AnswerEnding::Whole);
    }

    #[test]
    fn braces_alone_are_read_in_no_time() {
        let text = format!("{}{{\"label\": \"easy\"}}", "{\"a\":[".repeat(40_000));

        assert_eq!(label(&text).as_deref(), Some("easy"));
    }
}
