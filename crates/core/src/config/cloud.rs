//! Clouds that sell models of several vendors, behind addresses, paths and credentials of their own.

use std::path::PathBuf;

use pointsman_translation::DialectFamily;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::dialects::SpokenDialects;
use super::secret::SecretSource;
use super::values::Glob;

/// Models on Google's Vertex AI. Claude models (`claude-...`) are asked by `rawPredict` and `streamRawPredict`, models with
/// a publisher in their name (`meta/llama-...`) by chat completions, others by `generateContent`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct VertexConfig {
    /// The id of the project that pays.
    pub project: String,
    /// The region (`europe-west4`), a multi-region (`eu`, `us`) or `global`.
    pub location: String,
    /// The account that asks. Default `metadata`.
    #[serde(default)]
    pub credentials: GoogleCredentials,
}

/// The account that asks Google.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum GoogleCredentials {
    /// The account of the machine or the workload, by the metadata server. `GCE_METADATA_HOST` says another server.
    #[default]
    Metadata,
    /// The key file of a service account.
    File(PathBuf),
}

/// Models on Amazon Bedrock. Claude models are asked by `InvokeModel`, others by chat completions.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct BedrockConfig {
    /// The region, such as `eu-west-1`.
    pub region: String,
    /// The credentials that requests are signed with. Default `environment`. With `credential` or `keys` beside it,
    /// requests carry that Bedrock API key, and none is signed.
    #[serde(default)]
    pub credentials: AwsCredentialSource,
    /// The betas of Anthropic's API (`anthropic-beta`) that a client's request may name, as globs; others are left out.
    /// Default all.
    #[serde(default)]
    pub betas: Option<Vec<Glob>>,
}

/// The source of the credentials that requests to AWS are signed with.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AwsCredentialSource {
    /// `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and, where it is set, `AWS_SESSION_TOKEN`.
    #[default]
    Environment,
    /// The endpoint that `AWS_CONTAINER_CREDENTIALS_FULL_URI` or `AWS_CONTAINER_CREDENTIALS_RELATIVE_URI` names (ECS,
    /// EKS Pod Identity).
    Container,
    /// The role of the machine, by IMDSv2. `AWS_EC2_METADATA_SERVICE_ENDPOINT` says another server.
    Instance,
    /// A profile of a credentials file.
    Profile(AwsProfile),
    /// An access key of its own.
    AccessKey(AwsAccessKey),
}

/// A profile of a credentials file, such as `~/.aws/credentials`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct AwsProfile {
    /// The credentials file.
    pub file: PathBuf,
    /// The name of the profile. Default `default`.
    #[serde(default = "default_profile")]
    pub profile: String,
}

/// An access key, each part from a source of its own.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct AwsAccessKey {
    /// The access key's id.
    pub id: SecretSource,
    /// The secret access key.
    pub secret: SecretSource,
    /// The token of a session, for temporary credentials.
    #[serde(default)]
    pub session_token: Option<SecretSource>,
}

fn default_profile() -> String {
    "default".to_owned()
}

impl VertexConfig {
    /// Returns the URL of the location, without a path.
    #[must_use]
    pub fn default_url(&self) -> String {
        match self.location.as_str() {
            "global" => "https://aiplatform.googleapis.com".to_owned(),
            multi @ ("eu" | "us") => format!("https://aiplatform.{multi}.rep.googleapis.com"),
            region => format!("https://{region}-aiplatform.googleapis.com"),
        }
    }

    /// Returns the API that the model of this name is asked in.
    #[must_use]
    pub fn dialects_of(model: &str) -> SpokenDialects {
        let family = if model.starts_with("claude-") {
            DialectFamily::Messages
        } else if model.contains('/') && !model.starts_with("models/") {
            DialectFamily::Chat
        } else {
            DialectFamily::Gemini
        };
        SpokenDialects::of(&[family])
    }
}

impl BedrockConfig {
    /// Returns the URL of the region, without a path.
    #[must_use]
    pub fn default_url(&self) -> String {
        let domain = if self.region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
        format!("https://bedrock-runtime.{}.{domain}", self.region)
    }

    /// Returns the API that the model of this id is asked in. Of the ARN of a profile nobody knows the vendor.
    #[must_use]
    pub fn dialects_of(model: &str) -> SpokenDialects {
        let is_claude = model.contains("anthropic.") || model.starts_with("arn:");
        SpokenDialects::of(&[if is_claude { DialectFamily::Messages } else { DialectFamily::Chat }])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn only(dialects: SpokenDialects) -> DialectFamily {
        let found: Vec<_> = DialectFamily::ALL.into_iter().filter(|family| dialects.has(*family)).collect();
        assert_eq!(found.len(), 1);
        found[0]
    }

    #[test]
    fn a_location_has_the_address_that_google_gives_it() {
        for (location, url) in [
            ("global", "https://aiplatform.googleapis.com"),
            ("eu", "https://aiplatform.eu.rep.googleapis.com"),
            ("europe-west4", "https://europe-west4-aiplatform.googleapis.com"),
        ] {
            let (project, credentials) = ("p".to_owned(), GoogleCredentials::Metadata);
            let config = VertexConfig { project, location: location.to_owned(), credentials };

            assert_eq!(config.default_url(), url);
        }
    }

    #[test]
    fn a_model_is_asked_in_the_api_of_its_vendor() {
        use DialectFamily::{Chat, Gemini, Messages};
        for (model, family) in [
            ("gemini-3-pro", Gemini),
            ("google/gemini-3-pro", Chat),
            ("claude-sonnet-4-5@20250929", Messages),
            ("meta/llama-4-maverick", Chat),
        ] {
            assert_eq!(only(VertexConfig::dialects_of(model)), family, "{model}");
        }
        for (model, family) in [
            ("anthropic.claude-3-5-haiku-20241022-v1:0", Messages),
            ("eu.anthropic.claude-sonnet-4-5-20250929-v1:0", Messages),
            ("arn:aws:bedrock:eu-west-1:1:application-inference-profile/x", Messages),
            ("openai.gpt-oss-120b-1:0", Chat),
        ] {
            assert_eq!(only(BedrockConfig::dialects_of(model)), family, "{model}");
        }
    }
}
