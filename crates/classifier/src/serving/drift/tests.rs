use pointsman_core::config::TimeSpan;
use pointsman_core::features::TokenCounter;
use pointsman_core::prompt::{Dialect, Prompt};
use pointsman_core::scores::{HeadScores, ScoreSource};
use pointsman_telemetry::Metrics;

use super::*;
use crate::serving::tests::{fixture, name};
use crate::{Bundle, ReferenceCollector};

/// Draws from a linear congruential generator (Knuth's MMIX): the same every time.
struct Draws(u64);

impl Draws {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// Scores of the fixture's one head; the higher `power`, the surer they are of `simple`.
fn scores(draws: &mut Draws, power: f64) -> Scores {
    let complex = draws.next().powf(power) as f32;
    let head = HeadScores::new("tier", &["simple", "medium", "complex"], &[1.0 - complex, 0.0, complex]);
    Scores::of(vec![head])
}

fn drift(config: config::DriftWindow) -> (DriftMonitor, Metrics) {
    let bundle = Bundle::open(&fixture()).expect("the fixture is sound");
    let mut collector = ReferenceCollector::new(&bundle.manifest, &bundle.inputs);
    let mut draws = Draws(1);
    for _ in 0..2000 {
        collector.add(&scores(&mut draws, 1.0), &Features::default());
    }
    let reference = collector.finish().expect("rows");
    let probe = SignalReader::new(&reference, &bundle.manifest).expect("the bundle's own signals");
    let metrics = Metrics::new();
    (DriftMonitor::new(probe, &reference, config, metrics.drift(&name())), metrics)
}

/// Returns the index that `/metrics` shows of a signal.
fn shown(metrics: &Metrics, signal: &str) -> Option<f64> {
    let start = format!("pointsman_drift_psi{{classifier=\"default\",signal=\"{signal}\"}} ");
    metrics.render().lines().find_map(|line| line.strip_prefix(&start)?.parse().ok())
}

#[test]
fn the_same_distribution_is_stable() {
    let (drift, metrics) = drift(config::DriftWindow::default());
    let mut draws = Draws(2);

    (0..2000).for_each(|_| drift.observe(&scores(&mut draws, 1.0), &Features::default()));

    for signal in ["score.tier", "label.tier", "feature.text_chars"] {
        let psi = shown(&metrics, signal).expect("an index");
        assert!((0.0..0.1).contains(&psi), "{signal}: {psi}");
    }
}

#[test]
fn a_shifted_distribution_shows() {
    let (drift, metrics) = drift(config::DriftWindow::default());
    let mut draws = Draws(2);

    (0..2000).for_each(|_| drift.observe(&scores(&mut draws, 4.0), &Features::default()));

    for signal in ["score.tier", "label.tier"] {
        let psi = shown(&metrics, signal).expect("an index");
        assert!(psi > 0.25, "{signal}: {psi}");
    }
}

#[test]
fn a_feature_that_never_varied_and_now_does_shows() {
    let (drift, metrics) = drift(config::DriftWindow::default());
    let mut draws = Draws(2);
    let body =
        br#"{"model": "auto", "messages": [{"role": "user", "content": "Not the empty text of all the others."}]}"#;
    let prompt = Prompt::parse(Dialect::ChatCompletions, body).expect("a body");
    let features = Features::of(&prompt, &TokenCounter::new());

    (0..1000).for_each(|_| drift.observe(&scores(&mut draws, 1.0), &features));

    assert!(shown(&metrics, "feature.text_chars").expect("an index") > 0.25);
}

#[test]
fn too_few_prompts_show_nothing() {
    let (drift, metrics) = drift(config::DriftWindow::default());
    let mut draws = Draws(2);

    (0..LEAST - 1).for_each(|_| drift.observe(&scores(&mut draws, 4.0), &Features::default()));

    assert_eq!(shown(&metrics, "score.tier"), None);
}

#[test]
fn scores_that_stood_in_for_the_encoder_s_are_not_compared() {
    let (drift, metrics) = drift(config::DriftWindow::default());
    let mut draws = Draws(2);

    for _ in 0..2000 {
        let scores = scores(&mut draws, 4.0);
        let source = ScoreSource::Fallback(pointsman_core::scores::ClassifierFailure::Deadline);
        drift.observe(&Scores { source, ..scores }, &Features::default());
    }

    assert_eq!(shown(&metrics, "score.tier"), None);
    assert!(shown(&metrics, "feature.text_chars").is_some());
}

#[tokio::test(start_paused = true)]
async fn the_window_forgets_by_time() {
    let (drift, metrics) =
        drift(config::DriftWindow { window: TimeSpan::from_secs(60), ..config::DriftWindow::default() });
    let mut draws = Draws(2);
    (0..2000).for_each(|_| drift.observe(&scores(&mut draws, 4.0), &Features::default()));

    tokio::time::advance(Duration::from_secs(61)).await;
    (0..1000).for_each(|_| drift.observe(&scores(&mut draws, 1.0), &Features::default()));

    assert!(shown(&metrics, "score.tier").expect("an index") < 0.1);
    assert!(metrics.render().contains("pointsman_drift_window_prompts{classifier=\"default\"} 1000"));
}

#[tokio::test(start_paused = true)]
async fn what_the_window_has_forgotten_is_not_known_any_more() {
    let (drift, metrics) =
        drift(config::DriftWindow { window: TimeSpan::from_secs(60), ..config::DriftWindow::default() });
    let mut draws = Draws(2);
    let mut shift = || (0..2000).for_each(|_| drift.observe(&scores(&mut draws, 4.0), &Features::default()));

    shift();
    assert!(drift.of("score.tier").is_some_and(|psi| psi > 0.25));
    tokio::time::advance(Duration::from_secs(67)).await;
    assert_eq!((drift.of("score.tier"), shown(&metrics, "score.tier")), (None, None), "nobody came any more");

    shift();
    tokio::time::advance(Duration::from_secs(67)).await;
    drift.observe(&scores(&mut Draws(3), 4.0), &Features::default());
    assert_eq!((drift.of("score.tier"), shown(&metrics, "score.tier")), (None, None), "one came");
    assert!(metrics.render().contains("pointsman_drift_window_prompts{classifier=\"default\"} 1\n"));
}

#[test]
fn the_window_forgets_by_count_and_takes_no_more_memory_than_its_slots() {
    let (drift, metrics) = drift(config::DriftWindow { max_prompts: 1000, ..config::DriftWindow::default() });
    let mut draws = Draws(2);

    (0..3000).for_each(|_| drift.observe(&scores(&mut draws, 4.0), &Features::default()));
    (0..1000).for_each(|_| drift.observe(&scores(&mut draws, 1.0), &Features::default()));

    assert!(shown(&metrics, "score.tier").expect("an index") < 0.1);
    assert_eq!(drift.window.lock().expect("no panic").slots.len(), SLOTS);
}

#[test]
fn the_index_is_that_of_the_definition() {
    // By hand: (0.8 - 0.5) ln(0.8 / 0.5) + (0.2 - 0.5) ln(0.2 / 0.5) = 0.4159, less what the smoothing takes.
    let index = psi(&[0.5, 0.5], &[800, 200]);

    assert!((index - 0.4159).abs() < 1e-3, "{index}");
}
