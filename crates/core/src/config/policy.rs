//! The `policies` section: which requests, what rules say of them, and how their model is chosen.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::affinity::AffinityConfig;
use super::budget::PolicyBudgetRule;
use super::quota::QuotaConfig;
use super::response_cache::CacheConfig;
use super::shadow_answers::ShadowAnswersConfig;
use super::state::StateRule;
use super::strategy::StrategyConfig;
use super::target::Target;
use super::values::{Glob, Name, Ratio};

/// A policy: which requests, and how their model is chosen.
#[derive(Debug, Clone, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyConfig {
    /// Shown in headers, metrics and logs.
    pub name: Name,
    /// The requests that the policy is for; every part that is present must fit.
    #[serde(default, rename = "match")]
    pub matches: RequestMatch,
    /// The policy's effect on the requests.
    #[serde(default)]
    pub mode: PolicyMode,
    /// The share of conversations that it decides; the others get `otherwise`. Default 1.
    #[serde(default = "PolicyConfig::default_rollout")]
    pub rollout: Ratio,
    /// The choices that clients may make themselves.
    #[serde(default)]
    pub overrides: ClientOverrides,
    /// Tried in order, until one that is true ends them.
    #[serde(default)]
    pub rules: Vec<RuleConfig>,
    /// Decides when no rule did.
    pub strategy: StrategyConfig,
    /// The models that are tried next, in order, when the chosen one's provider fails.
    #[serde(default)]
    pub fallback: Vec<Name>,
    /// The models' regions that may serve these requests; empty for all. A model without a `region` is in none.
    #[serde(default)]
    pub regions: Vec<Name>,
    /// Tokens that must be left of a context window, since providers count otherwise than Pointsman. Default 0.
    #[serde(default)]
    pub context_margin: u64,
    /// The meaning of the longest answer that a request asks for. Default `fit`.
    #[serde(default)]
    pub max_tokens: MaxTokensUse,
    /// The model for requests that agents send for themselves: titles, summaries of a conversation, topics, probes,
    /// suggestions (`request.purpose`). Default `cheapest`.
    #[serde(default)]
    pub housekeeping: HousekeepingModel,
    /// The rule by which the requests of a conversation stay with one model; without it each is decided on its own.
    #[serde(default)]
    pub affinity: Option<AffinityConfig>,
    /// The rule by which a conversation that holds what one provider sealed goes to another: encrypted reasoning, signed
    /// thinking. Default `stay`.
    #[serde(default)]
    pub state: StateRule,
    /// The rule for requests that go to a provider of another API than the client's, in its words.
    #[serde(default)]
    pub translation: TranslationConfig,
    /// The goal that the strategy's threshold is moved for; without it the threshold stays where it is.
    #[serde(default)]
    pub target: Option<Target>,
    /// Bounds on the answers that one client or session gets from strong models; none by default.
    #[serde(default)]
    pub quotas: Vec<QuotaConfig>,
    /// The policy's part in budgets that are nearly used up.
    #[serde(default)]
    pub budget: PolicyBudgetRule,
    /// Another model that is asked a share of the same requests after their answers, to compare; none by default.
    #[serde(default)]
    pub shadow_answers: Option<ShadowAnswersConfig>,
    /// Gives answers again to the same requests of the same client; without it every request is asked.
    #[serde(default)]
    pub cache: Option<CacheConfig>,
}

/// The meaning of the longest answer that a request asks for (`max_tokens` and its other names).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MaxTokensUse {
    /// Most libraries send a number of their own: it is lowered to what the chosen model can give.
    #[default]
    Fit,
    /// The client means it: a model that cannot give as much is none for the request.
    Require,
}

/// The rule for requests that go to a provider of another API than the client's.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct TranslationConfig {
    /// The answer to a request that says something which the other API cannot say. Default `warn`.
    pub on_loss: LossRule,
}

/// The answer to a request that says something which the API of its model cannot say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LossRule {
    /// It goes on without, and the answer's `x-pointsman-translated` names what was left out.
    #[default]
    Warn,
    /// A model that would get less than all is passed over, and where none is left, the client gets 400 with the names of
    /// what would be left out.
    Refuse,
}

/// The choices that clients may make themselves, by request headers.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct ClientOverrides {
    /// Globs over the models of the catalog that `x-pointsman-model` may name.
    pub models: Vec<Glob>,
    /// Lets `x-pointsman-policy` name this policy, in place of the first whose `match` fits.
    pub policy: bool,
}

/// The requests that a policy is for. An empty match fits every request.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct RequestMatch {
    /// Globs over the request's `model`, such as `auto` or `gpt-*`.
    pub model: Vec<Glob>,
    /// Globs over the request's path.
    pub path: Vec<Glob>,
    /// Header names and globs over their values.
    pub header: BTreeMap<String, Glob>,
}

/// The effect of a policy on requests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PolicyMode {
    /// Chooses the model.
    #[default]
    Route,
    /// Decides, counts and logs, and leaves the request as it is: it passes to `default_provider`.
    Shadow,
    /// Leaves the request as it is: it passes to `default_provider`.
    Off,
}

/// The model for requests that agents send for themselves.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum HousekeepingModel {
    /// The cheapest model of the strategy that can serve the request, by the prices for input and output together, else
    /// its lowest tier. The conversation's model neither binds it nor follows it.
    #[default]
    Cheapest,
    /// Whoever the strategy chooses, as for every other request.
    Strategy,
}

impl PolicyConfig {
    fn default_rollout() -> Ratio {
        Ratio::new(1.0).expect("one is a ratio")
    }
}

/// A condition, and what happens to the requests that meet it.
#[derive(Debug, Clone, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct RuleConfig {
    /// A CEL expression that yields a boolean.
    pub when: String,
    /// The model that it chooses.
    #[serde(default, rename = "use")]
    pub model: Option<Name>,
    /// Refuses the request; never beside `use`.
    #[serde(default)]
    pub deny: Option<DenyAction>,
    /// Top-level keys of the request, with the values that they are to have; `object.key` leads into an object.
    #[serde(default)]
    pub set: BTreeMap<String, Value>,
    /// Tries the rules after it too. By default only after a rule that does nothing but `set`.
    #[serde(default, rename = "continue")]
    pub goes_on: Option<bool>,
}

/// The answer by which a rule refuses a request.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct DenyAction {
    /// The answer's status, 400 to 499. Default 403.
    #[serde(default = "DenyAction::default_status")]
    pub status: u16,
    /// The message to the client.
    pub message: String,
}

impl RuleConfig {
    /// Tells whether the rules after it are tried too when it is true.
    #[must_use]
    pub fn goes_on(&self) -> bool {
        self.goes_on.unwrap_or(self.model.is_none() && self.deny.is_none())
    }
}

impl DenyAction {
    const fn default_status() -> u16 {
        403
    }
}
