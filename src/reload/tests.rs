//! Reloads wait for one another, and share what they wait for.

use super::*;

const CONFIG: &str = "version: 1
listen: {address: '127.0.0.1:0'}
admin: {address: '127.0.0.1:0'}
providers: {p: {base_url: 'http://127.0.0.1:1/v1'}}
models: {m: {provider: p}}
policies: [{name: auto, match: {model: [auto]}, strategy: {kind: random, models: [m]}}]
";

#[tokio::test]
async fn one_reload_runs_and_one_waits_whoever_else_asks() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("p.yaml");
    std::fs::write(&path, CONFIG).expect("written");
    let metrics = Arc::new(Metrics::new());
    let builder = SnapshotBuilder::new(&path, Arc::clone(&metrics));
    let first = builder.build(builder.prepare().expect("a sound file"), None).expect("a snapshot");
    let router = Arc::new(Router::new(first, Arc::clone(&metrics)));
    let reloader = Arc::new(Reloader::new(builder, router, Arc::clone(&metrics)));

    let turn = locked(&reloader.turn); // as one that runs
    let mut waiting: Vec<_> = (0..100).map(|_| reloader.queued("test")).collect();
    drop(turn);
    for reload in &mut waiting {
        let ended = reload.wait_for(Option::is_some).await.expect("it ends").clone().expect("a result");
        assert_eq!((ended.outcome, ended.generation), (ReloadOutcome::Unchanged, 1));
    }

    let counted = "pointsman_config_reloads_total{outcome=\"unchanged\"} 1\n";
    assert!(metrics.render().contains(counted), "{}", metrics.render());
    let again = Arc::clone(&reloader).reload_in_background("test").await.expect("a runtime");
    assert_eq!(again.outcome, ReloadOutcome::Unchanged);
}
