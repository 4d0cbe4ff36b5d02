//! Thinking, budgets and efforts of Anthropic's models.

use super::*;

fn messages(name: &str, rest: &str, body: &Value) -> Value {
    fitted_within(Entry { name, rest }, Dialect::Messages, body, None).0
}

#[test]
fn newer_models_lose_sampling_and_budgets() {
    let body = json!({"max_tokens": 9000, "temperature": 0.2, "top_p": 0.9, "top_k": 4, "stop_sequences": ["x"],
        "thinking": {"type": "enabled", "budget_tokens": 8000}});

    for name in ["claude-opus-4-7", "claude-sonnet-5", "claude-haiku-5-5", "us.anthropic.claude-fable-5"] {
        assert_eq!(
            messages(name, "", &body),
            json!({"max_tokens": 9000, "stop_sequences": ["x"], "thinking": {"type": "adaptive"},
                "output_config": {"effort": "medium"}}),
            "{name}"
        );
    }
    let kept = json!({"max_tokens": 9, "thinking": {"type": "adaptive", "display": "summarized"}, "output_config": {"effort": "xhigh"}});
    assert_eq!(messages("claude-opus-4-7", "", &kept), kept);
}

#[test]
fn older_models_get_a_budget_for_adaptive_thinking_and_lose_the_effort() {
    let body = json!({"max_tokens": 32_000, "thinking": {"type": "adaptive"}, "output_config": {"effort": "high", "format": {"type": "json_schema"}}});

    assert_eq!(
        messages("claude-haiku-4-5", "", &body),
        json!({"max_tokens": 32_000, "thinking": {"type": "enabled", "budget_tokens": 16_384}, "output_config": {"format": {"type": "json_schema"}}})
    );
    let opus = messages("claude-opus-4-5", "", &body);
    assert_eq!(
        (&opus["thinking"]["budget_tokens"], &opus["output_config"]["effort"]),
        (&json!(16_384), &json!("high"))
    );
    assert_eq!(
        messages("claude-3-5-haiku-20241022", "", &body),
        json!({"max_tokens": 32_000, "output_config": {"format": {"type": "json_schema"}}})
    );
}

#[test]
fn a_budget_stays_below_the_longest_answer_that_fits() {
    let body = json!({"max_tokens": 64_000, "thinking": {"type": "enabled", "budget_tokens": 32_000}});
    for (limit, budget) in
        [(None, Some(32_000)), (Some(8192), Some(6144)), (Some(1200), Some(1024)), (Some(1024), None)]
    {
        let (after, _) = fitted_within(Entry { name: "claude-sonnet-4-5", rest: "" }, Dialect::Messages, &body, limit);

        assert_eq!(after["thinking"]["budget_tokens"].as_u64(), budget, "{limit:?}: {after}");
        assert_eq!(after.get("thinking").is_some(), budget.is_some());
    }
    let small = json!({"max_tokens": 4096, "thinking": {"type": "enabled", "budget_tokens": 500}});
    assert_eq!(messages("claude-sonnet-4-5", "", &small)["thinking"]["budget_tokens"], 1024);
}

#[test]
fn thinking_goes_with_few_other_parameters() {
    let body = |temperature: f64, top_p: f64| {
        json!({"max_tokens": 4096, "thinking": {"type": "enabled", "budget_tokens": 2000}, "temperature": temperature,
            "top_p": top_p, "top_k": 3})
    };
    let after = messages("claude-sonnet-4-6", "", &body(0.2, 0.97));
    assert_eq!((after.get("temperature"), after.get("top_k"), &after["top_p"]), (None, None, &json!(0.97)));
    let after = messages("claude-sonnet-4-6", "", &body(1.0, 0.5));
    assert_eq!((&after["temperature"], after.get("top_p")), (&json!(1.0), None));
    let both = json!({"max_tokens": 9, "temperature": 0.5, "top_p": 0.5, "top_k": 3});
    assert_eq!(messages("claude-haiku-4-5", "", &both), json!({"max_tokens": 9, "temperature": 0.5, "top_k": 3}));
}

#[test]
fn thinking_is_turned_off_as_each_model_wants_it() {
    let off = json!({"max_tokens": 9, "thinking": {"type": "disabled"}, "output_config": {"effort": "max"}});
    for (name, expected) in [
        ("claude-opus-4-8", off.clone()),
        (
            "claude-opus-5",
            json!({"max_tokens": 9, "thinking": {"type": "disabled"}, "output_config": {"effort": "high"}}),
        ),
        (
            "claude-sonnet-5-5",
            json!({"max_tokens": 9, "thinking": {"type": "between_tools"}, "output_config": {"effort": "high"}}),
        ),
        ("claude-opus-5-5", json!({"max_tokens": 9, "output_config": {"effort": "max"}})),
        ("claude-sonnet-4-5", json!({"max_tokens": 9, "thinking": {"type": "disabled"}})),
    ] {
        assert_eq!(messages(name, "", &off), expected, "{name}");
    }
}

#[test]
fn the_catalog_s_effort_is_a_mode_an_effort_or_a_budget_by_the_model_s_age() {
    let plain = json!({"max_tokens": 20_000});
    for (name, effort, expected) in [
        (
            "claude-opus-4-7",
            "xhigh",
            json!({"max_tokens": 20_000, "thinking": {"type": "adaptive"}, "output_config": {"effort": "xhigh"}}),
        ),
        ("claude-opus-5", "low", json!({"max_tokens": 20_000, "output_config": {"effort": "low"}})),
        ("claude-opus-5", "none", json!({"max_tokens": 20_000, "thinking": {"type": "disabled"}})),
        (
            "claude-opus-4-5",
            "high",
            json!({"max_tokens": 20_000, "thinking": {"type": "enabled", "budget_tokens": 16_384}, "output_config": {"effort": "high"}}),
        ),
        (
            "claude-sonnet-4-5",
            "low",
            json!({"max_tokens": 20_000, "thinking": {"type": "enabled", "budget_tokens": 2048}}),
        ),
        ("claude-sonnet-4-5", "none", plain.clone()),
        ("claude-3-5-haiku-latest", "low", plain.clone()),
        ("my-claude", "low", json!({"max_tokens": 20_000, "output_config": {"effort": "low"}})),
    ] {
        let rest = format!("effort: {effort}");
        assert_eq!(messages(name, &rest, &plain), expected, "{name} {effort}");
    }
    let asked =
        json!({"max_tokens": 20_000, "temperature": 0.3, "thinking": {"type": "enabled", "budget_tokens": 19_000}});
    assert_eq!(
        messages("claude-sonnet-4-5", "effort: low", &asked),
        json!({"max_tokens": 20_000, "thinking": {"type": "enabled", "budget_tokens": 2048}})
    );
    assert_eq!(
        messages("claude-sonnet-4-5", "effort: none", &asked),
        json!({"max_tokens": 20_000, "temperature": 0.3, "thinking": {"type": "disabled"}})
    );
}

#[test]
fn a_budget_is_not_turned_on_where_the_api_would_refuse_it() {
    let forced = json!({"max_tokens": 20_000, "tool_choice": {"type": "any"}});
    let in_loop = |own: Value| {
        json!({"max_tokens": 20_000, "messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": own},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "b"}]}]})
    };
    let call = json!({"type": "tool_use", "id": "t", "name": "f", "input": {}});
    let thought = json!({"type": "thinking", "thinking": "", "signature": "s"});

    let thinks = |body: &Value| messages("claude-sonnet-4-5", "effort: high", body).get("thinking").is_some();

    assert!(!thinks(&forced));
    assert!(!thinks(&in_loop(json!([call]))));
    assert!(thinks(&in_loop(json!([thought, call]))));
    assert!(thinks(&json!({"max_tokens": 20_000, "messages": [{"role": "user", "content": "a"}]})));
}

#[test]
fn a_budget_of_the_client_s_is_left_out_where_a_call_of_another_vendor_s_model_is_answered() {
    let in_loop = |mode: Value, own: Value| {
        json!({"max_tokens": 20_000, "thinking": mode, "messages": [{"role": "user", "content": "a"},
            {"role": "assistant", "content": own},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "b"}]}]})
    };
    let call = |id: &str| json!({"type": "tool_use", "id": id, "name": "f", "input": {}});
    let thought = json!({"type": "thinking", "thinking": "", "signature": "s"});
    let budget = json!({"type": "enabled", "budget_tokens": 2048});

    let thinks = |mode: &Value, own: Value| {
        let after = messages("claude-sonnet-4-5", "", &in_loop(mode.clone(), own));
        after.get("thinking").is_some()
    };

    assert!(!thinks(&budget, json!([call("call_1")])));
    assert!(!thinks(&budget, json!([{"type": "text", "text": "x"}, call("pmid_YQ")])));
    assert!(thinks(&budget, json!([thought, call("call_1")])));
    assert!(thinks(&budget, json!([call("toolu_1")])), "the client's own request is the client's");
    assert!(!thinks(&json!({"type": "adaptive"}), json!([call("toolu_1")])), "which becomes a budget here");
}
