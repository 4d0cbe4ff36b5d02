//! What a bandit learns, tells other replicas and forgets.

use serde_json::json;

use super::*;

fn section(memory: u32) -> BanditConfig {
    serde_json::from_value(json!({"models": ["small", "frontier"], "memory": memory})).expect("a section")
}

fn bandit(memory: u32) -> PolicyBandit {
    PolicyBandit::new(&Name::new("auto").expect("a name"), &section(memory), "id".to_owned(), &Metrics::new())
}

/// Rewards answers of the strong model, whose ids begin with `ids`.
fn teach(bandit: &PolicyBandit, ids: &str, qualities: &[f64]) {
    for (number, quality) in qualities.iter().enumerate() {
        let request_id = &*format!("{ids}{number}");
        bandit.inner().answers.remember(request_id, DecidedAnswer::new("".into(), 1, None));
        let word = RewardingWord { request_id, rater: AnswerRater::Operator, quality: *quality };
        assert!(bandit.reward(word, true));
    }
}

fn weight(bandit: &PolicyBandit) -> f64 {
    bandit.belief.load().counts("", 1).weight()
}

/// Tells the news, where the store has `stored` and takes them; returns what it has then.
fn share(bandit: &PolicyBandit, stored: Option<BanditBelief>) -> BanditBelief {
    let round = bandit.begin_round();
    let together = bandit.together(stored, &round);
    bandit.end_round(round, Some(together.clone()));
    together
}

#[test]
fn replicas_add_their_news_to_what_all_know() {
    let (one, other) = (bandit(1_000_000), bandit(1_000_000));
    teach(&one, "a", &[1.0; 3]);
    teach(&other, "b", &[0.0; 2]);

    let stored = share(&one, None);
    let stored = share(&other, Some(stored));
    let _ = share(&one, Some(stored));

    for counts in [&one, &other].map(|bandit| bandit.belief.load().counts("", 1)) {
        assert!((counts.good - 3.0).abs() < 1e-3 && (counts.bad - 2.0).abs() < 1e-3, "{counts:?}");
    }
}

#[test]
fn what_the_store_did_not_take_is_told_the_next_time() {
    let bandit = bandit(1_000_000);
    teach(&bandit, "a", &[1.0; 3]);

    let round = bandit.begin_round();
    teach(&bandit, "b", &[1.0; 2]);
    bandit.end_round(round, None);
    let stored = share(&bandit, Some(BanditBelief::new(2)));

    assert!((stored.counts("", 1).good - 5.0).abs() < 1e-3, "{stored:?}");
}

#[test]
fn a_model_that_is_doubted_is_doubted_by_all() {
    let bandit = bandit(1_000_000);
    teach(&bandit, "a", &[1.0; 200]);
    let stored = share(&bandit, None);

    teach(&bandit, "b", &[0.0; 60]);
    let own = weight(&bandit);
    let stored = share(&bandit, Some(stored));

    assert!(own < 200.0, "half of what was known is forgotten: {own}");
    assert!(stored.counts("", 1).weight() < 200.0, "{stored:?}");
    assert!(weight(&bandit) < 200.0, "the store does not bring it back");
}

#[test]
fn a_reset_outlives_a_store_that_was_away_and_news_on_their_way() {
    let bandit = bandit(1_000_000);
    teach(&bandit, "a", &[1.0; 5]);
    let stored = share(&bandit, None);
    teach(&bandit, "b", &[1.0; 5]);

    let round = bandit.begin_round();
    bandit.reset(true);
    bandit.end_round(round, None); // the store did not answer
    assert!(weight(&bandit) < 1e-9);
    let round = bandit.begin_round();
    bandit.end_round(round, None); // nor now
    teach(&bandit, "c", &[1.0; 2]);
    let stored = share(&bandit, Some(stored));

    assert!((stored.counts("", 1).good - 2.0).abs() < 1e-3, "{stored:?}");
    assert!((weight(&bandit) - 2.0).abs() < 1e-3);
}

#[test]
fn a_reload_changes_the_terms_of_learning_and_forgets_nothing() {
    let bandit = bandit(1_000_000);
    teach(&bandit, "a", &[1.0; 20]);
    assert!(weight(&bandit) > 19.9);

    bandit.inner().terms = LearningTerms::of(&section(1));
    teach(&bandit, "b", &[1.0]);

    assert!(weight(&bandit) < 10.0, "older rewards weigh a third of what they did");
}
