//! The ask: the newest thing that a person asked, and what of the request was not asked by a person.
//!
//! Owns the way from turns to the text that classifiers, judges and similarity are given. Harnesses'
//! [envelopes](super::envelope) are left out; a turn that holds nothing else, or brings tool results with nothing of a
//! person's beside them, is not the person's. A reply that does not [stand by itself](standing) is read together with
//! what it answers. Refuses to guess what an ask needs: that is the classifier's.

mod standing;

use std::borrow::Cow;
use std::ops::Range;

use self::standing::{AskStanding, PrecedingWords};
use super::envelope::{EnvelopeCut, EnvelopeStretch, Envelopes};
use super::turn::{ConversationTurn, TurnRole};

/// The number of asks before the newest that are searched for one that stands by itself.
const MAX_LOOKS: usize = 64;

/// The bytes of what a reply answers that are put before it, of each end. Judges read less.
const MAX_BEFORE: usize = 8 << 10;

/// The newest thing that a person asked.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Ask {
    newest: AskWords,
    /// The words that the newest ask answers; only where it does not stand by itself.
    answered: AskWords,
    /// True where the newest ask has words that what it answers has not.
    adds: bool,
    source: AskSource,
    left_out: Vec<EnvelopeStretch>,
    /// The turn that holds the newest ask.
    turn: Option<usize>,
}

/// The source of the text that a model is chosen by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum AskSource {
    /// Nobody asked anything.
    #[default]
    Nothing,
    /// The newest ask, which stands by itself.
    Ask,
    /// The newest ask and the last one before it that stands by itself.
    EarlierAsk,
    /// The newest ask and the answer that it replies to, where no ask before it stands by itself.
    Answer,
}

/// A person's words in one turn.
#[derive(Debug, Clone, Default, PartialEq)]
enum AskWords {
    #[default]
    None,
    /// A stretch of the turn's text; the text's place, and the bytes.
    Stretch(usize, Range<usize>),
    /// Several stretches, a line feed between them.
    Joined(String),
}

impl AskSource {
    /// Returns the stable name used in rules, headers and logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Ask => "ask",
            Self::EarlierAsk => "earlier_ask",
            Self::Answer => "answer",
        }
    }

    /// Returns the source called `name`.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        [Self::Nothing, Self::Ask, Self::EarlierAsk, Self::Answer].into_iter().find(|source| source.as_str() == name)
    }
}

/// A conversation as the search for its ask sees it.
#[derive(Clone, Copy)]
pub(super) struct AskSearch<'c, 'b> {
    pub(super) turns: &'c [ConversationTurn],
    pub(super) texts: &'c [Cow<'b, str>],
    pub(super) envelopes: &'c Envelopes,
}

impl<'c> AskSearch<'c, '_> {
    /// Finds the newest ask, and what it answers where it does not stand by itself.
    pub(super) fn ask(self) -> Ask {
        let Some((index, newest, cut)) = self.asks().next() else {
            return Ask { left_out: self.left_out_of_all(), ..Ask::default() };
        };
        let reply = newest.text(self.texts);
        let before = self.answer_before(index).map_or("", |place| self.texts[place].as_ref());
        let standing = match AskStanding::of(reply, PrecedingWords::of(before)) {
            _ if !self.follows_something(index) => AskStanding::Alone,
            // Thanks in advance take nothing from what was asked.
            AskStanding::Courtesy if self.follows_unanswered(index) => AskStanding::Empty,
            standing => standing,
        };
        let (answered, source) = match standing {
            AskStanding::Dependent | AskStanding::Empty if !reply.is_empty() => self.answered_by(index),
            _ => (AskWords::None, AskSource::Ask),
        };
        Ask {
            newest,
            answered,
            adds: standing != AskStanding::Empty,
            source,
            left_out: EnvelopeStretch::of(&cut),
            turn: Some(index),
        }
    }

    /// Returns what the reply in the turn at `index` answers: the newest ask before it that stands by itself, or with
    /// which the conversation begins; else the assistant's words.
    fn answered_by(self, index: usize) -> (AskWords, AskSource) {
        // Whether a fragment of long ago answered a question matters little: it is not the ask that is looked for.
        let standing = |words: &AskWords| AskStanding::of(words.text(self.texts), PrecedingWords::Question);
        let answer = self.turns.iter().position(|turn| turn.role == TurnRole::Assistant && turn.text.is_some());
        let mut first = None;
        for (turn, words, _) in self.asks().skip(1).take(MAX_LOOKS) {
            match standing(&words) {
                AskStanding::Alone => return (words, AskSource::EarlierAsk),
                // It points to nothing that was said: nothing was.
                AskStanding::Dependent if answer.is_none_or(|answer| turn < answer) => first = Some(words),
                AskStanding::Dependent | AskStanding::Empty | AskStanding::Courtesy => {}
            }
        }
        if let Some(words) = first {
            return (words, AskSource::EarlierAsk);
        }
        match self.answer_before(index) {
            Some(place) => (AskWords::Stretch(place, 0..self.texts[place].len()), AskSource::Answer),
            None => (AskWords::None, AskSource::Ask),
        }
    }

    /// Tells whether anybody spoke before the turn at `index`: the first ask answers nothing, however it is put.
    fn follows_something(self, index: usize) -> bool {
        self.turns[..index]
            .iter()
            .any(|turn| matches!(turn.role, TurnRole::User | TurnRole::Assistant) && turn.text.is_some())
    }

    /// Tells whether an ask stands before the turn at `index` that nobody has answered.
    fn follows_unanswered(self, index: usize) -> bool {
        let spoke = |turn: &&ConversationTurn| matches!(turn.role, TurnRole::User | TurnRole::Assistant);
        let before = self.turns[..index].iter().rev().find(spoke);
        before.is_some_and(|turn| turn.role == TurnRole::User && self.words(turn).is_some())
    }

    /// Returns the place of the assistant's newest text before the turn at `index`.
    fn answer_before(self, index: usize) -> Option<usize> {
        let mut before = self.turns[..index].iter().rev().filter(|turn| turn.role == TurnRole::Assistant);
        before.find_map(|turn| turn.text)
    }

    /// Returns how many system turns the conversation begins with.
    pub(super) fn leading_system_turns(self) -> usize {
        self.turns.iter().take_while(|turn| turn.role == TurnRole::System).count()
    }

    /// Returns the first ask, by which conversations are told apart; empty where none has words.
    pub(super) fn first_ask(self) -> Cow<'c, str> {
        let turns = self.turns.iter().filter(|turn| turn.role == TurnRole::User);
        let first =
            turns.filter_map(|turn| self.words(turn)).map(|(words, _)| words).find(|words| *words != AskWords::None);
        match first {
            Some(AskWords::Stretch(place, range)) => Cow::Borrowed(&self.texts[place][range]),
            Some(AskWords::Joined(text)) => Cow::Owned(text),
            Some(AskWords::None) | None => Cow::Borrowed(""),
        }
    }

    /// Returns where the newest turn stands that begins a tool loop, an ask without tool results beside it; `ask` is
    /// the newest.
    pub(super) fn loop_start(self, ask: &Ask) -> Option<usize> {
        let newest = ask.turn?;
        let begins =
            |turn: &ConversationTurn| turn.role == TurnRole::User && turn.results == 0 && self.words(turn).is_some();
        if self.turns[newest].results == 0 { Some(newest) } else { self.turns[..newest].iter().rposition(begins) }
    }

    /// Iterates over what people asked, the newest first: its turn, the words, and what stands around them.
    fn asks(self) -> impl Iterator<Item = (usize, AskWords, EnvelopeCut)> {
        let turns = self.turns.iter().enumerate().rev().filter(|(_, turn)| turn.role == TurnRole::User);
        turns.filter_map(move |(index, turn)| self.words(turn).map(|(words, cut)| (index, words, cut)))
    }

    /// Returns a person's words in a turn; empty where something is attached without a word, `None` where nothing is a
    /// person's.
    fn words(self, turn: &ConversationTurn) -> Option<(AskWords, EnvelopeCut)> {
        let Some(place) = turn.text else { return turn.has_attachments.then(Default::default) };
        let text = self.texts[place].as_ref();
        let cut = self.envelopes.cut(text, &turn.breaks);
        let words = match &*stretches(text, &cut) {
            [] => AskWords::None,
            [only] => AskWords::Stretch(place, only.clone()),
            several => {
                AskWords::Joined(several.iter().map(|range| &text[range.clone()]).collect::<Vec<_>>().join("\n"))
            }
        };
        (words != AskWords::None || turn.has_attachments).then_some((words, cut))
    }

    fn left_out_of_all(self) -> Vec<EnvelopeStretch> {
        let newest = self.turns.iter().rev().find(|turn| turn.role == TurnRole::User && turn.text.is_some());
        let cut = newest.and_then(|turn| Some(self.envelopes.cut(self.texts[turn.text?].as_ref(), &turn.breaks)));
        cut.map(|cut| EnvelopeStretch::of(&cut)).unwrap_or_default()
    }
}

/// Returns the stretches that are a person's: the whole text where it holds no envelope, else what is left without the
/// white space around it.
fn stretches(text: &str, cut: &EnvelopeCut) -> Vec<Range<usize>> {
    if cut.taken.is_empty() {
        return std::iter::once(0..text.len()).filter(|_| !text.trim().is_empty()).collect();
    }
    let mut all: Vec<Range<usize>> = Vec::new();
    for range in &cut.kept {
        let kept = &text[range.clone()];
        let start = range.start + kept.len() - kept.trim_start().len();
        let end = start + kept.trim().len();
        if start == end {
            continue;
        }
        match all.last_mut().filter(|last| text[last.end..start].trim().is_empty()) {
            Some(last) => last.end = end,
            None => all.push(start..end),
        }
    }
    all
}

/// Puts a reply behind what it answers.
fn together(before: &str, reply: &str) -> String {
    let before = before.trim();
    if before.len() <= 2 * MAX_BEFORE {
        return format!("{before}\n{reply}");
    }
    let head = &before[..before.floor_char_boundary(MAX_BEFORE)];
    let tail = &before[before.ceil_char_boundary(before.len() - MAX_BEFORE)..];
    format!("{head}\n{tail}\n{reply}")
}

impl AskWords {
    fn text<'t>(&'t self, texts: &'t [Cow<'_, str>]) -> &'t str {
        match self {
            Self::None => "",
            Self::Stretch(place, range) => &texts[*place][range.clone()],
            Self::Joined(text) => text,
        }
    }
}

impl Ask {
    /// Returns where the text comes from that a model is chosen by.
    #[must_use]
    pub const fn source(&self) -> AskSource {
        self.source
    }

    /// Tells whether the newest ask may want more than what it answers: "now prove it" may, "continue" does not.
    #[must_use]
    pub const fn adds(&self) -> bool {
        self.adds
    }

    /// Returns the envelopes that stand around the newest ask.
    pub fn left_out(&self) -> &[EnvelopeStretch] {
        &self.left_out
    }

    pub(super) fn newest<'t>(&'t self, texts: &'t [Cow<'_, str>]) -> &'t str {
        self.newest.text(texts)
    }

    pub(super) fn answered<'t>(&'t self, texts: &'t [Cow<'_, str>]) -> Option<&'t str> {
        (self.answered != AskWords::None).then(|| self.answered.text(texts))
    }

    /// Returns the newest ask behind what it answers.
    pub(super) fn text<'t>(&'t self, texts: &'t [Cow<'_, str>]) -> Cow<'t, str> {
        let newest = self.newest(texts);
        self.answered(texts).map_or(Cow::Borrowed(newest), |before| together(before, newest).into())
    }
}

#[cfg(test)]
mod tests;
