//! A shadow whose thread never looks.

use std::path::PathBuf;

use pointsman_core::config::{Config, Ratio};
use pointsman_core::policy::{DecisionMaker, Reason};
use pointsman_core::scores::{ClassifierFailure, HeadScores};

use super::*;
use crate::OnnxRuntime;

fn name(text: &str) -> Name {
    Name::new(text).expect("a name")
}

fn fixture() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures"))
}

fn classifier() -> Classifier {
    let runtime = OnnxRuntime::load().unwrap_or_else(|error| panic!("{error}"));
    let host = ClassifierHost { base_dir: fixture(), runtime, metrics: Arc::new(Metrics::new()) };
    Classifier::start(&name("default"), &config::ClassifierConfig::of("tiny"), &host).expect("the fixture is sound")
}

/// A shadow whose thread never looks, and its queue.
fn silent(sample: f64, queue: usize) -> (ShadowClassifier, Receiver<ShadowJob>, Metrics) {
    let (jobs, receiver) = sync_channel(queue);
    let metrics = Metrics::new();
    let running = RunningShadow { classifier: classifier(), jobs, metrics: metrics.shadow(&name("default")) };
    let terms = config::ShadowConfig { bundle: "tiny".into(), sample: Ratio::new(sample).expect("a ratio") };
    (ShadowClassifier { terms, state: Ok(running), seen: AtomicU64::new(0) }, receiver, metrics)
}

fn scores(source: ScoreSource) -> Scores {
    let labels: Arc<[Arc<str>]> = ["simple", "medium", "complex"].map(Arc::from).into();
    let head =
        HeadScores { head: "tier".into(), labels, probabilities: vec![1.0, 0.0, 0.0], known: None, levels: None };
    Scores { source, tokens: 3, ..Scores::of(vec![head]) }
}

fn decision() -> Decision {
    Decision {
        model: name("small"),
        policy: name("auto"),
        pin: None,
        keep: pointsman_core::policy::PinUpdate::Nothing,
        by: DecisionMaker::Strategy("tiers"),
        reason: Reason::Tier,
        label: None,
        score: None,
        rationale: None,
        flip: None,
        cost_usd: None,
        candidates: Vec::new(),
        quota: None,
        tight_budget: None,
        escalation: None,
        fallback: Vec::new(),
        rules: Vec::new(),
        stages: Vec::new(),
        set: BTreeMap::new(),
    }
}

fn policies() -> Arc<PolicySet> {
    let text = "version: 1\nlisten: {address: '127.0.0.1:0'}\nproviders: {}\n";
    Arc::new(PolicySet::compile(&Config::parse(text, "p.yaml").expect("sound")).expect("no policies"))
}

fn tickets(shadow: &ShadowClassifier, source: ScoreSource, prompts: usize) -> Vec<ShadowTicket> {
    let (live, policies, decision, scores) = (classifier(), policies(), decision(), scores(source));
    let features = Features::default();
    let decided = DecidedPrompt {
        text: "hello",
        features: &features,
        live: &live,
        scores: &scores,
        policies: &policies,
        decision: &decision,
    };
    (0..prompts).filter_map(|_| shadow.ticket(decided)).collect()
}

#[test]
fn the_sample_is_the_share_that_was_asked_for() {
    let (shadow, _queue, _metrics) = silent(0.1, 1);

    assert_eq!(tickets(&shadow, ScoreSource::Encoder, 1000).len(), 100);
}

#[test]
fn a_queue_that_is_full_drops_prompts_and_counts_them() {
    let (shadow, queue, metrics) = silent(1.0, 1);

    tickets(&shadow, ScoreSource::Encoder, 3).into_iter().for_each(|ticket| ticket.send(None));

    assert_eq!(queue.try_iter().count(), 1);
    let line = "pointsman_classifier_shadow_prompts_total{classifier=\"default\",outcome=\"dropped\"} 2";
    assert!(metrics.render().lines().any(|found| found == line), "{}", metrics.render());
}

#[test]
fn what_stood_in_for_the_encoder_is_compared_with_nothing() {
    let (shadow, _queue, _metrics) = silent(1.0, 1);

    assert!(tickets(&shadow, ScoreSource::Fallback(ClassifierFailure::Deadline), 10).is_empty());
}

#[test]
fn a_shadow_that_is_off_takes_nothing() {
    let (shadow, _queue, _metrics) = silent(1.0, 1);
    let off = ShadowClassifier::off(&shadow.terms, "no library".to_owned());

    assert!(tickets(&off, ScoreSource::Encoder, 10).is_empty());
    assert_eq!(off.state(), Err("no library"));
}
