//! Limits, sampling, thinking and the form of the answer in Google's words.

use serde_json::{Value, json};

use super::builders::{asking, function, raw};
use super::{BUDGET, NEW, written, written_with_losses};
use crate::family::DialectFamily;
use crate::loss::{Field, LossKind};
use crate::neutral::{CacheMark, Effort, OutputFormat, Reasoning, ReasoningMode, ThoughtForm, Verbosity};

#[test]
fn limits_and_sampling_go_as_they_are() {
    let mut request = asking();
    request.max_tokens = Some(500);
    request.sampling.temperature = Some(1.7);
    request.sampling.top_p = Some(0.5);
    request.sampling.top_k = Some(40.0);
    request.sampling.seed = Some(7);
    request.sampling.presence_penalty = Some(0.25);
    request.sampling.frequency_penalty = Some(-1.0);
    request.sampling.choices = Some(2);
    request.sampling.logprobs = Some(true);
    request.sampling.top_logprobs = Some(3);
    request.sampling.stop = ["a", "", "\n", "b", "c", "d", "e"].map(Into::into).to_vec();
    let (body, losses) = written(&request, NEW);
    assert_eq!(
        body["generationConfig"],
        json!({"maxOutputTokens": 500, "temperature": 1.7, "topP": 0.5, "topK": 40, "presencePenalty": 0.25,
            "frequencyPenalty": -1, "seed": 7, "candidateCount": 2, "responseLogprobs": true, "logprobs": 3,
            "stopSequences": ["a", "\n", "b", "c", "d"]})
    );
    assert_eq!(losses, "dropped=stop");
}

#[test]
fn a_limit_of_nothing_is_refused() {
    let mut request = asking();
    request.max_tokens = Some(0);
    assert_eq!(written(&request, NEW).1, "refused=max_tokens");
}

#[test]
fn what_google_has_no_word_for_is_named() {
    let mut request = asking();
    request.parallel_calls = Some(false);
    request.tools.push(function("f", "{}", None));
    request.verbosity = Some(Verbosity::Low);
    request.user = Some("u".into());
    request.store = Some(true);
    request.sampling.logit_bias = Some(raw("{}"));
    request.sampling.seed = Some(1 << 40);
    request.cache.key = Some("k".into());
    request.metadata = Some(raw(r#"{"Team":"x"}"#));
    request.turns[0].name = Some("N".into());
    request.turns[0].parts[0].cache = Some(CacheMark { ttl: None });
    request.service_tier = Some("scale".into());
    let (_, losses) = written(&request, NEW);
    assert_eq!(
        losses,
        "dropped=parallel_tool_calls,names,seed,logit_bias,verbosity,cache_rules,service_tier,metadata,user,store; \
         changed=cache_marks"
    );
}

#[test]
fn the_usual_tier_is_not_a_dearer_one() {
    let tier = |tier: &'static str| {
        let mut request = asking();
        request.service_tier = Some(tier.into());
        let (body, losses) = written(&request, NEW);
        (body.get("serviceTier").and_then(Value::as_str).map(ToOwned::to_owned), losses)
    };
    assert_eq!(tier("auto"), (None, String::new()));
    assert_eq!(tier("standard_only"), (Some("standard".to_owned()), String::new()));
    assert_eq!(tier("flex"), (Some("flex".to_owned()), String::new()));
    assert_eq!(tier("fast"), (Some("priority".to_owned()), "changed=service_tier".to_owned()));
}

#[test]
fn labels_go_on_where_they_are_such_as_google_takes() {
    let mut request = asking();
    request.metadata = Some(raw(r#"{"team":"x-1"}"#));
    let (body, losses) = written(&request, NEW);
    assert_eq!((&body["labels"], &*losses), (&json!({"team": "x-1"}), ""));
}

#[test]
fn thinking_that_is_off_stays_off_and_other_amounts_come_nearest_by_the_models_generation() {
    let config = |mode, model: &str| {
        let mut request = asking();
        request.reasoning = Some(Reasoning { mode, form: None });
        let (body, losses) = written(&request, model);
        (body["generationConfig"]["thinkingConfig"].clone(), losses)
    };
    let said = |config: Value, losses: &str| (config, losses.to_owned());
    let effort = ReasoningMode::Effort;
    let adaptive = |effort| ReasoningMode::Adaptive { effort };
    let budget = |tokens| ReasoningMode::Budget { tokens, effort: None };
    for model in [NEW, BUDGET] {
        assert_eq!(config(ReasoningMode::Off, model), said(json!({"thinkingBudget": 0}), ""));
    }
    assert_eq!(config(effort(Effort::High), NEW), said(json!({"thinkingLevel": "HIGH"}), ""));
    assert_eq!(config(effort(Effort::Max), NEW), said(json!({"thinkingLevel": "XHIGH"}), "changed=reasoning"));
    assert_eq!(config(budget(5000), NEW), said(json!({"thinkingLevel": "MEDIUM"}), "changed=reasoning"));
    assert_eq!(config(adaptive(None), NEW), said(Value::Null, ""));
    let mut of_messages = asking();
    of_messages.family = Some(DialectFamily::Messages);
    of_messages.reasoning = Some(Reasoning { mode: adaptive(None), form: None });
    assert_eq!(written(&of_messages, NEW).1, "changed=reasoning");
    assert_eq!(written(&of_messages, BUDGET).1, "", "which has a word for it");
    assert_eq!(config(adaptive(Some(Effort::XHigh)), NEW), said(json!({"thinkingLevel": "XHIGH"}), ""));
    assert_eq!(config(budget(5000), BUDGET), said(json!({"thinkingBudget": 5000}), ""));
    assert_eq!(config(budget(30_000), BUDGET), said(json!({"thinkingBudget": 24_576}), "changed=reasoning"));
    assert_eq!(config(effort(Effort::Low), BUDGET), said(json!({"thinkingBudget": 2048}), "changed=reasoning"));
    assert_eq!(config(adaptive(None), BUDGET), said(json!({"thinkingBudget": -1}), ""));
    assert_eq!(config(effort(Effort::Low), "models/gemini-2.0-flash"), said(Value::Null, "dropped=reasoning"));
    assert_eq!(config(ReasoningMode::Off, "gemini-2.0-flash"), said(Value::Null, ""));
}

#[test]
fn a_limit_that_a_budget_would_fill_is_raised_by_it() {
    let mut request = asking();
    request.max_tokens = Some(500);
    request.reasoning = Some(Reasoning { mode: ReasoningMode::Effort(Effort::Low), form: Some(ThoughtForm::Summary) });
    let (body, losses) = written_with_losses(&request, BUDGET);
    assert_eq!(
        body["generationConfig"],
        json!({"maxOutputTokens": 2548, "thinkingConfig": {"thinkingBudget": 2048, "includeThoughts": true}})
    );
    let raised = losses.losses().iter().find(|loss| loss.field == Field::MaxTokens).expect("said");
    assert_eq!(raised.kind, LossKind::Changed);
    assert!(raised.detail.as_deref().is_some_and(|detail| detail.starts_with("2548")));
}

#[test]
fn the_form_of_the_answer_is_kept() {
    let mut request = asking();
    let schema = raw(r#"{"type":"object","properties":{}}"#);
    request.output =
        Some(OutputFormat::Schema { name: Some("n".into()), description: None, schema, strict: Some(true) });
    let (body, losses) = written(&request, NEW);
    assert_eq!(
        body["generationConfig"],
        json!({"responseMimeType": "application/json", "responseJsonSchema": {"type": "object", "properties": {}}})
    );
    assert_eq!(losses, "");
    request.output = Some(OutputFormat::JsonObject);
    assert_eq!(written(&request, NEW).0["generationConfig"], json!({"responseMimeType": "application/json"}));
    request.tools.push(function("f", "{}", None));
    assert_eq!(written(&request, NEW).1, "");
    assert_eq!(written(&request, BUDGET).1, "dropped=response_format");
}
