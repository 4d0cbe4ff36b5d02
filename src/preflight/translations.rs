//! The policies whose models speak different APIs, and what their tests' bodies would lose on the way to each.

use std::borrow::Cow;
use std::collections::BTreeMap;

use pointsman_core::config::{ConfigProblem, KeyPath, Name, PolicyTest};
use pointsman_core::policy::{Policy, PolicyWorld, RequestFacts};
use pointsman_translation::{DialectFamily, LossReport};

use super::policy_tests::{self, TestRequest};
use super::shorten;
use crate::snapshot::Snapshot;
use crate::upstream::{Deployment, TranslationPreview};

/// The characters of a test's name that are shown.
const NAME_CHARS: usize = 32;

/// The tests that are named for each loss.
const SHOWN_TESTS: usize = 3;

/// The findings on translations.
#[derive(Default)]
pub(super) struct TranslationFindings {
    /// Problems, unless they are meant.
    pub(super) warnings: Vec<ConfigProblem>,
    /// Things that are as they should be, and worth knowing.
    pub(super) notes: Vec<String>,
}

/// A policy, its models and the requests of its tests.
struct TestedPolicy<'s> {
    policy: &'s Policy,
    models: Vec<&'s Deployment>,
    tests: Vec<PolicyTestRequest<'s>>,
}

/// A test's request.
struct PolicyTestRequest<'s> {
    /// The test's position in the file.
    index: usize,
    test: &'s PolicyTest,
    request: TestRequest<'s>,
}

/// The headers of a test.
struct TestHeaders<'t>(&'t BTreeMap<String, String>);

impl PolicyWorld for TestHeaders<'_> {
    fn header(&self, name: &str) -> Option<Cow<'_, str>> {
        let own = self.0.iter().find(|(own, _)| own.eq_ignore_ascii_case(name));
        own.map(|(_, value)| Cow::Borrowed(value.as_str()))
    }
}

/// Looks at every policy's models and at the bodies of its tests.
pub(super) fn examine(snapshot: &Snapshot) -> TranslationFindings {
    let mut findings = TranslationFindings::default();
    for (index, tested) in tested_policies(snapshot).iter().enumerate() {
        let refused = tested.tests.iter().filter_map(|test| {
            let path = KeyPath::root().key("tests").index(test.index);
            snapshot.config.problem(&path, tested.refusal_by_all(&test.request)?)
        });
        findings.warnings.extend(refused);
        if tested.have_api_in_common() {
            continue;
        }
        let (name, spoken, losses) = (tested.policy.name(), tested.spoken(), tested.losses());
        let apart = format!("the models of `{name}` speak no API in common ({spoken}): some get requests translated");
        if losses.is_empty() && !tested.tests.is_empty() {
            findings.notes.push(format!("{apart}; the bodies of its tests lose nothing on the way"));
            continue;
        }
        let lost = if losses.is_empty() {
            "no test's body shows what is lost on the way".to_owned()
        } else {
            format!("the bodies of its tests would lose with {losses}")
        };
        let path = KeyPath::root().key("policies").index(index).key("strategy");
        findings.warnings.extend(snapshot.config.problem(&path, format!("{apart}; {lost}")));
    }
    findings
}

/// Returns every policy, in the file's order, with the tests whose requests it is for.
fn tested_policies(snapshot: &Snapshot) -> Vec<TestedPolicy<'_>> {
    let model = |name: &Name| snapshot.upstreams.model(name).map(|deployment| &**deployment);
    let policies = snapshot.policies.iter();
    let mut tested: Vec<_> = policies
        .map(|policy| TestedPolicy { policy, models: policy.models().filter_map(model).collect(), tests: Vec::new() })
        .collect();
    for (index, test) in snapshot.config.tests.iter().enumerate() {
        let request = TestRequest::of(test, snapshot);
        let policy = policy_of(test, &request, snapshot);
        let of = tested.iter_mut().find(|tested| Some(tested.policy.name()) == policy);
        if let Some(of) = of {
            of.tests.push(PolicyTestRequest { index, test, request });
        }
    }
    tested
}

/// Returns the policy that a test's request is for. A body that cannot be read is the test's to report.
fn policy_of<'s>(test: &PolicyTest, request: &TestRequest<'_>, snapshot: &'s Snapshot) -> Option<&'s Name> {
    let prompt = snapshot.read(request.dialect, &request.body).ok()?;
    let headers = TestHeaders(&test.headers);
    let bare = RequestFacts::bare(&prompt.model, &request.asked.path);
    let facts = RequestFacts { client: test.client.as_deref(), now: test.now.0, live: &headers, ..bare };
    snapshot.policies.select(&facts).ok().flatten().map(Policy::name)
}

impl TestedPolicy<'_> {
    /// Tells whether one API is spoken by the providers of all models.
    fn have_api_in_common(&self) -> bool {
        let has_all = |family: &DialectFamily| self.models.iter().all(|model| model.dialects.has(*family));
        DialectFamily::ALL.iter().any(has_all)
    }

    /// Says which model's provider speaks what: `` `small` chat, responses; `big` messages ``.
    fn spoken(&self) -> String {
        let spoken = |model: &&Deployment| {
            let families = DialectFamily::ALL.iter().filter(|family| model.dialects.has(**family));
            let names: Vec<_> = families.map(|family| family.as_str()).collect();
            format!("`{}` {}", model.model, names.join(", "))
        };
        self.models.iter().map(spoken).collect::<Vec<_>>().join("; ")
    }

    /// Says what the tests' bodies would lose, by model and API: what is dropped or refused, each with its tests.
    fn losses(&self) -> String {
        let mut found: Vec<(String, Vec<String>)> = Vec::new();
        for test in &self.tests {
            for model in &self.models {
                let preview = model.translation_preview(test.request.dialect, &test.request.body);
                let Some(said) = preview.and_then(|preview| lost(&preview)) else { continue };
                let (said, name) =
                    (format!("`{}` {said}", model.model), shorten(&policy_tests::name(test.test), NAME_CHARS));
                match found.iter_mut().find(|(known, _)| *known == said) {
                    Some((_, tests)) => tests.push(name),
                    None => found.push((said, vec![name])),
                }
            }
        }
        found.into_iter().map(|(said, tests)| format!("{said} ({})", listed(&tests))).collect::<Vec<_>>().join("; ")
    }

    /// Says why no model gets a request: every one would have to get it translated, and none can.
    fn refusal_by_all(&self, request: &TestRequest<'_>) -> Option<String> {
        let refusal = |model: &&Deployment| {
            let preview = model.translation_preview(request.dialect, &request.body)?;
            let refusal = preview.refusal(self.policy.on_loss())?;
            let said = preview.losses.as_ref().map_or_else(|_| refusal.to_string(), left_out);
            Some(format!("`{}` {}: {said}", model.model, preview.pair()))
        };
        let refusals: Option<Vec<_>> = self.models.iter().map(refusal).collect();
        let refusals = refusals.filter(|refusals| !refusals.is_empty())?.join("; ");
        Some(format!("no model of `{}` can be told all that must be told ({refusals})", self.policy.name()))
    }
}

/// Says what a translation leaves out; `None` where that is nothing.
fn lost(preview: &TranslationPreview) -> Option<String> {
    let said = match &preview.losses {
        Ok(report) => {
            report.left_out().next()?;
            left_out(report)
        }
        Err(refusal) => refusal.to_string(),
    };
    Some(format!("{} {said}", preview.pair()))
}

/// Says what a translation leaves out, as headers do, without what it only changes.
fn left_out(report: &LossReport) -> String {
    let said = report.to_string();
    said.split("; ").filter(|part| !part.starts_with("changed=")).collect::<Vec<_>>().join(" ")
}

fn listed(tests: &[String]) -> String {
    let shown = tests.iter().take(SHOWN_TESTS).map(|name| format!("`{name}`"));
    let more = tests.len().saturating_sub(SHOWN_TESTS);
    let more = (more > 0).then(|| format!("{more} more"));
    shown.chain(more).collect::<Vec<_>>().join(", ")
}
