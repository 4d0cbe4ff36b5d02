//! The file's own `tests`: each goes through the router as a request would, and what becomes of it is compared.

use std::borrow::Cow;

use bytes::Bytes;
use pointsman_core::config::{ConfigProblem, ExpectedOutcome, KeyPath, Name, PolicyTest};
use pointsman_core::policy::{Decision, DecisionDetail, Denial, Policy};
use pointsman_core::prompt::{Dialect, RequestPath};
use serde_json::{Value, json};

use crate::router::{IncomingRequest, JudgeMode, QuotaMode, Router, Verdict};
use crate::snapshot::{ClassifierState, Snapshot};

/// The code of the refusal of a request that no model can be told, as serving has it.
const UNTRANSLATABLE: &str = "untranslatable";

/// The result of a test's request.
#[derive(Debug, Default)]
struct PolicyTestResult {
    model: Option<String>,
    policy: Option<String>,
    rule: Option<usize>,
    reason: Option<String>,
    denied: Option<u16>,
    /// True when the policy only watches.
    watched: bool,
    /// The error that kept the router from a decision.
    error: Option<String>,
}

/// The request that a test makes.
pub(super) struct TestRequest<'t> {
    pub(super) asked: RequestPath<'t>,
    pub(super) dialect: Dialect,
    pub(super) body: Bytes,
}

/// The outcome of one test.
#[derive(Debug)]
pub(crate) struct PolicyTestOutcome {
    /// The test's name, or its prompt.
    pub(crate) name: String,
    pub(crate) expected: String,
    pub(crate) got: String,
    /// The test's line in the file, from 1.
    pub(crate) line: Option<usize>,
    /// Each part that was not as expected, with its place in the file; empty where the test passed.
    pub(crate) failures: Vec<ConfigProblem>,
}

/// Runs every test of the configuration.
///
/// # Errors
/// When no runtime can be started.
pub(crate) fn run(router: &Router) -> std::io::Result<Vec<PolicyTestOutcome>> {
    let snapshot = router.snapshot();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let tests = snapshot.config.tests.iter().enumerate();
    let outcomes = tests.map(|(index, test)| {
        let got = runtime.block_on(got(router, &snapshot, test));
        let path = KeyPath::root().key("tests").index(index);
        let failures = got.differs(&test.expect).into_iter().filter_map(|(key, message)| {
            let message = format!("{message} ({got})");
            snapshot.config.problem(&path.key("expect").key(key), message)
        });
        PolicyTestOutcome {
            name: name(test),
            expected: expected(&test.expect),
            failures: failures.collect(),
            line: snapshot.config.problem(&path, "").and_then(|problem| Some(problem.place?.line)),
            got: got.to_string(),
        }
    });
    Ok(outcomes.collect())
}

/// Returns the classifiers whose encoder does not run.
pub(crate) fn stand_ins(snapshot: &Snapshot) -> impl Iterator<Item = &str> {
    let down = |state: &ClassifierState| match state {
        ClassifierState::Ready(classifier) => classifier.is_down(),
        ClassifierState::Unavailable { .. } => true,
    };
    snapshot.classifiers.iter().filter(move |(_, state)| down(state)).map(|(name, _)| name.as_str())
}

pub(super) fn name(test: &PolicyTest) -> String {
    let prompt = || test.prompt.clone().unwrap_or_else(|| test.body.as_ref().map(Value::to_string).unwrap_or_default());
    test.name.clone().unwrap_or_else(prompt)
}

async fn got(router: &Router, snapshot: &Snapshot, test: &PolicyTest) -> PolicyTestResult {
    let TestRequest { asked, dialect, body } = TestRequest::of(test, snapshot);
    let prompt = match snapshot.read_asked(dialect, asked.google.as_ref(), &body) {
        Ok(prompt) => prompt,
        Err(error) => {
            return PolicyTestResult {
                error: Some(format!("the body cannot be read: {error}")),
                ..PolicyTestResult::default()
            };
        }
    };
    let header = |name: &str| {
        let own = test.headers.iter().find(|(own, _)| own.eq_ignore_ascii_case(name));
        own.map(|(_, value)| Cow::Borrowed(value.as_str()))
    };
    let client = test.client.as_deref().and_then(|name| snapshot.clients.named(name));
    let incoming = IncomingRequest {
        path: &asked.path,
        header: &header,
        client: client.map(|client| &**client),
        prompt: &prompt,
        body: &body,
        state: None,
        at: Some(test.now.0),
        judging: test.given.judgement.as_deref().map_or(JudgeMode::Never, JudgeMode::Says),
        key: None,
        quotas: QuotaMode::Look,
        detail: DecisionDetail::Decision,
    };
    match router.route(snapshot, &incoming).await {
        Verdict::Route(routing) => {
            told(PolicyTestResult::chosen(&routing.decision), &routing.decision, snapshot, (dialect, &body[..]))
        }
        verdict => PolicyTestResult::of(verdict),
    }
}

/// Returns what becomes of a request that goes to a model: where the chosen one's API cannot say what it must be told, the
/// next of the fallback gets it, and without one the request is refused.
fn told(
    result: PolicyTestResult,
    decision: &Decision,
    snapshot: &Snapshot,
    (dialect, body): (Dialect, &[u8]),
) -> PolicyTestResult {
    let policy = snapshot.policies.get(&decision.policy);
    let rule = policy.map(Policy::on_loss).unwrap_or_default();
    let refusal = |name: &Name| {
        let preview = snapshot.upstreams.model(name)?.translation_preview(dialect, body)?;
        preview.refusal(rule)
    };
    let Some(refusal_of_chosen) = refusal(&decision.model) else { return result };
    let strong = decision.escalation.iter().map(|plan| plan.strong());
    match decision.fallback.iter().chain(strong).find(|name| refusal(name).is_none()) {
        Some(next) => PolicyTestResult { model: Some(next.to_string()), ..result },
        None => PolicyTestResult {
            model: None,
            denied: Some(400),
            reason: Some(UNTRANSLATABLE.to_owned()),
            error: Some(refusal_of_chosen.to_string()),
            ..result
        },
    }
}

impl<'t> TestRequest<'t> {
    /// Makes the request of `test`.
    pub(super) fn of(test: &'t PolicyTest, snapshot: &Snapshot) -> Self {
        let asked = RequestPath::read(&test.path);
        let dialect = asked.dialect.unwrap_or(Dialect::ChatCompletions); // others are refused at load
        let body = body(test, dialect, snapshot.config.virtual_models().next().unwrap_or_default());
        Self { asked, dialect, body: Bytes::from(body.to_string()) }
    }
}

/// Returns the test's body, or its prompt as one user turn in the dialect of its path.
fn body(test: &PolicyTest, dialect: Dialect, default_model: &str) -> Value {
    let model = test.model.as_deref().unwrap_or(default_model);
    let prompt = test.prompt.as_deref().unwrap_or_default();
    let mut body = test.body.clone().unwrap_or_else(|| match dialect {
        Dialect::ChatCompletions | Dialect::Messages | Dialect::CountTokens => {
            json!({"messages": [{"role": "user", "content": prompt}]})
        }
        Dialect::Completions => json!({"prompt": prompt}),
        Dialect::Responses | Dialect::CompactResponse | Dialect::InputTokens | Dialect::Embeddings => {
            json!({"input": prompt})
        }
        Dialect::GenerateContent | Dialect::StreamGenerateContent | Dialect::CountContentTokens => {
            json!({"contents": [{"role": "user", "parts": [{"text": prompt}]}]})
        }
    });
    if let Value::Object(keys) = &mut body
        && !dialect.is_google()
    {
        keys.entry("model").or_insert_with(|| model.into());
    }
    body
}

fn expected(expect: &ExpectedOutcome) -> String {
    let parts = [
        expect.denied.map(|status| format!("denied {status}")),
        expect.model.as_ref().map(ToString::to_string),
        expect.policy.as_ref().map(|policy| format!("policy {policy}")),
        expect.rule.map(|rule| format!("rule {rule}")),
        expect.reason.clone().map(|reason| format!("reason {reason}")),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

impl PolicyTestResult {
    fn of(verdict: Verdict) -> Self {
        let text = |policy: Option<Name>| policy.map(|policy| policy.to_string());
        match verdict {
            Verdict::Route(routing) => Self::chosen(&routing.decision),
            Verdict::Pass { shadow: Some(routing), .. } => Self { watched: true, ..Self::chosen(&routing.decision) },
            Verdict::Pass { denied: Some(refusal), .. } => Self { watched: true, ..Self::refused(refusal.denial) },
            Verdict::Pass { policy, .. } => Self { policy: text(policy), ..Self::default() },
            Verdict::Deny(refusal) => Self::refused(refusal.denial),
        }
    }

    fn refused(denial: Denial) -> Self {
        Self {
            rule: denial.by.rule(),
            denied: Some(denial.status),
            reason: Some(denial.code.to_owned()),
            policy: denial.policy.map(|policy| policy.to_string()),
            ..Self::default()
        }
    }

    fn chosen(decision: &Decision) -> Self {
        Self {
            model: Some(decision.model.to_string()),
            policy: Some(decision.policy.to_string()),
            rule: decision.by.rule(),
            reason: Some(decision.reason.as_str().to_owned()),
            ..Self::default()
        }
    }

    /// Returns each part that is not as expected, by its key, with what is said of it.
    fn differs(&self, expect: &ExpectedOutcome) -> Vec<(&'static str, String)> {
        let text = |value: &Option<u16>| value.map(|value| value.to_string());
        let number = |value: &Option<usize>| value.map(|value| value.to_string());
        let name = |value: &Option<Name>| value.as_ref().map(ToString::to_string);
        let parts = [
            ("denied", text(&expect.denied), text(&self.denied)),
            ("model", name(&expect.model), self.model.clone()),
            ("policy", name(&expect.policy), self.policy.clone()),
            ("rule", number(&expect.rule), number(&self.rule)),
            ("reason", expect.reason.clone(), self.reason.clone()),
        ];
        let wrong = parts.into_iter().filter(|(_, wanted, got)| wanted.is_some() && wanted != got);
        let said = |got: Option<String>| got.map_or_else(|| "none".to_owned(), |got| format!("`{got}`"));
        wrong.map(|(key, wanted, got)| (key, format!("expected {}, got {}", said(wanted), said(got)))).collect()
    }
}

impl std::fmt::Display for PolicyTestResult {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let parts = [
            self.error.clone(),
            self.denied.map(|status| format!("denied {status}")),
            self.model.clone(),
            self.policy.as_ref().map(|policy| format!("policy {policy}")),
            self.rule.map(|rule| format!("rule {rule}")),
            self.reason.as_ref().filter(|reason| *reason != "rule").map(|reason| format!("reason {reason}")),
            self.watched.then(|| "and passes: the policy only watches".to_owned()),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        f.write_str(if parts.is_empty() { "passes through" } else { "" })?;
        f.write_str(&parts.join(", "))
    }
}
