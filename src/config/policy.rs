//! The shape of `policies`: which requests, and how their model is chosen.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::strategy::Strategy;
use super::values::{Glob, Name};

/// A policy: which requests, and how their model is chosen.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// Shown in headers, metrics and logs.
    pub name: Name,
    /// Which requests it is for; every part that is present must fit.
    #[serde(default, rename = "match")]
    pub matches: Match,
    /// What it does with them.
    #[serde(default)]
    pub mode: Mode,
    /// First rule that is true decides.
    #[serde(default)]
    pub rules: Vec<Rule>,
    /// Decides when no rule did.
    pub strategy: Strategy,
    /// The models that are tried next, in order, when the chosen one's provider fails.
    #[serde(default)]
    pub fallback: Vec<Name>,
}

/// Which requests a policy is for. An empty match fits every request.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Match {
    /// Globs over the request's `model`, such as `auto` or `gpt-*`.
    pub model: Vec<Glob>,
    /// Globs over the request's path.
    pub path: Vec<Glob>,
    /// Header names and globs over their values.
    pub header: BTreeMap<String, Glob>,
}

/// What a policy does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Chooses the model.
    #[default]
    Route,
    /// Leaves the request as it is: it passes to `default_provider`.
    Off,
}

/// A condition and the model it chooses.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// A CEL expression that yields a boolean.
    pub when: String,
    /// The model that it chooses.
    #[serde(rename = "use")]
    pub model: Name,
}
