//! A provider's words for a refusal, as they may stand in a log: on one line, bounded, without keys, and not where they
//! quote the request.

use serde_json::Value;

/// Characters of the words that are kept.
const MOST_WORDS: usize = 240;

/// So many characters in a row that stand in a request too are a quotation. Names of parameters are shorter than most
/// of it.
const QUOTATION: usize = 20;

/// A prompt of fewer characters is not looked for: it stands in any sentence.
const LEAST_PROMPT: usize = 4;

/// So many characters in a row that stand in a key too are a part of it.
const KEY_PART: usize = 6;

/// The strings that a provider's words must not show.
#[derive(Clone, Copy)]
pub(super) struct PrivateWords<'p> {
    /// The operator's keys at the provider.
    pub(super) keys: &'p [&'p str],
    /// The client's words, as the judge was told them.
    pub(super) words: &'p str,
    /// The text to judge.
    pub(super) prompt: &'p str,
}

impl PrivateWords<'_> {
    /// Returns what an error's body says.
    pub(super) fn words_of(&self, body: &[u8]) -> String {
        let said = message(body);
        if self.is_quoted_in(&said) {
            return "its words quote the request and are left out".to_owned();
        }
        let shows_key = |word: &str| word.contains("***") || self.keys.iter().any(|key| shares(word, key, KEY_PART));
        let words = said.split(' ').map(|word| if shows_key(word) { "[a key]" } else { word });
        words.collect::<Vec<_>>().join(" ").chars().take(MOST_WORDS).collect()
    }

    fn is_quoted_in(&self, said: &str) -> bool {
        let (words, prompt) = (one_line(self.words), one_line(self.prompt));
        let is_short = (LEAST_PROMPT..QUOTATION).contains(&prompt.chars().count());
        (is_short && said.contains(&prompt)) || shares(said, &words, QUOTATION)
    }
}

/// Returns what an error's body says, in the shapes that providers and frameworks give it.
fn message(body: &[u8]) -> String {
    let parsed: Value = serde_json::from_slice(body).unwrap_or_default();
    let paths = ["/error/message", "/message", "/error", "/detail", "/detail/0/msg"];
    let said = paths.into_iter().find_map(|path| parsed.pointer(path)?.as_str());
    let said = said
        .map_or_else(|| String::from_utf8_lossy(&body[..body.len().min(4 * MOST_WORDS)]).into_owned(), str::to_owned);
    one_line(&said).chars().filter(|c| !c.is_control()).take(2 * MOST_WORDS).collect()
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Returns whether `length` characters of `text` in a row, or all of a shorter one of them, stand in `other`.
fn shares(text: &str, other: &str, length: usize) -> bool {
    let starts: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
    if other.chars().count() < length {
        return !other.is_empty() && text.contains(other);
    }
    starts.windows(length + 1).any(|window| other.contains(&text[window[0]..window[length]]))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const KEY: &str = "sk-0123456789abcdef";
    const PROMPT: &str = "My landlord Mr. Grey keeps the deposit of 900 euros.\nMay he?";

    fn words(body: &Value, prompt: &str) -> String {
        let told = format!("<request-1>\n{prompt}\n</request-1>");
        PrivateWords { keys: &[KEY], words: &told, prompt }.words_of(body.to_string().as_bytes())
    }

    #[test]
    fn the_provider_s_words_are_found_in_the_usual_places() {
        let refusal = "Unsupported parameter: 'max_tokens' is not supported with this model.";
        for body in [
            json!({"error": {"message": refusal}}),
            json!({"message": refusal}),
            json!({"error": refusal}),
            json!({"detail": refusal}),
            json!({"detail": [{"msg": refusal}]}),
        ] {
            assert_eq!(words(&body, PROMPT), refusal, "{body}");
        }
        let plain = PrivateWords { keys: &[], words: "", prompt: "" };
        assert_eq!(plain.words_of(b"upstream\n  connect error"), "upstream connect error");
        assert_eq!(plain.words_of(b""), "");
    }

    #[test]
    fn they_are_bounded() {
        let long = words(&json!({"error": {"message": "x ".repeat(9000)}}), PROMPT);

        assert_eq!(long.chars().count(), MOST_WORDS);
    }

    #[test]
    fn keys_are_taken_out_whole_or_in_part() {
        for shown in [KEY, "'sk-012345'.", "sk-0*****cdef"] {
            let words = words(
                &json!({"error": {"message": format!("Incorrect API key provided: {shown} Find yours")}}),
                PROMPT,
            );

            assert_eq!(words, "Incorrect API key provided: [a key] Find yours");
        }
    }

    #[test]
    fn what_quotes_the_request_is_left_out() {
        let left_out = "its words quote the request and are left out";
        let quoting = json!({"error": {"message": "rejected: 'Grey keeps the deposit of 900 euros. May'"}});

        assert_eq!(words(&quoting, PROMPT), left_out);
        assert_eq!(words(&json!({"error": {"message": "bad input: \"hunter2\""}}), "hunter2"), left_out);
        assert_eq!(words(&json!({"error": {"message": "try again"}}), "a"), "try again");
    }
}
