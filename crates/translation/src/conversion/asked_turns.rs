//! The turns that an answer is to: the user's last ones. A request of which nothing of them is left asks nothing.

use crate::loss::{Field, Loss, LossKind, LossReport};
use crate::neutral::{Part, PartBody, Turn, TurnRole};

/// The turns that are to be answered, and whether something of them goes out.
#[derive(Debug)]
pub(crate) struct AskedTurns {
    /// The places of the turns, in their order.
    places: Vec<usize>,
    /// True where the client has written nothing in them.
    is_blank: bool,
    is_left: bool,
}

impl AskedTurns {
    /// Finds the turns: the user's after the last of the model's that is answered; every turn where none is the user's.
    /// `losses` are those of reading them.
    pub(crate) fn of(turns: &[Turn<'_>], losses: &LossReport) -> Self {
        let is_users = |place: &usize| turns[*place].role == TurnRole::User;
        let is_models = |turn: &Turn<'_>| turn.role == TurnRole::Assistant;
        let places: Vec<usize> = match (0..turns.len()).rev().find(is_users) {
            None => (0..turns.len()).collect(),
            Some(last) => {
                let before = turns[..last].iter().rposition(is_models);
                (before.map_or(0, |before| before + 1)..=last).filter(is_users).collect()
            }
        };
        let mut parts = places.iter().flat_map(|place| &turns[*place].parts);
        let is_blank = parts.all(is_blank) && lost_content(losses).is_none();
        Self { places, is_blank, is_left: false }
    }

    /// Returns the place of the turn that goes out though nothing is in it: the client has asked nothing, which is the
    /// vendor's to refuse.
    pub(crate) fn blank(&self) -> Option<usize> {
        self.places.last().copied().filter(|_| self.is_blank)
    }

    /// Notes that something of the turn at a place goes out.
    pub(crate) fn goes_out(&mut self, place: usize) {
        self.is_left = self.is_left || self.places.binary_search(&place).is_ok();
    }

    /// Refuses a request of which nothing is left that could be answered, by the name of what is lost.
    pub(crate) fn refuse_if_emptied(&self, losses: &mut LossReport) {
        if self.is_left || self.is_blank || self.places.is_empty() || losses.refusal().is_some() {
            return;
        }
        let lost = lost_content(losses).map_or(Field::EmptyTurns, |loss| loss.field);
        losses.refused(lost, "without it nothing is left that could be answered");
    }
}

fn is_blank(part: &Part<'_>) -> bool {
    matches!(&part.body, PartBody::Text { text, .. } if text.trim().is_empty())
}

/// Returns the last loss of something that turns hold.
fn lost_content(losses: &LossReport) -> Option<&Loss> {
    let is_content = |loss: &Loss| match loss.field {
        Field::Text
        | Field::Images
        | Field::Documents
        | Field::Audio
        | Field::Video
        | Field::FileIds
        | Field::Items
        | Field::ServerTools
        | Field::ToolContent => true,
        // In a list: of a turn or of a part, not of the whole request.
        Field::Other => loss.place.as_ref().is_some_and(|place| place.contains('[')),
        _ => false,
    };
    losses.losses().iter().rfind(|loss| loss.kind == LossKind::Dropped && is_content(loss))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turn(role: TurnRole, texts: &[&'static str]) -> Turn<'static> {
        Turn { role, name: None, parts: texts.iter().map(|text| Part::text(*text)).collect() }
    }

    fn places(turns: &[Turn<'_>]) -> Vec<usize> {
        AskedTurns::of(turns, &LossReport::default()).places
    }

    #[test]
    fn the_user_s_turns_after_the_last_answer_are_asked() {
        use TurnRole::{Assistant, System, User};
        let conversation =
            |roles: &[TurnRole]| places(&roles.iter().map(|role| turn(*role, &["a"])).collect::<Vec<_>>());

        assert_eq!(conversation(&[System, User, Assistant, User, System, User]), [3, 5]);
        assert_eq!(conversation(&[User, Assistant]), [0]);
        assert_eq!(conversation(&[System, Assistant]), [0, 1]);
        assert_eq!(conversation(&[]), [0; 0]);
    }

    #[test]
    fn a_request_that_was_emptied_is_refused_by_what_is_lost_and_one_that_was_empty_is_not() {
        let turns = [turn(TurnRole::User, &["a"]), turn(TurnRole::Assistant, &["b"]), turn(TurnRole::User, &["c"])];
        let mut losses = LossReport::default();
        let mut asked = AskedTurns::of(&turns, &losses);
        losses.dropped(Field::Audio);

        asked.goes_out(0);
        asked.refuse_if_emptied(&mut losses);
        assert_eq!(losses.refusal().map(|loss| loss.field), Some(Field::Audio));

        let mut losses = LossReport::default();
        asked.goes_out(2);
        asked.refuse_if_emptied(&mut losses);
        let blank = AskedTurns::of(&[turn(TurnRole::User, &[" "])], &losses);
        blank.refuse_if_emptied(&mut losses);
        assert_eq!((losses.refusal(), blank.blank(), asked.blank()), (None, Some(0), None));
    }
}
