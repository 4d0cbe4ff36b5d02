//! The tables of `docs/translation.md`: what becomes of each field of each API in each other one.
//!
//! Every row is a body with one field more than the plain one (`tables/*.json`: the field, what it adds, and what both
//! bodies hold beside it), translated by the code that serves. A field that is said to be carried must be seen in the
//! translated body, so nothing can be lost without a word.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs};

use pointsman_translation::{DialectFamily, Loss, LossKind, TranslatedRequest, Translation, TranslationTarget};
use serde_json::{Map, Value};

/// The line of the page below which everything is rendered.
const MARK: &str = "<!-- Rendered by crates/translation/tests/tables.rs: POINTSMAN_BLESS=1 cargo test -p pointsman-translation --test tables -->\n";

/// The fields that change nothing in the upstream's request and are not lost: what they ask for is the rule there.
const RULE_THERE: [&str; 3] = ["`thinking: adaptive`", "`includeThoughts`", "`safetySettings`: off"];

/// The outcome of a field, in the order of the tables' rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    Carried,
    Changed,
    Dropped,
    Refused,
}

const OUTCOMES: [Outcome; 4] = [Outcome::Carried, Outcome::Changed, Outcome::Dropped, Outcome::Refused];

impl Outcome {
    fn name(self) -> &'static str {
        match self {
            Self::Carried => "carried",
            Self::Changed => "changed",
            Self::Dropped => "dropped",
            Self::Refused => "refused",
        }
    }

    fn of(kind: LossKind) -> Self {
        match kind {
            LossKind::Changed => Self::Changed,
            LossKind::Dropped => Self::Dropped,
            LossKind::Refused => Self::Refused,
        }
    }
}

/// The plain body of an API and its fields.
struct Client {
    family: DialectFamily,
    base: Map<String, Value>,
    fields: Vec<ProbedField>,
}

struct ProbedField {
    name: String,
    /// What the field adds to `without`.
    with: Value,
    without: Value,
}

fn clients() -> Vec<Client> {
    let read = |family: DialectFamily| {
        let path = format!("{}/tests/tables/{}.json", env!("CARGO_MANIFEST_DIR"), family.as_str());
        let text = fs::read_to_string(path).expect("the bodies");
        let document: Value = serde_json::from_str(&text).expect("JSON");
        let field = |field: &Value| ProbedField {
            name: field[0].as_str().expect("a name").to_owned(),
            with: field[1].clone(),
            without: field.get(2).cloned().unwrap_or_default(),
        };
        Client {
            family,
            base: document["base"].as_object().expect("an object").clone(),
            fields: document["fields"].as_array().expect("a list").iter().map(field).collect(),
        }
    };
    DialectFamily::ALL.map(read).into()
}

/// Sets the keys of `changes`; those that are null are removed.
fn changed(base: &Map<String, Value>, changes: &Value) -> Map<String, Value> {
    let mut body = base.clone();
    for (key, value) in changes.as_object().into_iter().flatten() {
        if value.is_null() {
            body.remove(key);
        } else {
            body.insert(key.clone(), value.clone());
        }
    }
    body
}

fn translated(pair: Translation, body: &Map<String, Value>) -> TranslatedRequest {
    let body = serde_json::to_vec(body).expect("serialisable");
    let translated = pair.request_with_losses(&body, &TranslationTarget { model: "model", max_output: None });
    translated.unwrap_or_else(|refusal| panic!("{}: {refusal}: {}", pair.name(), String::from_utf8_lossy(&body)))
}

/// Returns what becomes of a field, and the words for the table; `Err` where it is lost without a word.
fn outcome(pair: Translation, client: &Client, field: &ProbedField) -> Result<(Outcome, String), String> {
    let without = changed(&client.base, &field.without);
    let (plain, probed) = (translated(pair, &without), translated(pair, &changed(&without, &field.with)));
    let known = plain.losses.losses();
    let new: Vec<&Loss> = probed.losses.losses().iter().filter(|loss| !known.contains(loss)).collect();
    let outcome = new.iter().map(|loss| Outcome::of(loss.kind)).max().unwrap_or(Outcome::Carried);
    let body = |translated: &TranslatedRequest| -> Value { serde_json::from_slice(&translated.body).expect("JSON") };
    let leaves_no_trace = body(&plain) == body(&probed) && plain.stream == probed.stream;
    if outcome == Outcome::Carried && leaves_no_trace {
        let is_rule = RULE_THERE.contains(&&*field.name);
        let lost = || format!("{}: {} is lost without a word", pair.name(), field.name);
        return is_rule.then(|| (outcome, format!("{} (the rule there)", field.name))).ok_or_else(lost);
    }
    Ok((outcome, said(field, &new, outcome)))
}

/// Says a field, and in brackets what its translation says beside the outcome.
fn said(field: &ProbedField, losses: &[&Loss], outcome: Outcome) -> String {
    let mut details: Vec<String> = Vec::new();
    for loss in losses {
        let kind = Outcome::of(loss.kind);
        let prefix = if kind == outcome { String::new() } else { format!("{} ", kind.name()) };
        let is_news = !field.name.contains(loss.field.as_str());
        let detail = match &loss.detail {
            Some(detail) => detail.replace('|', "\\|"),
            None if is_news || kind != outcome => format!("`{}`", loss.field.as_str()),
            None => continue,
        };
        if kind == outcome && field.name.contains(&detail) {
            continue;
        }
        let detail = format!("{prefix}{detail}");
        if !details.contains(&detail) {
            details.push(detail);
        }
    }
    if details.is_empty() { field.name.clone() } else { format!("{} ({})", field.name, details.join("; ")) }
}

fn rendered() -> String {
    let mut text = String::new();
    let mut silent = Vec::new();
    for client in clients() {
        let _ = writeln!(text, "\n## From {}", client.family.as_str());
        for upstream in client.family.nearest() {
            let pair = Translation { client: client.family, upstream };
            let mut rows: BTreeMap<Outcome, Vec<String>> = BTreeMap::new();
            for field in &client.fields {
                match outcome(pair, &client, field) {
                    Ok((outcome, said)) => rows.entry(outcome).or_default().push(said),
                    Err(problem) => silent.push(problem),
                }
            }
            let _ = writeln!(text, "\n### {} to {}\n\n| | |\n|---|---|", client.family.as_str(), upstream.as_str());
            for outcome in OUTCOMES {
                let fields = rows.get(&outcome).map_or_else(|| "nothing".to_owned(), |fields| fields.join(", "));
                let _ = writeln!(text, "| {} | {fields} |", outcome.name());
            }
        }
    }
    assert!(silent.is_empty(), "{}", silent.join("\n"));
    text
}

#[test]
fn the_page_s_tables_say_what_the_code_does() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/translation.md");
    let page = fs::read_to_string(&path).expect("the page");
    let (prose, written) = page.split_once(MARK).expect("the mark");
    let rendered = rendered();
    if env::var_os("POINTSMAN_BLESS").is_some() {
        fs::write(&path, format!("{prose}{MARK}{rendered}")).expect("a writable page");
        return;
    }

    assert!(written == rendered, "docs/translation.md is not current: see its mark");
}
