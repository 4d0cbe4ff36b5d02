//! The files that a provider's section names.

use super::{FileRole, NamedFile, NamesFiles};
use crate::config::cloud::{
    AwsAccessKey, AwsCredentialSource, AwsProfile, BedrockConfig, GoogleCredentials, VertexConfig,
};
use crate::config::peers::PeerTls;
use crate::config::provider::ProviderConfig;
use crate::config::provider_key::ProviderKey;
use crate::config::secret::Credential;

impl NamesFiles for ProviderConfig {
    fn add_files<'c>(&'c self, files: &mut Vec<NamedFile<'c>>) {
        let Self {
            base_url: _,
            vertex,
            bedrock,
            peers: _,
            stream_usage: _,
            websocket: _,
            balance: _,
            http: _,
            tls,
            health_check: _,
            breaker: _,
            max_concurrent: _,
            credential,
            keys,
            dialects: _,
            key_header: _,
            timeouts: _,
            expose_headers: _,
        } = self;
        vertex.add_files(files);
        bedrock.add_files(files);
        tls.add_files(files);
        credential.add_files(files);
        keys.add_files(files);
    }
}

impl NamesFiles for VertexConfig {
    fn add_files<'c>(&'c self, files: &mut Vec<NamedFile<'c>>) {
        let Self { project: _, location: _, credentials } = self;
        credentials.add_files(files);
    }
}

impl NamesFiles for GoogleCredentials {
    fn add_files<'c>(&'c self, files: &mut Vec<NamedFile<'c>>) {
        match self {
            Self::Metadata => {}
            Self::File(file) => files.push(FileRole::Secret.of(file)),
        }
    }
}

impl NamesFiles for BedrockConfig {
    fn add_files<'c>(&'c self, files: &mut Vec<NamedFile<'c>>) {
        let Self { region: _, credentials, betas: _ } = self;
        credentials.add_files(files);
    }
}

impl NamesFiles for AwsCredentialSource {
    fn add_files<'c>(&'c self, files: &mut Vec<NamedFile<'c>>) {
        match self {
            Self::Environment | Self::Container | Self::Instance => {}
            Self::Profile(profile) => profile.add_files(files),
            Self::AccessKey(key) => key.add_files(files),
        }
    }
}

impl NamesFiles for AwsProfile {
    fn add_files<'c>(&'c self, files: &mut Vec<NamedFile<'c>>) {
        let Self { file, profile: _ } = self;
        files.push(FileRole::Secret.of(file));
    }
}

impl NamesFiles for AwsAccessKey {
    fn add_files<'c>(&'c self, files: &mut Vec<NamedFile<'c>>) {
        let Self { id, secret, session_token } = self;
        id.add_files(files);
        secret.add_files(files);
        session_token.add_files(files);
    }
}

impl NamesFiles for ProviderKey {
    fn add_files<'c>(&'c self, files: &mut Vec<NamedFile<'c>>) {
        let Self { name: _, env: _, file, weight: _ } = self;
        files.extend(file.iter().map(|path| FileRole::Secret.of(path)));
    }
}

impl NamesFiles for PeerTls {
    fn add_files<'c>(&'c self, files: &mut Vec<NamedFile<'c>>) {
        let Self { ca, sni: _, verify: _ } = self;
        files.extend(ca.iter().map(|path| FileRole::Authorities.of(path)));
    }
}

impl NamesFiles for Credential {
    fn add_files<'c>(&'c self, files: &mut Vec<NamedFile<'c>>) {
        match self {
            Self::None | Self::Passthrough | Self::Env(_) => {}
            Self::File(file) => files.push(FileRole::Secret.of(file)),
        }
    }
}
