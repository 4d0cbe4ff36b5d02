//! The bundle that a clone comes with, on prompts and conversations whose level people wrote down: how many are served
//! by the tier that one expects. `tests/fixtures/plausibility/README.md` says what the rows are.
#![cfg(feature = "lab")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use pointsman_classifier::{ClassifierHost, OnnxRuntime};
use pointsman_lab::evaluate::{Evaluation, PlausibilityFigures, PlausibilityReport, SHIPPED_TIERS, SetHalf};
use pointsman_telemetry::Metrics;

const SET: &str = "tests/fixtures/plausibility";

/// Bounds of the shares of the whole set: the only place where they are written.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct PlausibilityBounds {
    at_least: BTreeMap<String, f64>,
    at_most: BTreeMap<String, f64>,
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

async fn measured() -> PlausibilityReport {
    let runtime = OnnxRuntime::load().unwrap_or_else(|error| panic!("{error}"));
    let host = ClassifierHost { base_dir: root(), runtime, metrics: Arc::new(Metrics::new()) };
    let evaluation = Evaluation::new(Path::new("models/pointsman-mini"), "tier", &host).expect("the bundle that ships");
    evaluation.plausibility(&root().join(SET), SHIPPED_TIERS, 7).await.expect("a report")
}

fn bounds() -> PlausibilityBounds {
    let text = fs::read(root().join(SET).join("bounds.json")).expect("the bounds");
    serde_json::from_slice(&text).expect("bounds of shares")
}

/// Returns a line for each share of `figures` that is out of its bounds.
fn broken(figures: &PlausibilityFigures, bounds: &PlausibilityBounds) -> Vec<String> {
    let shares: BTreeMap<&str, f64> = figures.shares().filter_map(|(name, share)| Some((name, share.share?))).collect();
    let share = |name: &String| *shares.get(name.as_str()).unwrap_or_else(|| panic!("no share `{name}`"));
    let low = bounds.at_least.iter().filter(|(name, bound)| share(name) < **bound);
    let high = bounds.at_most.iter().filter(|(name, bound)| share(name) > **bound);
    let low = low.map(|(name, bound)| format!("{name} is {:.4}, below {bound}", share(name)));
    low.chain(high.map(|(name, bound)| format!("{name} is {:.4}, above {bound}", share(name)))).collect()
}

#[tokio::test]
async fn the_shipped_bundle_serves_the_plausibility_set_within_its_bounds() {
    let report = measured().await;

    let broken = broken(&report.all, &bounds());

    assert!(broken.is_empty(), "{broken:#?}\n{:#?}", report.all);
    // What the README of the set says of itself.
    let halves = [SetHalf::Development, SetHalf::Check].map(|half| &report.halves[&half]);
    assert_eq!(halves.map(|half| (half.prompts, half.conversations)), [(189, 73), (211, 77)]);
    assert_eq!((report.all.hard_at_top.n, report.all.trivial_at_top.n), (161, 159));
    assert_eq!((report.languages.len(), report.domains.len()), (10, 10));
}

#[test]
fn every_share_has_a_bound() {
    let bounds = bounds();

    let bounded: BTreeSet<&str> = bounds.at_least.keys().chain(bounds.at_most.keys()).map(String::as_str).collect();

    let shares = ["conversations_right", "hard_at_bottom", "hard_at_top", "trivial_at_bottom", "trivial_at_top"];
    assert_eq!(bounded, BTreeSet::from(shares));
}
