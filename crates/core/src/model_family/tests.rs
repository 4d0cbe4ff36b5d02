use std::collections::BTreeSet;

use bytes::Bytes;
use serde_json::{Value, json};

use super::*;
use crate::config::Config;

mod claude;
mod efforts;
mod every_family;

/// A model of the catalog: its name at the provider, and the rest of its entry.
#[derive(Clone, Copy)]
struct Entry<'e> {
    name: &'e str,
    rest: &'e str,
}

impl Entry<'_> {
    fn profile(self) -> ModelProfile {
        let file = format!(
            "version: 1\nlisten: {{address: 127.0.0.1:1}}\nproviders: {{p: {{base_url: http://h/v1}}}}\nmodels: {{m: {{provider: p, name: '{}', {}}}}}\n",
            self.name, self.rest
        );
        let config = Config::parse(&file, "p.yaml").unwrap_or_else(|problems| panic!("{problems}"));
        let (name, entry) = config.models.first_key_value().expect("one model");
        ModelProfile::of(name, entry)
    }
}

/// A body after a fit, and the changes as `parameter action`.
fn fitted_within(entry: Entry<'_>, dialect: Dialect, body: &Value, limit: Option<u64>) -> (Value, Vec<String>) {
    let bytes = Bytes::from(body.to_string());
    let request = ParameterFit { dialect, body: &bytes, limit, refused: &[] };
    let FittedParameters { edits, changes } = entry.profile().fit(&request);
    let (after, _) = edits.apply_around(&bytes, 0..0);
    let shown = |change: &ParameterChange| {
        let shown = serde_json::to_value(change).expect("a change is JSON");
        format!("{} {}", change.parameter, shown["action"].as_str().expect("an action"))
    };
    let changes = changes.iter().map(shown).collect();
    (serde_json::from_slice(&after).unwrap_or_else(|error| panic!("{error}: {after:?}")), changes)
}

fn fitted(name: &str, dialect: Dialect, body: &Value) -> Value {
    fitted_within(Entry { name, rest: "" }, dialect, body, None).0
}

#[test]
fn the_page_of_families_is_the_table() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/model-families.md");
    if std::env::var_os("POINTSMAN_BLESS").is_some() {
        std::fs::write(path, families_markdown()).expect("the page is written");
    }

    let page = std::fs::read_to_string(path).expect("the page is there");

    assert!(
        page == families_markdown(),
        "docs/model-families.md is not current: POINTSMAN_BLESS=1 cargo test the_page_of_families"
    );
}

#[test]
fn every_family_has_a_name_of_its_own_and_names_that_lead_to_it() {
    let names: BTreeSet<_> = FAMILIES.iter().map(|family| family.name).collect();
    assert_eq!(names.len(), FAMILIES.len());
    for family in FAMILIES {
        assert!(family.effort.as_ref().is_none_or(|rule| rule.levels.is_sorted()), "{}", family.name);
        for glob in family.models.iter().filter(|glob| !glob.contains('*')) {
            assert_eq!(ModelFamily::of(glob).map(|found| found.name), Some(family.name), "{glob}");
        }
    }
}

#[test]
fn a_model_is_of_the_family_that_its_name_says() {
    for (name, family) in [
        ("o4-mini", Some("openai-o")),
        ("openai/o4-mini-2025-04-16", Some("openai-o")),
        ("o3-mini", Some("openai-o1")),
        ("o1-2024-12-17", Some("openai-o1")),
        ("gpt-4.1-nano", Some("openai-gpt-4")),
        ("ft:gpt-4.1-mini:acme::id", Some("openai-gpt-4")),
        ("gpt-5", Some("openai-gpt-5")),
        ("gpt-5-mini-2025-08-07", Some("openai-gpt-5")),
        ("gpt-5-pro", Some("openai-gpt-5-pro")),
        ("gpt-5.4-pro-2026-03-05", Some("openai-gpt-5-later-pro")),
        ("gpt-5-chat-latest", Some("openai-gpt-5-chat")),
        ("gpt-5.2-chat-latest", Some("openai-gpt-5-chat-thinking")),
        ("gpt-5.1", Some("openai-gpt-5.1")),
        ("gpt-5.1-codex-max", Some("openai-gpt-5")),
        ("gpt-5.4-mini", Some("openai-gpt-5.2")),
        ("gpt-5.6-luna", Some("openai-gpt-5.6")),
        ("gpt-6-sol", Some("openai-gpt-6")),
        ("gpt-6-astra", Some("openai-gpt-6-thinking")),
        ("gpt-6.1-sol", Some("openai-gpt-6-thinking")),
        ("openai/gpt-oss-120b", Some("gpt-oss")),
        ("gpt-oss:20b", Some("gpt-oss")),
        ("claude-opus-4-7", Some("claude-opus-4.7")),
        ("anthropic/claude-opus-4.7", Some("claude-opus-4.7")),
        ("eu.anthropic.claude-sonnet-4-6-v1:0", Some("claude-4.6")),
        ("claude-opus-4-5-20251101", Some("claude-opus-4.5")),
        ("claude-sonnet-4-5@20250929", Some("claude-4")),
        ("claude-haiku-4-5", Some("claude-4")),
        ("claude-3-7-sonnet-latest", Some("claude-4")),
        ("claude-3-5-sonnet-latest", Some("claude-3")),
        ("claude-opus-5", Some("claude-5")),
        ("claude-opus-5-5", Some("claude-thinking")),
        ("claude-sonnet-5-5", Some("claude-sonnet-5.5")),
        ("claude-fable-5-1", Some("claude-thinking")),
        ("models/gemini-2.5-flash", Some("gemini-2.5")),
        ("google/gemini-2.5-pro", Some("gemini-2.5-pro")),
        ("gemini-3.1-pro-preview", Some("gemini-3.7")),
        ("gemini-3-flash-preview", Some("gemini-3")),
        ("deepseek-reasoner", Some("deepseek-reasoner")),
        ("deepseek-chat", Some("deepseek")),
        ("deepseek-v4-pro", Some("deepseek-v4")),
        ("magistral-medium-latest", Some("mistral-reasoning")),
        ("magistral-medium-2509", Some("mistral")),
        ("mistral-large-latest", Some("mistral")),
        ("mistralai/Mistral-7B-Instruct-v0.3", Some("mistral-open")),
        ("qwen3-max", Some("qwen-cloud")),
        ("qwen-plus-latest", Some("qwen-cloud")),
        ("Qwen/Qwen3-8B", Some("qwen")),
        ("Qwen/Qwen3-235B-A22B-Thinking-2507", Some("qwen-fixed")),
        ("meta-llama/Llama-3.3-70B-Instruct", None),
        ("my-deployment", None),
    ] {
        assert_eq!(ModelFamily::of(name).map(|family| family.name), family, "{name}");
    }
}

#[test]
fn a_thinking_model_of_openai_gets_neither_sampling_nor_the_old_length() {
    let body = json!({"model": "auto", "messages": [], "max_tokens": 100, "temperature": 0.2, "top_p": 0.9, "stop": ["x"],
        "presence_penalty": 0.1, "frequency_penalty": 0.1, "logprobs": true, "top_logprobs": 2, "logit_bias": {}, "n": 1,
        "parallel_tool_calls": true, "verbosity": "low", "seed": 7});

    let (after, changes) = fitted_within(Entry { name: "o4-mini", rest: "" }, Dialect::ChatCompletions, &body, None);

    assert_eq!(after, json!({"model": "auto", "messages": [], "max_completion_tokens": 100, "n": 1, "seed": 7}));
    assert!(changes.contains(&"max_tokens renamed".to_owned()) && changes.contains(&"temperature dropped".to_owned()));
    let (after, _) = fitted_within(Entry { name: "gpt-5-mini", rest: "" }, Dialect::ChatCompletions, &body, None);
    assert_eq!(after["verbosity"], "low");
    assert_eq!(after["parallel_tool_calls"], true);
}

#[test]
fn both_names_of_the_length_at_once_become_the_newer_one() {
    let body = json!({"max_tokens": 1, "max_completion_tokens": 2});

    assert_eq!(fitted("o3", Dialect::ChatCompletions, &body), json!({"max_completion_tokens": 2}));
    assert_eq!(fitted("mistral-large-latest", Dialect::ChatCompletions, &body), json!({"max_tokens": 1}));
}

#[test]
fn responses_lose_what_a_thinking_model_refuses_and_keep_the_rest_of_their_objects() {
    let body = json!({"temperature": 1, "top_p": 1, "max_output_tokens": 9, "text": {"verbosity": "low", "format": {"type": "text"}},
        "reasoning": {"effort": "minimal", "summary": "auto"}});

    assert_eq!(
        fitted("o3", Dialect::Responses, &body),
        json!({"max_output_tokens": 9, "text": {"format": {"type": "text"}}, "reasoning": {"effort": "low", "summary": "auto"}})
    );
    let gpt_4 = json!({"temperature": 1, "top_p": 1, "max_output_tokens": 9, "text": {"format": {"type": "text"}}});
    assert_eq!(fitted("gpt-4.1", Dialect::Responses, &body), gpt_4);
    assert_eq!(fitted("gpt-5", Dialect::Responses, &body)["text"]["verbosity"], "low");
}

#[test]
fn sampling_stays_where_a_model_does_not_think() {
    let body = |effort: Option<&str>| {
        let mut body = json!({"temperature": 0.2, "logprobs": true});
        if let Some(effort) = effort {
            body["reasoning_effort"] = effort.into();
        }
        body
    };
    for (model, effort, keeps) in [
        ("gpt-5.4", None, true),
        ("gpt-5.4", Some("none"), true),
        ("gpt-5.4", Some("low"), false),
        ("gpt-5.5", None, false),
        ("gpt-5.5", Some("none"), true),
        ("gpt-5", Some("none"), false),
        ("gpt-4.1", Some("high"), true),
    ] {
        let after = fitted(model, Dialect::ChatCompletions, &body(effort));

        assert_eq!(after.get("temperature").is_some(), keeps, "{model} {effort:?}: {after}");
        assert_eq!(after.get("logprobs").is_some(), keeps, "{model} {effort:?}: {after}");
    }
}

#[test]
fn other_vendors_get_the_names_that_they_know() {
    let body = json!({"max_completion_tokens": 7, "seed": 1, "frequency_penalty": 0, "presence_penalty": 0, "logprobs": true,
        "temperature": 0.1, "user": "u"});
    for (name, expected) in [
        ("gemini-2.5-flash", json!({"max_completion_tokens": 7, "logprobs": true, "temperature": 0.1, "user": "u"})),
        (
            "mistral-small-latest",
            json!({"max_tokens": 7, "random_seed": 1, "frequency_penalty": 0, "presence_penalty": 0, "temperature": 0.1}),
        ),
        ("deepseek-reasoner", json!({"max_tokens": 7, "seed": 1, "user": "u"})),
    ] {
        assert_eq!(fitted(name, Dialect::ChatCompletions, &body), expected, "{name}");
    }
    for name in ["Qwen/Qwen3-8B", "mistralai/Mistral-7B-Instruct-v0.3", "my-deployment", "gpt-4.1"] {
        assert_eq!(fitted(name, Dialect::ChatCompletions, &body), body, "{name}");
    }
}

#[test]
fn the_longest_answer_is_lowered_to_the_limit_and_never_raised() {
    use Dialect::{ChatCompletions as Chat, Completions, Messages, Responses};
    for (name, dialect, body, expected) in [
        ("o4-mini", Chat, json!({"max_tokens": 128_000}), json!({"max_completion_tokens": 50})),
        ("gpt-4.1", Chat, json!({"max_tokens": 128_000}), json!({"max_tokens": 50})),
        ("gpt-4.1", Chat, json!({"max_completion_tokens": 128_000.0}), json!({"max_completion_tokens": 50})),
        ("gpt-4.1", Chat, json!({"max_tokens": 50}), json!({"max_tokens": 50})),
        ("unknown", Completions, json!({"max_tokens": 51}), json!({"max_tokens": 50})),
        ("o4-mini", Responses, json!({"max_output_tokens": 64_000}), json!({"max_output_tokens": 50})),
        ("claude-opus-5", Messages, json!({"max_tokens": 64_000}), json!({"max_tokens": 50})),
        ("gpt-4.1", Chat, json!({"max_tokens": "many"}), json!({"max_tokens": "many"})),
        ("gpt-4.1", Chat, json!({}), json!({})),
    ] {
        let (after, _) = fitted_within(Entry { name, rest: "" }, dialect, &body, Some(50));

        assert_eq!(after, expected, "{name} {body}");
    }
}

#[test]
fn the_operator_s_own_rules_win_and_the_table_can_be_left() {
    let body = json!({"max_tokens": 100, "temperature": 0.2, "reasoning_effort": "xhigh"});
    for (rest, expected) in [
        (
            "adapt: {set: {temperature: 1}}",
            json!({"max_completion_tokens": 9, "temperature": 0.2, "reasoning_effort": "high"}),
        ),
        ("adapt: {drop: [max_tokens]}", json!({"max_tokens": 100, "reasoning_effort": "high"})),
        ("adapt: {rename: {max_tokens: limit}}", json!({"max_tokens": 100, "reasoning_effort": "high"})),
        ("adapt: {family: none}", json!({"max_tokens": 9, "temperature": 0.2, "reasoning_effort": "xhigh"})),
        ("adapt: {family: openai-gpt-4}", json!({"max_tokens": 9, "temperature": 0.2})),
        (
            "effort: low, adapt: {set: {reasoning_effort: medium}}",
            json!({"max_completion_tokens": 9, "reasoning_effort": "xhigh"}),
        ),
    ] {
        let (after, _) = fitted_within(Entry { name: "o4-mini", rest }, Dialect::ChatCompletions, &body, Some(9));

        assert_eq!(after, expected, "{rest}");
    }
    let unknown = ModelProfile::family_of(
        "o3",
        &crate::config::RequestAdaptation { family: Some("openia".to_owned()), ..Default::default() },
    );
    assert!(
        unknown.expect_err("no such family").to_string().starts_with("there is no family `openia` (allowed: none, ")
    );
}

#[test]
fn what_was_refused_before_is_left_out_or_renamed() {
    let body = Bytes::from_static(br#"{"max_tokens":5,"foo":1,"reasoning_effort":"xhigh"}"#);
    let answer = |param: &str, code: &str| {
        let said = json!({"error": {"message": format!("Unsupported: '{param}' is not supported"), "param": param, "code": code}});
        RefusedParameter::all_in(said.to_string().as_bytes(), &body)
    };
    let refused = [
        answer("max_tokens", "unsupported_parameter"),
        answer("foo", "unknown_parameter"),
        answer("reasoning_effort", "unsupported_value"),
    ];
    let request =
        ParameterFit { dialect: Dialect::ChatCompletions, body: &body, limit: Some(3), refused: &refused.concat() };

    let fitted = ModelProfile::default().fit(&request);

    assert_eq!(fitted.edits.apply_around(&body, 0..0).0, &br#"{"max_completion_tokens":3}"#[..]);
    let other = Bytes::from_static(br#"{"reasoning_effort":"high"}"#);
    let request = ParameterFit { body: &other, ..request };
    assert!(ModelProfile::default().fit(&request).changes.is_empty(), "one value was refused, not the parameter");
}

#[test]
fn of_a_list_only_the_refused_element_is_left_out() {
    let body = Bytes::from_static(br#"{"include":["reasoning.encrypted_content","a"]}"#);
    let answer = br#"{"error":{"message":"Encrypted content is not supported with this model.","param":"include"}}"#;
    let refused = RefusedParameter::all_in(answer, &body);
    let fit = |body: &Bytes| {
        let request = ParameterFit { dialect: Dialect::Responses, body, limit: None, refused: &refused };
        ModelProfile::default().fit(&request).edits.apply_around(body, 0..0).0
    };

    assert_eq!(fit(&body), &br#"{"include":["a"]}"#[..]);
    assert_eq!(fit(&Bytes::from_static(br#"{"include":["reasoning.encrypted_content"]}"#)), &b"{}"[..]);
    assert_eq!(fit(&Bytes::from_static(br#"{"include":["a"]}"#)), &br#"{"include":["a"]}"#[..]);
}

#[test]
fn every_byte_that_nothing_is_about_stays_the_client_s() {
    let body = Bytes::from_static(
        b"{ \"model\" : \"auto\",\n \"n\":1.10 , \"max_tok\\u0065ns\": 10,\"temperature\":0.20, \"x\":[ 1e3 ]}",
    );
    let request = ParameterFit { dialect: Dialect::ChatCompletions, body: &body, limit: None, refused: &[] };

    let fitted = Entry { name: "o4-mini", rest: "" }.profile().fit(&request);

    assert_eq!(
        fitted.edits.apply_around(&body, 0..0).0,
        &b"{ \"model\" : \"auto\",\n \"n\":1.10 , \"max_completion_tokens\": 10, \"x\":[ 1e3 ]}"[..]
    );
}

#[test]
fn nothing_is_done_where_no_model_answers() {
    let body = json!({"input": "a", "temperature": 1, "max_tokens": 9, "thinking": {"type": "adaptive"}});

    for dialect in [Dialect::Embeddings, Dialect::CountTokens] {
        let (after, changes) = fitted_within(Entry { name: "claude-haiku-4-5", rest: "" }, dialect, &body, Some(1));
        assert_eq!((after, changes.len()), (body.clone(), 0));
    }
}

#[test]
fn a_change_says_what_and_why_and_no_value_of_the_client_s() {
    let body = Bytes::from_static(br#"{"max_tokens":77777,"temperature":0.123}"#);
    let request = ParameterFit { dialect: Dialect::ChatCompletions, body: &body, limit: Some(5), refused: &[] };

    let changes = Entry { name: "o4-mini", rest: "effort: low" }.profile().fit(&request).changes;

    let shown = serde_json::to_value(&changes).expect("JSON");
    assert_eq!(shown[0], json!({"parameter": "max_tokens", "action": "lowered", "to": 5, "reason": "limit"}));
    assert_eq!(
        shown[1],
        json!({"parameter": "reasoning_effort", "action": "set", "to": "\"low\"", "reason": "effort", "effort": "low"})
    );
    let renamed = json!({"parameter": "max_tokens", "action": "renamed", "to": "max_completion_tokens", "reason": "family",
        "family": "openai-o", "source": "PyPI openai 3.57.0, types"});
    assert_eq!(shown[2], renamed);
    assert!(!shown.to_string().contains("77777") && !shown.to_string().contains("0.123"));
}
