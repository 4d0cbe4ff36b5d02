//! The section `decisions`: the models that typed decisions are asked of, and who answers for them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::values::{Name, TimeSpan};

/// A model that clients ask typed decisions of (`POST /v1/decisions`), and who answers for it: at least one of both.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct DecisionModelConfig {
    /// The classifier whose heads answer the questions that have their labels as options.
    #[serde(default)]
    pub classifier: Option<Name>,
    /// The model of the catalog that is asked what no head answers; it is asked at its provider.
    #[serde(default)]
    pub judge: Option<Name>,
    /// The longest that a request waits for the judge. Default 30s.
    #[serde(default = "DecisionModelConfig::default_timeout")]
    pub timeout: TimeSpan,
    /// Requests to the judge that may be open at once; one more is refused. Default 32.
    #[serde(default = "DecisionModelConfig::default_max_concurrent")]
    pub max_concurrent: usize,
}

impl DecisionModelConfig {
    fn default_timeout() -> TimeSpan {
        TimeSpan::from_secs(30)
    }

    fn default_max_concurrent() -> usize {
        32
    }
}
