//! vLLM Semantic Router's `config.yaml`: back ends and models, signals, decisions; and the older file with categories.

mod backends;
mod condition;
mod decisions;
mod signals;

use self::backends::BackendModels;
use self::decisions::DecisionList;
use self::signals::Signals;
use crate::draft::{Draft, DraftPolicy, always};
use crate::reader::SourceValue;

/// The names that clients ask for to be routed.
const VIRTUAL: [&str; 3] = ["auto", "MoM", "vllm-sr/auto"];
const NOT_DONE: &str =
    "nothing here does that: requests are only routed, and translated where a provider speaks another API";
const KEPT: &str = "answers are kept where a policy has `cache`, and those to asks that mean the same where it has `cache.semantic` (docs/cache.md)";
const REASONS: [(&str, &str); 17] = [
    ("bert_model", "the bundle under `classifiers` has an encoder of its own"),
    ("classifier", "the bundle under `classifiers` has heads of its own"),
    ("semantic_cache", KEPT),
    ("prompt_guard", "rules with `deny` refuse requests (docs/policies.md)"),
    ("tools", "tools are the client's, and none is chosen for it"),
    ("hallucination_mitigation", NOT_DONE),
    ("feedback_detector", "clients say how an answer was: `POST /v1/feedback`"),
    ("response_api", "responses are kept by the provider that gives them (docs/state.md)"),
    ("router_replay", "the log of decisions is replayed by `pointsman replay`"),
    ("observability", "metrics, traces and logs: docs/observability.md"),
    ("api", "the admin listener decides without sending: `POST /v1/decide`"),
    ("embedding_models", "the bundle under `classifiers` has an encoder of its own"),
    ("reasoning_families", "how an effort is spelt follows from the model's name (docs/model-families.md)"),
    ("evaluation", "figures of models are measured by `pointsman eval`"),
    ("global", NOT_DONE),
    ("memory", NOT_DONE),
    ("looper", NOT_DONE),
];

/// Puts Semantic Router's file at `root` into `draft`.
pub(crate) fn import(root: &SourceValue<'_>, draft: &mut Draft) {
    root.take_all(&["version"]);
    listen(root, draft);
    let models = BackendModels::read(root, draft);
    let Some(default) = models.default.clone() else {
        return root.leave_out("no model of the file has an address, so that nothing is routed");
    };
    let signals = Signals::read(root);
    let decisions = DecisionList::read(root, &signals, &models, draft);
    let strategy = decisions.hierarchy.unwrap_or_else(|| always(&default));
    draft.asks_classifier |= decisions.asks_classifier;
    draft.policies.push(DraftPolicy {
        name: "auto".to_owned(),
        models: VIRTUAL.map(str::to_owned).to_vec(),
        rules: decisions.rules,
        strategy: Some(strategy),
        ..DraftPolicy::default()
    });
    rest(root);
}

fn rest(root: &SourceValue<'_>) {
    root.leave_out_all(&REASONS);
    if let Some(strategy) = root.get("strategy").or_else(|| root.get("routing")?.get("strategy"))
        && strategy.text() != Some("priority")
    {
        strategy.change("rules are tried in the order of their decisions' priorities");
    }
    if let Some(effort) = root.get("default_reasoning_effort") {
        effort.take();
    }
}

/// The address that clients connect to: loopback, as clients of the other router are known to a proxy before it.
fn listen(root: &SourceValue<'_>, draft: &mut Draft) {
    let Some(listener) = root.get("listeners").and_then(|listeners| listeners.items().into_iter().next()) else {
        return;
    };
    listener.take_all(&["name"]);
    let port = listener.count_at("port").filter(|port| (1..=65_535).contains(port));
    draft.listen = port.map(|port| format!("127.0.0.1:{port}"));
    if let Some(address) = listener.get("address")
        && !matches!(address.text(), Some("127.0.0.1" | "localhost" | "::1"))
    {
        address
            .change("clients need no key, so that Pointsman listens on loopback only: add `clients`, then the address");
    }
    if let Some(keys) = listener.get("api_keys") {
        keys.conceal("clients need no key until `clients` says so: `pointsman hash-key` gives the hash of each");
    }
}
