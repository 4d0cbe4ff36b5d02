//! Changes of files are noticed however they come about: links anywhere on the path, folders that are replaced, no event.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use http::StatusCode;
use rustix::process::Signal;

use crate::classifier::{copy_of, fixture, rename_version};
use crate::client::{Connection, Framing, chat, get, question};
use crate::gateway::{Config, Gateway};
use crate::origin::Origin;
use crate::reload::until_metric;
use crate::soon;

/// A gateway whose configuration changes, and what it was started with.
struct Watched {
    gateway: Gateway,
    config: Config,
    _small: Origin,
}

impl Watched {
    async fn placed(place: fn(&Path, &str) -> PathBuf) -> Self {
        let small = Origin::start().await;
        let config = Config::new(&small, &small);
        Self { gateway: Gateway::start_placed(&config, place).await, config, _small: small }
    }

    fn yaml(&self, name: &str) -> String {
        Config { small_name: name.to_owned(), ..self.config.clone() }.yaml()
    }

    /// Writes a configuration that names another model into a file below the gateway's folder, in place.
    fn write(&self, file: &str, name: &str) {
        let file = self.gateway.folder().join(file);
        fs::create_dir_all(file.parent().expect("below the folder")).expect("a writable folder");
        fs::write(file, self.yaml(name)).expect("a writable folder");
    }

    fn rename(&self, from: &str, to: &str) {
        let at = |name| self.gateway.folder().join(name);
        fs::rename(at(from), at(to)).expect("a writable folder");
    }

    /// Puts a link in the place of what is there, in one step.
    fn link(&self, target: &str, link: &str) {
        symlink(target, self.gateway.folder().join("next-link")).expect("a writable folder");
        self.rename("next-link", link);
    }

    async fn until_served(&self, name: &str) {
        soon(name, async {
            while chat(self.gateway.listen, question("auto", "hello")).await.json()["model"] != name {}
        })
        .await;
    }

    async fn metric(&self, name: &str) -> u64 {
        let metrics = get(self.gateway.admin, "/metrics").await;
        let text = String::from_utf8_lossy(&metrics.body).into_owned();
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("no {name} in\n{text}"))
    }
}

fn put(folder: &Path, file: &str, yaml: &str) -> PathBuf {
    let file = folder.join(file);
    fs::create_dir_all(file.parent().expect("below the folder")).expect("a writable folder");
    fs::write(&file, yaml).expect("a writable folder");
    file
}

/// Waits until what `/readyz` says of the files is as wanted. The bundle of these configurations is never there.
async fn until_files(gateway: &Gateway, is_wanted: impl Fn(&str) -> bool) {
    soon("the state of the files", async {
        loop {
            let ready = get(gateway.admin, "/readyz").await;
            assert_eq!(ready.status, StatusCode::OK, "a lost watch takes nothing out of service");
            let files = &ready.json()["files"];
            assert!(files["watches"].as_u64() > Some(0) || files["state"] == "unavailable", "{files}");
            if is_wanted(files["detail"].as_str().unwrap_or_default()) {
                return;
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_link_to_the_file_and_a_config_map_s_links_are_followed() {
    let linked = Watched::placed(|folder, yaml| {
        put(folder, "store/p.yaml", yaml);
        fs::create_dir(folder.join("etc")).expect("a writable folder");
        symlink("../store/p.yaml", folder.join("etc/p.yaml")).expect("a link");
        folder.join("etc/p.yaml")
    })
    .await;
    linked.write("store/p.yaml", "in-place");
    linked.until_served("in-place").await;
    linked.write("store/next.yaml", "replaced");
    linked.rename("store/next.yaml", "store/p.yaml");
    linked.until_served("replaced").await;

    let mount = Watched::placed(|folder, yaml| {
        put(folder, "mnt/..a/p.yaml", yaml);
        symlink("..a", folder.join("mnt/..data")).expect("a link");
        symlink("..data/p.yaml", folder.join("mnt/p.yaml")).expect("a link");
        folder.join("mnt/p.yaml")
    })
    .await;
    for name in ["b", "c"] {
        mount.write(&format!("mnt/..{name}/p.yaml"), name);
        mount.link(&format!("..{name}"), "mnt/..data");
        mount.until_served(name).await;
    }
}

#[tokio::test]
async fn a_linked_folder_that_is_swapped_is_followed_and_then_edited_in_place() {
    let watched = Watched::placed(|folder, yaml| {
        put(folder, "releases/v1/p.yaml", yaml);
        symlink("releases/v1", folder.join("current")).expect("a link");
        folder.join("current/p.yaml")
    })
    .await;

    for name in ["v2", "v3"] {
        watched.write(&format!("releases/{name}/p.yaml"), name);
        watched.link(&format!("releases/{name}"), "current");
        watched.until_served(name).await;
    }
    watched.write("releases/v3/p.yaml", "edited");

    watched.until_served("edited").await;
}

#[tokio::test]
async fn a_folder_that_is_replaced_or_made_again_is_watched_anew_each_time() {
    let watched = Watched::placed(|folder, yaml| put(folder, "outer/conf/p.yaml", yaml)).await;

    for name in ["second", "third"] {
        watched.write("new/p.yaml", name);
        watched.rename("outer/conf", &format!("before-{name}"));
        watched.rename("new", "outer/conf");
        watched.until_served(name).await;
    }
    watched.write("outer/conf/p.yaml", "edited");
    watched.until_served("edited").await;
    // The folder above goes, and comes again with another in it.
    fs::remove_dir_all(watched.gateway.folder().join("outer")).expect("a writable folder");
    until_files(&watched.gateway, |detail| detail.contains("/outer/conf/p.yaml`")).await;
    watched.write("outer/conf/p.yaml", "made again");
    watched.until_served("made again").await;
    watched.write("outer/conf/p.yaml", "edited again");
    watched.until_served("edited again").await;

    assert!(watched.metric("pointsman_file_watches_lost_total").await >= 3);
    until_files(&watched.gateway, |detail| !detail.contains("p.yaml")).await;
}

#[tokio::test]
async fn other_content_of_the_same_size_and_time_is_noticed() {
    let watched = Watched::placed(|folder, yaml| put(folder, "p.yaml", yaml)).await;
    let file = watched.gateway.file();
    let set = |path: &Path, time: SystemTime| {
        fs::File::options().write(true).open(path).and_then(|file| file.set_modified(time)).expect("our own file");
    };
    let time = fs::metadata(&file).and_then(|file| file.modified()).expect("it is there");

    // As long as `small-1`, as `rsync -t` puts it there; then in place.
    watched.write("next.yaml", "small-2");
    set(&watched.gateway.folder().join("next.yaml"), time);
    watched.rename("next.yaml", "p.yaml");
    watched.until_served("small-2").await;
    watched.write("p.yaml", "small-3");
    set(&file, time);
    watched.until_served("small-3").await;

    assert_eq!(fs::metadata(&file).and_then(|file| file.modified()).expect("it is there"), time);
}

#[tokio::test]
async fn a_change_without_an_event_is_found_by_its_stamp() {
    let watched = Watched::placed(|folder, yaml| put(folder, "p.yaml", yaml)).await;
    let (before, yaml) = (watched.yaml("small-1"), watched.yaml("small-2"));
    assert_eq!(before.len(), yaml.len());

    // Written and not closed: the watch hears of nothing, as where a file system gives no events.
    let mut open = fs::File::options().write(true).open(watched.gateway.file()).expect("our own file");
    open.write_all(yaml.as_bytes()).expect("written");
    watched.until_served("small-2").await;

    assert_eq!(watched.metric("pointsman_file_changes_total{cause=\"interval\"}").await, 1);
    assert_eq!(watched.metric("pointsman_file_changes_total{cause=\"event\"}").await, 0);
    drop(open);
}

#[tokio::test]
async fn a_busy_folder_neither_hides_a_change_nor_starts_reloads() {
    let watched = Watched::placed(|folder, yaml| put(folder, "p.yaml", yaml)).await;
    let stop = Arc::new(AtomicBool::new(false));
    let (stopped, other) = (Arc::clone(&stop), watched.gateway.folder().join("other.log"));
    let writer = std::thread::spawn(move || {
        while !stopped.load(Ordering::Relaxed) {
            fs::write(&other, "a line of a log").expect("a writable folder");
            std::thread::yield_now();
        }
    });
    let looks = watched.metric("pointsman_file_looks_total{cause=\"interval\"}").await;
    soon("two more looks", async {
        while watched.metric("pointsman_file_looks_total{cause=\"interval\"}").await < looks + 2 {}
    })
    .await;
    let reloads = watched.metric("pointsman_config_reloads_total{outcome=\"unchanged\"}").await;

    watched.write("p.yaml", "changed");
    watched.until_served("changed").await;
    stop.store(true, Ordering::Relaxed);
    writer.join().expect("no panic");

    assert_eq!(reloads, 0, "what others write in the folder is nobody's change");
}

#[tokio::test]
async fn a_bundle_behind_a_link_and_a_bundle_whose_folder_is_replaced_are_loaded() {
    let (small, root) = (Origin::start().await, tempfile::tempdir().expect("a temporary folder"));
    let version = |name: &str| {
        let copy = copy_of(&fixture("tiny")).keep();
        rename_version(&copy, name);
        fs::rename(copy, root.path().join(name)).expect("one file system");
    };
    let swap = |name: &str| {
        symlink(name, root.path().join("next")).expect("a link");
        fs::rename(root.path().join("next"), root.path().join("current")).expect("a writable folder");
    };
    let served = |name: &str| format!("version=\"{name}\"}} 1");
    version("v1");
    swap("v1");
    let config = Config { bundle: root.path().join("current"), ..Config::classifying(&small, &small) };
    let gateway = Gateway::start(&config).await;
    let until = async |line: String| {
        soon(&line, async {
            while !String::from_utf8_lossy(&get(gateway.admin, "/metrics").await.body).contains(&line) {}
        })
        .await;
    };

    version("v2");
    swap("v2");
    until(served("v2")).await;
    version("v3");
    fs::rename(root.path().join("v2"), root.path().join("old")).expect("a writable folder");
    fs::rename(root.path().join("v3"), root.path().join("v2")).expect("a writable folder");
    until(served("v3")).await;
    rename_version(&root.path().join("v2"), "v4");
    until(served("v4")).await;

    let health = get(gateway.admin, "/health").await.json();
    let bundle = &health["classifiers"]["default"];
    assert_eq!((&bundle["state"], &bundle["version"]), (&"ready".into(), &"v4".into()), "{health}");
    assert!(bundle["bundle"].is_string() && bundle["sha256"].as_str().is_some_and(|sha| sha.len() == 64), "{health}");
}

#[tokio::test]
async fn a_rotated_key_goes_upstream_without_a_call_and_a_missing_one_leaves_the_old() {
    let (small, folder) = (Origin::start().await, tempfile::tempdir().expect("a temporary folder"));
    let mount = folder.path();
    let rotate = |version: &str, key: &str| {
        put(mount, &format!("{version}/key"), key);
        symlink(version, mount.join("next")).expect("a link");
        fs::rename(mount.join("next"), mount.join("..data")).expect("a writable folder");
    };
    rotate("..v1", "sk-first");
    symlink("..data/key", mount.join("key")).expect("a link");
    let credential: &'static str = format!("{{file: {}}}", mount.join("key").display()).leak();
    let gateway = Gateway::start(&Config { credential, ..Config::new(&small, &small) }).await;
    let key = async || {
        chat(gateway.listen, question("auto", "hello")).await;
        small.next().await.header("authorization").map(str::to_owned)
    };
    assert_eq!(key().await.as_deref(), Some("Bearer sk-first"));

    rotate("..v2", "sk-second");
    soon("the second key", async { while key().await.as_deref() != Some("Bearer sk-second") {} }).await;
    fs::remove_dir_all(mount.join("..v2")).expect("a writable folder");
    until_metric(&gateway, "pointsman_config_last_reload_successful 0").await;
    until_files(&gateway, |detail| detail.contains("/key`")).await;
    let during = key().await;
    rotate("..v3", "sk-third");
    soon("the third key", async { while key().await.as_deref() != Some("Bearer sk-third") {} }).await;
    fs::write(mount.join("..v3/key"), "sk-fourth").expect("a writable folder");
    soon("the fourth key", async { while key().await.as_deref() != Some("Bearer sk-fourth") {} }).await;

    assert_eq!(during.as_deref(), Some("Bearer sk-second"));
}

#[tokio::test]
async fn a_file_that_comes_back_at_once_costs_no_failed_reload() {
    let watched = Watched::placed(|folder, yaml| put(folder, "p.yaml", yaml)).await;

    for name in ["second", "third"] {
        fs::remove_file(watched.gateway.file()).expect("it is there");
        watched.write("p.yaml", name);
        watched.until_served(name).await;
    }

    assert_eq!(watched.metric("pointsman_config_reloads_total{outcome=\"rejected\"}").await, 0);
}

#[tokio::test]
async fn a_reload_that_finds_the_same_key_changes_nothing() {
    let (small, folder) = (Origin::start().await, tempfile::tempdir().expect("a temporary folder"));
    let file = put(folder.path(), "key", "sk-first");
    let credential: &'static str = format!("{{file: {}}}", file.display()).leak();
    let gateway = Gateway::start(&Config { credential, ..Config::new(&small, &small) }).await;

    let later = SystemTime::now() + Duration::from_secs(7);
    fs::File::options().write(true).open(&file).and_then(|file| file.set_modified(later)).expect("our own file");
    until_metric(&gateway, "pointsman_config_reloads_total{outcome=\"unchanged\"} 1").await;

    assert_eq!(get(gateway.admin, "/generation").await.json()["generation"], 1);
}

#[tokio::test]
async fn a_rollback_goes_back_to_the_configuration_before_and_keeps_the_rotated_key() {
    let (small, folder) = (Origin::start().await, tempfile::tempdir().expect("a temporary folder"));
    let file = put(folder.path(), "key", "sk-first");
    let credential: &'static str = format!("{{file: {}}}", file.display()).leak();
    let mut config = Config { credential, ..Config::new(&small, &small) };
    let gateway = Gateway::start(&config).await;
    config.small_name = "small-2".to_owned();
    gateway.write(&config.yaml());
    until_metric(&gateway, "pointsman_generation 2").await;
    fs::write(&file, "sk-second").expect("a writable folder");
    until_metric(&gateway, "pointsman_generation 3").await;

    let mut admin = Connection::open(gateway.admin, Framing::Length).await;
    let back = admin.post(Framing::Length, "/rollback", String::new()).await;
    let reply = chat(gateway.listen, question("auto", "hello")).await;

    assert_eq!((back.status, reply.json()["model"].as_str()), (StatusCode::OK, Some("small-1")));
    assert_eq!(small.next().await.header("authorization"), Some("Bearer sk-second"));
}

/// A gateway whose second configuration was rolled back, so that its third generation serves as the first did.
async fn rolled_back(small: &Origin, key: &Path) -> (Gateway, Config) {
    let credential: &'static str = format!("{{file: {}}}", key.display()).leak();
    let mut config = Config { credential, ..Config::new(small, small) };
    let gateway = Gateway::start(&config).await;
    config.small_name = "small-2".to_owned();
    gateway.write(&config.yaml());
    until_metric(&gateway, "pointsman_generation 2").await;
    let mut admin = Connection::open(gateway.admin, Framing::Length).await;
    let back = admin.post(Framing::Length, "/rollback", String::new()).await;
    assert_eq!(back.json()["generation"], 3, "{:?}", back.body);
    (gateway, config)
}

async fn served_model(gateway: &Gateway) -> String {
    let reply = chat(gateway.listen, question("auto", "hello")).await;
    reply.json()["model"].as_str().expect("a model").to_owned()
}

#[tokio::test]
async fn what_was_rolled_back_stays_out_while_keys_are_renewed_and_files_are_touched() {
    let (small, folder) = (Origin::start().await, tempfile::tempdir().expect("a temporary folder"));
    let key = put(folder.path(), "key", "sk-first");
    let (gateway, _) = rolled_back(&small, &key).await;

    fs::write(&key, "sk-second").expect("a writable folder");
    until_metric(&gateway, "pointsman_generation 4").await;
    let renewed = served_model(&gateway).await;
    let sent = small.next().await.header("authorization").map(str::to_owned);
    let later = SystemTime::now() + Duration::from_secs(7);
    let file = fs::File::options().write(true).open(gateway.file());
    file.and_then(|file| file.set_modified(later)).expect("our own file");
    until_metric(&gateway, "pointsman_config_reloads_total{outcome=\"unchanged\"} 1").await;

    assert_eq!((renewed.as_str(), sent.as_deref()), ("small-1", Some("Bearer sk-second")), "{}", gateway.log());
    assert_eq!(served_model(&gateway).await, "small-1");
    let ready = get(gateway.admin, "/readyz").await.json();
    let shown =
        [&ready, &get(gateway.admin, "/generation").await.json(), &get(gateway.admin, "/api/generations").await.json()]
            .map(|page| page["held"]["generation"].clone());
    assert_eq!(shown, [2, 2, 2], "{ready}");
    assert!(ready["held"]["since"].is_string() && ready["held"]["fingerprint"].is_string(), "{ready}");
    let mut admin = Connection::open(gateway.admin, Framing::Length).await;
    let again = admin.post(Framing::Length, "/rollback", String::new()).await.json();
    assert_eq!(again["outcome"], "rolled_back");
    assert_eq!(served_model(&gateway).await, "small-2", "a second rollback undoes the first");
    assert!(get(gateway.admin, "/readyz").await.json().get("held").is_none(), "what the file has serves");
}

#[tokio::test]
async fn what_was_rolled_back_ends_with_another_text_or_with_an_operator_s_reload() {
    let (small, folder) = (Origin::start().await, tempfile::tempdir().expect("a temporary folder"));
    let key = put(folder.path(), "key", "sk-first");
    let (gateway, mut config) = rolled_back(&small, &key).await;

    config.small_name = "small-3".to_owned();
    gateway.write(&config.yaml());
    until_metric(&gateway, "pointsman_generation 4").await;
    let changed = served_model(&gateway).await;
    let mut admin = Connection::open(gateway.admin, Framing::Length).await;
    admin.post(Framing::Length, "/rollback", String::new()).await;
    let back = served_model(&gateway).await;
    let held = get(gateway.admin, "/readyz").await.json()["held"]["generation"].clone();
    gateway.signal(Signal::HUP);
    until_metric(&gateway, "pointsman_generation 6").await;
    let by_signal = served_model(&gateway).await;
    admin.post(Framing::Length, "/rollback", String::new()).await;
    admin.post(Framing::Length, "/reload", String::new()).await;
    let by_call = served_model(&gateway).await;

    assert_eq!([changed.as_str(), &back, &by_signal, &by_call], ["small-3", "small-1", "small-3", "small-3"]);
    assert_eq!(held, 4, "{}", gateway.log());
    assert!(get(gateway.admin, "/readyz").await.json().get("held").is_none());
}
