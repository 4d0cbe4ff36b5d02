//! Efforts, by the words of each family and dialect.

use super::*;

#[test]
fn an_effort_that_a_model_lacks_becomes_the_nearest_that_it_has() {
    for (model, dialect, asked, expected) in [
        ("o4-mini", Dialect::ChatCompletions, "xhigh", json!("high")),
        ("gpt-5", Dialect::ChatCompletions, "none", json!("minimal")),
        ("gpt-5-pro", Dialect::ChatCompletions, "low", json!("high")),
        ("gpt-5.6", Dialect::ChatCompletions, "max", json!("xhigh")),
        ("gpt-5.6", Dialect::Responses, "max", json!("max")),
        ("gpt-6-astra", Dialect::ChatCompletions, "none", json!("low")),
        ("gpt-4.1", Dialect::ChatCompletions, "low", Value::Null),
        ("gemini-2.5-pro", Dialect::ChatCompletions, "none", json!("low")),
        ("gemini-2.5-flash", Dialect::ChatCompletions, "none", json!("none")),
        ("gemini-3-pro-preview", Dialect::ChatCompletions, "medium", json!("high")),
        ("mistral-medium-latest", Dialect::ChatCompletions, "low", json!("high")),
        ("mistral-large-latest", Dialect::ChatCompletions, "low", Value::Null),
        ("deepseek-v4-pro", Dialect::ChatCompletions, "medium", json!("high")),
        ("openai/gpt-oss-20b", Dialect::ChatCompletions, "xhigh", json!("high")),
        ("unknown", Dialect::ChatCompletions, "xhigh", json!("xhigh")),
        ("o4-mini", Dialect::ChatCompletions, "automatic", json!("automatic")),
    ] {
        let body = match dialect {
            Dialect::Responses => json!({"reasoning": {"effort": asked}}),
            _ => json!({"reasoning_effort": asked}),
        };
        let after = fitted(model, dialect, &body);

        let effort =
            if dialect == Dialect::Responses { &after["reasoning"]["effort"] } else { &after["reasoning_effort"] };
        assert_eq!(*effort, expected, "{model} {asked}");
    }
}

#[test]
fn the_catalog_s_effort_is_spelt_as_each_family_and_dialect_wants_it() {
    use Dialect::{ChatCompletions as Chat, Completions, Responses};
    for (name, effort, dialect, body, expected) in [
        ("o4-mini", "high", Chat, json!({}), json!({"reasoning_effort": "high"})),
        ("o4-mini", "high", Chat, json!({"reasoning_effort": "low"}), json!({"reasoning_effort": "high"})),
        (
            "o4-mini",
            "high",
            Responses,
            json!({"reasoning": {"summary": "auto"}}),
            json!({"reasoning": {"summary": "auto", "effort": "high"}}),
        ),
        ("o4-mini", "high", Responses, json!({}), json!({"reasoning": {"effort": "high"}})),
        ("gpt-5.1", "none", Chat, json!({"temperature": 0}), json!({"temperature": 0, "reasoning_effort": "none"})),
        ("gpt-5.1", "low", Chat, json!({"temperature": 0}), json!({"reasoning_effort": "low"})),
        ("gemini-2.5-flash", "none", Chat, json!({}), json!({"reasoning_effort": "none"})),
        (
            "deepseek-v4-flash",
            "none",
            Chat,
            json!({"reasoning_effort": "low"}),
            json!({"thinking": {"type": "disabled"}}),
        ),
        (
            "deepseek-v4-flash",
            "max",
            Chat,
            json!({"thinking": {"type": "disabled"}}),
            json!({"thinking": {"type": "enabled"}, "reasoning_effort": "max"}),
        ),
        ("qwen3-max", "none", Chat, json!({"reasoning_effort": "low"}), json!({"enable_thinking": false})),
        ("Qwen/Qwen3-8B", "none", Chat, json!({}), json!({"chat_template_kwargs": {"enable_thinking": false}})),
        (
            "Qwen/Qwen3-8B",
            "high",
            Chat,
            json!({"chat_template_kwargs": {"a": 1}}),
            json!({"chat_template_kwargs": {"a": 1, "enable_thinking": true}}),
        ),
        ("my-deployment", "low", Chat, json!({}), json!({"reasoning_effort": "low"})),
        ("claude-opus-4-7", "low", Chat, json!({}), json!({"reasoning_effort": "low"})),
        ("o4-mini", "high", Completions, json!({"prompt": "a"}), json!({"prompt": "a"})),
    ] {
        let rest = format!("effort: {effort}");
        let (after, _) = fitted_within(Entry { name, rest: &rest }, dialect, &body, None);

        assert_eq!(after, expected, "{name} {effort} {body}");
    }
}

#[test]
fn a_client_s_effort_turns_qwen_s_switch_unless_the_client_turned_it() {
    let asked = json!({"reasoning_effort": "none"});
    let own = json!({"reasoning_effort": "none", "chat_template_kwargs": {"enable_thinking": true}});

    let switched = |body: &Value| fitted("Qwen/Qwen3-8B", Dialect::ChatCompletions, body);

    assert_eq!(switched(&asked), json!({"chat_template_kwargs": {"enable_thinking": false}}));
    assert_eq!(switched(&own), json!({"chat_template_kwargs": {"enable_thinking": true}}));
    assert_eq!(switched(&json!({"a": 1})), json!({"a": 1}));
}
