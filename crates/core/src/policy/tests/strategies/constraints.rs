//! What holds after a strategy: constraints, what clients may name, and a rollout.

use super::*;
use crate::features::TokenCounter;
use crate::prompt::{Dialect, Prompt};

#[test]
fn a_provider_that_is_down_is_avoided_while_another_serves_and_tried_when_none_does() {
    let set = policy("{kind: random, models: [small, standard]}");
    let down = World { down: Some("small"), ..World::default() };
    let only = policy("{kind: random, models: [small]}");

    assert_eq!(model_and_reason(&decide_in(&set, &down, &KnownSignals::default())), ("standard", "unhealthy"));
    assert_eq!(model_and_reason(&decide_in(&only, &down, &KnownSignals::default())), ("small", "random"));
}

#[test]
fn what_chance_chose_chance_chooses_again_among_the_models_that_can_serve() {
    let set = policy("{kind: random, models: [small, standard, frontier]}");
    let down = |draw| World { down: Some("small"), draw, ..World::default() };
    let chosen = |draw| decide_in(&set, &down(draw), &KnownSignals::default()).model.to_string();

    let drawn: Vec<_> = (0..300).map(|step| chosen(f64::from(step) / 300.0)).collect();

    // The hundred that fell on `small` fall on both others alike; the rest stays where it fell.
    assert_eq!(drawn.iter().filter(|model| *model == "standard").count(), 150);
    assert_eq!(drawn.iter().filter(|model| *model == "frontier").count(), 150);
    assert!(drawn[100..200].iter().all(|model| model == "standard"), "{drawn:?}");
}

#[test]
fn a_split_without_one_of_its_models_keeps_the_shares_of_the_rest_and_a_conversation_its_side() {
    let set = policy("{kind: split, models: {small: 4, standard: 3, frontier: 1}}");
    let chosen = |conversation, down| {
        let world = World { conversation, down, ..World::default() };
        decide_in(&set, &world, &KnownSignals::default()).model.to_string()
    };

    let moved: Vec<_> = (0..4000).filter(|one| chosen(*one, None) == "small").collect();
    let strong = moved.iter().filter(|one| chosen(**one, Some("small")) == "frontier").count();

    let share = strong as f64 / moved.len() as f64;
    assert!((0.22..0.28).contains(&share), "{share}");
    assert!(moved.iter().all(|one| chosen(*one, Some("small")) == chosen(*one, Some("small"))));
    let stays = |one: &u64| chosen(*one, None) == chosen(*one, Some("small"));
    assert!((0..400).filter(|one| !moved.contains(one)).all(|one| stays(&one)));
}

#[test]
fn a_model_that_the_client_may_not_use_is_left_for_one_that_it_may_or_refused() {
    let set = policy("{kind: random, models: [small, standard]}");
    let forbidden = World { forbidden: Some("small"), ..World::default() };
    let only = policy("{kind: random, models: [small]}");

    assert_eq!(model_and_reason(&decide_in(&set, &forbidden, &KnownSignals::default())), ("standard", "not_allowed"));
    match step_in(&only, &forbidden, &KnownSignals::default()) {
        PolicyStep::Deny(denial) => {
            assert_eq!((denial.status, denial.code, denial.by), (403, "model_not_allowed", DecisionMaker::Constraints));
            assert!(denial.message.contains("`small` is not open to this API key"), "{}", denial.message);
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_prompt_that_fits_no_window_is_refused_in_openai_s_words() {
    let set = policy("{kind: random, models: [small]}");
    let long = features(|features| features.request.max_output_tokens = 2000);

    match set.policies[0].step(&facts("auto"), &long, &KnownSignals::default()) {
        PolicyStep::Deny(denial) => assert_eq!((denial.status, denial.code), (400, "context_length_exceeded")),
        other => panic!("{other:?}"),
    }
}

/// Features of a chat whose only turn says `text`.
fn saying(text: &str) -> Features {
    let body = serde_json::json!({"model": "auto", "messages": [{"role": "user", "content": text}]}).to_string();
    let prompt = Prompt::parse(Dialect::ChatCompletions, body.as_bytes()).expect("a request");
    Features::of(&prompt, &TokenCounter::new())
}

#[test]
fn a_window_is_measured_in_the_model_s_own_tokens() {
    let file = |tokenizer: &str| {
        MODELS.replacen("tokenizer: openai", tokenizer, 1) + "{kind: random, models: [small, frontier]}\n"
    };
    let moved = |tokenizer: &str, features: &Features| match step_of(&set(&file(tokenizer)), features) {
        PolicyStep::Decide(decision) => decision.model.to_string(),
        other => panic!("{other:?}"),
    };
    // 240 tokens of o200k, and 720 where each digit is one.
    let digits = saying(&"123456789".repeat(80));
    let chinese = saying(&"请用三句话解释为什么天空是蓝色的。".repeat(50));

    for (tokenizer, of_digits, of_chinese) in [
        ("tokenizer: openai", "small", "small"),
        ("name: gpt-5-mini", "small", "small"),
        ("tokenizer: mistral", "small", "small"),
        ("name: mistral-7b-instruct", "small", "frontier"),
    ] {
        assert_eq!(moved(tokenizer, &digits), of_digits, "{tokenizer}");
        assert_eq!(moved(tokenizer, &chinese), of_chinese, "{tokenizer}");
    }
    let longer = saying(&"123456789".repeat(120));
    assert_eq!(moved("tokenizer: openai", &longer), "small");
    assert_eq!(moved("tokenizer: mistral", &longer), "frontier");
    assert_eq!(moved("name: devstral-small", &longer), "frontier");
}

#[test]
fn what_only_a_bound_keeps_out_of_every_window_goes_to_the_largest() {
    let text = MODELS.replace(
        "standard: {provider: p, tokenizer: openai,",
        "standard: {provider: p, context: 1200, tokenizer: mistral,",
    );
    let text = text.replace(
        "small: {provider: p, context: 1000, tokenizer: openai,",
        "small: {provider: p, context: 1000, tokenizer: mistral,",
    );
    let set = set(&format!("{text}{{kind: random, models: [small, standard]}}\n"));

    match step_of(&set, &saying(&"123456789".repeat(150))) {
        PolicyStep::Decide(decision) => assert_eq!(model_and_reason(&decision), ("standard", "context")),
        other => panic!("{other:?}"),
    }
    match step_of(&set, &saying(&"123456789".repeat(500))) {
        PolicyStep::Deny(denial) => assert_eq!((denial.status, denial.code), (400, "context_length_exceeded")),
        other => panic!("{other:?}"),
    }
}

fn step_of(set: &PolicySet, features: &Features) -> PolicyStep {
    set.policies[0].step(&facts("auto"), features, &KnownSignals::default())
}

#[test]
fn regions_the_longest_answer_and_a_margin_are_constraints() {
    let text = MODELS.replace(
        "small: {provider: p, context: 1000, tokenizer: openai,",
        "small: {provider: p, context: 1000, tokenizer: openai, max_output: 100, region: eu,",
    );
    let moved = |extra: &str, features: &Features| {
        let set = set(&format!("{text}{{kind: random, models: [small, frontier]}}\n    {extra}\n"));
        match set.policies[0].step(&facts("auto"), features, &KnownSignals::default()) {
            PolicyStep::Decide(decision) => (decision.model.to_string(), decision.reason.as_str()),
            other => panic!("{other:?}"),
        }
    };
    let asking = |tokens| features(|features| features.request.max_output_tokens = tokens);

    assert_eq!(moved("regions: [eu]", &asking(100)), chosen("small", "random"));
    assert_eq!(moved("max_tokens: fit", &asking(101)), chosen("small", "random"));
    assert_eq!(moved("max_tokens: require", &asking(101)), chosen("frontier", "max_output"));
    assert_eq!(moved("context_margin: 901", &asking(100)), chosen("frontier", "context"));
}

#[test]
fn a_longer_answer_than_a_model_gives_is_lowered_to_what_it_gives_or_its_window_leaves() {
    let limited = |context: u64, max_output: &str, use_of: &str, asked: u64| {
        let model = format!("small: {{provider: p, context: {context}, tokenizer: openai, {max_output}");
        let text = MODELS.replace("small: {provider: p, context: 1000, tokenizer: openai,", &model);
        let set = set(&format!("{text}{{kind: random, models: [small]}}\n    max_tokens: {use_of}\n"));
        let prompt = serde_json::json!({"model": "auto", "max_tokens": asked,
            "messages": [{"role": "user", "content": "one two three four ".repeat(500)}]});
        let body = prompt.to_string();
        let prompt = Prompt::parse(Dialect::ChatCompletions, body.as_bytes()).expect("a request");
        match step_of(&set, &Features::of(&prompt, &TokenCounter::new())) {
            PolicyStep::Decide(decision) => Ok(decision.answer_limit(&decision.model)),
            PolicyStep::Deny(denial) => Err(denial.code),
            other => panic!("{other:?}"),
        }
    };
    let output = "max_output: 4096,";
    // The prompt has 2,000 tokens and some for its template.
    assert_eq!(limited(100_000, output, "fit", 128_000), Ok(Some(4096)));
    assert_eq!(limited(100_000, output, "fit", 4096), Ok(None));
    assert_eq!(limited(100_000, output, "fit", 100), Ok(None));
    assert_eq!(limited(100_000, "", "fit", 50_000), Ok(None));
    let left = limited(100_000, "", "fit", 128_000).expect("it fits").expect("it is lowered");
    assert!((97_900..98_000).contains(&left), "{left}");
    let left = limited(3100, output, "fit", 4096).expect("it fits").expect("it is lowered");
    assert!((1024..1100).contains(&left), "{left}");
    assert_eq!(limited(3000, output, "fit", 4096), Err("context_length_exceeded"), "what is left makes no sense");
    assert_eq!(limited(3000, output, "fit", 900), Ok(None), "a small answer is asked for");
    assert_eq!(limited(3100, output, "require", 4000), Err("context_length_exceeded"));
    assert_eq!(limited(100_000, output, "require", 128_000), Err("no_model_fits"));
}

#[test]
fn clients_may_name_only_the_models_that_the_policy_lets_them() {
    let set = policy("{kind: random, models: [small]}\n    overrides: {models: ['front*']}");
    let naming = |model| World { header: Some((MODEL_HEADER, model)), ..World::default() };

    let decision = decide_in(&set, &naming("frontier"), &KnownSignals::default());
    assert_eq!((model_and_reason(&decision), decision.by), (("frontier", "override"), DecisionMaker::Override));
    for other in ["standard", "front", "frontier "] {
        match step_in(&set, &naming(other), &KnownSignals::default()) {
            PolicyStep::Deny(denial) => assert_eq!((denial.status, denial.code), (403, "override_not_allowed")),
            decided => panic!("{other}: {decided:?}"),
        }
    }
}

#[test]
fn what_only_clients_may_choose_stands_in_for_nothing() {
    let set = policy("{kind: random, models: [small]}\n    overrides: {models: ['*']}");
    let forbidden = World { forbidden: Some("small"), ..World::default() };
    let named = World { header: Some((MODEL_HEADER, "frontier")), ..World::default() };

    assert!(matches!(step_in(&set, &forbidden, &KnownSignals::default()), PolicyStep::Deny(_)));
    let shown = |decision: Decision| decision.candidates.iter().map(|one| one.model.to_string()).collect::<Vec<_>>();
    assert_eq!(shown(decide_in(&set, &World::default(), &KnownSignals::default())), ["small"]);
    assert_eq!(shown(decide_in(&set, &named, &KnownSignals::default())), ["small", "frontier"]);
}

#[test]
fn a_rollout_takes_its_share_of_the_conversations() {
    let set = policy("{kind: random, models: [small]}\n    rollout: 0.25");
    let taken = (0..10_000).filter(|conversation| {
        let world = World { conversation: *conversation, ..World::default() };
        set.policies[0].is_rolled_out_to(&RequestFacts { live: &world, ..facts("auto") })
    });

    let taken = taken.count();
    assert!((2350..2650).contains(&taken), "{taken}");
}

/// A world in which only the provider of `models` keeps what the request names, which `maker` made.
fn keeping(models: &'static [&'static str], maker: Option<&'static str>) -> World {
    World { kept: Some((models, maker)), ..World::default() }
}

#[test]
fn what_a_provider_keeps_is_stronger_than_strategies_rules_and_clients() {
    let naming = |model| World { header: Some((MODEL_HEADER, model)), ..keeping(&["standard"], None) };
    for (policy_text, world) in [
        ("{kind: random, models: [small, standard, frontier]}", keeping(&["standard"], None)),
        ("{kind: split, models: {small: 1}}\n    fallback: [standard]", keeping(&["standard"], None)),
        (
            "{kind: random, models: [small, standard]}\n    rules: [{when: 'true', use: frontier}]",
            keeping(&["standard"], None),
        ),
        ("{kind: random, models: [small, standard]}\n    overrides: {models: ['*']}", naming("frontier")),
    ] {
        let decision = decide_in(&policy(policy_text), &world, &KnownSignals::default());

        assert_eq!(model_and_reason(&decision), ("standard", "state"), "{policy_text}");
    }
}

#[test]
fn of_the_models_that_keep_it_the_strategy_s_own_choice_stays() {
    let decision = decide_in(
        &policy("{kind: random, models: [small]}"),
        &keeping(&["small", "frontier"], None),
        &KnownSignals::default(),
    );

    assert_eq!(model_and_reason(&decision), ("small", "random"));
}

#[test]
fn a_model_outside_the_policy_serves_what_it_made_and_nothing_falls_back_elsewhere() {
    let set = policy("{kind: random, models: [small]}\n    fallback: [frontier]");

    let decision = decide_in(&set, &keeping(&["standard"], Some("standard")), &KnownSignals::default());

    assert_eq!(model_and_reason(&decision), ("standard", "state"));
    assert_eq!(decision.fallback, []);
    let kept = decide_in(&set, &keeping(&["small"], Some("small")), &KnownSignals::default());
    assert_eq!(model_and_reason(&kept), ("small", "random"));
    assert_eq!(kept.fallback, []);
}

#[test]
fn where_no_model_is_with_the_keeper_the_request_is_refused_in_words() {
    let set = policy("{kind: random, models: [small]}");

    match step_in(&set, &keeping(&[], None), &KnownSignals::default()) {
        PolicyStep::Deny(denial) => {
            assert_eq!((denial.status, denial.code), (400, "no_model_fits"));
            assert!(denial.message.contains("keeps what the request names"), "{}", denial.message);
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_keeper_that_is_down_is_tried_all_the_same() {
    let world = World { down: Some("standard"), ..keeping(&["standard"], None) };

    let decision = decide_in(&policy("{kind: random, models: [small, standard]}"), &world, &KnownSignals::default());

    assert_eq!(model_and_reason(&decision), ("standard", "state"));
}

#[test]
fn a_policy_that_strips_is_not_held_to_what_another_provider_sealed() {
    let set = policy("{kind: random, models: [small]}\n    state: strip");

    let decision = decide_in(&set, &keeping(&["standard"], None), &KnownSignals::default());

    assert_eq!(model_and_reason(&decision), ("small", "random"));
}
