//! The requests whose answers are not kept, and why.

use pointsman_core::config::{CacheConfig, CachedTools};
use pointsman_core::prompt::Dialect;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use crate::proxy::router_question::RouterQuestion;
use crate::router::Routing;

/// The temperature of a request that says none: the APIs' own default.
const DEFAULT_TEMPERATURE: f64 = 1.0;

/// The reason why a request's answer is not kept, nor a kept one given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BypassReason {
    /// The request asks for something else than an answer or embeddings.
    Kind,
    /// The request names state that its provider keeps.
    State,
    /// The provider is to keep the answer, or to give it later.
    Stored,
    /// The request offers tools, or holds calls of tools.
    Tools,
    /// The request's temperature is above the policy's bound.
    Temperature,
    /// The request asks for several answers.
    Several,
    /// The client wants nothing kept.
    Client,
    /// The body is not read twice alike.
    Unreadable,
}

/// The members of a body that decide whether its answer may be kept, of all APIs.
#[derive(Deserialize)]
struct BodyOutline {
    store: Option<bool>,
    background: Option<bool>,
    n: Option<u64>,
    /// Google's parameters, which its servers read in either spelling.
    #[serde(rename = "generationConfig", alias = "generation_config")]
    generation: Option<GenerationOutline>,
    web_search_options: Option<IgnoredAny>,
    mcp_servers: Option<IgnoredAny>,
    plugins: Option<IgnoredAny>,
}

/// The members of Google's parameters that do.
#[derive(Deserialize)]
struct GenerationOutline {
    #[serde(rename = "candidateCount", alias = "candidate_count")]
    candidates: Option<u64>,
}

impl BypassReason {
    /// Returns the word for headers and logs.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Kind => "bypass; kind",
            Self::State => "bypass; state",
            Self::Stored => "bypass; stored",
            Self::Tools => "bypass; tools",
            Self::Temperature => "bypass; temperature",
            Self::Several => "bypass; several",
            Self::Client => "bypass; client",
            Self::Unreadable => "bypass; unreadable",
        }
    }

    /// Returns why the answer to a request is not kept, if it is not.
    pub(super) fn of(asked: RouterQuestion<'_>, routing: &Routing, section: &CacheConfig) -> Option<Self> {
        let RouterQuestion { prompt, body, state, .. } = asked;
        let dialect = prompt.dialect;
        if !dialect.generates() && dialect != Dialect::Embeddings {
            return Some(Self::Kind);
        }
        if state.names_any() {
            return Some(Self::State);
        }
        let Ok(outline) = serde_json::from_slice::<BodyOutline>(body) else { return Some(Self::Unreadable) };
        // Responses are kept by their API unless the request says otherwise, and can be asked for by their ids.
        if outline.store.unwrap_or(dialect.is_responses()) || outline.background == Some(true) {
            return Some(Self::Stored);
        }
        let counted = prompt.tools + prompt.tool_calls + prompt.tool_results;
        let has_tools = counted > 0 || outline.has_own_tools();
        if has_tools && section.tools == CachedTools::Refuse {
            return Some(Self::Tools);
        }
        let set = |key: &str| routing.decision.set.get(key).and_then(Value::as_f64);
        if outline.answers() > 1 || set("n").is_some_and(|answers| answers > 1.0) {
            return Some(Self::Several);
        }
        let temperature = set("temperature").or(prompt.parameters.temperature).unwrap_or(DEFAULT_TEMPERATURE);
        (dialect.generates() && temperature > section.max_temperature).then_some(Self::Temperature)
    }
}

impl BodyOutline {
    /// Returns how many answers the request asks for.
    fn answers(&self) -> u64 {
        let candidates = self.generation.as_ref().and_then(|generation| generation.candidates);
        self.n.unwrap_or(1).max(candidates.unwrap_or(1))
    }

    /// Returns whether the provider is to use tools that stand in no list of tools.
    const fn has_own_tools(&self) -> bool {
        self.web_search_options.is_some() || self.mcp_servers.is_some() || self.plugins.is_some()
    }
}
