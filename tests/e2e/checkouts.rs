//! A configuration in a git checkout: the commit is named, nothing is read amid a change, and a swapped link is a change.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::client::{chat, get, question};
use crate::gateway::{Config, Gateway};
use crate::origin::Origin;
use crate::reload::until_metric;
use crate::signer::Signer;
use crate::soon;

fn git(folder: &Path, arguments: &[&str]) -> String {
    let identity = ["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false"];
    let ran = Command::new("git").arg("-C").arg(folder).args(identity).args(arguments).output().expect("git runs");
    assert!(ran.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&ran.stderr));
    String::from_utf8(ran.stdout).expect("text").trim().to_owned()
}

/// Makes a repository whose only commit holds the configuration.
fn repository(folder: &Path, yaml: &str) -> PathBuf {
    let tree = folder.join("tree");
    fs::create_dir(&tree).expect("written");
    git(&tree, &["init", "--quiet", "--initial-branch=main"]);
    commit(&tree, yaml);
    tree.join("p.yaml")
}

fn commit(tree: &Path, yaml: &str) -> String {
    fs::write(tree.join("p.yaml"), yaml).expect("written");
    git(tree, &["add", "."]);
    git(tree, &["commit", "--quiet", "--allow-empty", "--message=a change"]);
    git(tree, &["rev-parse", "HEAD"])
}

/// Makes what git-sync makes: a worktree for each commit, and a link to the one that counts.
fn synchronized(folder: &Path, yaml: &str) -> PathBuf {
    repository(folder, yaml);
    let tree = folder.join("tree");
    git(&tree, &["worktree", "add", "--quiet", "--detach", "../one"]);
    symlink("one", folder.join("current")).expect("a link");
    folder.join("current/p.yaml")
}

async fn until_commit(gateway: &Gateway, commit: &str) -> Value {
    soon(commit, async {
        loop {
            let shown = get(gateway.admin, "/generation").await.json();
            if shown["source"]["version"]["commit"] == commit {
                return shown;
            }
        }
    })
    .await
}

async fn model(gateway: &Gateway) -> Value {
    chat(gateway.listen, question("auto", "hello")).await.json()["model"].clone()
}

#[tokio::test]
async fn the_commit_that_serves_is_named_and_a_pull_is_a_reload() {
    let small = Origin::start().await;
    let mut config = Config::new(&small, &small);
    let gateway = Gateway::start_placed(&config, repository).await;
    let tree = gateway.folder().join("tree");
    let first = git(&tree, &["rev-parse", "HEAD"]);
    let shown = until_commit(&gateway, &first).await;

    // What a pull does: a branch is moved, and the files with it.
    git(&tree, &["checkout", "--quiet", "-b", "next"]);
    config.small_name = "two".to_owned();
    let second = commit(&tree, &config.yaml());
    git(&tree, &["checkout", "--quiet", "main"]);
    git(&tree, &["merge", "--quiet", "--ff-only", "next"]);
    until_commit(&gateway, &second).await;
    let served = model(&gateway).await;
    let third = commit(&tree, &config.yaml());
    let unchanged = until_commit(&gateway, &third).await;

    assert_eq!((&shown["source"]["kind"], served), (&"git".into(), "two".into()));
    assert!(unchanged["generation"].as_u64() >= Some(2), "{unchanged}");
    until_metric(&gateway, &format!("pointsman_config_source_info{{kind=\"git\",version=\"{}\"}} 1", &third[..12]))
        .await;
    let records = get(gateway.admin, "/api/generations").await.json();
    assert!(
        records["records"].as_array().expect("records").iter().any(|own| own["version"]["commit"] == first.as_str())
    );
    gateway.until_logged(&second[..12]).await;
}

#[tokio::test]
async fn nothing_is_read_while_the_index_is_locked() {
    let small = Origin::start().await;
    let mut config = Config::new(&small, &small);
    let gateway = Gateway::start_placed(&config, repository).await;
    let tree = gateway.folder().join("tree");
    let lock = tree.join(".git/index.lock");

    fs::write(&lock, "").expect("written");
    config.small_name = "two".to_owned();
    fs::write(tree.join("p.yaml"), config.yaml()).expect("written");
    until_metric(&gateway, "pointsman_config_last_reload_successful 0").await;
    let amid = model(&gateway).await;
    fs::remove_file(&lock).expect("it is there");
    until_metric(&gateway, "pointsman_config_last_reload_successful 1").await;

    assert_ne!(amid, "two");
    assert_eq!(model(&gateway).await, "two");
    gateway.until_logged("the git checkout is being changed (its index is locked)").await;
}

#[tokio::test]
async fn a_link_that_leads_to_another_worktree_is_a_reload_of_its_commit() {
    let small = Origin::start().await;
    let mut config = Config::new(&small, &small);
    let gateway = Gateway::start_placed(&config, synchronized).await;
    let (folder, tree) = (gateway.folder(), gateway.folder().join("tree"));
    until_commit(&gateway, &git(&tree, &["rev-parse", "HEAD"])).await;

    config.small_name = "two".to_owned();
    let second = commit(&tree, &config.yaml());
    git(&tree, &["worktree", "add", "--quiet", "--detach", "../two"]);
    symlink("two", folder.join("next")).expect("a link");
    fs::rename(folder.join("next"), folder.join("current")).expect("renamed");
    until_commit(&gateway, &second).await;

    assert_eq!(model(&gateway).await, "two");
}

#[tokio::test]
async fn a_signed_file_is_reloaded_once_its_signature_is_that_of_its_text() {
    let small = Origin::start().await;
    let mut config = Config::new(&small, &small);
    let (folder, signer) = (tempfile::tempdir().expect("a folder"), Signer::new(1));
    let (file, signature) = (folder.path().join("p.yaml"), folder.path().join("p.yaml.minisig"));
    let sign = |yaml: &str| fs::write(&signature, signer.sign(yaml.as_bytes(), "timestamp:100")).expect("written");
    fs::write(&file, config.yaml()).expect("written");
    sign(&config.yaml());
    let key = signer.public_key();
    let gateway = Gateway::serve(&["-c", file.to_str().expect("text"), "--config-public-key", &key], &[]).await;

    config.small_name = "two".to_owned();
    fs::write(&file, config.yaml()).expect("written");
    until_metric(&gateway, "pointsman_config_last_reload_successful 0").await;
    let amid = model(&gateway).await;
    sign(&config.yaml());
    until_metric(&gateway, "pointsman_generation 2").await;

    assert_ne!(amid, "two");
    assert_eq!(model(&gateway).await, "two");
    gateway.until_logged("the signature does not hold").await;
}
