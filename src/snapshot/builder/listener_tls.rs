//! Certificates and TLS of the listeners, as the files hold them now.

use std::sync::Arc;

use pointsman_core::config::{Config, ConfigProblem, KeyPath, MutualTls};

use super::SnapshotBuilder;
use crate::certificates::{AdminServerTls, GrpcListenersTls, GrpcServerTls, ListenerCertificate};

impl SnapshotBuilder {
    /// Loads the certificates of the data plane's listeners, by the listener's index.
    pub(super) fn certificates(&self, config: &Config) -> Result<Vec<Option<ListenerCertificate>>, Vec<ConfigProblem>> {
        let mut problems = Vec::new();
        let mut certificates = Vec::new();
        for (index, listen) in config.listen.iter().enumerate() {
            let loaded = listen.tls.as_ref().map(|tls| ListenerCertificate::load(tls, self.base_dir())).transpose();
            certificates.push(loaded.unwrap_or_else(|error| {
                let path = KeyPath::root().key("listen").index(index).key("tls");
                problems.extend(config.problem(&path, error.to_string()));
                None
            }));
        }
        if problems.is_empty() { Ok(certificates) } else { Err(problems) }
    }

    pub(super) fn admin_tls(&self, config: &Config) -> Result<Option<AdminServerTls>, ConfigProblem> {
        let loaded = config.admin.tls.as_ref().map(|tls| AdminServerTls::load(tls, self.base_dir())).transpose();
        loaded.map_err(|error| {
            let (path, message) = (KeyPath::root().key("admin").key("tls"), error.to_string());
            config.problem(&path, message.as_str()).unwrap_or_else(|| ConfigProblem::new(&path, message))
        })
    }

    /// Loads TLS of the listeners that speak gRPC.
    pub(super) fn grpc_tls(&self, config: &Config) -> Result<GrpcListenersTls, Vec<ConfigProblem>> {
        let mut problems = Vec::new();
        let mut load = |section: &str, tls: Option<&MutualTls>| match tls
            .map(|tls| GrpcServerTls::load(tls, self.base_dir()))
            .transpose()
        {
            Ok(tls) => tls.map(Arc::new),
            Err(error) => {
                let (path, message) = (KeyPath::root().key(section).key("tls"), error.to_string());
                let found = config.problem(&path, message.as_str());
                problems.push(found.unwrap_or_else(|| ConfigProblem::new(&path, message)));
                None
            }
        };
        let ext_proc = load("ext_proc", config.ext_proc.as_ref().and_then(|section| section.tls.as_ref()));
        let grpc = load("grpc", config.grpc.as_ref().and_then(|section| section.tls.as_ref()));
        if problems.is_empty() { Ok(GrpcListenersTls { ext_proc, grpc }) } else { Err(problems) }
    }
}
