//! The parameters that a model's API has refused, remembered so that each is refused once.

use std::sync::Arc;

use arc_swap::ArcSwap;
use pointsman_core::model_family::RefusedParameter;

/// The most parameters that are remembered of a model: beyond, its configuration needs a person.
const MOST: usize = 16;

/// The parameters that a model's API has refused. Outlives reloads with its deployment.
#[derive(Debug, Default)]
pub(crate) struct RefusedParameters(ArcSwap<Vec<RefusedParameter>>);

impl RefusedParameters {
    /// Returns those that are known.
    pub(crate) fn known(&self) -> Arc<Vec<RefusedParameter>> {
        self.0.load_full()
    }

    /// Returns whether one of `names` was refused, whatever its value was.
    pub(crate) fn has(&self, names: &[&str]) -> bool {
        self.0.load().iter().any(|known| names.contains(&&*known.name))
    }

    /// Remembers `refused`, as far as there is room. Returns those that are new.
    pub(crate) fn learn(&self, refused: &[RefusedParameter]) -> Vec<RefusedParameter> {
        let mut learned = Vec::new();
        self.0.rcu(|known| {
            let is_new = |parameter: &&RefusedParameter| !known.contains(parameter);
            learned = refused.iter().filter(is_new).take(MOST.saturating_sub(known.len())).cloned().collect();
            [&known[..], &learned[..]].concat()
        });
        learned
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn refused(name: &str) -> Vec<RefusedParameter> {
        let answer = format!(r#"{{"error": {{"message": "Unknown parameter: '{name}'."}}}}"#);
        RefusedParameter::all_in(answer.as_bytes(), &Bytes::from(format!(r#"{{"{name}": 1}}"#)))
    }

    #[test]
    fn a_parameter_is_learned_once_and_no_more_than_there_is_room_for() {
        let parameters = RefusedParameters::default();

        assert_eq!(parameters.learn(&refused("a_0")).len(), 1);
        assert_eq!(parameters.learn(&refused("a_0")).len(), 0);
        for number in 1..40 {
            parameters.learn(&refused(&format!("a_{number}")));
        }

        assert_eq!(parameters.known().len(), MOST);
    }
}
