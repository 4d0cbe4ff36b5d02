//! Clouds that sell models of several vendors: their paths, and the bodies that they want of each vendor's API.
//!
//! Anthropic's models are asked by the path, not by a `model` in the body, and name a version of their own there. All else
//! of a body is what Anthropic's own API gets.

use std::collections::BTreeMap;

use pointsman_core::config::{BedrockConfig, Glob, ProviderConfig, VertexConfig};
use pointsman_core::prompt::{BodyEdits, Dialect};
use serde_json::{Value, json};

use super::address::BaseUrl;
use super::azure::escaped;

/// The path of a cloud's base URL that says none.
const VERTEX_VERSION: &str = "/v1";

/// A cloud, and what its requests need to know of it.
#[derive(Debug)]
pub(crate) enum CloudService {
    /// Google's Vertex AI.
    Vertex {
        /// The path of the project at its location.
        root: String,
    },
    /// Amazon Bedrock.
    Bedrock {
        /// The region that requests are signed for.
        region: String,
        /// The path of the base URL.
        prefix: String,
        /// The betas that may be named; `None` for all.
        betas: Option<Vec<Glob>>,
    },
}

/// A request to a model of a cloud.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CloudCall<'c> {
    /// The model, as the cloud calls it.
    pub model: &'c str,
    /// The dialect that the model is asked in.
    pub dialect: Dialect,
    /// True where a stream is asked for.
    pub stream: bool,
}

impl CloudService {
    /// Returns the cloud that a section describes, if it does, and completes its base URL.
    pub(super) fn of(section: &ProviderConfig, base: &mut BaseUrl) -> Option<Self> {
        if let Some(VertexConfig { project, location, .. }) = &section.vertex {
            let version = if base.prefix.is_empty() { VERTEX_VERSION } else { &base.prefix };
            let root = format!("{version}/projects/{project}/locations/{location}");
            base.prefix = format!("{root}/publishers/google");
            return Some(Self::Vertex { root });
        }
        let BedrockConfig { region, betas, .. } = section.bedrock.as_ref()?;
        Some(Self::Bedrock { region: region.clone(), prefix: base.prefix.clone(), betas: betas.clone() })
    }

    /// Returns the path of a call; `None` where it is the one that any provider of that API has.
    pub(crate) fn path(&self, call: &CloudCall<'_>) -> Option<String> {
        let CloudCall { model, dialect, stream } = *call;
        match (self, dialect) {
            (Self::Vertex { root }, Dialect::CountTokens) => {
                Some(format!("{root}/publishers/anthropic/models/count-tokens:rawPredict"))
            }
            (Self::Vertex { root }, Dialect::Messages) => {
                let operation = if stream { "streamRawPredict" } else { "rawPredict" };
                // Versions of models stand behind an `@`, which is an ordinary character of a path.
                let model = escaped(model).replace("%40", "@");
                Some(format!("{root}/publishers/anthropic/models/{model}:{operation}"))
            }
            (Self::Vertex { root }, Dialect::ChatCompletions) => {
                Some(format!("{root}/endpoints/openapi/chat/completions"))
            }
            (Self::Bedrock { prefix, .. }, Dialect::Messages) => {
                let operation = if stream { "invoke-with-response-stream" } else { "invoke" };
                let model = escaped(model).replace(':', "%3A"); // as AWS escapes it
                Some(format!("{prefix}/model/{model}/{operation}"))
            }
            (Self::Bedrock { prefix, .. }, Dialect::ChatCompletions) => {
                Some(format!("{prefix}/openai/v1/chat/completions"))
            }
            _ => None,
        }
    }

    /// Returns what makes a body of the call's API the one that the cloud wants; `betas` are those of the request's
    /// header.
    pub(crate) fn body_edits(&self, dialect: Dialect, betas: &[&str]) -> Option<BodyEdits> {
        if !dialect.is_anthropic() {
            return None;
        }
        let is_count = dialect.only_counts();
        let (version, dropped) = match self {
            Self::Vertex { .. } if is_count => ("vertex-2023-10-16", &[][..]),
            Self::Vertex { .. } => ("vertex-2023-10-16", &["model"][..]),
            Self::Bedrock { .. } => ("bedrock-2023-05-31", &["model", "stream"][..]),
        };
        let dropped: Vec<String> = dropped.iter().map(|key| (*key).to_owned()).collect();
        let mut set: BTreeMap<String, Value> = BTreeMap::from([("anthropic_version".to_owned(), json!(version))]);
        if let Self::Bedrock { betas: allowed, .. } = self {
            let is_allowed =
                |beta: &&str| allowed.as_ref().is_none_or(|globs| globs.iter().any(|glob| glob.matches(beta)));
            let betas: Vec<&str> = betas.iter().copied().filter(is_allowed).collect();
            if !betas.is_empty() {
                set.insert("anthropic_beta".to_owned(), json!(betas));
            }
        }
        Some(BodyEdits::new(&dropped, &BTreeMap::new(), &set))
    }

    /// Returns whether the answers to such calls come in AWS' own words: errors, and the frames of streams.
    pub(crate) fn wraps_answers(&self, dialect: Dialect) -> bool {
        matches!(self, Self::Bedrock { .. }) && dialect.is_anthropic()
    }

    /// Returns the region that requests are signed for, where they are.
    pub(crate) fn region(&self) -> Option<&str> {
        match self {
            Self::Bedrock { region, .. } => Some(region),
            Self::Vertex { .. } => None,
        }
    }

    /// Returns whether a request of that dialect can be sent to it as it is, where it speaks the dialect's API.
    pub(crate) const fn takes(&self, dialect: Dialect) -> bool {
        match self {
            Self::Vertex { .. } => dialect.family().is_some(),
            Self::Bedrock { .. } => dialect.family().is_some() && !dialect.only_counts(),
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn cloud(section: Value) -> (CloudService, BaseUrl) {
        let section: ProviderConfig = serde_json::from_value(section).expect("a section");
        let mut base = section.base_url.parse().expect("a URL");
        let cloud = CloudService::of(&section, &mut base).expect("a cloud");
        (cloud, base)
    }

    fn vertex() -> (CloudService, BaseUrl) {
        cloud(json!({"base_url": "https://h", "vertex": {"project": "p", "location": "eu"}}))
    }

    fn bedrock(betas: &Value) -> CloudService {
        cloud(json!({"base_url": "https://h", "bedrock": {"region": "r", "betas": betas}})).0
    }

    fn path(cloud: &CloudService, model: &str, dialect: Dialect) -> [Option<String>; 2] {
        [false, true].map(|stream| cloud.path(&CloudCall { model, dialect, stream }))
    }

    #[test]
    fn vertex_asks_each_publisher_s_models_below_the_project() {
        let (cloud, base) = vertex();
        let root = "/v1/projects/p/locations/eu";
        let claude = format!("{root}/publishers/anthropic/models");

        assert_eq!(
            path(&cloud, "claude-sonnet-4-5@20250929", Dialect::Messages),
            [
                Some(format!("{claude}/claude-sonnet-4-5@20250929:rawPredict")),
                Some(format!("{claude}/claude-sonnet-4-5@20250929:streamRawPredict"))
            ]
        );
        assert_eq!(
            path(&cloud, "claude-x", Dialect::CountTokens)[0],
            Some(format!("{claude}/count-tokens:rawPredict"))
        );
        let chat = Some(format!("{root}/endpoints/openapi/chat/completions"));
        assert_eq!(path(&cloud, "meta/llama", Dialect::ChatCompletions)[0], chat);
        assert_eq!(path(&cloud, "gemini-3-pro", Dialect::GenerateContent)[0], None);
        assert_eq!(
            base.google_url("gemini-3-pro", "generateContent"),
            format!("{root}/publishers/google/models/gemini-3-pro:generateContent")
        );
    }

    #[test]
    fn bedrock_s_models_are_escaped_as_aws_does() {
        let cloud = bedrock(&Value::Null);

        assert_eq!(
            path(&cloud, "anthropic.claude-3-5-haiku-20241022-v1:0", Dialect::Messages),
            ["invoke", "invoke-with-response-stream"]
                .map(|operation| Some(format!("/model/anthropic.claude-3-5-haiku-20241022-v1%3A0/{operation}")))
        );
        assert_eq!(
            path(&cloud, "arn:aws:bedrock:eu-west-1:1:inference-profile/eu.x", Dialect::Messages)[0].as_deref(),
            Some("/model/arn%3Aaws%3Abedrock%3Aeu-west-1%3A1%3Ainference-profile%2Feu.x/invoke")
        );
        assert_eq!(
            path(&cloud, "openai.x", Dialect::ChatCompletions)[0].as_deref(),
            Some("/openai/v1/chat/completions")
        );
    }

    #[test]
    fn anthropic_s_bodies_name_the_cloud_s_version_and_no_model() {
        let body = Bytes::from_static(br#"{"model": "m", "stream": true, "max_tokens": 5}"#);
        let made = |cloud: &CloudService, dialect, betas: &[&str]| -> Value {
            let edits = cloud.body_edits(dialect, betas).expect("edits");
            serde_json::from_slice(&edits.apply_around(&body, 0..0).0).expect("JSON")
        };
        let betas = ["context-1m-2025-08-07", "claude-code-20250219"];
        let (vertex, _) = vertex();

        assert_eq!(
            made(&vertex, Dialect::Messages, &betas),
            json!({"stream": true, "max_tokens": 5, "anthropic_version": "vertex-2023-10-16"})
        );
        assert_eq!(made(&vertex, Dialect::CountTokens, &betas)["model"], "m");
        assert_eq!(
            made(&bedrock(&Value::Null), Dialect::Messages, &betas),
            json!({"max_tokens": 5, "anthropic_version": "bedrock-2023-05-31", "anthropic_beta": betas})
        );
        assert_eq!(
            made(&bedrock(&json!(["context-*"])), Dialect::Messages, &betas)["anthropic_beta"],
            json!(["context-1m-2025-08-07"])
        );
        assert!(bedrock(&Value::Null).body_edits(Dialect::ChatCompletions, &[]).is_none());
    }
}
