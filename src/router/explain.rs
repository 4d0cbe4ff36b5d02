//! A verdict as JSON, as `POST /v1/decide` and `pointsman decide --json` show it.
//!
//! The keys are described in `src/admin/openapi.json`, and a test holds the two together.

mod asked;
mod key;
mod parameters;
mod translations;

use std::collections::BTreeMap;

use pointsman_core::config::Name;
use pointsman_core::features::Features;
use pointsman_core::policy::{ClassifierAnswer, Decision, HasFormat, RuleTrace};
use pointsman_core::prompt::{Ask, EnvelopeStretch, ResponseFormat};
use pointsman_core::scores::{ClassifierFailure, Scores};
use serde_json::{Map, Value, json};

use self::asked::{by_head, classifiers, judges, similarities};
use super::details::ExplanationDetails;
use super::{DecisionTimings, IncomingRequest, PolicyRefusal, Routing, Verdict};
use crate::clients::Client;
use crate::snapshot::Snapshot;

/// The part of an explanation that decisions and refusals share.
struct SharedExplanation<'s> {
    snapshot: &'s Snapshot,
    features: &'s Features,
    asked: &'s [ClassifierAnswer],
    timings: DecisionTimings,
    details: Option<&'s ExplanationDetails>,
}

impl Verdict {
    /// Returns what is to happen to a request and all that went into it, as one JSON object. The keys are those of
    /// [`Routing::explain`] or [`PolicyRefusal::explain`], `parameters` (what is changed in the parameters so that they
    /// fit the model), `translation` of each candidate (what the request would lose in the API of its provider), `key` (the name of the provider's key, where it has several), `ask` (how
    /// the newest ask was found) and `client`; of a
    /// request that passes through, `model` is null,
    /// `reason` is `pass` and `provider` says where to.
    #[must_use]
    pub fn explain(&self, snapshot: &Snapshot, incoming: &IncomingRequest<'_>) -> Value {
        let (mut explanation, is_applied) = match self {
            Self::Route(routing) => (routing.explain(snapshot), true),
            Self::Deny(refusal) => (refusal.explain(snapshot), true),
            Self::Pass { shadow: Some(routing), .. } => (routing.explain(snapshot), false),
            Self::Pass { denied: Some(refusal), .. } => (refusal.explain(snapshot), false),
            Self::Pass { policy, .. } => (passed(policy.as_ref(), snapshot), false),
        };
        if let Self::Route(routing) | Self::Pass { shadow: Some(routing), .. } = self {
            explanation["parameters"] = json!(parameters::fitted(snapshot, &routing.decision, incoming));
        }
        let none = BTreeMap::new();
        let set = match self {
            Self::Route(routing) | Self::Pass { shadow: Some(routing), .. } => &routing.decision.set,
            _ => &none,
        };
        translations::add(&mut explanation, set, (snapshot, incoming));
        explanation["key"] = json!(key::name(self, snapshot, incoming));
        explanation["ask"] = ask(incoming.prompt.ask());
        explanation["applied"] = is_applied.into();
        explanation["client"] = json!(incoming.client.map(Client::name));
        explanation
    }
}

/// Says how the newest ask was found: without its words, which an explanation never shows.
fn ask(ask: &Ask) -> Value {
    let left_out = |left_out: &EnvelopeStretch| json!({"envelope": *left_out.envelope, "bytes": left_out.bytes});
    json!({"source": ask.source().as_str(), "left_out": ask.left_out().iter().map(left_out).collect::<Vec<_>>()})
}

impl Routing {
    /// Returns the decision and all that went into it, as one JSON object.
    ///
    /// `model`, `policy`, `rule` (its position) or `strategy` (its kind), `reason`, `label`, `label_from` (the text
    /// that was judged: the newest ask, or what it answers), `score`, `rationale` (a judge's), `flip` (the nearest
    /// value that would have changed the strategy's choice), `stages` (of a cascade or hierarchy), `pin`, `quota` (one that was used up), `budget` (one that is nearly used up), `escalation` (how the answer is checked), `set` (the
    /// parameters that rules set), `cost_usd` (what judges cost), `fallback`, and what was seen: `scores` (head to
    /// label to probability, of the classifier that was asked last; null when none was, or gave none), its `source`
    /// (`encoder`, `lexical` or
    /// `lexical_fallback`), `degraded` (why the encoder did not answer, if it should have) and `truncated_tokens`,
    /// `classifiers` (all that were asked), `similarities`, `judges`, `features`, `rules`, `candidates`, `generation`,
    /// `timings_us`.
    ///
    /// What [`IncomingRequest::detail`] did not ask for is null or left out.
    #[must_use]
    pub fn explain(&self, snapshot: &Snapshot) -> Value {
        let Self { decision, features, asked, timings, details, .. } = self;
        let common = SharedExplanation { snapshot, features, asked, timings: *timings, details: details.as_deref() };
        let mut explanation = Map::from_iter([
            ("model".to_owned(), json!(decision.model)),
            ("rule".to_owned(), json!(decision.by.rule())),
            ("strategy".to_owned(), json!(decision.by.strategy())),
            ("reason".to_owned(), json!(decision.reason)),
            ("label".to_owned(), json!(decision.label)),
            ("label_from".to_owned(), json!(decision.label.as_ref().map(|_| self.label_from.as_str()))),
            ("score".to_owned(), json!(decision.score)),
            ("rationale".to_owned(), json!(decision.rationale)),
            ("flip".to_owned(), json!(decision.flip)),
            ("stages".to_owned(), json!(decision.stages)),
            ("pin".to_owned(), json!(decision.pin)),
            ("quota".to_owned(), json!(decision.quota)),
            ("budget".to_owned(), json!(decision.tight_budget)),
            ("escalation".to_owned(), escalation(decision, features)),
            ("set".to_owned(), json!(decision.set)),
            ("cost_usd".to_owned(), json!(decision.cost_usd)),
            ("candidates".to_owned(), json!(decision.candidates)),
            ("fallback".to_owned(), json!(decision.fallback)),
        ]);
        explanation.extend(common.explain(decision.deciding_policy(), &decision.rules));
        Value::Object(explanation)
    }

    /// Returns why the encoder did not answer, if it was asked.
    #[must_use]
    pub fn degraded(&self) -> Option<ClassifierFailure> {
        degraded(&self.asked)
    }
}

impl PolicyRefusal {
    /// Returns the refusal and all that went into it, as one JSON object: `model` is null, `denied` holds `status`,
    /// `code` and `message`; what was seen stands beside it as in [`Routing::explain`].
    #[must_use]
    pub fn explain(&self, snapshot: &Snapshot) -> Value {
        let Self { denial, features, asked, cost_usd, timings, details, .. } = self;
        let common = SharedExplanation { snapshot, features, asked, timings: *timings, details: details.as_deref() };
        let mut explanation = Map::from_iter([
            ("model".to_owned(), Value::Null),
            ("rule".to_owned(), json!(denial.by.rule())),
            ("strategy".to_owned(), Value::Null),
            ("reason".to_owned(), json!(denial.code)),
            ("denied".to_owned(), json!({"status": denial.status, "code": denial.code, "message": denial.message})),
            ("quota".to_owned(), json!(denial.quota)),
            ("cost_usd".to_owned(), json!(cost_usd)),
            ("candidates".to_owned(), json!(denial.candidates)),
        ]);
        explanation.extend(common.explain(denial.policy.as_ref(), &denial.rules));
        Value::Object(explanation)
    }
}

impl SharedExplanation<'_> {
    fn explain(&self, policy: Option<&Name>, traces: &[RuleTrace]) -> Map<String, Value> {
        let last = self.asked.last().and_then(|asked| asked.scores.as_ref().ok());
        let DecisionTimings { features, classify, judge, decide } = self.timings;
        Map::from_iter([
            ("policy".to_owned(), json!(policy)),
            ("scores".to_owned(), json!(last.map(by_head))),
            ("source".to_owned(), json!(last.map(|scores| scores.source))),
            ("degraded".to_owned(), json!(degraded(self.asked))),
            ("truncated_tokens".to_owned(), json!(last.map_or(0, |scores: &Scores| scores.truncated_tokens))),
            ("classifiers".to_owned(), classifiers(self.asked, policy, self.snapshot)),
            ("similarities".to_owned(), similarities(self.details, self.snapshot)),
            ("judges".to_owned(), judges(self.details, self.snapshot)),
            ("features".to_owned(), json!(self.features)),
            ("rules".to_owned(), self.rules(policy, traces)),
            ("generation".to_owned(), json!(self.snapshot.generation)),
            (
                "timings_us".to_owned(),
                json!({
                    "features": features.as_micros(),
                    "classify": classify.as_micros(),
                    "judge": judge.as_micros(),
                    "decide": decide.as_micros(),
                }),
            ),
        ])
    }

    /// Returns every rule of the policy: those that were tried with what became of them, the others as `not_tried`.
    fn rules(&self, policy: Option<&Name>, traces: &[RuleTrace]) -> Value {
        let policy = self.snapshot.config.policies.iter().find(|own| Some(&own.name) == policy);
        let rules = policy.into_iter().flat_map(|policy| &policy.rules).enumerate();
        rules
            .map(|(index, rule)| {
                let trace = traces.iter().find(|trace| trace.rule == index).map(|trace| json!(trace));
                let trace = trace.unwrap_or_else(|| json!({"outcome": "not_tried"}));
                json!({
                    "index": index,
                    "when": rule.when,
                    "value": self.details.and_then(|details| *details.rules.get(index)?),
                    "use": rule.model,
                    "deny": rule.deny,
                    "set": rule.set,
                    "continue": rule.goes_on(),
                    "outcome": trace["outcome"],
                    "error": trace["error"],
                })
            })
            .collect()
    }
}

/// Returns how the answer of the decision's model is checked, and which part of a stream is held for it; null where it is not.
fn escalation(decision: &Decision, features: &Features) -> Value {
    let Some(plan) = &decision.escalation else { return Value::Null };
    let is_text = features.request.response_format == ResponseFormat::Text;
    let holds = plan.holds(if is_text { HasFormat::No } else { HasFormat::Yes });
    let mut shown = json!(plan);
    shown["holds"] = holds.as_str().into();
    shown
}

fn passed(policy: Option<&Name>, snapshot: &Snapshot) -> Value {
    json!({
        "model": null,
        "policy": policy,
        "reason": "pass",
        "provider": snapshot.config.default_provider,
        "generation": snapshot.generation,
    })
}

fn degraded(asked: &[ClassifierAnswer]) -> Option<ClassifierFailure> {
    match &asked.last()?.scores {
        Ok(scores) => scores.source.degraded(),
        Err(reason) => Some(*reason),
    }
}
