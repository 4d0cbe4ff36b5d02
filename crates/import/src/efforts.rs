//! Efforts that a model has.

use pointsman_core::config::Effort;
use pointsman_core::model_family::ModelFamily;

/// Returns `wanted`, or the nearest effort that the model has which its provider calls `upstream`; `None` where it has
/// none. A model of no known family is taken to have every effort.
pub(crate) fn fitting_effort(upstream: &str, wanted: Effort) -> Option<Effort> {
    match ModelFamily::of(upstream) {
        None => Some(wanted),
        Some(family) => wanted.nearest(&family.efforts()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_effort_is_taken_and_none_where_there_is_nothing_to_choose() {
        assert_eq!(fitting_effort("o4-mini", Effort::Max), Some(Effort::High));
        assert_eq!(fitting_effort("gpt-4.1", Effort::High), None);
        assert_eq!(fitting_effort("mine", Effort::Max), Some(Effort::Max));
    }
}
