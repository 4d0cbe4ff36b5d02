//! What holds for every family, dialect and effort: bodies stay JSON, what was fitted once fits, and no rule is broken.

use super::*;

/// A source of numbers that are the same in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).expect("31 bits") % end
    }

    fn one_of<'v>(&mut self, values: &'v [Value]) -> &'v Value {
        &values[self.below(values.len())]
    }
}

fn values_of(key: &str) -> Vec<Value> {
    match key {
        "max_tokens" | "max_completion_tokens" | "max_output_tokens" => {
            vec![json!(1), json!(900), json!(1024), json!(4096), json!(128_000), json!("x"), Value::Null]
        }
        "temperature" => vec![json!(0), json!(1), json!(1.0), json!(0.7), Value::Null],
        "top_p" => vec![json!(0.1), json!(0.97), json!(1)],
        "reasoning_effort" => vec![json!("none"), json!("low"), json!("max"), json!("odd"), json!(3)],
        "verbosity" => vec![json!("low"), json!("medium")],
        "reasoning" => {
            vec![json!({}), json!({"effort": "xhigh"}), json!({"effort": "none", "summary": "auto"}), Value::Null]
        }
        "text" => {
            vec![json!({"verbosity": "high"}), json!({"verbosity": "medium", "format": {"type": "text"}}), json!({})]
        }
        "thinking" => vec![
            json!({"type": "enabled", "budget_tokens": 2000}),
            json!({"type": "enabled", "budget_tokens": 40_000, "display": "omitted"}),
            json!({"type": "adaptive"}),
            json!({"type": "disabled"}),
            json!({"type": "between_tools"}),
            json!({}),
        ],
        "output_config" => vec![json!({"effort": "max"}), json!({"effort": "low", "format": {}}), json!({})],
        "chat_template_kwargs" => vec![json!({"enable_thinking": true}), json!({"a": 1})],
        "tool_choice" => vec![json!({"type": "any"}), json!({"type": "auto"}), json!("auto")],
        _ => vec![json!(1), json!(true), json!(["x"])],
    }
}

const KEYS: [&str; 26] = [
    "max_tokens",
    "max_completion_tokens",
    "max_output_tokens",
    "temperature",
    "top_p",
    "top_k",
    "presence_penalty",
    "frequency_penalty",
    "logprobs",
    "top_logprobs",
    "logit_bias",
    "stop",
    "seed",
    "user",
    "store",
    "n",
    "parallel_tool_calls",
    "reasoning_effort",
    "verbosity",
    "reasoning",
    "text",
    "thinking",
    "output_config",
    "chat_template_kwargs",
    "enable_thinking",
    "tool_choice",
];

fn some_body(numbers: &mut Numbers) -> Bytes {
    let mut body = json!({"model": "auto", "messages": []});
    for key in KEYS {
        if numbers.below(3) == 0 {
            let values = values_of(key);
            body[key] = numbers.one_of(&values).clone();
        }
    }
    Bytes::from(body.to_string())
}

#[test]
fn what_was_fitted_once_fits_and_breaks_no_rule() {
    let mut numbers = Numbers(7);
    let efforts: Vec<Option<Effort>> = Effort::ALL.into_iter().map(Some).chain([None]).collect();
    for family in FAMILIES {
        for dialect in Dialect::ALL.into_iter().filter(|dialect| dialect.generates()) {
            for round in 0..160 {
                let mut profile = ModelProfile::default();
                profile.family = Some(*family);
                profile.effort = efforts[round % efforts.len()]
                    .filter(|effort| family.efforts().is_empty() || family.efforts().contains(effort));
                let body = some_body(&mut numbers);
                let limit = [None, Some(500), Some(1200), Some(30_000)][numbers.below(4)];
                let fit = |body: &Bytes| {
                    let fitted = profile.fit(&ParameterFit { dialect, body, limit, refused: &[] });
                    (fitted.edits.apply_around(body, 0..0).0, fitted.changes)
                };

                let (once, changes) = fit(&body);
                let (twice, more) = fit(&once);

                let what = format!("{} {dialect:?} {:?} {limit:?}: {body:?} -> {once:?}", family.name, profile.effort);
                let after: Value = serde_json::from_slice(&once).unwrap_or_else(|error| panic!("{error} {what}"));
                assert_eq!((&once, more), (&twice, Vec::new()), "{what} by {changes:?}");
                for rule in family.rules().filter(|rule| rule.is_for(dialect) && rule.drops(false)) {
                    let pointer = format!("/{}", rule.key.replace('.', "/"));
                    assert!(after.pointer(&pointer).is_none(), "{what} has `{}`", rule.key);
                }
                if let (Some(limit), Some(length)) = (limit, after["max_tokens"].as_u64()) {
                    assert!(length <= limit, "{what}");
                    let budget = after["thinking"]["budget_tokens"].as_u64().filter(|_| dialect == Dialect::Messages);
                    let has_budgets = family.name.starts_with("claude-4") || family.name == "claude-opus-4.5";
                    assert!(!has_budgets || budget.is_none_or(|budget| budget < length), "{what}");
                }
            }
        }
    }
}
