//! The texts of a request that rules look through.

use std::ops::ControlFlow;

use super::Prompt;
use super::every_text::every_text;

/// A choice among the texts of a request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum TextScope {
    /// Every text that a model may read: all turns of all roles, what tools are called, given and answer, their
    /// schemas.
    #[default]
    All,
    /// The text of the user's turns, without tool results.
    User,
    /// The text that a model is chosen by: the newest ask, behind what it answers where it does not stand by
    /// itself.
    Ask,
}

impl TextScope {
    /// Every scope.
    pub const ALL: [Self; 3] = [Self::All, Self::User, Self::Ask];

    /// Returns the scope's name in rules.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::User => "user",
            Self::Ask => "ask",
        }
    }
}

impl Prompt<'_> {
    /// Iterates over the texts of messages of the user's: what stands beside tool results hides nothing.
    fn user_texts(&self) -> impl Iterator<Item = &str> {
        let turns = self.turns_in_order.iter().filter(|turn| turn.is_user_message);
        turns.filter_map(|turn| turn.text).map(|place| self.texts[place].as_ref())
    }

    /// Tells whether `is_wanted` is true of one of the texts in `scope`; `body` is what the prompt was read from.
    ///
    /// The one source of text for rules. Linear in the body, which is not copied.
    pub fn any_text(&self, body: &[u8], scope: TextScope, is_wanted: &mut dyn FnMut(&str) -> bool) -> bool {
        let mut see = |text: &str| if is_wanted(text) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) };
        match scope {
            TextScope::All => every_text(body, &mut see).is_break(),
            TextScope::User => self.user_texts().any(is_wanted),
            TextScope::Ask => is_wanted(&self.ask_text()),
        }
    }
}
