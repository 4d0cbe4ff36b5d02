//! Reloads wait for one another, and share what they wait for.

use super::*;

const CONFIG: &str = "version: 1
listen: {address: '127.0.0.1:0'}
admin: {address: '127.0.0.1:0'}
providers: {p: {base_url: 'http://127.0.0.1:1/v1'}}
models: {m: {provider: p}}
policies: [{name: auto, match: {model: [auto]}, strategy: {kind: random, models: [m]}}]
";

fn reloader(path: &Path) -> Arc<Reloader> {
    let metrics = Arc::new(Metrics::new());
    let builder = SnapshotBuilder::new(path, Arc::clone(&metrics));
    let first = builder.build(builder.prepare().expect("a sound file"), None).expect("a snapshot");
    let router = Arc::new(Router::new(first, Arc::clone(&metrics)));
    Arc::new(Reloader::new(builder, router, metrics))
}

#[test]
fn one_reload_runs_and_one_waits_whoever_else_asks() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("p.yaml");
    std::fs::write(&path, CONFIG).expect("written");
    let reloader = reloader(&path);

    assert!(locked(&reloader.turns).claim(), "as one that runs");
    let waiting: Vec<_> = (0..100).map(|_| reloader.ask(SnapshotChange::Reload, "test")).collect();
    reloader.take_turns();
    for reload in waiting {
        let ended = futures::executor::block_on(reload).expect("it ends").expect("a result");
        assert_eq!((ended.outcome, ended.generation), (ReloadOutcome::Unchanged, 1));
    }

    let (shown, counted) = (reloader.metrics.render(), "pointsman_config_reloads_total{outcome=\"unchanged\"} 1\n");
    assert!(shown.contains(counted), "{shown}");
    assert_eq!(reloader.reload("test").outcome, ReloadOutcome::Unchanged);
}

#[test]
fn a_file_that_is_no_regular_file_refuses_the_reload_and_the_next_one_works() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("p.yaml");
    std::fs::write(&path, CONFIG).expect("written");
    let reloader = reloader(&path);

    std::fs::remove_file(&path).expect("it exists");
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, mode, 0).expect("a pipe");
    let refused = reloader.reload("test");
    std::fs::remove_file(&path).expect("it exists");
    std::fs::write(&path, CONFIG.replace("[m]", "[m, m]")).expect("written");

    assert_eq!(refused.outcome, ReloadOutcome::Rejected);
    let error = refused.error.expect("a reason");
    assert!(error.contains("is a pipe (allowed: a regular file of at most 1 MiB)"), "{error}");
    assert_ne!(reloader.reload("test").error.as_deref(), Some(&*error));
}
