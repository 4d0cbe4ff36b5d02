//! The strategy `threshold`.

use super::*;

const THRESHOLD: &str = "version: 1
listen: {address: 127.0.0.1:8080}
providers: {p: {base_url: http://h}}
models:
  small: {provider: p, context: 1000, tokenizer: openai, supports: []}
  standard: {provider: p, supports: [tools]}
  frontier: {provider: p}
classifiers: {default: {bundle: b}}
policies:
  - name: pair
    strategy: {kind: threshold, classifier: default, strong: frontier, weak: small, threshold: 0.42}
  - name: steps
    strategy:
      kind: threshold
      classifier: default
      head: wins
      ladder: [{at_least: 0.75, model: frontier}, {at_least: 0, model: small}, {at_least: 0.5, model: standard}]
      otherwise: standard
";

fn wins(head: &str, probability: f32) -> KnownSignals {
    asked(Ok(Scores::of(vec![HeadScores::new(head, &["weak", "strong"], &[1.0 - probability, probability])])))
}

fn by_threshold(policy: usize, features: &Features, signals: &KnownSignals) -> Decision {
    match set(THRESHOLD).policies[policy].step(&facts("auto"), features, signals) {
        PolicyStep::Decide(decision) => decision,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_score_at_the_threshold_gets_the_strong_model_and_one_below_the_weak() {
    let none = Features::default();
    let chosen = |probability| by_threshold(0, &none, &wins("strong_wins", probability)).model.to_string();

    assert_eq!([0.0, 0.419, 0.421, 1.0].map(chosen), ["small", "small", "frontier", "frontier"]);
}

#[test]
fn a_ladder_gives_each_range_of_scores_its_model_whatever_its_order_in_the_file() {
    let none = Features::default();
    let chosen = |probability| by_threshold(1, &none, &wins("wins", probability)).model.to_string();

    assert_eq!(
        [0.0, 0.49, 0.5, 0.74, 0.75, 1.0].map(chosen),
        ["small", "small", "standard", "standard", "frontier", "frontier"]
    );
}

#[test]
fn a_threshold_s_decision_says_the_score_and_the_nearest_flip() {
    let none = Features::default();

    let up = by_threshold(1, &none, &wins("wins", 0.7));
    let down = by_threshold(1, &none, &wins("wins", 0.55));

    assert_eq!((up.by, up.reason, up.score), (DecisionMaker::Strategy("threshold"), Reason::Threshold, Some(0.7)));
    assert_eq!(up.label.as_deref(), Some("strong"));
    let flip = |decision: Decision| {
        let DecisionFlip { of, label, threshold, model, .. } =
            *decision.flip.expect("another threshold, another model");
        (of, label, threshold, model.expect("a model").to_string())
    };
    assert_eq!(flip(up), ("threshold", None, 0.75, "frontier".to_owned()));
    assert_eq!(flip(down), ("threshold", None, 0.5, "small".to_owned()));
}

#[test]
fn without_good_scores_a_threshold_falls_to_otherwise_or_the_strongest() {
    let none = Features::default();
    let late = || asked(Err(ClassifierFailure::Deadline));
    let outcome = |policy, signals: &KnownSignals| {
        let decision = by_threshold(policy, &none, signals);
        (decision.model.to_string(), decision.reason.as_str())
    };

    assert_eq!(outcome(0, &late()), chosen("frontier", "classifier_deadline"));
    assert_eq!(outcome(1, &late()), chosen("standard", "classifier_deadline"));
    assert_eq!(outcome(1, &wins("other", 0.9)), chosen("standard", "unmapped_label"));
    assert_eq!(outcome(1, &wins("wins", f32::NAN)), chosen("standard", "low_confidence"));
}

#[test]
fn constraints_move_a_threshold_s_choice_up_the_ladder_first() {
    let tools = features(|f| f.tools = 1);

    let decision = by_threshold(1, &tools, &wins("wins", 0.1));

    assert_eq!((decision.model.as_str(), decision.reason.as_str()), ("standard", "tools"));
}

#[test]
fn a_head_that_the_bundle_lacks_is_a_problem_of_the_policy_that_reads_it() {
    let labels: Vec<Arc<str>> = ["weak", "strong"].map(Arc::from).to_vec();
    let classifier = Name::new("default").expect("a name");

    let problems =
        set(THRESHOLD).check_labels(&classifier, [OfferedHead { name: "strong_wins", labels: &labels, levels: None }]);

    let problems: Vec<_> = problems.iter().map(|problem| format!("{}: {}", problem.path, problem.message)).collect();
    assert_eq!(problems, ["policies[1].strategy.head: classifier `default` has no head `wins` (allowed: strong_wins)"]);
}
