//! The strategy `similarity`: the model whose description or examples the prompt is nearest to.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::{Name, Ratio};

/// The model whose description and examples the prompt is nearest to, by the cosine of their embeddings.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct SimilarityConfig {
    /// The classifier whose encoder embeds.
    pub classifier: Name,
    /// Descriptions and examples, and the model of each.
    pub routes: Vec<SimilarityRoute>,
    /// A route's similarity is the mean of its this many nearest texts. Default 3.
    #[serde(default = "SimilarityConfig::default_top_k")]
    pub top_k: usize,
    /// The similarity of the best route below which the strategy abstains; a route may have its own. Default 0.3.
    #[serde(default = "SimilarityConfig::default_threshold")]
    pub threshold: Ratio,
    /// Texts about no route: a prompt that is nearer to them than to every route is near to none. Default `none`.
    #[serde(default)]
    pub background: BackgroundTexts,
    /// The model when it abstains; a strategy within another may leave it to that.
    #[serde(default)]
    pub otherwise: Option<Name>,
}

/// Texts about no route.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum BackgroundTexts {
    /// There are none: the threshold alone decides.
    #[default]
    None,
    /// The built-in everyday asks of all sorts.
    Everyday,
}

/// One model, and the prompts that are for it.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct SimilarityRoute {
    /// Shown as the decision's label; by default the model's name.
    #[serde(default)]
    pub name: Option<Name>,
    /// The model.
    pub model: Name,
    /// A description of the model's purpose, in a sentence or two.
    #[serde(default)]
    pub description: Option<String>,
    /// Prompts that are for it.
    #[serde(default)]
    pub examples: Vec<String>,
    /// A file with more of them, relative to the configuration file's folder: one a line, or JSONL with `text` or
    /// `prompt`. Read again at every reload.
    #[serde(default)]
    pub examples_file: Option<PathBuf>,
    /// The route's own threshold.
    #[serde(default)]
    pub threshold: Option<Ratio>,
}

impl SimilarityRoute {
    /// Returns what it is called.
    #[must_use]
    pub fn name(&self) -> &Name {
        self.name.as_ref().unwrap_or(&self.model)
    }
}

impl SimilarityConfig {
    fn default_top_k() -> usize {
        3
    }

    fn default_threshold() -> Ratio {
        Ratio::new(0.3).expect("it is a ratio")
    }
}
