//! Dashboards, rules and alerts ask for metrics that exist, and tell every reason of a decision apart.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use pointsman_core::policy::Reason;
use pointsman_telemetry::Metrics;

fn read(file: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file))
        .unwrap_or_else(|error| panic!("{file}: {error}"))
}

fn files() -> Vec<String> {
    let dashboards = ["traffic", "quality", "serving", "upstreams", "fleet"];
    let dashboards = dashboards.map(|name| format!("config/grafana/dashboards/{name}.json"));
    let rules = ["rules", "alerts"].map(|name| format!("config/prometheus/{name}.yaml"));
    dashboards.into_iter().chain(rules).collect()
}

/// Returns the metrics that a text names; what follows a colon is a recording rule.
fn metrics(text: &str) -> impl Iterator<Item = &str> {
    text.match_indices("pointsman_").filter(|(at, _)| !text[..*at].ends_with([':', '/'])).map(|(at, _)| {
        let name = &text[at..];
        &name[..name.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(name.len())]
    })
}

#[test]
fn every_metric_that_is_asked_for_exists() {
    let known: BTreeSet<_> = Metrics::new().catalogue().iter().map(|metric| metric.name).collect();
    let mut asked = 0;

    for file in files() {
        for name in metrics(&read(&file)) {
            let base = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
            assert!(known.contains(name) || known.contains(base), "{file} asks for {name}");
            asked += 1;
        }
    }

    assert!(asked > 100, "only {asked} metrics found: is this still how they are written?");
}

#[test]
fn every_metric_is_on_a_dashboard() {
    let shown: String = files().iter().map(|file| read(file)).collect();

    // Those of OpenTelemetry's conventions are for dashboards that others have made; ours show the same by our names.
    let ours =
        Metrics::new().catalogue().into_iter().map(|metric| metric.name).filter(|name| name.starts_with("pointsman_"));
    let unseen: Vec<_> = ours.filter(|name| !shown.contains(name)).collect();

    assert!(unseen.is_empty(), "give {unseen:?} a panel in config/grafana/panels.py");
}

#[test]
fn every_reason_is_in_one_class_of_the_dashboards() {
    let panels = read("config/grafana/panels.py");
    let class = |name: &str| {
        let start = panels.find(&format!("{name} = 'reason=~\"")).unwrap_or_else(|| panic!("no {name}"));
        let pattern = panels[start..].split('"').nth(1).expect("a pattern");
        pattern.split('|').map(str::to_owned).collect::<Vec<_>>()
    };
    let classes = ["CHOSEN", "ABSTAINED", "CONSTRAINED"].map(class);

    for reason in Reason::all().map(Reason::as_str) {
        let fits = |pattern: &String| match pattern.strip_suffix(".+") {
            Some(beginning) => reason.len() > beginning.len() && reason.starts_with(beginning),
            None => pattern == reason,
        };
        let found = classes.iter().filter(|class| class.iter().any(fits)).count();
        assert_eq!(found, 1, "{reason}");
    }
}
