//! From production logs to better decisions: calibrate, replay, fit and eval on decision logs.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::gateway::bundle;

pub(crate) const CONFIG: &str = "# Kept as it is.
version: 1
listen: {address: 127.0.0.1:0}
providers: {p: {base_url: 'http://127.0.0.1:1/v1', credential: {env: NOT_SET_HERE}}}
models:
  small: {provider: p, price: {input: 1, output: 1}}
  big:   {provider: p, price: {input: 10, output: 10}}   # dear
classifiers: {default: {bundle: BUNDLE}}
policies:
  - name: auto
    rules: [{when: 'prompt.images > 0', use: big}]
    strategy: {kind: threshold, classifier: default, head: tier, strong: big, weak: small, threshold: 0.5} # by hand
";

pub(crate) struct Folder(tempfile::TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary folder"))
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(name);
        fs::write(&path, text).expect("a writable folder");
        path
    }

    pub(crate) fn config(&self, name: &str, threshold: &str) -> PathBuf {
        let bundle = bundle().display().to_string();
        self.write(
            name,
            &CONFIG.replace("BUNDLE", &bundle).replace("threshold: 0.5", &format!("threshold: {threshold}")),
        )
    }

    /// Decisions with levels from 0.005 to 0.995, the even ones rated right if small answered an easy prompt.
    pub(crate) fn log(&self, more: impl Fn(usize, &mut Value)) -> PathBuf {
        let manifest = fs::read(bundle().join("bundle.yaml")).expect("the bundle");
        let sha256: String = Sha256::digest(manifest).iter().map(|byte| format!("{byte:02x}")).collect();
        let mut text = String::new();
        for i in 0..100 {
            let level = (i as f64 + 0.5) / 100.0;
            let model = if level >= 0.5 { "big" } else { "small" };
            let mut line = json!({
                "kind": "decision", "request_id": format!("r{i}"), "policy": "auto", "strategy": "threshold",
                "classifier": "default", "bundle": {"sha256": sha256}, "label": if i < 50 { "simple" } else { "complex" },
                "scores": {"tier": {"simple": 1.0 - level, "medium": 0.0, "complex": level}},
                "features": {"text_words": i, "text_chars": i * 5}, "model": model, "answered_by": model,
                "status": 200, "input_tokens": 100, "output_tokens": 100, "text_hash": format!("h{i}"), "text_bytes": 9,
            });
            more(i, &mut line);
            writeln!(text, "{line}").expect("writing to a string");
        }
        self.write("log.jsonl", &text)
    }

    pub(crate) fn feedback(&self, correct: impl Fn(usize) -> bool) -> PathBuf {
        let word = |i| {
            json!({"kind": "feedback", "request_id": format!("r{i}"), "time": "2026-11-21T10:00:00Z",
            "correct": f64::from(u8::from(correct(i)))})
        };
        self.write("feedback.jsonl", &(0..100).map(|i| format!("{}\n", word(i))).collect::<String>())
    }
}

pub(crate) fn pointsman(arguments: &[&dyn AsRef<Path>]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pointsman"));
    command.args(arguments.iter().map(|argument| argument.as_ref().as_os_str()));
    command.current_dir(env!("CARGO_MANIFEST_DIR")).env_remove("NOT_SET_HERE").output().expect("the binary starts")
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

pub(crate) fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", text(&output.stderr)))
}

#[test]
fn calibrate_shows_a_diff_and_changes_nothing_until_it_is_told_to() {
    let folder = Folder::new();
    let (config, log) = (folder.config("p.yaml", "0.5"), folder.log(|_, _| {}));
    let before = fs::read_to_string(&config).expect("the file");

    let shown = pointsman(&[&"calibrate", &"-c", &config, &"--log", &log, &"--strong-share", &"25%"]);

    let diff = text(&shown.stdout);
    assert!(shown.status.success(), "{}", text(&shown.stderr));
    assert!(
        diff.contains("\n-    strategy: {kind: threshold") && diff.contains("threshold: 0.7475} # by hand\n"),
        "{diff}"
    );
    assert_eq!(fs::read_to_string(&config).expect("the file"), before);
    let written = pointsman(&[&"calibrate", &"-c", &config, &"--log", &log, &"--strong-share", &"0.25", &"--write"]);
    assert!(written.status.success(), "{}", text(&written.stderr));
    assert_eq!(fs::read_to_string(&config).expect("the file"), before.replace("threshold: 0.5", "threshold: 0.7475"));
}

#[test]
fn calibrate_reports_what_is_achieved_with_an_interval_and_keeps_within_a_cost() {
    let folder = Folder::new();
    let config = folder.config("p.yaml", "0.5");
    let log = folder.log(|i, line| {
        if i.is_multiple_of(10) {
            line["strategy"] = Value::Null; // a rule chose
        }
    });

    let output = pointsman(&[&"calibrate", &"-c", &config, &"--log", &log, &"--cost-per-1k", &"1.1", &"--json"]);

    let report = json(&output);
    assert_eq!(
        (&report["n"], &report["left_out"], &report["strong"]),
        (&json!(90), &json!(10), &json!("big")),
        "{report}"
    );
    assert_eq!(report["key"], "policies[0].strategy.threshold");
    let cost = report["achieved"]["cost_per_1k"].as_f64().expect("a cost");
    // 200 tokens cost $0.2 or $2 per thousand: half of the requests may go up.
    assert!((cost - 1.1).abs() < 1e-6, "{report}");
    let interval = report["achieved"]["strong_share_ci95"].as_array().expect("an interval");
    assert!(interval[0].as_f64() < Some(0.5) && interval[1].as_f64() > Some(0.5), "{report}");
}

#[test]
fn calibrate_scores_prompts_and_reaches_a_quality_on_outcomes() {
    let folder = Folder::new();
    let config = folder.config("p.yaml", "0.5");
    let row = |i: usize| {
        let (prompt, weak) = if i.is_multiple_of(2) {
            (format!("What is {i} plus one?"), 1)
        } else {
            (
                format!(
                    "Prove theorem {i} of number theory and generalise it, with every step of the argument explained."
                ),
                0,
            )
        };
        format!("{}\n", json!({"prompt": prompt, "strong_correct": 1, "weak_correct": weak}))
    };
    let prompts = folder.write("prompts.jsonl", &(0..12).map(row).collect::<String>());

    let output = pointsman(&[&"calibrate", &"-c", &config, &"--prompts", &prompts, &"--quality", &"0.9", &"--json"]);

    let report = json(&output);
    assert_eq!(report["n"], 12);
    assert!(report["achieved"]["quality"].as_f64() >= Some(0.9), "{report}");
    assert!(report["achieved"]["strong_share"].as_f64() < Some(1.0), "{report}");
}

#[test]
fn calibrate_says_what_it_lacks() {
    let folder = Folder::new();
    let (config, log) =
        (folder.config("p.yaml", "0.5"), folder.log(|_, line| line["bundle"]["sha256"] = json!("other")));
    let run = |more: &[&dyn AsRef<Path>]| {
        let output = pointsman(&[&[&"calibrate" as &dyn AsRef<Path>, &"-c", &config, &"--log", &log], more].concat());
        (output.status.code(), text(&output.stderr))
    };

    let (code, error) = run(&[&"--strong-share", &"0.2"]);
    assert_eq!(code, Some(65), "{error}");
    assert!(error.contains("100 logged requests have scores of another bundle and no whole text"), "{error}");
    let (code, error) = run(&[&"--strong-share", &"0.2", &"--policy", &"nope"]);
    assert_eq!((code, error.contains("no policy `nope` (allowed: auto)")), (Some(64), true), "{error}");
    assert_eq!(run(&[&"--strong-share", &"120%"]).0, Some(64));
    assert_eq!(run(&[]).0, Some(64));
}

#[test]
fn replay_counts_what_moves_and_gates_on_it() {
    let folder = Folder::new();
    let (now, against, log) = (folder.config("a.yaml", "0.5"), folder.config("b.yaml", "0.4"), folder.log(|_, _| {}));
    let feedback = folder.feedback(|i| i >= 50 || i.is_multiple_of(2));
    let replay = |more: &[&dyn AsRef<Path>]| {
        let arguments: [&dyn AsRef<Path>; 7] = [&"replay", &"--config", &now, &"--against", &against, &log, &feedback];
        pointsman(&[&arguments, more].concat())
    };

    let report = json(&replay(&[&"--json"]));

    assert_eq!(
        (&report["n"], &report["moved"], &report["moved_share"]),
        (&json!(100), &json!(10), &json!(0.1)),
        "{report}"
    );
    assert_eq!((&report["labels"]["simple"]["moved"], &report["labels"]["complex"]["moved"]), (&json!(10), &json!(0)));
    assert_eq!(report["moves"][0]["from"], "small");
    // Ten requests of 200 tokens go from $0.0002 to $0.002; all of them cost 0.11 now.
    let increase = report["cost_increase"].as_f64().expect("priced");
    assert!((increase - 0.018 / 0.11).abs() < 1e-9, "{report}");
    // Small is right on half of the simple ones, big always: a tenth of the requests gains a half.
    assert!((report["quality_by_feedback"].as_f64().expect("rated") - 0.05).abs() < 1e-9, "{report}");
    assert_eq!(report["quality_by_strong_wins"], Value::Null);
    for (gate, code) in [
        (["--max-moved", "10%"], 0),
        (["--max-moved", "9%"], 1),
        (["--max-cost-increase", "20%"], 0),
        (["--max-cost-increase", "5%"], 1),
        (["--max-quality-drop", "0.01"], 0),
    ] {
        let [key, value] = gate;
        let gated = replay(&[&key, &value]);
        assert_eq!(gated.status.code(), Some(code), "{gate:?}: {}", text(&gated.stderr));
    }
    let part = &report["labels"]["simple"];
    assert!((part["quality_by_feedback"].as_f64().expect("rated") - 0.1).abs() < 1e-9, "{report}");
    assert_eq!(report["labels"]["complex"]["quality_by_feedback"], 0.0, "{report}");
    let list = folder.0.path().join("moved.jsonl");
    assert!(replay(&[&"--moved", &list]).status.success());
    let list = fs::read_to_string(list).expect("a list");
    let moved: Vec<Value> = list.lines().map(|line| serde_json::from_str(line).expect("a request")).collect();
    assert_eq!((moved.len(), &moved[0]["request_id"], &moved[9]["request_id"]), (10, &json!("r40"), &json!("r49")));
    assert_eq!(
        (&moved[0]["from"], &moved[0]["to"], &moved[0]["label"]),
        (&json!("small"), &json!("big"), &json!("simple"))
    );
    let table = text(&replay(&[]).stdout);
    assert!(table.contains("moved     10, 10.00 %") && table.contains("small  big"), "{table}");
}

#[test]
fn replay_of_another_bundle_scores_texts_again_and_counts_what_has_none() {
    let folder = Folder::new();
    let (now, against) = (folder.config("a.yaml", "0.5"), folder.config("b.yaml", "0.5"));
    let log = folder.log(|i, line| {
        line["bundle"]["sha256"] = json!("former");
        if i < 4 {
            let text = format!("What is {i} plus two?");
            (line["text"], line["text_bytes"]) = (json!(text), json!(text.len()));
        }
    });

    let report = json(&pointsman(&[&"replay", &"-c", &now, &"--against", &against, &log, &"--json"]));

    assert_eq!((&report["n"], &report["unscored"], &report["moved"]), (&json!(4), &json!(96), &json!(0)), "{report}");
    assert_eq!((&report["requests"], &report["coverage"]), (&json!(100), &json!(0.04)), "{report}");
    let gate = |more: &[&dyn AsRef<Path>]| {
        let arguments: [&dyn AsRef<Path>; 6] = [&"replay", &"-c", &now, &"--against", &against, &log];
        let gated = pointsman(&[&arguments, more].concat());
        (gated.status.code(), text(&gated.stderr))
    };
    let refused = gate(&[&"--max-moved", &"5%"]);
    let needed = "refused: moved rests on 4.00 % of the requests (needed: 90.00 %, --min-coverage)";
    assert!(refused.0 == Some(1) && refused.1.contains(needed), "{refused:?}");
    assert_eq!(gate(&[&"--max-moved", &"5%", &"--min-coverage", &"4%"]).0, Some(0));
    assert_eq!(gate(&[&"--min-coverage", &"5%"]).0, Some(1));
    assert_eq!(gate(&[]).0, Some(0));
}

#[test]
fn a_cost_gate_rests_on_the_requests_that_have_a_price() {
    let folder = Folder::new();
    let (now, against) = (folder.config("a.yaml", "0.5"), folder.config("b.yaml", "0.4"));
    let gate = |unpriced: usize| {
        let log = folder.log(|i, line| {
            if i < unpriced {
                line["input_tokens"] = Value::Null;
            }
        });
        let arguments: [&dyn AsRef<Path>; 6] = [&"replay", &"-c", &now, &"--against", &against, &log];
        let gated = pointsman(&[&arguments, &[&"--max-cost-increase" as &dyn AsRef<Path>, &"20%"][..]].concat());
        (gated.status.code(), text(&gated.stderr))
    };

    assert_eq!(gate(1).0, Some(0));
    assert!(gate(11).1.contains("rests on 89.00 % of the requests"), "{:?}", gate(11));
    assert!(gate(100).1.contains("the cost increase is not known"), "{:?}", gate(100));
}

#[test]
fn fit_learns_from_logs_without_text_through_their_features_alone() {
    let folder = Folder::new();
    // Both models answered some prompts of each length; the weak one fails the long ones.
    let log = folder.log(|i, line| {
        let model = if i.is_multiple_of(2) { "small" } else { "big" };
        line["answered_by"] = json!(model);
        line["text_hash"] = json!(format!("h{}", i / 2));
    });
    let feedback = folder.feedback(|i| i % 2 == 1 || i < 50);
    let (out, cache) = (folder.0.path().join("fitted"), folder.0.path().join("cache"));
    let fit = |inputs: &str| {
        pointsman(&[
            &"fit",
            &"--base",
            &"models/pointsman-mini",
            &"--task",
            &"strong_weak",
            &"--from-log",
            &log,
            &feedback,
            &"--strong",
            &"big",
            &"--weak",
            &"small",
            &"--out",
            &out,
            &"--cache",
            &cache,
            &"--inputs",
            &inputs,
            &"--folds",
            &"0",
        ])
    };

    let refused = fit("full");
    let fitted = fit("lexical");

    assert_eq!(refused.status.code(), Some(65));
    assert!(text(&refused.stderr).contains("hold no text") && text(&refused.stderr).contains("--inputs lexical"));
    let report = json(&fitted);
    assert_eq!(report["n_train"], 50, "{}", text(&fitted.stderr));
    assert_eq!(report["data"]["file"], "decision-log.jsonl");
    assert!(text(&fitted.stderr).contains("50 rows of 100 decisions (0 without feedback, 0 lines passed over)"));
    // What was learnt from lengths holds for texts of such lengths.
    let row = |words: usize| json!({"prompt": "word ".repeat(words), "strong_correct": 1, "weak_correct": u8::from(words < 50)});
    let rows = folder.write("rows.jsonl", &(1..10).map(|i| format!("{}\n", row(10 * i + 5))).collect::<String>());
    let judged =
        json(&pointsman(&[&"eval", &"--bundle", &out, &"--head", &"strong_wins", &"--data", &rows, &"--json"]));
    assert!(judged["auc"].as_f64() > Some(0.9), "{judged}");
}

#[test]
fn eval_judges_what_was_logged_when_there_is_no_text() {
    let folder = Folder::new();
    let log = folder.log(|i, line| {
        line["answered_by"] = json!(if i.is_multiple_of(2) { "small" } else { "big" });
        line["text_hash"] = json!(format!("h{}", i / 2));
        // Both requests of a prompt were scored alike.
        let level = (i / 2) as f64 / 50.0;
        line["scores"] = json!({"tier": {"simple": 1.0 - level, "medium": 0.0, "complex": level}});
    });
    let feedback = folder.feedback(|i| i % 2 == 1 || i < 50);
    let output = pointsman(&[
        &"eval",
        &"--bundle",
        &"models/pointsman-mini",
        &"--head",
        &"tier",
        &"--from-log",
        &log,
        &feedback,
        &"--strong",
        &"big",
        &"--weak",
        &"small",
        &"--json",
    ]);

    let report = json(&output);
    assert_eq!((&report["n"], &report["auc"]), (&json!(50), &json!(1.0)), "{report}");
}

#[test]
fn logs_that_cannot_teach_a_task_are_refused_with_what_can() {
    let folder = Folder::new();
    let log = folder.log(|_, _| {});
    let fit = |more: &[&dyn AsRef<Path>]| {
        let arguments: [&dyn AsRef<Path>; 7] =
            [&"fit", &"--base", &"models/pointsman-mini", &"--out", &"/nowhere", &"--from-log", &log];
        let output = pointsman(&[&arguments, more].concat());
        (output.status.code(), text(&output.stderr))
    };

    let labels = fit(&[&"--task", &"tier"]);
    let pair = fit(&[&"--task", &"strong_weak"]);
    let silent = fit(&[&"--task", &"success"]);

    assert!(labels.0 == Some(65) && labels.1.contains("hold outcomes and no labels"), "{labels:?}");
    assert!(pair.0 == Some(64) && pair.1.contains("needs --strong and --weak"), "{pair:?}");
    assert!(silent.0 == Some(65) && silent.1.contains("100 decisions and no feedback"), "{silent:?}");
}
