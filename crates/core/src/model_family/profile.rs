//! A model of the catalog as the table sees it: its family, its effort, and what the operator's own rules leave alone.

use super::ModelFamily;
use crate::config::{CatalogEntry, Effort, Name, RequestAdaptation};

/// The name in `adapt.family` of no family.
const NO_FAMILY: &str = "none";

/// A model of the catalog as the table of families sees it.
#[derive(Debug, Clone, Default)]
pub struct ModelProfile {
    /// The family that the model belongs to; `None` for an unknown name, and where the operator wants none.
    pub family: Option<&'static ModelFamily>,
    /// The effort that the catalog names.
    pub effort: Option<Effort>,
    /// The keys that the operator's own rules are about: `key`, or `object.key` for a member of an object.
    own: Vec<String>,
}

/// A name in `adapt.family` that no family has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no family `{name}` (allowed: none, {})", super::FAMILIES.iter().map(|family| family.name).collect::<Vec<_>>().join(", "))]
pub struct UnknownFamily {
    name: String,
}

impl ModelProfile {
    /// Makes the profile of the model that is `name` in the catalog. An unknown name of a family is as none.
    #[must_use]
    pub fn of(name: &Name, entry: &CatalogEntry) -> Self {
        let family = Self::family_of(entry.upstream_name(name), &entry.adapt).unwrap_or_default();
        let RequestAdaptation { drop, rename, set, .. } = &entry.adapt;
        let renamed = rename.iter().flat_map(|(old, new)| [old, new]);
        let own = drop.iter().chain(renamed).chain(set.keys()).cloned().collect();
        Self { family, effort: entry.effort, own }
    }

    /// Makes the profile of a model of no catalog, which its provider calls `name`.
    #[must_use]
    pub fn of_unlisted(name: &str) -> Self {
        Self { family: ModelFamily::of(name), ..Self::default() }
    }

    /// Returns the family of a model by what its provider calls it, or by the operator's word.
    ///
    /// # Errors
    /// When the operator names a family that there is not.
    pub fn family_of(
        upstream_name: &str,
        adapt: &RequestAdaptation,
    ) -> Result<Option<&'static ModelFamily>, UnknownFamily> {
        match adapt.family.as_deref() {
            None => Ok(ModelFamily::of(upstream_name)),
            Some(NO_FAMILY) => Ok(None),
            Some(name) => match ModelFamily::named(name) {
                Some(family) => Ok(Some(family)),
                None => Err(UnknownFamily { name: name.to_owned() }),
            },
        }
    }

    /// Returns whether a parameter that the model's API refuses may be left out: not against the operator's word.
    #[must_use]
    pub fn may_leave_out(&self, parameter: &str) -> bool {
        !self.is_partly_own(parameter.split('.').next().unwrap_or_default())
    }

    /// Returns whether the operator's own rules are about `path`, or about the whole that it is a member of.
    pub(super) fn is_own(&self, path: &str) -> bool {
        let top = path.split('.').next().unwrap_or_default();
        self.own.iter().any(|own| own == path || own == top)
    }

    /// Returns whether the operator's own rules are about `key` or something in it.
    pub(super) fn is_partly_own(&self, key: &str) -> bool {
        self.own.iter().any(|own| own.split('.').next() == Some(key))
    }
}
