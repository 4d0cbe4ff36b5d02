//! The strategy `bandit`: models by what clients said of earlier answers.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::{Name, Ratio};

/// The model that feedback speaks for, by Thompson sampling: each is drawn as often as it is likely to be the best.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct BanditConfig {
    /// The classifier whose labels tell prompts apart. Default: all prompts are alike.
    #[serde(default)]
    pub classifier: Option<Name>,
    /// The head whose labels they are. Default `tier`.
    #[serde(default = "BanditConfig::default_head")]
    pub head: Name,
    /// The models, from the weakest up.
    pub models: Vec<Name>,
    /// The worth of a US dollar in good answers: with 10, a cent more must bring 0.1 more. Default 10.
    #[serde(default = "BanditConfig::default_lambda")]
    pub lambda: f64,
    /// The share of requests whose model is drawn evenly, so that each is heard of. Default 0.02.
    #[serde(default = "BanditConfig::default_explore")]
    pub explore: Ratio,
    /// The number of rewards after which a reward weighs 1/e. Default 300.
    #[serde(default = "BanditConfig::default_memory")]
    pub memory: u32,
    /// The chances of a good answer before anybody has said anything.
    #[serde(default)]
    pub warm: WarmStart,
    /// The largest share that one client's rewards may have in what is learnt while others give some, too: those of one that
    /// gives more count for less. Default 0.5.
    #[serde(default = "BanditConfig::default_max_client_share")]
    pub max_client_share: Ratio,
    /// The length of an answer that is assumed where no answers were seen yet, in tokens; never more than a request
    /// asks for. Default 400.
    #[serde(default = "BanditConfig::default_output_tokens")]
    pub output_tokens: u64,
    /// The model when the classifier fails or is late; a strategy within another may leave it to that.
    #[serde(default)]
    pub otherwise: Option<Name>,
}

/// The chances of a good answer that a bandit begins with: a classifier's heads for each prompt, or rates by label.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct WarmStart {
    /// The prefix of the model in the names of the classifier's heads, as `fit --task success` writes them: `success`.
    #[serde(default)]
    pub heads: Option<Name>,
    /// The rate of good answers by label and model; the label `*` stands for those that are not named.
    #[serde(default)]
    pub rates: BTreeMap<String, BTreeMap<Name, Ratio>>,
    /// The number of rewards that these chances weigh as much as. Default 20.
    #[serde(default = "WarmStart::default_weight")]
    pub weight: f64,
}

impl BanditConfig {
    /// Returns the heads that it reads, each once.
    #[must_use]
    pub fn heads(&self) -> Vec<Name> {
        let success = self.models.iter().filter_map(|model| self.success_head(model));
        std::iter::once(self.head.clone()).chain(success).collect()
    }

    /// Returns the head that knows the chance of `model` before any reward; `None` where none is named, or the two names
    /// together are too long for one.
    #[must_use]
    pub fn success_head(&self, model: &Name) -> Option<Name> {
        Name::new(&format!("{}/{model}", self.warm.heads.as_ref()?)).ok()
    }

    fn default_head() -> Name {
        Name::new("tier").expect("a literal of letters is a name")
    }

    fn default_lambda() -> f64 {
        10.0
    }

    fn default_explore() -> Ratio {
        Ratio::new(0.02).expect("a literal between 0 and 1")
    }

    fn default_memory() -> u32 {
        300
    }

    fn default_max_client_share() -> Ratio {
        Ratio::new(0.5).expect("a literal between 0 and 1")
    }

    fn default_output_tokens() -> u64 {
        400
    }
}

impl WarmStart {
    fn default_weight() -> f64 {
        20.0
    }
}

impl Default for WarmStart {
    fn default() -> Self {
        Self { heads: None, rates: BTreeMap::new(), weight: Self::default_weight() }
    }
}
