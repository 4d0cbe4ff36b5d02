//! The letter that an answer chooses, however it says so.
//!
//! What is stated ("the answer is B") counts before what stands alone, and of several statements the last one. An answer
//! that names several letters and none as its choice is unclear: guessing would grade the reader, not the model.

use std::sync::LazyLock;

use pointsman_core::judgement::{objects, spoken};
use regex::Regex;

/// The options of a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ChoiceOptions {
    /// The number of options, from `A` on.
    pub(super) count: usize,
    /// The options' texts, where they are known.
    pub(super) texts: Vec<String>,
}

/// The reason why an answer cannot be read.
pub(super) type Unclear = &'static str;

/// Keys of JSON answers that hold the letter.
const KEYS: [&str; 6] = ["answer", "choice", "option", "letter", "final_answer", "label"];

/// Marks around letters.
const MARKS: &str = r#"[\s*_`"'“”‘’„«»(\[{$:：\\]"#;

/// A cue that an answer is stated, in the languages that judges of models are asked in most, and the letter after it.
static STATED: LazyLock<Regex> = LazyLock::new(|| {
    let cue = r"(?:\b(?:answer|choice|option|alternative|response|solution|one|pick|antwort|lösung|réponse|respuesta|resposta|risposta|opción|opção|opzione|antwoord|svar|svaret)\b(?:\s+(?:to|for)\s[^.\n]{0,80}?)?(?:\s+(?:correct|correcte|correcta|corretta|correta|exacte|juste))?[\s*_]*(?:\bis\b|\bwas\b|\b(?:would|should|must|will)\s+be\b|\bist\b|\blautet\b|\bwäre\b|\best\b|\bes\b|\bé\b|\bè\b|[:：=→–—-])|\b(?:i|we|i['’]d|i['’]ll|let['’]s)(?:\s+(?:would|will|have\s+to|must))?\s+(?:choose|chose|pick|select|go\s+with|say|answer|vote\s+for)\b|ответ\w*\s*(?:—|–|-|:|это|будет)?|答案\s*(?:应该)?(?:是|为|选)?|选择?|選|(?:答え|正解|解答|正答)\s*(?:は)?|(?:정답|답)\s*(?:은|는)?|\\boxed)";
    let filler = r"(?:option|choice|letter|answer|therefore|thus|clearly|indeed|definitely|probably|most\s+likely|likely|the|die|la|le|lettre|opción|opção|opzione|buchstabe|text|mathrm|mathbf|textbf|boxed)\b|选项|選項|選択肢|번";
    compiled(&format!(r"(?i){cue}(?:{MARKS}*(?:{filler}))*{MARKS}*([A-ZＡ-ＺАВСЕ])"))
});

/// A letter of which an answer says that it is right.
static CALLED_RIGHT: LazyLock<Regex> = LazyLock::new(|| {
    compiled(
        r"(?:^|[\s(\[*_])([A-Z])[)\]*_.]*\s+(?i:(?:is|was|would\s+be|ist|est|es|è|é)\s+(?:(?:the|clearly|definitely|indeed|therefore|la|die|most|only|single)\s+)*(?:correct|right|best|true|accurate|answer|appropriate|richtig\w*|korrekt|correcta|corretta)\b)",
    )
});

/// A second letter beside a stated one.
static SECOND: LazyLock<Regex> = LazyLock::new(|| {
    compiled(
        r"^[\s)\]*_.}]*(?:[,/&]|(?i:\b(?:or|and|oder|und|ou|et|o|y|или|и)\b)|和|或|と)\s*(?i:(?:or|and|option|choice)\s+)*[(\[*_]*([A-Z])[)\]*_]*(?:\s*(?:[.,;!?]|$)|\s+(?i:are|both)\b)",
    )
});

/// Words before a cue that take it back.
static DENIED: LazyLock<Regex> = LazyLock::new(|| {
    compiled(
        r"(?i)(?:\b(?:don['’]t|do\s+not|doesn['’]t|cannot|can['’]t|wouldn['’]t)\s+(?:think|believe|say|mean)|\bdoubt|\bif|\bunless|\bwhether)\b[^.\n]{0,40}$",
    )
});

/// A line that begins with a letter: the letter, and what follows it.
static LINE: LazyLock<Regex> = LazyLock::new(|| {
    compiled(
        r"^[\s>*_#•`\[-]*(?i:(?:option|choice|answer|letter)\s+)?([(\[]?)([A-Za-zＡ-Ｚ])([)\].:：*_`,]*)(?:\s*[-–—]\s+|\s+|$)(.*)$",
    )
});

/// A letter in brackets, in bold type, or behind its kind.
static MARKED: LazyLock<Regex> = LazyLock::new(|| {
    compiled(
        r"[(（\[]([A-Z])[)）\]]|\*\*\s*\(?([A-Z])\b[).:]?|\b(?i:option|choice|answer|letter|antwort|respuesta|réponse)\s+\(?([A-Z])\b|选项\s*([A-Z])",
    )
});

/// A capital letter that stands alone.
static ALONE: LazyLock<Regex> = LazyLock::new(|| compiled(r"(?:^|[^\p{L}\p{N}'’])([A-Z])(?:[^\p{L}\p{N}'’]|$)"));

/// A word that may take back the letter of a short answer.
static NEGATION: LazyLock<Regex> = LazyLock::new(|| compiled(r"(?i)\b(?:not|never|none|neither|no)\b|n['’]t\b"));

/// Words that follow a letter and never an article.
const AFTER_LETTER: [&str; 16] = [
    "because", "since", "as", "is", "and", "or", "but", "for", "from", "with", "which", "where", "based", "due",
    "given", "not",
];

/// The longest answer of which a capital letter alone counts, in characters: `Vitamin C` stands in longer ones.
const SHORT: usize = 40;

impl ChoiceOptions {
    /// Returns the letter that an answer chooses.
    pub(super) fn chosen(&self, answer: &str) -> Result<char, Unclear> {
        let text = spoken(answer);
        if text.trim().is_empty() {
            return Err("the answer is empty");
        }
        if let Some(letter) = self.in_json(&text) {
            return Ok(letter);
        }
        if let Some(stated) = self.stated(&text) {
            return stated;
        }
        if let Some(letter) = self.line(&text) {
            return Ok(letter);
        }
        let readings: [fn(&Self, &str) -> Vec<char>; 4] = [Self::called_right, Self::marked, Self::told, Self::alone];
        for reading in readings {
            match *reading(self, &text) {
                [] => {}
                [letter] => return Ok(letter),
                _ => return Err("the answer names several letters"),
            }
        }
        Err("the answer names no letter")
    }

    fn in_json(&self, text: &str) -> Option<char> {
        let objects = objects(text);
        let [object] = objects.as_slice() else { return None };
        let value = KEYS.iter().find_map(|key| object.get(*key)?.as_str())?;
        let word = value.trim_matches(|c: char| !c.is_alphanumeric());
        let mut letters = word.chars();
        let letter = letters.next()?;
        let ends = letters.next().is_none_or(|next| !next.is_alphanumeric() && next != ' ');
        self.letter(letter).filter(|_| ends)
    }

    /// Returns the last letter that is stated as the answer.
    fn stated(&self, text: &str) -> Option<Result<char, Unclear>> {
        let mut last = None;
        for found in STATED.captures_iter(text) {
            let (Some(whole), Some(letter)) = (found.get(0), found.get(1)) else { continue };
            let (before, after) = (&text[..whole.start()], &text[letter.end()..]);
            let cue = &text[whole.start()..letter.start()];
            let Some(stated) = self.letter_before(letter.as_str(), after, is_label(cue)) else { continue };
            if DENIED.is_match(before) {
                continue;
            }
            let second = SECOND.captures(after).and_then(|second| self.letter(first_char(&second[1])));
            last = Some(match second {
                Some(second) if second != stated => Err("the answer states several letters"),
                _ => Ok(stated),
            });
        }
        last
    }

    /// Returns the letter of a line that says nothing else, or of the only line that begins with one.
    fn line(&self, text: &str) -> Option<char> {
        let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
        let (mut bare, mut leading) = (Vec::new(), Vec::new());
        for (place, line) in lines.iter().enumerate() {
            let Some(found) = LINE.captures(line) else { continue };
            let Some(letter) = self.letter(first_char(&found[2])) else { continue };
            if SECOND.is_match(&found[4]) {
                continue;
            }
            let is_marked = !found[1].is_empty() || !found[3].is_empty();
            if found[4].trim_matches(|c: char| !c.is_alphanumeric()).is_empty() {
                bare.push((place, letter));
            } else if is_marked {
                leading.push((place, letter));
            }
        }
        let last = lines.len().saturating_sub(1);
        match (&*bare, &*leading) {
            (&[.., (place, letter)], _) if place == last => Some(letter),
            (&[(_, letter), ref rest @ ..], _) if rest.iter().all(|(_, other)| *other == letter) => Some(letter),
            ([], &[(place, letter)]) if place == 0 || place == last => Some(letter),
            _ => None,
        }
    }

    fn called_right(&self, text: &str) -> Vec<char> {
        self.distinct(
            CALLED_RIGHT.captures_iter(text).filter_map(|found| found.get(1)).map(|it| first_char(it.as_str())),
        )
    }

    fn marked(&self, text: &str) -> Vec<char> {
        let letters = MARKED.captures_iter(text).filter_map(|found| found.iter().skip(1).flatten().next());
        self.distinct(letters.map(|letter| first_char(letter.as_str())))
    }

    /// Returns the letters of the options whose texts stand in an answer; an option within another one that stands
    /// there does not count.
    fn told(&self, text: &str) -> Vec<char> {
        let text = words(text);
        let told = |option: &&String| {
            let option = words(option);
            option.len() > 2 && text.contains(&option)
        };
        let found: Vec<&String> = self.texts.iter().filter(told).collect();
        let within = |one: &String| found.iter().any(|other| *other != one && words(other).contains(&words(one)));
        let outer = self.texts.iter().zip('A'..).filter(|(option, _)| found.contains(option) && !within(option));
        outer.map(|(_, letter)| letter).collect()
    }

    fn alone(&self, text: &str) -> Vec<char> {
        if text.trim().chars().count() > SHORT || NEGATION.is_match(text) {
            return Vec::new();
        }
        let capitals = ALONE
            .captures_iter(text)
            .filter_map(|found| found.get(1))
            .filter_map(|letter| self.letter_before(letter.as_str(), &text[letter.end()..], true));
        self.distinct(capitals)
    }

    fn distinct(&self, letters: impl Iterator<Item = char>) -> Vec<char> {
        let mut letters: Vec<char> = letters.filter_map(|letter| self.letter(letter)).collect();
        letters.sort_unstable();
        letters.dedup();
        letters
    }

    /// Returns a letter unless what comes after it makes it a word, or an article where `is_label` says that a sentence
    /// may begin there.
    fn letter_before(&self, letter: &str, after: &str, is_label: bool) -> Option<char> {
        let letter = first_char(letter);
        let next = after.chars().next();
        if next.is_some_and(|c| c.is_alphanumeric() && c.is_ascii()) || after.starts_with("'s") {
            return None;
        }
        let follows_word = next == Some(' ') && after[1..].starts_with(|c: char| c.is_lowercase());
        let word: String = after.trim_start().chars().take_while(|c| c.is_alphabetic()).collect();
        let is_article = follows_word && !AFTER_LETTER.contains(&&*word);
        let may_be_article = matches!(letter, 'A' | 'I') && is_label;
        if is_article && (letter.is_lowercase() || may_be_article) {
            return None;
        }
        self.letter(letter)
    }

    /// Returns an option's letter in capitals; `None` beyond the options.
    fn letter(&self, letter: char) -> Option<char> {
        let plain = match letter {
            'А' => 'A', // Cyrillic
            'В' => 'B',
            'С' => 'C',
            'Е' => 'E',
            'Ａ'..='Ｚ' => char::from_u32(u32::from(letter) - u32::from('Ａ') + u32::from('A'))?,
            other => other.to_ascii_uppercase(),
        };
        ('A'..='Z').take(self.count).find(|known| *known == plain)
    }
}

/// Returns whether a cue is a label such as `Answer:`, after which a sentence may begin.
fn is_label(cue: &str) -> bool {
    let cue = cue.trim_end_matches(|c: char| c.is_whitespace() || "*_`".contains(c));
    cue.ends_with([':', '：', '=', '→', '-', '–', '—'])
}

/// Returns the words of a text in lower case, with one blank around each.
fn words(text: &str) -> String {
    let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    words.fold(" ".to_owned(), |joined, word| joined + &word.to_lowercase() + " ")
}

fn first_char(text: &str) -> char {
    text.chars().next().unwrap_or_default()
}

fn compiled(pattern: &str) -> Regex {
    Regex::new(pattern).expect("a pattern of our own")
}

#[cfg(test)]
mod tests;
