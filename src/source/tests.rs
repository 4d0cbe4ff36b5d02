//! What a file gives: its text, who signed it, and the commit around it.

use std::fs;

use super::signer::Signer;
use super::*;

fn signed(text: &str) -> (tempfile::TempDir, ConfigSource) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("p.yaml");
    let signer = Signer::new(1);
    fs::write(&path, text).expect("written");
    fs::write(signature_beside(&path), signer.sign(text.as_bytes(), "timestamp:5 release 7")).expect("written");
    let key = TrustedKey::read(&signer.public_key()).expect("a key");
    (folder, ConfigSource::file(&path, Some(key)))
}

#[test]
fn a_file_counts_with_its_signature_alone_where_there_is_a_key() {
    let (folder, source) = signed("version: 1\n");
    let path = folder.path().join("p.yaml");

    let read = source.read().expect("it holds");
    fs::write(&path, "version: 1 # changed\n").expect("written");
    let changed = source.read().expect_err("changed").to_string();
    fs::remove_file(signature_beside(&path)).expect("it is there");
    let missing = source.read().expect_err("unsigned").to_string();

    let signature = read.version.signature.as_ref().expect("a signature");
    assert_eq!((read.text.as_str(), signature.comment.as_str()), ("version: 1\n", "timestamp:5 release 7"));
    assert!(changed.contains("does not hold"), "{changed}");
    assert!(missing.contains("no signature: cannot read") && missing.contains("p.yaml.minisig"), "{missing}");
    assert_eq!(source.watched_files(), [signature_beside(&path)]);
}

#[test]
fn what_serves_is_told_with_its_signature_and_since_when() {
    let (_folder, source) = signed("version: 1\n");
    let read = source.read().expect("it holds");

    source.note_serving(&read.version);
    let report = source.report();

    assert!(report.is_notable());
    let shown = report.to_json();
    assert_eq!(shown["version"]["signature"]["signed_at"], "1970-01-01T00:00:05Z");
    assert_eq!((&shown["kind"], &shown["signature_required"]), (&"file".into(), &true.into()));
    assert!(source.edit_refusal().is_some());
    assert!(!ConfigSource::file(Path::new("p.yaml"), None).report().is_notable());
}

#[test]
fn a_load_is_taken_again_when_the_commit_changes_amid_it_and_refused_while_the_index_is_locked() {
    let folder = tempfile::tempdir().expect("a folder");
    let (git, path) = (folder.path().join(".git"), folder.path().join("p.yaml"));
    fs::create_dir(&git).expect("written");
    fs::write(&path, "version: 1\n").expect("written");
    fs::write(git.join("HEAD"), "a".repeat(40)).expect("written");
    let source = ConfigSource { patience: Duration::from_millis(200), ..ConfigSource::file(&path, None) };

    let mut loads = 0;
    let commit = source.at_rest(|| {
        loads += 1;
        let read = source.read().expect("a text");
        fs::write(git.join("HEAD"), "b".repeat(40)).expect("written");
        read.version.commit.clone()
    });
    fs::write(git.join("index.lock"), "").expect("written");
    let locked = source.at_rest(|| unreachable!("nothing is read")).map(|(): ()| ()).expect_err("locked");

    assert_eq!((loads, commit.expect("at rest")), (2, Some("b".repeat(40))));
    assert!(locked.to_string().contains("its index is locked"), "{locked}");
    assert!(source.is_busy());
    assert!(source.watched_files().contains(&git.join("HEAD").canonicalize().expect("there")));
}
