//! Behaviours of the API, on literal bodies.

mod answers;
mod builders;
mod config_written;
mod requests_read;
mod requests_written;
mod round_trips;
mod streams;
mod tools_written;

use serde_json::Value;

use super::Gemini;
use crate::family::DialectFamily;
use crate::loss::LossReport;
use crate::neutral::NeutralRequest;
use crate::translation::{Api, RequestMemo, RequestWriting, TranslationTarget};
use crate::{AnswerDetails, Translation};

/// A model of the newest generation.
const NEW: &str = "gemini-3-pro-preview";
/// A model that thinks by budgets.
const BUDGET: &str = "gemini-2.5-flash";

fn parsed(body: &[u8]) -> Value {
    serde_json::from_slice(body).unwrap_or_else(|problem| panic!("{problem}: {}", String::from_utf8_lossy(body)))
}

/// Writes a request for `model`: the body, and the losses as a header has them.
fn written(request: &NeutralRequest<'_>, model: &str) -> (Value, String) {
    let (body, losses) = written_with_losses(request, model);
    (body, losses.to_string())
}

fn written_with_losses(request: &NeutralRequest<'_>, model: &str) -> (Value, LossReport) {
    let (mut body, mut losses) = (Vec::new(), LossReport::default());
    let mut writing = RequestWriting { body: &mut body, losses: &mut losses };
    let span = Gemini.write_request(request, &TranslationTarget { model, max_output: None }, &mut writing);
    assert_eq!(span, 0..0);
    (parsed(&body), losses)
}

/// Reads a request and gives it, with its losses as a header has them, to `check`.
fn read(body: &str, check: impl FnOnce(&NeutralRequest<'_>, &str)) {
    let mut losses = LossReport::default();
    let body = Gemini.canonical_request(body.as_bytes());
    let request = Gemini.read_request(&body, &mut losses).expect("a request");
    check(&request, &losses.to_string());
}

/// Reads a request and writes it again for `model`.
fn rewritten(body: &str, model: &str) -> (Value, String) {
    let mut result = None;
    read(body, |request, read_losses| {
        let (body, written_losses) = written(request, model);
        result = Some((body, format!("{read_losses}{written_losses}")));
    });
    result.expect("read")
}

/// The translation of this API into itself.
const OWN: Translation = Translation { client: DialectFamily::Gemini, upstream: DialectFamily::Gemini };

fn with_details<R>(memo: &RequestMemo, run: impl FnOnce(&AnswerDetails<'_>) -> R) -> R {
    run(&AnswerDetails { now: 1_764_000_000, unique: "u1", memo })
}
