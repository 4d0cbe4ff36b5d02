//! What a preparation keeps, drops and counts.

use std::fs;

use super::*;

struct Folder(tempfile::TempDir);

impl Folder {
    fn of(rows: &[Value]) -> Self {
        let folder = Self(tempfile::tempdir().expect("a folder"));
        let lines: String = rows.iter().map(|row| format!("{row}\n")).collect();
        fs::write(folder.0.path().join("in.jsonl"), lines).expect("written");
        folder
    }

    fn run(&self) -> PrepareRun {
        PrepareRun {
            inputs: vec![self.0.path().join("in.jsonl")],
            out: self.0.path().join("out.jsonl"),
            asked: AskedTurn::Last,
            languages: BTreeSet::new(),
            similar: 0.8,
            moderation: None,
            split: None,
            output: PrepareOutput::OneFile,
            seed: 7,
            variants: None,
        }
    }

    fn rows(&self, file: &str) -> Vec<Value> {
        let text = fs::read_to_string(self.0.path().join(file)).expect("rows");
        text.lines().map(|line| serde_json::from_str(line).expect("a row")).collect()
    }
}

const ENGLISH: &str = "What is the capital of Australia, and why is it not the largest city of the country?";
const GERMAN: &str = "Wie heißt die Hauptstadt von Australien, und warum ist sie nicht die größte Stadt des Landes?";

#[tokio::test]
async fn every_dropped_row_is_counted_by_its_reason_and_the_others_pass_through() {
    let folder = Folder::of(&[
        json!({"id": "a", "prompt": format!("{ENGLISH}\u{0}\r\n"), "label": "simple", "own": [1]}),
        json!({"prompt": ENGLISH.to_uppercase()}),
        json!({"prompt": format!("Please tell me: {ENGLISH}")}),
        json!({"prompt": GERMAN}),
        json!({"prompt": " \u{7} "}),
        json!({"prompt": "th\u{fffd}s \u{fffd}s br\u{fffd}ken"}),
        json!({"messages": [{"role": "assistant", "content": "Hello!"}]}),
    ]);

    let counts = PrepareRun { languages: ["en".to_owned()].into(), ..folder.run() }.run(|_| {}).await.expect("rows");

    let dropped = [
        (DropReason::Empty, 2),
        (DropReason::Garbled, 1),
        (DropReason::Language, 1),
        (DropReason::Duplicate, 1),
        (DropReason::NearDuplicate, 1),
    ];
    assert_eq!(counts.dropped, dropped.into());
    assert_eq!((counts.read, counts.written, counts.cleaned), (7, 1, 1));
    assert_eq!(
        folder.rows("out.jsonl"),
        [json!({"id": "a", "prompt": ENGLISH, "label": "simple", "own": [1], "language": "en", "group": "a"})]
    );
}

#[tokio::test]
async fn rows_get_ids_of_their_own_and_those_that_are_half_alike_one_group() {
    let folder = Folder::of(&[
        json!({"id": "a", "prompt": ENGLISH}),
        json!({"id": "a", "prompt": "Write a haiku about the sea in winter."}),
        json!({"prompt": &ENGLISH[..60]}),
    ]);

    let counts = folder.run().run(|_| {}).await.expect("rows");

    let rows = folder.rows("out.jsonl");
    let ids = |key: &str| rows.iter().map(|row| row[key].as_str().expect("text").to_owned()).collect::<Vec<_>>();
    assert_eq!(
        (&ids("id")[..2], &ids("group")[..], counts.renamed),
        (&["a".into(), "a-2".into()][..], &["a".into(), "a-2".into(), "a".into()][..], 1)
    );
    assert_eq!(rows[2]["id"].as_str().map(str::len), Some(16));
}

#[tokio::test]
async fn a_file_for_each_split_is_named_after_it() {
    let rows: Vec<Value> = (0..40)
        .map(|i| json!({"prompt": format!("Which river flows through town number {i} of the list {}?", i * 7919)}))
        .collect();
    let folder = Folder::of(&rows);
    let run = PrepareRun {
        split: Some("train=0.75,held_out=0.25".parse().expect("shares")),
        output: PrepareOutput::FileForEachSplit,
        similar: 1.0,
        ..folder.run()
    };

    let counts = run.run(|_| {}).await.expect("rows");

    let (train, held) = (folder.rows("out.train.jsonl"), folder.rows("out.held_out.jsonl"));
    assert_eq!((train.len() + held.len(), counts.splits["held_out"]), (40, held.len() as u64));
    assert!(held.iter().all(|row| row["split"] == "held_out") && !folder.0.path().join("out.jsonl").exists());
    let groups = |rows: &[Value]| rows.iter().map(|row| row["group"].to_string()).collect::<BTreeSet<_>>();
    assert!(groups(&train).is_disjoint(&groups(&held)));
}

#[tokio::test]
async fn nothing_left_is_an_error_that_says_why() {
    let folder = Folder::of(&[json!({"prompt": ""}), json!({"prompt": ""})]);

    let error = folder.run().run(|_| {}).await.expect_err("nothing").to_string();

    assert_eq!(error, "of 2 rows none is left (dropped: empty 2)");
}
