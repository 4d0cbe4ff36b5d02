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

/// Has clients rate in turns of `rounds`, by whoever `turn` names and what it says of each model's answer; returns the
/// rewards that were learnt.
fn rated_by(bandit: &PolicyBandit, rounds: usize, turn: impl Fn(usize) -> (&'static str, fn(usize) -> f64)) -> f64 {
    let before = bandit.belief.load().rewards();
    for round in 0..rounds {
        let (client, quality) = turn(round);
        let (client, arm, request_id) = (Name::new(client).expect("a name"), round % 2, format!("{client}{round}"));
        bandit.inner().answers.remember(&request_id, DecidedAnswer::new("".into(), arm, Some(client.clone())));
        let rater = AnswerRater::Client(Some(&client));
        assert!(bandit.reward(RewardingWord { request_id: &request_id, rater, quality: quality(arm) }, false));
    }
    bandit.belief.load().rewards() - before
}

/// The strong model answers well, the small one does not.
fn honest(arm: usize) -> f64 {
    [0.0, 1.0][arm]
}

fn dishonest(arm: usize) -> f64 {
    1.0 - honest(arm)
}

fn chances(bandit: &PolicyBandit) -> [f64; 2] {
    let belief = bandit.belief.load();
    [0, 1].map(|arm| belief.counts("", arm).chance().0)
}

#[test]
fn two_honest_clients_teach_for_good() {
    let bandit = bandit(300);

    // Both rate both models: each gives two words in a row.
    let learnt = rated_by(&bandit, 2000, |round| (["anna", "ben"][round / 2 % 2], honest));

    assert!(learnt > 1980.0, "{learnt}");
    assert!(chances(&bandit)[1] > 0.9 && chances(&bandit)[0] < 0.1);
    assert_eq!(bandit.state().frozen, None);
}

#[test]
fn one_large_client_beside_small_ones_teaches_as_much_as_they_do() {
    let bandit = bandit(300);

    let learnt = rated_by(&bandit, 2000, |round| (["large", "large", "large", "small"][round / 2 % 4], honest));

    assert!((900.0..1500.0).contains(&learnt), "three quarters of the rewards count like the last: {learnt}");
    assert!(bandit.inner().outspoken.contains("large") && bandit.state().frozen.is_none());
}

#[test]
fn a_dishonest_client_turns_nothing_around_whether_it_says_little_or_most() {
    for turns in [["anna", "ben", "ben", "mallory"], ["anna", "mallory", "mallory", "mallory"]] {
        let bandit = bandit(300);
        rated_by(&bandit, 200, |round| (["anna", "ben"][round / 2 % 2], honest));

        rated_by(&bandit, 4000, |round| match turns[round / 2 % 4] {
            "mallory" => ("mallory", dishonest),
            client => (client, honest),
        });

        assert_eq!(bandit.state().frozen, Some("disagreement"), "{turns:?}");
        assert!(chances(&bandit)[1] > chances(&bandit)[0] + 0.2, "{turns:?}: {:?}", chances(&bandit));
    }
}
