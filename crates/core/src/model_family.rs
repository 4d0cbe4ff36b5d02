//! Families of models: the parameters that their APIs refuse or call otherwise, the efforts that they think with, and
//! what becomes of a request's parameters because of it.
//!
//! [`FAMILIES`] is the table, one row for each fact with the source that it is from; `docs/model-families.md` is rendered
//! from it. [`ModelProfile::fit`] makes a request's parameters fit a model, as changes to its body ([`BodyEdits`]) and as
//! [`ParameterChange`]s for people. [`RefusedParameter`] reads the answer of an API that refuses a parameter all the
//! same. Only parameters are looked at: conversations and tools stay the client's.
//!
//! [`BodyEdits`]: crate::prompt::BodyEdits

mod change;
mod check;
mod effort_rule;
mod fit;
mod markdown;
mod members;
mod name;
mod profile;
mod refusal;
mod rule;
mod source;
mod table;

pub use self::change::{ChangeReason, ParameterAction, ParameterChange};
pub use self::check::{catalog_notes, catalog_problems};
pub use self::effort_rule::EffortRule;
pub use self::fit::{FittedParameters, ParameterFit};
pub use self::markdown::families_markdown;
pub use self::profile::{ModelProfile, UnknownFamily};
pub use self::refusal::RefusedParameter;
use self::rule::ParameterRule;
pub use self::table::FAMILIES;
use crate::config::Effort;
use crate::prompt::Dialect;

/// A family of models whose APIs take the same parameters.
#[derive(Debug)]
pub struct ModelFamily {
    /// The name by which `adapt.family` chooses the family.
    pub name: &'static str,
    /// Globs over the names of its models, without a provider's prefix.
    models: &'static [&'static str],
    /// The models in words.
    about: &'static str,
    /// The efforts that it thinks with; `None` where there is nothing to choose.
    effort: Option<EffortRule>,
    rules: &'static [&'static [ParameterRule]],
}

impl ModelFamily {
    /// Returns the family that the models called `name` by their provider belong to.
    #[must_use]
    pub fn of(name: &str) -> Option<&'static Self> {
        let names = name::bare_names(name);
        let fits = |family: &&&Self| names.iter().any(|name| family.models.iter().any(|glob| name::fits(glob, name)));
        FAMILIES.iter().find(fits).copied()
    }

    /// Returns the family called `name`.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        FAMILIES.iter().find(|family| family.name == name).copied()
    }

    /// Returns the efforts that some API of it takes, the least first; none where there is nothing to choose.
    #[must_use]
    pub fn efforts(&self) -> Vec<Effort> {
        let all = self.effort.iter().flat_map(|rule| rule.levels.iter().chain(rule.responses_only));
        let mut levels: Vec<Effort> = all.copied().collect();
        levels.sort_unstable();
        levels
    }

    /// Returns the parameters of `dialect` that requests without an effort lose, whatever their values are.
    fn usually_dropped(&self, dialect: Dialect) -> impl Iterator<Item = &'static str> {
        let thinks = self.effort.as_ref().is_some_and(EffortRule::thinks_by_default);
        self.rules().filter(move |rule| rule.is_for(dialect) && rule.drops(thinks)).map(|rule| rule.key)
    }

    fn rules(&self) -> impl Iterator<Item = &'static ParameterRule> {
        self.rules.iter().flat_map(|rules| rules.iter())
    }
}

#[cfg(test)]
mod tests;
