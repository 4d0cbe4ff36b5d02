//! Bounds on what a provider's section says about a cloud.

use super::ConfigChecker;
use crate::config::problem::KeyPath;
use crate::config::{AwsCredentialSource, BedrockConfig, Credential, GoogleCredentials, ProviderConfig, VertexConfig};

impl ConfigChecker<'_> {
    /// Checks the cloud that a provider is, if it is one.
    pub(super) fn clouds(&mut self, path: &KeyPath, provider: &ProviderConfig) {
        if let Some(vertex) = &provider.vertex {
            self.vertex(&path.key("vertex"), vertex);
            if provider.credential != Credential::None || !provider.keys.is_empty() {
                let message = "has no meaning with `vertex` (allowed: `credentials` there)";
                let key = if provider.keys.is_empty() { "credential" } else { "keys" };
                self.wrong(&path.key(key), message);
            }
        }
        if provider.websocket && (provider.vertex.is_some() || provider.bedrock.is_some()) {
            self.wrong(&path.key("websocket"), "has no meaning with `vertex` or `bedrock` (allowed: false)");
        }
        if let Some(bedrock) = &provider.bedrock {
            if provider.vertex.is_some() {
                self.wrong(&path.key("bedrock"), "stands beside `vertex` (allowed: one of them)");
            }
            self.bedrock(&path.key("bedrock"), bedrock);
            if provider.credential == Credential::Passthrough {
                self.wrong(&path.key("credential"), "has no meaning with `bedrock` (allowed: a key, or none)");
            }
        }
    }

    fn vertex(&mut self, path: &KeyPath, vertex: &VertexConfig) {
        self.segment(&path.key("project"), &vertex.project);
        self.segment(&path.key("location"), &vertex.location);
        if let GoogleCredentials::File(file) = &vertex.credentials {
            self.secret_file(&path.key("credentials").key("file"), file);
        }
    }

    fn bedrock(&mut self, path: &KeyPath, bedrock: &BedrockConfig) {
        self.segment(&path.key("region"), &bedrock.region);
        let path = path.key("credentials");
        match &bedrock.credentials {
            AwsCredentialSource::Environment | AwsCredentialSource::Container | AwsCredentialSource::Instance => {}
            AwsCredentialSource::Profile(profile) => self.secret_file(&path.key("profile").key("file"), &profile.file),
            AwsCredentialSource::AccessKey(key) => {
                let path = path.key("access_key");
                self.secret_source(&path.key("id"), &key.id);
                self.secret_source(&path.key("secret"), &key.secret);
                if let Some(token) = &key.session_token {
                    self.secret_source(&path.key("session_token"), token);
                }
            }
        }
    }

    /// Checks a text that becomes a part of a host or a segment of a path.
    fn segment(&mut self, path: &KeyPath, text: &str) {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-.:".contains(&byte);
        if text.is_empty() || text.len() > 128 || !text.bytes().all(is_plain) || text.contains("..") {
            self.wrong(path, "is no such name (allowed: 1 to 128 letters, digits, `-`, `.` and `:`)");
        }
    }
}
