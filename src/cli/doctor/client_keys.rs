//! The registry of client keys: whether keys can be made here.

use std::error::Error as _;

use super::finding::DoctorFinding;
use crate::snapshot::Snapshot;

/// Looks at the registry, where there is one in a file.
pub(super) fn look(snapshot: &Snapshot) -> Option<DoctorFinding> {
    const ADVICE: &str = "put it into a folder that the gateway's user may write, which no ConfigMap is, or keep the keys in \
                          the store: `client_keys: {store: {}}`";
    let registry = snapshot.clients.registry().filter(|registry| !registry.is_in_store())?;
    let check = "client_keys.file";
    Some(match registry.try_writing() {
        Ok(()) => DoctorFinding::ok(check, "can be written by this user"),
        Err(error) => {
            let source = error.source().map(ToString::to_string).unwrap_or_default();
            let finding =
                format!("this user cannot write it, so that no key can be made, rotated or revoked: {source}");
            DoctorFinding::warn(check, finding, ADVICE)
        }
    })
}
