//! Tiers by the expected level, where a head has thresholds on it.

use super::strategies::{decided, head, heads};
use super::*;
use crate::scores::LevelThresholds;

const TIERS: &str = "{kind: tiers, classifier: default, tiers: {simple: small, medium: standard, complex: frontier},
  otherwise: standard}";

fn thresholds() -> Arc<LevelThresholds> {
    Arc::new(LevelThresholds {
        prior: vec![0.5, 0.25, 0.25],
        cheap: vec![0.5, 0.75],
        even: vec![0.25, 0.5],
        strong: vec![0.125, 0.25],
    })
}

fn scores_with_levels(probabilities: [f32; 3]) -> KnownSignals {
    let own = head("tier", &["simple", "medium", "complex"], &probabilities);
    heads(vec![HeadScores { levels: Some(thresholds()), ..own }])
}

fn leaning(strategy: &str, lean: &str) -> String {
    strategy.replacen("kind: tiers,", &format!("kind: tiers, lean: {lean},"), 1)
}

#[test]
fn the_lean_says_from_which_level_on_a_dearer_model_is_chosen() {
    let torn = scores_with_levels([0.5, 0.25, 0.25]);
    let choice = |strategy: &str| {
        let decision = decided(strategy, &torn);
        (decision.model.to_string(), decision.label.as_deref().map(str::to_owned), decision.score)
    };

    assert_eq!(choice(&leaning(TIERS, "cheap")), ("small".into(), Some("simple".into()), Some(0.5)));
    assert_eq!(choice(&leaning(TIERS, "even")), ("standard".into(), Some("medium".into()), Some(0.5)));
    assert_eq!(choice(TIERS), choice(&leaning(TIERS, "even")));
    assert_eq!(choice(&leaning(TIERS, "strong")), ("frontier".into(), Some("complex".into()), Some(0.5)));
}

#[test]
fn without_thresholds_the_most_probable_label_is_chosen_whatever_the_lean() {
    let torn = heads(vec![head("tier", &["simple", "medium", "complex"], &[0.5, 0.25, 0.25])]);

    for lean in ["cheap", "even", "strong"] {
        assert_eq!(decided(&leaning(TIERS, lean), &torn).model.as_str(), "small", "{lean}");
    }
}

#[test]
fn labels_that_share_a_model_stay_one_tier_below_its_confidence() {
    let merged = TIERS.replace("medium: standard", "medium: frontier");
    let torn = scores_with_levels([0.5, 0.25, 0.25]);

    let sure = decided(&merged, &torn);
    let unsure = decided(&merged.replacen("kind: tiers,", "kind: tiers, min_confidence: 0.6,", 1), &torn);

    assert_eq!((sure.model.as_str(), sure.label.as_deref(), sure.score), ("frontier", Some("medium"), Some(0.5)));
    assert_eq!((unsure.model.as_str(), unsure.reason), ("standard", Reason::LowConfidence));
}

#[test]
fn a_tier_by_level_hangs_on_the_nearest_threshold() {
    let decision = decided(TIERS, &scores_with_levels([0.5, 0.375, 0.125]));

    let flip = decision.flip.as_deref().expect("a flip");
    assert_eq!((flip.of, flip.label.as_deref()), ("level", Some("simple")));
    assert!((flip.value - 0.3125).abs() < 1e-6 && (flip.threshold - 0.25).abs() < 1e-6, "{flip:?}");
    assert_eq!(flip.model.as_deref(), Some("small"));
}

#[test]
fn a_lean_needs_a_head_with_levels() {
    let text = FILE.replace("min_confidence: 0.5", "lean: strong");
    let (set, name) = (set(&text), Name::new("default").expect("a name"));
    let labels = ["simple", "medium", "complex"].map(Arc::from);
    let levels = thresholds();
    let problems = |levels| {
        let head = OfferedHead { name: "tier", labels: &labels, levels };
        let problems = set.check_labels(&name, [head]);
        problems.iter().map(|problem| format!("{}: {}", problem.path, problem.message)).collect::<Vec<_>>()
    };

    let lacks = "policies[0].strategy.lean: head `tier` of the bundle has no `levels` to lean by (allowed: even)";
    assert!(problems(None).contains(&lacks.to_owned()), "{:?}", problems(None));
    assert!(!problems(Some(&levels)).iter().any(|problem| problem.contains("lean")));
}
