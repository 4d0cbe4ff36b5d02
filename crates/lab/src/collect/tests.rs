//! Runs against a scripted source: order, resumption, the budget, failures, the end.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::*;
use crate::answers::AnswerFailure;

/// What each answer costs and may cost at most.
const PRICE: f64 = 0.25;
const WORST: f64 = 0.5;

/// What the judge of a failure costs.
const JUDGE: f64 = 0.125;

/// A source whose answers are scripted.
#[derive(Default)]
struct Script {
    asked: RefCell<Vec<String>>,
    /// Prompts whose answer waits for a word.
    held: RefCell<HashMap<String, oneshot::Receiver<()>>>,
    failing: RefCell<Vec<&'static str>>,
    under_way: Cell<usize>,
    most_under_way: Cell<usize>,
    spent: Cell<f64>,
    /// Says the word to end after so many answers.
    stop_after: Option<(usize, watch::Sender<bool>)>,
}

impl AnswerSource for Script {
    fn worst_cost(&self, _: &CollectRequest<'_>) -> f64 {
        WORST
    }

    async fn ask(&self, request: CollectRequest<'_>) -> SourcedAnswer {
        let body: Value = serde_json::from_str(&request.body).expect("JSON");
        let text = body["messages"][0]["content"].as_str().expect("a prompt").to_owned();
        self.asked.borrow_mut().push(format!("{}:{text}", request.target.asked));
        if let Some((after, stop)) = &self.stop_after
            && self.asked.borrow().len() == *after
        {
            stop.send_replace(true);
        }
        self.under_way.set(self.under_way.get() + 1);
        self.most_under_way.set(self.most_under_way.get().max(self.under_way.get()));
        tokio::task::yield_now().await;
        let held = self.held.borrow_mut().remove(&text);
        if let Some(held) = held {
            held.await.expect("the test lets it go");
        }
        self.under_way.set(self.under_way.get() - 1);
        if self.failing.borrow().contains(&&*request.target.asked) {
            let error = Some(AnswerFailure { code: "upstream_unavailable".into(), message: "gone".into() });
            let judge_cost_usd = Some(JUDGE);
            let row = AnswerRow { status: Some(502), error, judge_cost_usd, ..AnswerRow::default() };
            return SourcedAnswer { row, paid: JUDGE };
        }
        self.spent.set(self.spent.get() + PRICE);
        let row =
            AnswerRow { answer: Some("yes".into()), cost_usd: Some(PRICE), status: Some(200), ..AnswerRow::default() };
        SourcedAnswer { row, paid: PRICE }
    }
}

/// A folder with prompts `p0`, `p1`, ...
struct Folder(tempfile::TempDir);

impl Folder {
    fn of(prompts: usize) -> Self {
        let folder = Self(tempfile::tempdir().expect("a folder"));
        let rows = (0..prompts).map(|i| {
            format!("{}\n", json!({"id": format!("p{i}"), "prompt": format!("p{i}"), "label": "easy", "subject": "s"}))
        });
        fs::write(folder.0.path().join("prompts.jsonl"), rows.collect::<String>()).expect("written");
        folder
    }

    fn out(&self) -> PathBuf {
        self.0.path().join("answers.jsonl")
    }

    fn run(&self, targets: &[&str]) -> CollectRun {
        let target = |asked: &&str| CollectTarget {
            asked: (*asked).to_owned(),
            policy: (*asked == "auto").then(|| "auto".to_owned()),
        };
        CollectRun {
            prompts: self.0.path().join("prompts.jsonl"),
            out: self.out(),
            targets: targets.iter().map(target).collect(),
            max_cost: None,
            concurrency: 2,
            limit: None,
            repeat: 1,
            failed: FailedRows::Keep,
            max_tokens: None,
            form: AnswerForm::Whole,
        }
    }

    fn rows(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.out()).expect("answers");
        text.lines().map(|line| serde_json::from_str(line).expect("a row")).collect()
    }

    /// Returns who was asked what, row by row.
    fn order(&self) -> Vec<String> {
        let rows = self.rows();
        rows.iter()
            .map(|row| format!("{}:{}", row["asked"].as_str().expect("asked"), row["id"].as_str().expect("id")))
            .collect()
    }
}

async fn collect(run: &CollectRun, script: &Script) -> CollectCounts {
    let (_say, stop) = CollectStop::channel();
    run.run(script, &stop, |_| {}).await.expect("collected")
}

#[tokio::test]
async fn answers_stand_in_the_order_of_the_prompts_however_long_each_takes() {
    let (folder, script) = (Folder::of(3), Script::default());
    let (go, held) = oneshot::channel();
    script.held.borrow_mut().insert("p0".into(), held);
    let run = folder.run(&["small", "big"]);
    let (_say, stop) = CollectStop::channel();
    let mut go = Some(go);

    let release = async {
        while script.asked.borrow().len() < 6 {
            tokio::task::yield_now().await; // the others pass the first, which waits
        }
        go.take().expect("once").send(()).expect("it waits");
    };
    let (counts, ()) = tokio::join!(run.run(&script, &stop, |_| {}), release);

    assert_eq!(folder.order(), ["small:p0", "big:p0", "small:p1", "big:p1", "small:p2", "big:p2"]);
    let counts = counts.expect("collected");
    assert_eq!((counts.answered, counts.prompts, counts.ended), (6, 3, CollectEnd::Done));
    assert_eq!(script.most_under_way.get(), 2);
}

#[tokio::test]
async fn a_row_says_what_was_asked_and_keeps_keys_that_mean_nothing_else() {
    let (folder, script) = (Folder::of(1), Script::default());

    collect(&CollectRun { repeat: 2, ..folder.run(&["auto"]) }, &script).await;

    let rows = folder.rows();
    assert_eq!(
        (&rows[0]["kind"], &rows[0]["prompt"], &rows[0]["policy"]),
        (&json!("answer"), &json!("p0"), &json!("auto"))
    );
    assert_eq!((&rows[0]["subject"], rows[0].get("label"), rows[0].get("repeat")), (&json!("s"), None, None));
    assert_eq!(rows[1]["repeat"], 1);
}

#[tokio::test]
async fn a_second_run_asks_only_for_what_is_missing_and_puts_it_in_its_place() {
    let (folder, script) = (Folder::of(3), Script::default());
    collect(&folder.run(&["small", "big"]), &script).await;
    let whole = fs::read_to_string(folder.out()).expect("answers");
    let lines: Vec<&str> = whole.lines().collect();
    fs::write(folder.out(), [lines[0], lines[2], lines[3], "{\"id\":\"p2\",\"as"].join("\n")).expect("written");
    script.asked.borrow_mut().clear();

    let counts = collect(&folder.run(&["small", "big"]), &script).await;

    assert_eq!(*script.asked.borrow(), ["big:p0", "small:p2", "big:p2"]);
    assert_eq!((counts.known, counts.answered), (3, 3));
    assert_eq!(fs::read_to_string(folder.out()).expect("answers"), whole);
}

#[tokio::test]
async fn the_worst_case_of_what_is_under_way_never_exceeds_the_budget() {
    let (folder, script) = (Folder::of(10), Script::default());
    let run = CollectRun { max_cost: Some(1.1), concurrency: 4, ..folder.run(&["small"]) };

    let counts = collect(&run, &script).await;

    // 0.5 are set aside for each; after three answers 0.35 are left.
    assert_eq!((counts.answered, counts.ended), (3, CollectEnd::Budget));
    assert!((script.spent.get() - 0.75).abs() < 1e-9 && script.most_under_way.get() == 2);
    assert_eq!(folder.order(), ["small:p0", "small:p1", "small:p2"]);
}

#[tokio::test]
async fn failures_are_recorded_stand_until_they_are_asked_for_again_and_then_take_their_place() {
    let (folder, script) = (Folder::of(2), Script::default());
    script.failing.borrow_mut().push("small");
    let run = folder.run(&["small", "big"]);

    let first = collect(&run, &script).await;
    assert_eq!((first.failed, first.answered), (2, 2));
    assert_eq!(folder.rows()[0]["error"], json!({"code": "upstream_unavailable", "message": "gone"}));
    script.failing.borrow_mut().clear();
    script.asked.borrow_mut().clear();
    let second = collect(&run, &script).await;
    assert_eq!((second.failed_before, script.asked.borrow().len()), (2, 0));
    let third = collect(&CollectRun { failed: FailedRows::Retry, ..run }, &script).await;

    assert_eq!((third.answered, third.known, third.judge_cost_usd), (2, 2, 0.0));
    assert_eq!(folder.order(), ["small:p0", "big:p0", "small:p1", "big:p1"]);
    let rows = folder.rows();
    assert!(rows.iter().all(|row| row.get("error").is_none()));
    assert_eq!(
        (&rows[0]["judge_cost_usd"], rows[1].get("judge_cost_usd")),
        (&json!(JUDGE), None),
        "paid, whatever came of it"
    );
}

#[tokio::test]
async fn a_target_that_fails_again_and_again_is_given_up_and_the_others_go_on() {
    let (folder, script) = (Folder::of(20), Script::default());
    script.failing.borrow_mut().push("small");

    let counts = collect(&CollectRun { concurrency: 1, ..folder.run(&["small", "big"]) }, &script).await;

    assert_eq!((counts.failed, counts.answered, counts.not_asked), (u64::from(MOST_FAILURES), 20, 10));
    assert_eq!(counts.given_up.get("small").map(String::as_str), Some("upstream_unavailable: gone"));
}

#[tokio::test]
async fn a_run_that_is_told_to_end_finishes_what_is_under_way() {
    let folder = Folder::of(30);
    let (say, stop) = CollectStop::channel();
    let script = Script { stop_after: Some((3, say)), ..Script::default() };

    let counts = folder.run(&["small"]).run(&script, &stop, |_| {}).await.expect("collected");

    assert_eq!(counts.ended, CollectEnd::Interrupted);
    assert_eq!(folder.rows().len(), script.asked.borrow().len());
    assert!(counts.answered >= 3 && counts.answered <= 4, "{counts:?}");
}

#[tokio::test]
async fn a_longest_answer_is_set_where_the_row_says_none_and_where_the_api_needs_one() {
    let folder = Folder::of(0);
    let rows = [
        json!({"prompt": "a"}),
        json!({"prompt": "b", "max_tokens": 7}),
        json!({"messages": [{"role": "user", "content": "c"}], "system": "s"}),
    ];
    let rows = rows.map(|row| {
        crate::dataset::prompts::PromptRow::of(row.as_object().cloned().expect("an object"))
            .expect("a row")
            .expect("asks")
    });
    let limit = |max_tokens: Option<u64>| {
        let run = CollectRun { max_tokens, ..folder.run(&["small"]) };
        let body = |row: &crate::dataset::prompts::PromptRow| {
            let body: Value = serde_json::from_str(&run.request(&run.targets[0], &row.request()).body).expect("JSON");
            body["max_tokens"].as_u64()
        };
        [body(&rows[0]), body(&rows[1]), body(&rows[2])]
    };

    assert_eq!((limit(None), limit(Some(50))), ([None, Some(7), Some(4096)], [Some(50), Some(7), Some(50)]));
}

#[tokio::test]
async fn rows_that_ask_nothing_and_ids_that_came_before_are_both_counted_as_skipped() {
    let folder = Folder::of(2);
    let rows = fs::read_to_string(folder.0.path().join("prompts.jsonl")).expect("prompts");
    fs::write(folder.0.path().join("prompts.jsonl"), format!("{rows}{rows}{{\"id\": \"none\", \"prompt\": \" \"}}\n"))
        .expect("written");

    let counts = collect(&folder.run(&["small"]), &Script::default()).await;

    assert_eq!((counts.answered, counts.skipped), (2, 3), "{counts:?}");
}
