//! Whether an answer refuses, by how it begins.
//!
//! A refusal is told by its first words in English, German, French or Spanish. What a model says later is no refusal here:
//! answers quote refusals, and caveats are none.

use std::sync::LazyLock;

use regex::RegexSet;

/// Characters of an answer that are read: no refusal takes longer to say that it is one.
const READ: usize = 200;

/// What answers that refuse begin with, in lower case, with straight quotes and single spaces.
static REFUSALS: LazyLock<RegexSet> = LazyLock::new(|| {
    const SORRY: &str = r"^(?:(?:i'm|i am|we're|we are) (?:so |very |really |truly )?sorry|sorry|(?:i |my |our )?apolog(?:ies|i[sz]e)|unfortunately|i appreciate [^.!?]{0,80}|thank you for [^.!?]{0,80}|i understand [^.!?]{0,80})?[ ,.!:;-]*(?:for [^.!?]{0,60}[.,!] ?)?(?:but |however,? )?(?:as an? (?:ai|artificial|language|large)[^.!?]{0,60}, ?)?(?:i'm afraid (?:that )?)?";
    const CANNOT: &str = r"i (?:really |just |simply |unfortunately )?(?:cannot|can not|can't|could not|couldn't|will not|won't|am unable to|am not able to|am not allowed to|won't be able to|will not be able to|am not going to)|i'm (?:unable to|not able to|not allowed to|not going to|not permitted to)";
    const DO: &str = r"(?:ethically |morally |legally |directly |personally |in good conscience )?(?:help(?: you)?(?: with| you| do| in|[.,!]|$)|assist|provide|comply|fulfil|do (?:that|this|so)|answer|discuss|create|write|generate|support|share|continue|participate|engage|offer|produce|complete|facilitate|accommodate|respond|recommend|advise|carry out|perform|access|browse|give)";
    let english = [
        format!("{SORRY}(?:{CANNOT}) {DO}"),
        format!("{SORRY}i (?:must|have to|need to|will have to|would have to) (?:decline|refuse)"),
        format!("{SORRY}i (?:do not|don't) feel comfortable|{SORRY}i'm not comfortable"),
        format!(
            "{SORRY}(?:this|that|your|the) (?:request|question|content|topic) (?:violates|goes against|is against|is not something i)"
        ),
        format!(
            "{SORRY}(?:that's|that is|this is) (?:not )?something (?:that )?i (?:cannot|can't|can|am unable to) (?:help|assist|do)"
        ),
    ];
    let others = [
        r"^(?:es tut mir (?:sehr )?leid|tut mir leid|entschuldigung|leider)[ ,.!:-]*(?:aber |doch )?(?:ich )?(?:kann|darf|werde)(?: ich)? [^.!?]{0,80}(?:nicht|keine)",
        r"^ich (?:kann|darf|werde) (?:dir |ihnen |dabei |dazu |das |diese[rsmn]? )[^.!?]{0,80}nicht (?:helfen|beantworten|weiterhelfen|unterst|erstellen|bereitstellen)",
        r"^(?:je suis (?:vraiment )?désolée?|désolée?|malheureusement)[ ,.!:-]*(?:mais )?je ne (?:peux|puis|suis)",
        r"^je ne (?:peux|puis) (?:pas )?(?:vous |t')?(?:aider|répondre|fournir|assister)",
        r"^(?:lo siento(?: mucho)?|disculpa|lamentablemente|lo lamento)[ ,.!:-]*(?:pero )?no (?:puedo|estoy)",
        r"^no puedo (?:ayudar|responder|proporcionar|asistir|cumplir)",
    ];
    let all = english.into_iter().chain(others.map(str::to_owned));
    RegexSet::new(all).expect("the patterns are literals that compile")
});

/// First words of answers that may refuse.
const OPENINGS: [&str; 30] = [
    "i",
    "i'm",
    "we",
    "we're",
    "sorry",
    "my",
    "our",
    "apologies",
    "unfortunately",
    "thank",
    "as",
    "this",
    "that",
    "that's",
    "your",
    "the",
    "es",
    "tut",
    "entschuldigung",
    "leider",
    "ich",
    "je",
    "désolé",
    "désolée",
    "malheureusement",
    "lo",
    "no",
    "disculpa",
    "lamentablemente",
    "however",
];

/// The reading of an answer that is still coming.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusalReading {
    /// The answer refuses.
    Refuses,
    /// The answer does not refuse: its beginning is none of a refusal.
    Answers,
    /// Too little has come.
    Open,
}

impl RefusalReading {
    /// Reads the beginning of an answer.
    #[must_use]
    pub fn of(beginning: &str) -> Self {
        let text = plain(beginning);
        if is_refusal(&text) {
            return Self::Refuses;
        }
        let first = text.split([' ', ',', '.', '!', ':']).next().unwrap_or_default();
        let is_whole_word = first.len() < text.len();
        let is_other = is_whole_word && !OPENINGS.contains(&first);
        if is_other || text.chars().count() >= READ { Self::Answers } else { Self::Open }
    }
}

/// Returns whether an answer refuses, by how it begins.
#[must_use]
pub fn refusal_in(text: &str) -> bool {
    is_refusal(&plain(text))
}

fn is_refusal(text: &str) -> bool {
    // `I can't help but ...` says the opposite.
    !text.contains("help but ") && REFUSALS.is_match(text)
}

/// Returns the beginning of a text in lower case, with straight quotes, single spaces and no marks before the first word.
fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(READ);
    let start = text.trim_start_matches(|c: char| !c.is_alphanumeric());
    for c in start.chars().take(READ).flat_map(char::to_lowercase) {
        match c {
            '’' | '‘' | '`' => plain.push('\''),
            '*' | '_' => {}
            c if c.is_whitespace() => {
                if !plain.ends_with(' ') {
                    plain.push(' ');
                }
            }
            c => plain.push(c),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_told_by_their_first_words() {
        for text in [
            "I'm sorry, but I can't assist with that request.",
            "I’m sorry, I cannot help with that.",
            "Sorry, I can't help with that.",
            "I cannot provide instructions for that.",
            "**I can't help with that.** Here is why",
            "Unfortunately, I am unable to provide medical advice.",
            "As an AI language model, I cannot answer questions about that.",
            "I apologize, but I will not write this.",
            "I must decline this request.",
            "I'm not able to help with that.",
            "I understand your frustration, but I can't help you do that.",
            "Es tut mir leid, aber ich kann dir dabei nicht helfen.",
            "Je suis désolé, mais je ne peux pas vous aider.",
            "Lo siento, pero no puedo ayudar con eso.",
        ] {
            assert!(refusal_in(text), "{text}");
            assert_eq!(RefusalReading::of(text), RefusalReading::Refuses, "{text}");
        }
    }

    #[test]
    fn answers_that_only_sound_alike_are_none() {
        for text in [
            "It is four.",
            "I can't help but notice that the sum is four.",
            "I cannot stress enough how important tests are.",
            "I can't wait to tell you: it is four.",
            "Sorry for the confusion! The answer is four.",
            "The function says `I cannot help with that` when it fails.",
            "Unfortunately, the bridge collapsed in 1940.",
            "I think that you can't provide both.",
            "Ich kann das gern erklären: die Antwort ist vier.",
            "",
        ] {
            assert!(!refusal_in(text), "{text}");
        }
    }

    #[test]
    fn most_answers_are_known_to_be_none_by_their_first_word() {
        assert_eq!(RefusalReading::of("It"), RefusalReading::Open);
        assert_eq!(RefusalReading::of("It is"), RefusalReading::Answers);
        assert_eq!(RefusalReading::of("I think that"), RefusalReading::Open);
        assert_eq!(RefusalReading::of(&"I think that it is so. ".repeat(20)), RefusalReading::Answers);
    }
}
