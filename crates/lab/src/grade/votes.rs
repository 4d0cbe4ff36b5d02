//! Preference votes as arenas publish them: which of two models' answers somebody preferred.

use std::path::Path;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::opinions::{OpinionLines, OpinionsError};
use crate::dataset::asked::AskedPrompt;
use crate::dataset::values::LabelValue;

/// What a row of votes is.
const EXPECTED: &str =
    "a vote: an object with `prompt` or `messages`, `model_a`, `model_b` and `winner`: `a`, `b`, `tie` or `both_bad`";

/// A vote between two models' answers to a prompt.
#[derive(Debug, Clone, PartialEq)]
pub struct PreferenceVote {
    /// The row's id, where it has one.
    pub id: Option<String>,
    /// The prompt or the conversation, as the row has it: `prompt` or `messages`.
    pub asked: Map<String, Value>,
    /// The first model.
    pub model_a: String,
    /// The second model.
    pub model_b: String,
    /// The outcome.
    pub winner: VoteWinner,
}

/// The outcome of a vote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VoteWinner {
    /// The first answer is better.
    A,
    /// The second answer is better.
    B,
    /// Both are as good.
    Tie,
    /// Neither is any good.
    BothBad,
}

#[derive(Deserialize)]
struct VoteRow {
    #[serde(default)]
    id: Option<LabelValue>,
    model_a: String,
    model_b: String,
    winner: String,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

impl PreferenceVote {
    /// Reads a file of votes, row by row.
    ///
    /// # Errors
    /// When the file cannot be read, or a line is no vote.
    pub(super) fn read(path: &Path, mut each: impl FnMut(Self)) -> Result<(), OpinionsError> {
        let mut lines = OpinionLines::open(path, EXPECTED)?;
        while let Some(row) = lines.next::<VoteRow>()? {
            each(row.vote().map_err(|message| lines.refuse(message))?);
        }
        Ok(())
    }
}

impl VoteRow {
    fn vote(self) -> Result<PreferenceVote, &'static str> {
        let Self { id, model_a, model_b, winner, rest } = self;
        let winner = match winner.trim() {
            name if name == model_a && model_a != model_b => VoteWinner::A,
            name if name == model_b && model_a != model_b => VoteWinner::B,
            word => VoteWinner::of_word(word).ok_or("`winner` is none that is known")?,
        };
        AskedPrompt::take(&mut rest.clone())?;
        let of_asked = |key: &&str| ["prompt", "text", "messages", "system", "tools"].contains(key);
        let asked = rest.into_iter().filter(|(key, _)| of_asked(&key.as_str()));
        // Rows to learn from call a text a prompt.
        let asked = asked.map(|(key, value)| (if key == "text" { "prompt".to_owned() } else { key }, value)).collect();
        Ok(PreferenceVote { id: id.map(|id| id.0), asked, model_a, model_b, winner })
    }
}

impl VoteWinner {
    /// Reads the words of several arenas.
    fn of_word(word: &str) -> Option<Self> {
        match word.to_ascii_lowercase().as_str() {
            "a" | "model_a" | "left" => Some(Self::A),
            "b" | "model_b" | "right" => Some(Self::B),
            "tie" => Some(Self::Tie),
            "both_bad" | "bothbad" | "tie (bothbad)" | "tie_bothbad" => Some(Self::BothBad),
            _ => None,
        }
    }

    /// Returns the qualities of both answers. A tie has a half for both: nobody said that either is right, and what is
    /// learnt from a pair is the difference, which is none.
    pub(super) const fn qualities(self) -> [f64; 2] {
        match self {
            Self::A => [1.0, 0.0],
            Self::B => [0.0, 1.0],
            Self::Tie => [0.5, 0.5],
            Self::BothBad => [0.0, 0.0],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<PreferenceVote>, OpinionsError> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("votes.jsonl");
        std::fs::write(&path, text).expect("written");
        let mut votes = Vec::new();
        PreferenceVote::read(&path, |vote| votes.push(vote)).map(|()| votes)
    }

    #[test]
    fn the_words_of_several_arenas_are_one_vote() {
        let row = |winner: &str| format!(r#"{{"prompt":"p","model_a":"x","model_b":"y","winner":"{winner}"}}"#);
        let winners = |words: &[&str]| {
            let text = words.iter().map(|word| row(word) + "\n").collect::<String>();
            read(&text).expect("votes").into_iter().map(|vote| vote.winner).collect::<Vec<_>>()
        };

        assert_eq!(winners(&["a", "model_a", "left", "x"]), [VoteWinner::A; 4]);
        assert_eq!(winners(&["b", "model_b", "right", "y"]), [VoteWinner::B; 4]);
        assert_eq!(winners(&["tie", "Tie"]), [VoteWinner::Tie; 2]);
        assert_eq!(winners(&["tie (bothbad)", "both_bad"]), [VoteWinner::BothBad; 2]);
    }

    #[test]
    fn what_was_asked_is_kept_and_other_keys_are_not() {
        let text = r#"{"id":3,"messages":[{"role":"user","content":"hi"}],"model_a":"x","model_b":"y","winner":"a","judge":"u7"}"#;

        let vote = read(text).expect("a vote").remove(0);

        assert_eq!(vote.asked.keys().collect::<Vec<_>>(), ["messages"]);
        assert_eq!(vote.id.as_deref(), Some("3"));
    }

    #[test]
    fn what_is_no_vote_is_refused_with_its_place() {
        for (line, why) in [
            (r#"{"prompt":"p","model_a":"x","model_b":"y","winner":"c"}"#, "`winner` is none that is known"),
            (r#"{"model_a":"x","model_b":"y","winner":"a"}"#, "missing field `prompt`"),
            (r#"{"prompt":"p","model_a":"x","winner":"a"}"#, "missing field `model_b`"),
        ] {
            let error = read(line).expect_err(line).to_string();
            assert!(error.contains("line 1, ") && error.contains(why) && error.contains("expected a vote"), "{error}");
        }
    }
}
