//! The places of policies in the configuration.

use crate::config::KeyPath;

/// Returns the path of the policy at position `policy`.
pub(super) fn path_of(policy: usize) -> KeyPath {
    KeyPath::root().key("policies").index(policy)
}
