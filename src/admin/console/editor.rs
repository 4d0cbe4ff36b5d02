//! The editor of the configuration file: shown, checked with its tests, and saved as the next generation.
//!
//! Who may edit decides where prompts and keys go, so that `admin.console.edit` has to say it, and a caller needs the role
//! `edit` where callers have roles; without both the text is shown without what looks like a secret, and nothing else. A text is saved only over the one that its author saw
//! (`If-Match`), and only if it would serve. Where it is refused after all, the former text is put back.

use std::path::Path;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, Path as UrlPath, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use pointsman_core::config::Config;
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::access::AuditSubject;
use super::super::caller::RequestCaller;
use super::super::http::read;
use super::super::plane::GatewayProcess;
use super::super::state::{AdminError, AdminPlane};
use super::policies::problem;
use super::reader_text::reader_text;
use super::versions::{FileVersion, VersionedFile, fingerprint};
use super::{AdminState, PageAnswer, not_found, on_thread, process};
use crate::preflight::{Examination, ExaminedClassifier, examine, shorten};
use crate::proxy::rejection::Rejection;
use crate::source::ConfigSource;

/// The largest body: a configuration of 1 MiB, as JSON spells it.
const MAX_BYTES: usize = 4 << 20;

/// The characters of a test's name that are shown.
const NAME_CHARS: usize = 80;

/// An answer whose tag, where it has one, is a field as well.
type TaggedAnswer = Result<(HeaderMap, Json<Value>), AdminError>;

/// The body of a check and of a save.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EditedText {
    text: String,
    /// Saves although tests of the text fail.
    #[serde(default)]
    despite_tests: bool,
}

/// Returns the file's text as it is now, with its tag and its versions.
pub(super) async fn show(State(plane): AdminState, Extension(caller): Extension<RequestCaller>) -> TaggedAnswer {
    let process = process(&plane)?;
    let source = process.reloader.source();
    let is_edited = caller.may_edit(&plane.terms());
    let serving = Arc::clone(&process.reloader.router().snapshot().config);
    if source.as_http().is_some() {
        return Ok(tagged(show_fetched(source, &serving, is_edited)));
    }
    let (path, refusal) = (process.reloader.path().to_owned(), source.edit_refusal());
    let mut shown = on_thread(move || shown(&path, &serving, is_edited)).await??;
    shown["editable"] = json!(is_edited && refusal.is_none());
    shown["refusal"] = json!(refusal);
    Ok(tagged(shown))
}

/// Returns the text of a version.
pub(super) async fn version(
    State(plane): AdminState,
    Extension(caller): Extension<RequestCaller>,
    UrlPath(name): UrlPath<String>,
) -> PageAnswer {
    let process = process(&plane)?;
    let (path, is_edited) = (process.reloader.path().to_owned(), caller.may_edit(&plane.terms()));
    let text = on_thread(move || VersionedFile::at(&path).ok()?.version(&name)).await?;
    let text = text.ok_or_else(|| not_found("There is no such version.".to_owned()))?;
    Ok(Json(json!({ "text": if is_edited { text } else { reader_text(&text) } })))
}

/// Examines a text, and changes nothing.
pub(super) async fn check(State(plane): AdminState, headers: HeaderMap, request: Request) -> PageAnswer {
    let process = process(&plane)?;
    refuse_readers(&plane)?;
    let EditedText { text, .. } = edited(&headers, request).await?;
    let examined = examined(process, text).await?;
    Ok(Json(findings(&examined)))
}

/// Saves a text in place of the one that its author saw, and makes it serve.
pub(super) async fn save(
    State(plane): AdminState,
    Extension(subject): Extension<AuditSubject>,
    headers: HeaderMap,
    request: Request,
) -> TaggedAnswer {
    let process = process(&plane)?;
    refuse_readers(&plane)?;
    if let Some(message) = process.reloader.source().edit_refusal() {
        return Err(AdminError { status: StatusCode::FORBIDDEN, code: "editing_off", param: None, message });
    }
    let tags = SeenTags::of(&headers).ok_or_else(tag_missing)?;
    let EditedText { text, despite_tests } = edited(&headers, request).await?;
    let _turn = process.console.changes.lock().await;
    let examined = examined(process, text.clone()).await?;
    let passed = examined.tests.iter().all(|test| test.failures.is_empty());
    if !examined.problems.is_empty() || !(passed || despite_tests) {
        subject.name("not saved: it would not serve, or its tests fail");
        return Ok(tagged(json!({"saved": false, "findings": findings(&examined)})));
    }
    let (path, next) = (process.reloader.path().to_owned(), text.clone());
    subject.name(format!("fingerprint {}", fingerprint(&text)));
    let before = on_thread(move || replaced(&path, &tags, &next)).await??;
    tracing::warn!(fingerprint = fingerprint(&text), "Configuration saved from the console");
    apply(process, before, &text).await
}

/// Makes the file's new text serve; puts the former one back where it is refused.
async fn apply(process: &GatewayProcess, before: String, text: &str) -> TaggedAnswer {
    let reloaded = Arc::clone(&process.reloader).reload_in_background("console").await;
    let reloaded = reloaded.ok_or(Rejection::Internal)?;
    let Some(error) = reloaded.error else {
        let (generation, outcome) = (reloaded.generation, reloaded.outcome);
        let tag = quoted(&fingerprint(text));
        return Ok(tagged(json!({"saved": true, "generation": generation, "outcome": outcome, "etag": tag})));
    };
    let path = process.reloader.path().to_owned();
    let restored = on_thread(move || VersionedFile::at(&path).and_then(|file| file.put(&before))).await?;
    let said = match restored {
        Ok(()) => "The former text stands in the file again.".to_owned(),
        Err(error) => format!("The former text could not be put back: {error}."),
    };
    Err(AdminError::reload_rejected(format!("{error}\n{said}")))
}

fn shown(path: &Path, serving: &Config, is_edited: bool) -> Result<Value, AdminError> {
    let file = VersionedFile::at(path).map_err(|error| unusable(&error))?;
    let text = file.text().map_err(|error| unusable(&error))?;
    let version = |own: &FileVersion| json!({"name": own.name, "bytes": own.bytes});
    Ok(json!({
        "file": path.file_name().map(|name| name.to_string_lossy()),
        "etag": quoted(&fingerprint(&text)),
        "serves": text == serving.text(),
        "editable": is_edited,
        "versions": file.versions().iter().map(version).collect::<Vec<_>>(),
        "text": if is_edited { text } else { reader_text(&text) },
    }))
}

/// Shows the text of a configuration that is fetched: the one that serves, which is edited where it comes from.
fn show_fetched(source: &ConfigSource, serving: &Config, is_edited: bool) -> Value {
    let text = serving.text();
    json!({
        "file": source.name(),
        "refusal": source.edit_refusal(),
        "etag": quoted(&fingerprint(text)),
        "serves": true,
        "editable": false,
        "versions": [],
        "text": if is_edited { text.to_owned() } else { reader_text(text) },
    })
}

/// Replaces the file's text if it has the tag that its author saw; returns the former text.
fn replaced(path: &Path, tags: &SeenTags, text: &str) -> Result<String, AdminError> {
    let file = VersionedFile::at(path).map_err(|error| unusable(&error))?;
    let before = file.text().map_err(|error| unusable(&error))?;
    if !tags.hold(&quoted(&fingerprint(&before))) {
        let message = "The file has changed since it was read here: read it again.".to_owned();
        return Err(AdminError {
            status: StatusCode::PRECONDITION_FAILED,
            code: "precondition_failed",
            param: None,
            message,
        });
    }
    file.replace(text).map_err(|error| unusable(&error))?;
    Ok(before)
}

async fn edited(headers: &HeaderMap, request: Request) -> Result<EditedText, AdminError> {
    let body = read(headers, request.into_body(), MAX_BYTES).await?;
    serde_json::from_slice(&body.bytes).map_err(|error| AdminError::unreadable(&error))
}

async fn examined(process: &GatewayProcess, text: String) -> Result<Examination, AdminError> {
    let _turn = process.console.examinations.acquire().await.map_err(|_| Rejection::Internal)?;
    let path = process.reloader.path().to_owned();
    on_thread(move || examine(&path, &text)).await
}

fn findings(examined: &Examination) -> Value {
    let tests = examined.tests.iter().map(|test| {
        json!({
            "name": shorten(&test.name, NAME_CHARS),
            "expected": test.expected,
            "got": test.got,
            "line": test.line,
            "failures": test.failures.iter().map(problem).collect::<Vec<_>>(),
        })
    });
    let classifier = |own: &ExaminedClassifier| json!({"name": own.name, "trouble": own.trouble});
    json!({
        "problems": examined.problems.iter().map(problem).collect::<Vec<_>>(),
        "warnings": examined.findings.warnings.iter().map(problem).collect::<Vec<_>>(),
        "notes": examined.findings.notes,
        "classifiers": examined.classifiers.iter().map(classifier).collect::<Vec<_>>(),
        "tests": tests.collect::<Vec<_>>(),
    })
}

/// Refuses where the file does not let the console change it; the role was looked at before.
fn refuse_readers(plane: &Arc<dyn AdminPlane>) -> Result<(), AdminError> {
    if plane.terms().section.console.edit {
        return Ok(());
    }
    let message = "The configuration is not edited here (allowed: with `admin.console.edit: true`).".to_owned();
    Err(AdminError { status: StatusCode::FORBIDDEN, code: "editing_off", param: None, message })
}

/// The tags of `If-Match`: those of the texts that the author has seen. A weak tag, and `*`, name no text.
struct SeenTags(Vec<String>);

impl SeenTags {
    /// Reads the fields; `None` where there is none.
    fn of(headers: &HeaderMap) -> Option<Self> {
        let fields = headers.get_all(header::IF_MATCH).iter().filter_map(|field| field.to_str().ok());
        let tags: Vec<String> = fields.flat_map(|field| field.split(',')).map(|tag| tag.trim().to_owned()).collect();
        (!tags.is_empty()).then_some(Self(tags))
    }

    fn hold(&self, tag: &str) -> bool {
        self.0.iter().any(|own| own == tag)
    }
}

/// Returns an answer whose tag is a field as well.
fn tagged(answer: Value) -> (HeaderMap, Json<Value>) {
    let tag = answer["etag"].as_str().and_then(|tag| HeaderValue::from_str(tag).ok());
    (tag.map(|tag| (header::ETAG, tag)).into_iter().collect(), Json(answer))
}

fn tag_missing() -> AdminError {
    let message = "Say by `If-Match` which text is replaced: the `etag` that it was read with.".to_owned();
    AdminError { status: StatusCode::PRECONDITION_REQUIRED, code: "precondition_required", param: None, message }
}

fn unusable(error: &std::io::Error) -> AdminError {
    let message = format!("The configuration file cannot be used: {error}.");
    AdminError { status: StatusCode::CONFLICT, code: "file_unusable", param: None, message }
}

fn quoted(tag: &str) -> String {
    format!("\"{tag}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_replaced_by_whoever_has_seen_it_among_others() {
        let tags = |fields: &[&'static str]| {
            let fields = fields.iter().copied().map(|field| (header::IF_MATCH, HeaderValue::from_static(field)));
            SeenTags::of(&fields.collect::<HeaderMap>())
        };

        for seen in [&["\"a\""][..], &["\"x\", \"a\""], &["\"x\"", "\"a\""]] {
            assert!(tags(seen).expect("tags").hold("\"a\""), "{seen:?}");
        }
        for other in ["\"b\"", "a", "W/\"a\"", "*", ""] {
            assert!(!tags(&[other]).expect("tags").hold("\"a\""), "{other}");
        }
        assert!(tags(&[]).is_none());
    }
}
