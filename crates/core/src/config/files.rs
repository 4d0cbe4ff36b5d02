//! Files that a configuration names, and the part that each has in the process.
//!
//! Every section that can name a file implements [`NamesFiles`] here, and takes itself apart field by field: a new
//! field of such a section does not compile until somebody has said whether it names a file. Reloads go by this list
//! alone, so that no file is forgotten by them. A test looks for sections that hold a path and stand outside the list.

mod classifiers;
mod collectors;
mod providers;
mod store;
mod strategies;

use std::collections::BTreeMap;
use std::path::Path;

use super::admin::AdminConfig;
use super::admin_auth::MutualTls;
use super::classifier::{ClassifierConfig, ShadowConfig};
use super::client_keys::ClientKeysConfig;
use super::decision_log::DecisionLogConfig;
use super::document::Config;
use super::edge::{ListenerConfig, ListenerTls, Listeners, UpgradeConfig};
use super::ext_proc::ExtProcConfig;
use super::grpc::GrpcConfig;
use super::peers::ServerTls;
use super::policy::PolicyConfig;
use super::secret::SecretSource;

/// A file that a configuration names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NamedFile<'c> {
    /// The path as the configuration spells it; a relative one starts at the configuration file's folder.
    pub path: &'c Path,
    /// The file's part in the process.
    pub role: FileRole,
}

/// The part that a file has in the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileRole {
    /// The folder of a classifier's or a shadow's bundle.
    BundleFolder,
    /// The certificate of a listener, its private key, or the authorities that vouch for its clients.
    Certificate,
    /// Examples of a `similarity` strategy.
    Examples,
    /// A secret: a provider's key, the key of hashes, a URL with a password.
    Secret,
    /// Certificate authorities that a server is trusted by.
    Authorities,
    /// The decision log, the registry of client keys or a socket, which the process makes itself.
    Output,
}

/// A part of the configuration that can name files.
pub trait NamesFiles {
    /// Adds every file that the part names to `files`.
    fn add_files<'c>(&'c self, files: &mut Vec<NamedFile<'c>>);

    /// Returns every file that the part names, in the order of its fields.
    #[must_use]
    fn files(&self) -> Vec<NamedFile<'_>> {
        let mut files = Vec::new();
        self.add_files(&mut files);
        files
    }

    /// Returns whether the part names a file that is [`FileRole::is_key_material`].
    #[must_use]
    fn names_key_material(&self) -> bool {
        self.files().iter().any(|file| file.role.is_key_material())
    }
}

impl FileRole {
    /// Returns whether a change of the file starts a reload.
    #[must_use]
    pub const fn is_watched(self) -> bool {
        matches!(self, Self::BundleFolder | Self::Certificate | Self::Examples | Self::Secret | Self::Authorities)
    }

    /// Returns whether the file holds a secret or authorities. What was made of it is not compared with what it holds
    /// now, but made again at every load.
    #[must_use]
    pub const fn is_key_material(self) -> bool {
        matches!(self, Self::Secret | Self::Authorities)
    }

    const fn of(self, path: &Path) -> NamedFile<'_> {
        NamedFile { path, role: self }
    }
}

impl<T: NamesFiles> NamesFiles for Option<T> {
    fn add_files<'c>(&'c self, files: &mut Vec<NamedFile<'c>>) {
        self.iter().for_each(|part| part.add_files(files));
    }
}

impl<T: NamesFiles> NamesFiles for [T] {
    fn add_files<'c>(&'c self, files: &mut Vec<NamedFile<'c>>) {
        self.iter().for_each(|part| part.add_files(files));
    }
}

impl<K, T: NamesFiles> NamesFiles for BTreeMap<K, T> {
    fn add_files<'c>(&'c self, files: &mut Vec<NamedFile<'c>>) {
        self.values().for_each(|part| part.add_files(files));
    }
}

impl NamesFiles for Config {
    fn add_files<'c>(&'c self, files: &mut Vec<NamedFile<'c>>) {
        let Self {
            version: _,
            listen,
            admin,
            ext_proc,
            grpc,
            limits: _,
            upgrade,
            clients: _,
            client_keys,
            teams: _,
            budgets: _,
            retry: _,
            prompt: _,
            decision_log,
            store,
            tracing,
            metrics,
            response_cache: _,
            default_provider: _,
            providers,
            models: _,
            classifiers,
            decisions: _,
            constants: _,
            macros: _,
            rule_headers: _,
            policies,
            tests: _,
            source: _,
            state: _,
        } = self;
        listen.add_files(files);
        admin.add_files(files);
        ext_proc.add_files(files);
        grpc.add_files(files);
        upgrade.add_files(files);
        client_keys.add_files(files);
        decision_log.add_files(files);
        store.add_files(files);
        tracing.add_files(files);
        metrics.add_files(files);
        providers.add_files(files);
        classifiers.add_files(files);
        policies.add_files(files);
    }
}

impl NamesFiles for Listeners {
    fn add_files<'c>(&'c self, files: &mut Vec<NamedFile<'c>>) {
        (**self).add_files(files);
    }
}

impl NamesFiles for ListenerConfig {
    fn add_files<'c>(&'c self, files: &mut Vec<NamedFile<'c>>) {
        let Self { address: _, tls, forwarded: _, decisions: _ } = self;
        tls.add_files(files);
    }
}

impl NamesFiles for AdminConfig {
    fn add_files<'c>(&'c self, files: &mut Vec<NamedFile<'c>>) {
        let Self { address: _, allow_open: _, auth: _, tls, hosts: _, console: _ } = self;
        tls.add_files(files);
    }
}

impl NamesFiles for ExtProcConfig {
    fn add_files<'c>(&'c self, files: &mut Vec<NamedFile<'c>>) {
        let Self {
            address: _,
            socket,
            allow_open: _,
            tls,
            model_header: _,
            upstream_model_header: _,
            failure: _,
            deadline: _,
            max_message_bytes: _,
            streamed_bodies: _,
        } = self;
        files.extend(socket.iter().map(|path| FileRole::Output.of(path)));
        tls.add_files(files);
    }
}

impl NamesFiles for GrpcConfig {
    fn add_files<'c>(&'c self, files: &mut Vec<NamedFile<'c>>) {
        let Self { address: _, allow_open: _, tls } = self;
        tls.add_files(files);
    }
}

impl NamesFiles for MutualTls {
    fn add_files<'c>(&'c self, files: &mut Vec<NamedFile<'c>>) {
        let Self { cert, key, client_ca } = self;
        files.push(FileRole::Certificate.of(cert));
        files.push(FileRole::Certificate.of(key));
        files.extend(client_ca.iter().map(|path| FileRole::Certificate.of(path)));
    }
}

impl NamesFiles for ListenerTls {
    fn add_files<'c>(&'c self, files: &mut Vec<NamedFile<'c>>) {
        let Self { cert, key } = self;
        files.push(FileRole::Certificate.of(cert));
        files.push(FileRole::Certificate.of(key));
    }
}

impl NamesFiles for UpgradeConfig {
    fn add_files<'c>(&'c self, files: &mut Vec<NamedFile<'c>>) {
        let Self { socket } = self;
        files.push(FileRole::Output.of(socket));
    }
}

impl NamesFiles for ClientKeysConfig {
    fn add_files<'c>(&'c self, files: &mut Vec<NamedFile<'c>>) {
        match self {
            Self::File(file) => files.push(FileRole::Output.of(file)),
            Self::Store(_) => {}
        }
    }
}

impl NamesFiles for DecisionLogConfig {
    fn add_files<'c>(&'c self, files: &mut Vec<NamedFile<'c>>) {
        let Self {
            path,
            text: _,
            max_text_bytes: _,
            hash_key,
            max_bytes: _,
            max_age: _,
            max_files: _,
            queue: _,
            answers: _,
        } = self;
        files.push(FileRole::Output.of(path));
        hash_key.add_files(files);
    }
}

impl NamesFiles for ServerTls {
    fn add_files<'c>(&'c self, files: &mut Vec<NamedFile<'c>>) {
        let Self { ca } = self;
        files.extend(ca.iter().map(|path| FileRole::Authorities.of(path)));
    }
}

impl NamesFiles for SecretSource {
    fn add_files<'c>(&'c self, files: &mut Vec<NamedFile<'c>>) {
        match self {
            Self::Env(_) => {}
            Self::File(file) => files.push(FileRole::Secret.of(file)),
        }
    }
}

impl NamesFiles for ClassifierConfig {
    fn add_files<'c>(&'c self, files: &mut Vec<NamedFile<'c>>) {
        let Self {
            bundle,
            remote,
            deadline: _,
            batch_deadline: _,
            queue: _,
            threads: _,
            workers: _,
            batch: _,
            cache: _,
            cascade: _,
            device: _,
            require: _,
            memory_limit: _,
            shadow,
            usd_per_hour: _,
            drift: _,
            embeds: _,
        } = self;
        files.extend(bundle.iter().map(|bundle| FileRole::BundleFolder.of(bundle)));
        remote.add_files(files);
        shadow.add_files(files);
    }
}

impl NamesFiles for ShadowConfig {
    fn add_files<'c>(&'c self, files: &mut Vec<NamedFile<'c>>) {
        let Self { bundle, sample: _ } = self;
        files.push(FileRole::BundleFolder.of(bundle));
    }
}

impl NamesFiles for PolicyConfig {
    fn add_files<'c>(&'c self, files: &mut Vec<NamedFile<'c>>) {
        let Self {
            name: _,
            matches: _,
            mode: _,
            rollout: _,
            overrides: _,
            rules: _,
            strategy,
            fallback: _,
            regions: _,
            context_margin: _,
            max_tokens: _,
            housekeeping: _,
            affinity: _,
            target: _,
            quotas: _,
            budget: _,
            shadow_answers: _,
            cache: _,
            state: _,
            translation: _,
        } = self;
        strategy.add_files(files);
    }
}

#[cfg(test)]
mod tests;
