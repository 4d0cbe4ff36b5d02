use std::path::Path;

use serde_json::json;

use super::*;

fn folder() -> (tempfile::TempDir, RunFolder) {
    let temporary = tempfile::tempdir().expect("a folder");
    let folder = RunFolder::init(&temporary.path().join("runs")).expect("a folder");
    (temporary, folder)
}

fn ended(folder: &RunFolder, command: &str, figures: &serde_json::Value) -> RunRecord {
    let mut run = folder.start(command, &[command.to_owned()]).expect("a run");
    run.seed(7);
    run.figures(figures);
    run.end(None).expect("a record")
}

#[test]
fn a_record_is_there_from_the_start_and_whole_at_the_end() {
    let (temporary, folder) = folder();
    let data = temporary.path().join("rows.jsonl");
    fs::write(&data, "{}\n\n{}").expect("written");

    let mut run = folder.start("eval", &["eval".to_owned()]).expect("a run");
    let begun = folder.list().expect("a list").records;
    run.data(&data);
    run.version("pointsman", "1.2.3");
    run.figure("accuracy", 0.5);
    run.figure("unknown", f64::NAN);
    run.out(Path::new("report"));
    let record = run.end(None).expect("a record");

    assert_eq!((begun.len(), &begun[0].ended), (1, &None));
    assert_eq!(folder.find("latest").expect("a run"), record);
    assert_eq!((record.data[0].rows, record.data[0].sha256.len()), (Some(2), 64));
    assert_eq!(json!(record.figures), json!({"accuracy": 0.5}));
    assert!(record.ended.is_some() && record.id.contains("-eval-"), "{record:?}");
}

#[test]
fn runs_of_one_moment_have_names_of_their_own_and_are_found_by_a_part() {
    let (_temporary, folder) = folder();
    let ids: Vec<String> = (0..20).map(|n| ended(&folder, "fit", &json!({"n": n})).id).collect();

    let mut names = ids.clone();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), 20);
    assert_eq!(folder.find(&ids[3]).expect("a run").id, ids[3]);
    assert!(matches!(folder.find("-fit-"), Err(RunsError::Ambiguous { .. })));
    assert!(matches!(folder.find("nothing"), Err(RunsError::Unknown { .. })));
}

#[test]
fn what_is_no_record_is_named_and_passed_over() {
    let (_temporary, folder) = folder();
    ended(&folder, "eval", &json!({}));
    fs::create_dir(folder.path().join("broken")).expect("a folder");
    fs::write(folder.path().join("broken/run.json"), "{").expect("written");
    fs::create_dir(folder.path().join("notes")).expect("a folder");

    let list = folder.list().expect("a list");

    assert_eq!((list.records.len(), list.unreadable), (1, vec![folder.path().join("broken")]));
}

#[test]
fn two_runs_stand_side_by_side_with_what_differs() {
    let (_temporary, folder) = folder();
    let a = ended(&folder, "eval", &json!({"accuracy": 0.5, "only_a": 1}));
    let b = ended(&folder, "eval", &json!({"accuracy": 0.75, "only_b": 0}));

    let RunDifference { facts, figures, .. } = RunDifference::of(&a, &b);

    assert!(facts.iter().all(|fact| fact.same), "{facts:?}");
    let figure = |name: &str| figures.iter().find(|figure| figure.name == name).expect("a figure");
    assert_eq!((figure("accuracy").difference, figure("accuracy").relative), (Some(0.25), Some(0.5)));
    assert_eq!((figure("only_a").b, figure("only_b").a, figure("only_b").difference), (None, None, None));
}

#[test]
fn no_password_of_a_url_is_kept() {
    let arguments = ["--mlflow", "http://me:secret@host:5000/x@y", "https://host/a@b", "a@b"];

    let run = OpenRun::unkept("eval", &arguments.map(str::to_owned));

    assert_eq!(run.record.arguments, ["--mlflow", "http://host:5000/x@y", "https://host/a@b", "a@b"]);
}
