//! The clients of a snapshot, and the registry of the keys that were made for them at run time.

use pointsman_core::config::{Config, ConfigProblem, KeyPath};

use super::{BuildError, SnapshotBuilder};
use crate::clients::{ClientKeyRegistry, ClientSections, Clients};
use crate::snapshot::Snapshot;

impl SnapshotBuilder {
    /// Takes over what is the same as before: clients with their allowances, and the registry with its keys.
    pub(super) fn clients(&self, config: &Config, previous: Option<&Snapshot>) -> Result<Clients, BuildError> {
        let before = previous.map(|snapshot| &*snapshot.clients);
        let open = |section| {
            let known = before.and_then(Clients::registry);
            ClientKeyRegistry::open(section, self.base_dir(), known, &self.metrics)
        };
        let registry = config.client_keys.as_ref().map(open).transpose();
        let registry = registry.map_err(|error| {
            let path = KeyPath::root().key("client_keys").key("file");
            let problem = config.problem(&path, error.to_string());
            self.problems(vec![problem.unwrap_or_else(|| ConfigProblem::new(&path, error.to_string()))])
        })?;
        let sections = ClientSections { clients: config.clients.as_ref(), teams: &config.teams };
        Ok(Clients::build(sections, registry, before))
    }
}
