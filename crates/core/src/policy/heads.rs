//! The heads of a bundle, as far as policies are compared with them.

use std::sync::Arc;

use crate::config::{Name, nearest};

/// The heads of a classifier's bundle, and their labels.
pub(super) struct BundleHeads<'b>(Vec<(&'b str, &'b [Arc<str>])>);

impl<'b> BundleHeads<'b> {
    /// Returns the labels of the head called `name`.
    pub(super) fn labels(&self, name: &str) -> Option<&'b [Arc<str>]> {
        self.0.iter().find(|(own, _)| *own == name).map(|(_, labels)| *labels)
    }

    /// Says that `classifier` has no head called `name`.
    pub(super) fn missing(&self, classifier: &Name, name: &str) -> String {
        let names: Vec<&str> = self.0.iter().map(|(name, _)| *name).collect();
        let near = nearest(name, names.iter().copied());
        let hint = near.map_or(String::new(), |near| format!(", did you mean `{near}`?"));
        let allowed = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        format!("classifier `{classifier}` has no head `{name}`{hint} (allowed: {allowed})")
    }
}

impl<'b> FromIterator<(&'b str, &'b [Arc<str>])> for BundleHeads<'b> {
    fn from_iter<I: IntoIterator<Item = (&'b str, &'b [Arc<str>])>>(heads: I) -> Self {
        Self(heads.into_iter().collect())
    }
}
