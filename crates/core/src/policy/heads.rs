//! The heads of a bundle, as far as policies are compared with them.

use std::sync::Arc;

use crate::config::{Name, nearest};
use crate::scores::OfferedHead;

/// The heads of a classifier's bundle.
pub(super) struct BundleHeads<'b>(Vec<OfferedHead<'b>>);

impl<'b> BundleHeads<'b> {
    /// Returns the labels of the head called `name`.
    pub(super) fn labels(&self, name: &str) -> Option<&'b [Arc<str>]> {
        self.head(name).map(|head| head.labels)
    }

    /// Returns the head called `name`.
    pub(super) fn head(&self, name: &str) -> Option<OfferedHead<'b>> {
        self.0.iter().find(|head| head.name == name).copied()
    }

    /// Says that `classifier` has no head called `name`.
    pub(super) fn missing(&self, classifier: &Name, name: &str) -> String {
        let names: Vec<&str> = self.0.iter().map(|head| head.name).collect();
        let near = nearest(name, names.iter().copied());
        let hint = near.map_or(String::new(), |near| format!(", did you mean `{near}`?"));
        let allowed = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        format!("classifier `{classifier}` has no head `{name}`{hint} (allowed: {allowed})")
    }
}

impl<'b> FromIterator<OfferedHead<'b>> for BundleHeads<'b> {
    fn from_iter<I: IntoIterator<Item = OfferedHead<'b>>>(heads: I) -> Self {
        Self(heads.into_iter().collect())
    }
}
