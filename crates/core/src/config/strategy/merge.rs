//! One order of models out of several: that of a strategy that holds others.

use crate::config::Name;

/// Returns every model of `ladders` once, each above those that it stands above in its own ladder; where two ladders
/// contradict each other, the earlier one is right. Models of ladders that have nothing in common stand above all
/// before them.
pub(super) fn ladders(ladders: impl Iterator<Item = Vec<Name>>) -> Vec<Name> {
    let mut merged: Vec<Name> = Vec::new();
    for ladder in ladders {
        let ladder = highest_places(&ladder);
        let place = |merged: &[Name], model: &Name| merged.iter().position(|known| known == model);
        // What stands below the first model that is known stands right below it; all others stand right above the one
        // before.
        let mut next = ladder.iter().find_map(|model| place(&merged, model)).unwrap_or(merged.len());
        for model in ladder {
            match place(&merged, &model) {
                Some(known) => next = next.max(known + 1),
                None => {
                    merged.insert(next, model);
                    next += 1;
                }
            }
        }
    }
    merged
}

/// A model that stands in a ladder twice is as high as its higher place.
fn highest_places(ladder: &[Name]) -> Vec<Name> {
    let is_last = |index: usize, model: &Name| !ladder[index + 1..].contains(model);
    ladder.iter().enumerate().filter(|(index, model)| is_last(*index, model)).map(|(_, model)| model.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merged(orders: &[&[&str]]) -> Vec<String> {
        let names = |order: &&[&str]| order.iter().map(|name| Name::new(name).expect("a name")).collect();
        ladders(orders.iter().map(names)).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn every_model_stands_once_and_between_those_that_it_stood_between() {
        let three = ["small", "standard", "frontier"];

        assert_eq!(merged(&[&three, &["small", "frontier"]]), three);
        assert_eq!(merged(&[&["small", "frontier"], &three]), three);
        assert_eq!(merged(&[&["small", "frontier"], &["tiny", "small"]]), ["tiny", "small", "frontier"]);
        assert_eq!(merged(&[&["small"], &["small", "huge"]]), ["small", "huge"]);
        assert_eq!(merged(&[&["small", "big", "small"]]), ["big", "small"]);
    }

    #[test]
    fn the_first_order_is_right_where_two_contradict_each_other_and_strangers_stand_on_top() {
        assert_eq!(merged(&[&["small", "frontier"], &["frontier", "small"]]), ["small", "frontier"]);
        assert_eq!(merged(&[&["small", "frontier"], &["other", "last"]]), ["small", "frontier", "other", "last"]);
        assert_eq!(merged(&[]), Vec::<String>::new());
    }
}
