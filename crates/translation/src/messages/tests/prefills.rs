//! Beginnings of answers that the client has written.

use serde_json::json;

use super::{request, turn, write_for};
use crate::neutral::{Effort, NeutralRequest, Part, PartBody, Reasoning, ReasoningMode, TurnRole};
use crate::translation::TranslationTarget;

/// Makes a request whose answer goes on with `parts`.
fn begun(parts: Vec<Part<'static>>) -> NeutralRequest<'static> {
    let mut request = request();
    request.turns.push(turn(TurnRole::Assistant, parts));
    request
}

fn written(request: &NeutralRequest<'_>, model: &str) -> (serde_json::Value, String) {
    let (body, losses) = write_for(request, &TranslationTarget { model, max_output: None });
    (body, losses.to_string())
}

#[test]
fn a_beginning_of_several_texts_ends_without_white_space_too() {
    let (body, losses) = written(&begun(vec![Part::text("a  "), Part::text("b \n")]), "claude-sonnet-4-5");

    assert_eq!(body["messages"][1]["content"], json!([{"type": "text", "text": "a  "}, {"type": "text", "text": "b"}]));
    assert_eq!(losses, "changed=prefill");
    let refusal = Part::new(PartBody::Refusal("No. ".into()));
    let (body, losses) = written(&begun(vec![Part::text("a"), refusal]), "claude-sonnet-4-5");
    assert_eq!(body["messages"][1]["content"][1]["text"], "No.");
    assert_eq!(losses, "changed=refusals,prefill");
}

#[test]
fn a_beginning_goes_on_without_thinking() {
    let mut request = begun(vec![Part::text("The answer is")]);
    request.reasoning = Some(Reasoning { mode: ReasoningMode::Effort(Effort::High), form: None });

    let (body, losses) = written(&request, "claude-sonnet-4-5");

    assert_eq!(body["thinking"], json!({"type": "disabled"}));
    assert_eq!(losses, "changed=reasoning");
    request.turns.pop();
    assert_eq!(written(&request, "claude-sonnet-4-5").0["thinking"], json!({"type": "adaptive"}));
}

#[test]
fn a_model_that_takes_no_beginning_is_not_asked() {
    let request = begun(vec![Part::text("The answer is")]);

    assert_eq!(written(&request, "claude-opus-4-6").1, "refused=prefill");
    assert_eq!(written(&request, "claude-sonnet-4-5").1, "");
}
