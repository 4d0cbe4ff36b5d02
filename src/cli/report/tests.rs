//! A decision laid out.

use serde_json::{Value, json};

use super::*;

fn said(flip: &Value) -> String {
    flip::in_words(flip).expect("a flip")
}

#[test]
fn a_flip_is_a_sentence_that_names_number_model_and_where_it_stands() {
    let flip = |of: &str| json!({"of": of, "label": "hard", "value": 0.27, "threshold": 0.5, "model": "big"});

    assert_eq!(said(&flip("probability")), "big at a probability of 0.5 of `hard`, now 0.27");
    assert_eq!(said(&flip("min_confidence")), "big at a confidence of 0.5 in `hard`, now 0.27");
    assert_eq!(said(&flip("similarity")), "big at a similarity of 0.5 to `hard`, now 0.27");
    assert_eq!(said(&flip("rule")), "big, were rule hard not true");
    let unasked = json!({"of": "threshold", "value": 0.7123, "threshold": 0.75, "model": null});
    assert_eq!(said(&unasked), "a later stage's choice at a score of 0.75, now 0.7123");
    assert_eq!(flip::in_words(&Value::Null), None);
}

#[test]
fn what_came_of_it_stands_first_and_what_did_not_happen_nowhere() {
    let pin = json!({"outcome": "kept_cache", "model": "big", "age_seconds": 90, "stay_usd": 0.001, "move_usd": 0.002});
    let explanation = json!({
        "model": "big", "policy": "auto", "rule": null, "strategy": "judge", "reason": "judge", "label": "hard",
        "score": null, "flip": null, "cost_usd": 0.000_102, "pin": pin, "set": {"seed": 7}, "fallback": ["small"],
        "applied": true, "client": "team",
    });

    assert_eq!(
        render(&explanation),
        "model     big\npolicy    auto, by strategy judge\nreason    judge\nclient    team\nlabel     hard\n\
         asking    $0.000102\npin       kept cache: big for 90 s, staying $0.001000, moving $0.002000\n\
         set       seed = 7\nfallback  small\n"
    );
}

#[test]
fn a_refusal_and_what_passes_say_so() {
    let refused = json!({"model": null, "policy": "auto", "rule": 0, "reason": "denied_by_policy", "applied": false,
        "denied": {"status": 422, "code": "denied_by_policy", "message": "not on a Sunday"}});
    let passes = json!({"model": null, "policy": null, "reason": "pass", "provider": "openai", "applied": false, "client": null});

    let refused = render(&refused);
    assert!(refused.contains("policy    auto, by rule 0\n") && refused.contains("denied    422: not on a Sunday\n"));
    assert!(refused.contains("applied   no, the policy only watches\n"), "{refused}");
    assert_eq!(render(&passes), "model     -\npolicy    -\nreason    pass\nprovider  openai\n");
}

#[test]
fn candidates_stages_and_rules_are_tables() {
    let explanation = json!({
        "model": "big", "features": {"tokens": 20},
        "candidates": [
            {"model": "small", "fits": false, "lacks": "context", "price": null, "expected": null},
            {"model": "big", "fits": true, "lacks": null, "price": {"input": 2.0, "output": 8.0}, "expected":
                {"success": 0.75, "success_is": "probability of `hard` (head `tier`)", "cost_usd": 0.00324, "output_tokens": 400}},
        ],
        "stages": [{"strategy": "tiers", "model": null, "reason": "low_confidence", "label": "hard", "score": 0.4, "cost_usd": null,
            "flip": {"of": "min_confidence", "label": "hard", "value": 0.4, "threshold": 0.5, "model": "big"}}],
        "rules": [{"index": 0, "when": "1 / 0 > 1", "value": null, "use": "small", "outcome": "failed", "error": "division"}],
    });

    let shown = render(&explanation);

    for line in [
        "     small      no: context          -       -        -",
        "  →  big        yes          $0.003240     2.0      8.0  0.7500 probability of `hard`",
        "  costs are for 20 tokens of prompt and 400 of answer",
        "  tiers  -      low_confidence  hard   0.4000     -  big at a confidence of 0.5 in `hard`, now 0.4",
        "     0  -      1 / 0 > 1  use small  failed: division",
    ] {
        assert!(shown.lines().any(|shown| shown == line), "no `{line}` in\n{shown}");
    }
}

#[test]
fn heads_that_are_read_have_bars_and_the_others_a_word_each() {
    let labels = |count: usize| -> Vec<Value> {
        (0..count).map(|n| json!({"label": format!("l{n}"), "probability": 0.5 / f64::from(1 << n)})).collect()
    };
    let explanation = json!({
        "classifiers": [{"classifier": "default", "source": "lexical_fallback", "degraded": "deadline", "cached": false,
            "tokens": 0, "truncated_tokens": 3, "heads": [
                {"head": "tier", "read": true, "label": "l0", "labels": labels(7), "known": 0.25,
                    "calibration": {"head": "tier_lexical", "temperature": 1.25, "isotonic": true}},
                {"head": "domain", "read": false, "label": "l0", "labels": labels(2), "calibration": null},
            ]}, {"classifier": "second", "source": null, "degraded": "no_text", "heads": []}],
        "similarities": [{"classifier": "default", "degraded": null, "routes": [
            {"route": "chat", "model": "small", "similarity": 0.25, "threshold": 0.4}]}],
        "judges": [{"judge": "small", "label": "hard", "failure": null, "cached": true, "cost_usd": 0.0},
            {"judge": "small", "label": null, "failure": "timeout", "cached": false, "cost_usd": null}],
    });

    let shown = render(&explanation);

    for part in [
        "classifier default: lexical fallback, because of deadline, 3 cut of the newest turn\n",
        "  tier  (by tier_lexical, temperature 1.25, isotonic, knows such prompts 0.25)\n    l0  ████████████············  0.5000\n",
        "    and 2 more\n  others: domain l0 0.50\n",
        "classifier second: no scores (no_text)\n",
        "compared by default\n  route  model  similarity  threshold\n",
        "judge small said `hard`, $0.000000, remembered\n",
        "judge small said nothing (timeout)\n",
    ] {
        assert!(shown.contains(part), "no `{part}` in\n{shown}");
    }
}

#[test]
fn long_lists_are_wrapped() {
    let mut text = String::new();

    wrap(&mut text, "  all: ", (0..30).map(|n| format!("number-{n}")));

    let lines: Vec<_> = text.lines().collect();
    assert!(lines.len() > 2 && lines.iter().all(|line| line.chars().count() <= WIDTH + 2), "{text}");
    assert!(lines[0].starts_with("  all: number-0  number-1") && lines[1].starts_with("       number-"), "{text}");
}
