//! RouteLLM: the two models and the routers of its server, and the thresholds that clients name.
//!
//! RouteLLM has no one file: the models stand on the server's command line, the thresholds in the names that clients
//! ask for (`router-mf-0.11593`), the routers' weights in a YAML file. So a script, a compose file, a notebook or that
//! YAML is read, whichever is there.

mod command;

use self::command::ServerCommand;
use crate::draft::{Draft, DraftKey, DraftModel, DraftPolicy, DraftProvider, always, name_of};
use crate::finding::{Finding, FindingKind, FindingLog};
use crate::reader::SourceValue;
use crate::vendors::{VendorAddress, address_entries, clean_address, host_of};
use crate::yaml_text::YamlValue;

/// The models of RouteLLM's server where nobody says others.
const STRONG: &str = "gpt-4-1106-preview";
const WEAK: &str = "anyscale/mistralai/Mixtral-8x7B-Instruct-v0.1";
/// The threshold that half of the prompts of Chatbot Arena reach, by RouteLLM's own README.
const HALF: &str = "0.11593";
/// The routers that RouteLLM has.
const ROUTERS: [&str; 5] = ["mf", "bert", "causal_llm", "sw_ranking", "random"];

/// One of the two models, and the line that says it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct NamedModel {
    name: String,
    line: usize,
}

/// What a file says of a RouteLLM server.
#[derive(Debug, Default)]
struct RouterPair {
    strong: Option<NamedModel>,
    weak: Option<NamedModel>,
    routers: Vec<String>,
    /// Routers and thresholds that clients ask for, as they are written, and the line of the first.
    asked: Vec<(String, String, usize)>,
    base_url: Option<String>,
}

/// Tells whether `text` is a file that starts RouteLLM or names its models, and no YAML of its routers.
pub(crate) fn is_script(text: &str) -> bool {
    command::is_script(text)
}

/// Puts the script, compose file or notebook of `text` into `draft`.
pub(crate) fn import_script(text: &str, draft: &mut Draft, findings: &FindingLog) {
    let ServerCommand { pair, address, unknown } = ServerCommand::read(text, findings);
    draft.listen = address.map(|port| format!("127.0.0.1:{port}"));
    for finding in unknown {
        findings.note(finding);
    }
    write(&pair, draft, findings);
}

/// Puts the YAML of RouteLLM's routers at `root` into `draft`.
pub(crate) fn import(root: &SourceValue<'_>, draft: &mut Draft, findings: &FindingLog) {
    let mut pair = RouterPair::default();
    for (router, settings) in root.entries() {
        if !ROUTERS.contains(&router) {
            continue;
        }
        pair.routers.push(router.to_owned());
        for (key, model) in [("strong_model", &mut pair.strong), ("weak_model", &mut pair.weak)] {
            if let Some(value) = settings.get(key).filter(|_| model.is_none()) {
                *model = value.text().map(|name| NamedModel { name: name.to_owned(), line: value.line() });
            }
        }
        settings.take_all(&["hidden_size"]);
        settings.change(
            "the head `strong_wins` of the bundle takes the place of the router's weights; `pointsman fit --task strong_weak` learns from your own outcomes",
        );
    }
    if pair.routers.is_empty() {
        return;
    }
    write(&pair, draft, findings);
}

fn write(pair: &RouterPair, draft: &mut Draft, findings: &FindingLog) {
    let noted = |line: usize, kind: FindingKind, message: &str| {
        findings.note(Finding { line, last_line: line, path: String::new(), kind, message: message.to_owned() });
    };
    if pair.strong.is_none() || pair.weak.is_none() {
        let message = format!("the file names no two models: RouteLLM's own stand in their place ({STRONG}, {WEAK})");
        noted(1, FindingKind::Changed, &message);
    }
    let or = |model: &Option<NamedModel>, usual: &str| {
        model.clone().unwrap_or(NamedModel { name: usual.to_owned(), line: 1 })
    };
    let strong = or(&pair.strong, STRONG);
    let weak = or(&pair.weak, WEAK);
    for (role, model) in [("strong", &strong), ("weak", &weak)] {
        let (provider, upstream) = provider_of(model, pair.base_url.as_deref(), findings);
        let provider = draft.provider(provider);
        draft.models.push(DraftModel { name: role.to_owned(), provider, upstream, more: Vec::new() });
    }
    for (router, threshold, line) in &pair.asked {
        add_policy(draft, &format!("router-{router}-{threshold}"), router, threshold);
        if router != "random" {
            noted(
                *line,
                FindingKind::Changed,
                &format!(
                    "the threshold {threshold} is of the scores of `{router}`: `pointsman calibrate --policy router-{router}-{threshold}` finds the one for the same share of strong calls here"
                ),
            );
        }
    }
    let routers = pair.routers.iter().filter(|router| !pair.asked.iter().any(|(own, ..)| own == *router));
    for router in routers {
        let threshold = if router == "random" { "0.5" } else { HALF };
        add_policy(draft, &format!("router-{router}-*"), router, threshold);
        noted(
            1,
            FindingKind::Changed,
            &format!(
                "clients name the threshold of `{router}`, and the file names none: {threshold} stands in the policy, whatever a client's `router-{router}-...` says"
            ),
        );
    }
}

/// Adds the policy for what clients ask for as `model`.
fn add_policy(draft: &mut Draft, model: &str, router: &str, threshold: &str) {
    let number: f64 = threshold.parse().unwrap_or(0.5);
    let number = number.clamp(0.0, 1.0);
    let strategy = if router == "random" {
        // RouteLLM draws evenly from 0 to 1, and the strong model answers from the threshold on.
        match 1.0 - number {
            share if share <= 0.0 => always("weak"),
            share if share >= 1.0 => always("strong"),
            share => crate::draft::split(&[("strong".to_owned(), share), ("weak".to_owned(), number)]),
        }
    } else {
        draft.asks_classifier = true;
        YamlValue::map([
            ("kind", YamlValue::text("threshold")),
            ("classifier", YamlValue::text("default")),
            ("strong", YamlValue::text("strong")),
            ("weak", YamlValue::text("weak")),
            ("threshold", YamlValue::number(number)),
        ])
    };
    let policy = DraftPolicy {
        name: draft.free_policy_name(&name_of(model.trim_end_matches("-*"))),
        models: vec![model.to_owned()],
        strategy: Some(strategy),
        fallback: vec!["strong".to_owned(), "weak".to_owned()],
        ..DraftPolicy::default()
    };
    draft.policies.push(policy);
}

/// The provider of a model as LiteLLM, which RouteLLM asks through, understands its name.
fn provider_of(model: &NamedModel, base_url: Option<&str>, findings: &FindingLog) -> (DraftProvider, String) {
    let changed = |message: String| {
        let (line, path) = (model.line, String::new());
        findings.note(Finding { line, last_line: line, path, kind: FindingKind::Changed, message });
    };
    let (prefix, upstream) = model.name.split_once('/').unwrap_or(("openai", &model.name));
    let vendor = VendorAddress::of(prefix);
    let own_address = base_url.filter(|_| prefix == "openai" && model.name.contains('/')).and_then(clean_address);
    let (name, address, usual) = match (own_address, vendor) {
        (Some(address), _) => {
            let name = name_of(host_of(&address).unwrap_or("server"));
            (name, address, None)
        }
        (None, Some(vendor)) => (vendor.name().to_owned(), vendor.base_url.to_owned(), vendor.variable),
        (None, None) => {
            changed(format!(
                "the provider `{prefix}` is not known here: write its address in the place of the `.invalid` host"
            ));
            (name_of(prefix), format!("https://{}.invalid/v1", prefix.to_ascii_lowercase().replace('_', "-")), None)
        }
    };
    if name == "anyscale" {
        changed("Anyscale's endpoints have closed: name another weak model".to_owned());
    }
    let keys = usual.map(|usual| DraftKey { variable: usual.to_owned(), weight: 1.0 }).into_iter().collect();
    let address = address_entries(&address, None);
    let provider = DraftProvider { name, address, keys, ..DraftProvider::default() };
    (provider, upstream.to_owned())
}
