//! The other subcommands, as an operator types them.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

pub(crate) fn pointsman(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pointsman"));
    command.args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).output().expect("the binary starts")
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("text")
}

#[test]
fn a_bad_file_ends_with_78_and_every_problem() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("bad.yaml");
    let good = fs::read_to_string("config/quickstart.yaml").expect("the example");
    let bad = good
        .replace("default_provider: openai", "default_provider: nobody")
        .replace("body_idle: 30s", "body_idle: soon");
    fs::write(&file, bad).expect("a writable folder");

    for command in ["check", "serve"] {
        let checked = pointsman(&[command, "-c", file.to_str().expect("a plain name")]);

        let problems = text(&checked.stderr) + &text(&checked.stdout);
        assert_eq!(checked.status.code(), Some(78), "{command}: {problems}");
        for part in ["default_provider", "nobody", "limits.body_idle", "soon", "bad.yaml:"] {
            assert!(problems.contains(part), "{command} does not say `{part}`: {problems}");
        }
    }
}

#[test]
fn a_file_that_is_missing_is_named() {
    let checked = pointsman(&["check", "-c", "no/such/file.yaml"]);

    assert_ne!(checked.status.code(), Some(0));
    assert!(text(&checked.stderr).contains("no/such/file.yaml"), "{checked:?}");
}

#[test]
fn bad_usage_ends_with_64() {
    assert_eq!(pointsman(&["serve", "--no-such-flag"]).status.code(), Some(64));
}

#[test]
fn an_amount_that_is_none_is_refused_wherever_dollars_are_given() {
    let options = [
        ("collect", "--max-cost"),
        ("label", "--max-cost"),
        ("label", "--price-input"),
        ("label", "--price-output"),
        ("grade", "--max-cost"),
        ("prepare", "--max-cost"),
        ("prepare", "--price-input"),
        ("prepare", "--price-output"),
        ("calibrate", "--cost-per-1k"),
        ("models", "--max-input"),
        ("models", "--max-output"),
    ];
    for (command, option) in options {
        for amount in ["nan", "inf", "-1", "dear"] {
            let refused = pointsman(&[command, &format!("{option}={amount}")]);

            assert_eq!(refused.status.code(), Some(64), "{command} {option} {amount}");
            let said = text(&refused.stderr);
            assert!(said.contains(&format!("`{amount}` is no amount of US dollars (allowed: 0 or more")), "{said}");
        }
    }
}

#[test]
fn decide_prints_one_json_object() {
    let decided = pointsman(&["decide", "-c", "config/quickstart.yaml", "--json", "What is the capital of France?"]);

    let decision: Value = serde_json::from_slice(&decided.stdout).expect("JSON on stdout and nothing else");
    assert!(decided.status.success(), "{}", text(&decided.stderr));
    assert_eq!((&decision["model"], &decision["reason"]), (&"small".into(), &"tier".into()), "{decision}");
}

/// Twelve prompts with the labels of the head or its aliases, one of them held out.
const LABELLED: &str = r#"{"prompt": "hi there", "label": "simple"}
{"prompt": "What is the capital of Peru?", "label": "gpt-4.1-nano", "id": 2}
{"prompt": "thanks, that is all", "label": "simple"}
{"prompt": "Translate 'good morning' to Dutch.", "label": "simple"}
{"prompt": "How many grams are in a pound?", "label": "gpt-4.1-nano", "contaminated": false}
{"prompt": "Which planet is the largest?", "label": "simple", "contaminated": true}
{"prompt": "Write a friendly letter that asks my landlord to repair the heating before winter.", "label": "medium"}
{"prompt": "Explain how vaccines train the immune system, with an everyday comparison.", "label": "gpt-4.1"}
{"prompt": "Summarise the causes of the French Revolution in five points.", "label": "medium"}
{"prompt": "Prove that there are infinitely many primes that are 3 modulo 4.", "label": "o4-mini"}
{"prompt": "Write a lock-free queue in C++ and argue why each memory ordering is sufficient.", "label": "complex"}
{"prompt": "Three trains leave at 7:10, 7:25 and 7:40 at 80, 95 and 120 km/h. When does each pass the next?", "label": "complex"}
"#;

fn eval(data: &str, more: &[&str]) -> Output {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("labelled.jsonl");
    fs::write(&file, data).expect("a writable folder");
    let file = file.to_str().expect("a plain name");
    pointsman(&[&["eval", "--bundle", "models/pointsman-mini", "--data", file], more].concat())
}

#[test]
fn eval_prints_one_json_object_of_metrics() {
    let evaluated = eval(LABELLED, &["--head", "tier", "--json"]);

    let report: Value = serde_json::from_slice(&evaluated.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", text(&evaluated.stderr)));
    let keys: BTreeSet<&str> = report.as_object().expect("an object").keys().map(String::as_str).collect();
    let expected = "accuracy accuracy_ci95 adjacent_accuracy auc auc_ci95 baselines blank brier brier_ci95 bundle classes \
        confusion contaminated data ece ece_by_chance ece_ci95 head macro_f1 macro_f1_ci95 n nll reliability seed unknown_label weighted_f1";
    let expected: BTreeSet<&str> = expected.split_whitespace().collect();
    assert_eq!(keys, expected);
    assert_eq!((&report["n"], &report["contaminated"], &report["blank"]), (&11.into(), &1.into(), &0.into()));
    for figure in ["accuracy", "macro_f1", "auc", "brier", "ece"] {
        let [low, high] = [0, 1].map(|end| report[format!("{figure}_ci95")][end].as_f64());
        assert!(low <= report[figure].as_f64() && report[figure].as_f64() <= high, "{figure}: {report}");
    }
    assert_eq!(report["classes"][0]["support"], 5, "{report}");
    let baselines = &report["baselines"];
    let keys: BTreeSet<&str> = baselines.as_object().expect("an object").keys().map(String::as_str).collect();
    assert_eq!(keys, BTreeSet::from(["best_single", "length", "oracle", "random"]));
    assert!(report["accuracy"].as_f64() > baselines["best_single"]["accuracy"].as_f64(), "{report}");
    assert_eq!((&baselines["best_single"]["label"], &baselines["oracle"]["macro_f1"]), (&"simple".into(), &1.0.into()));
    assert!(report["auc"].as_f64() > Some(0.8) && report["classes"][2]["auc"].as_f64() > Some(0.8), "{report}");
}

#[test]
fn eval_on_outcomes_prints_what_routing_recovers() {
    let data: String = (0..20)
        .map(|i| {
            let (strong, weak) = (u8::from(i % 3 != 0), u8::from(i % 2 == 0));
            format!("{{\"prompt\": \"What is {i} to the power of {i}?\", \"strong_correct\": {strong}, \"weak_correct\": {weak}}}\n")
        })
        .collect();

    let evaluated = eval(&data, &["--head", "tier", "--json"]);

    let report: Value = serde_json::from_slice(&evaluated.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", text(&evaluated.stderr)));
    let keys: BTreeSet<&str> = report.as_object().expect("an object").keys().map(String::as_str).collect();
    let expected = "apgr apgr_ci95 apgr_over_length_ci95 auc auc_ci95 baselines blank bundle contaminated cpt_50 cpt_50_ci95 \
        cpt_80 cpt_80_ci95 curve data head n reliability seed strong weak";
    assert_eq!(keys, expected.split_whitespace().collect());
    assert_eq!((&report["n"], &report["curve"][10]["strong_percent"]), (&20.into(), &100.0.into()));
    assert_eq!(report["strong"]["quality"], 0.65, "{report}");
}

#[test]
fn eval_of_labels_and_outcomes_at_once_is_refused() {
    let data = format!("{LABELLED}{{\"prompt\": \"x\", \"strong_correct\": 1, \"weak_correct\": 0}}\n");

    let evaluated = eval(&data, &["--head", "tier"]);

    assert_eq!(evaluated.status.code(), Some(65));
    assert!(text(&evaluated.stderr).contains("mixes rows"), "{evaluated:?}");
}

#[test]
fn eval_writes_one_page_that_needs_nothing_else() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let report = folder.path().join("new/report");

    let evaluated = eval(LABELLED, &["--head", "tier", "--report", report.to_str().expect("a plain name")]);

    assert!(evaluated.status.success(), "{evaluated:?}");
    let page = fs::read_to_string(report.join("index.html")).expect("a page");
    assert!(page.matches("<svg").count() == 2 && page.contains("Confusion"), "{page}");
    for beside in ["prompt length", "random", "best single label", "oracle", "AUC"] {
        assert!(page.contains(beside), "the page lacks `{beside}`");
    }
    for outside in ["http:", "https:", "<script", "<link", "url("] {
        assert!(!page.contains(outside), "the page has `{outside}`");
    }
}

#[test]
fn eval_gives_the_same_report_again() {
    let arguments = ["--head", "tier", "--json"];

    assert_eq!(text(&eval(LABELLED, &arguments).stdout), text(&eval(LABELLED, &arguments).stdout));
}

#[test]
fn eval_counts_rows_whose_label_the_head_does_not_have() {
    let evaluated = eval(&LABELLED.replace("\"o4-mini\"", "\"o9\""), &["--head", "tier", "--json"]);

    let report: Value = serde_json::from_slice(&evaluated.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", text(&evaluated.stderr)));
    assert_eq!((&report["n"], &report["unknown_label"]), (&10.into(), &1.into()));
}

#[test]
fn eval_of_unknown_labels_alone_names_the_line_the_label_and_what_is_allowed() {
    let evaluated = eval("{\"prompt\": \"hi\", \"label\": \"o9\"}\n", &["--head", "tier"]);

    let error = text(&evaluated.stderr);
    assert_eq!(evaluated.status.code(), Some(65), "{error}");
    for part in ["line 1", "`o9`", "`tier`", "simple, medium, complex", "o4-mini for complex"] {
        assert!(error.contains(part), "`{part}` is not in: {error}");
    }
}

#[test]
fn eval_of_a_head_that_is_not_there_is_bad_usage() {
    let evaluated = eval(LABELLED, &["--head", "mood"]);

    assert_eq!(evaluated.status.code(), Some(64));
    assert!(text(&evaluated.stderr).contains("no head `mood` (allowed: tier, "), "{evaluated:?}");
}

pub(crate) fn fit(data: &str, task: &str, out: &Path, more: &[&str]) -> Output {
    let folder = out.parent().expect("below a folder");
    let file = folder.join("rows.jsonl");
    fs::write(&file, data).expect("a writable folder");
    let [file, out, cache] = [&file, out, folder].map(|path| path.to_str().expect("a plain name"));
    let arguments = ["fit", "--task", task, "--data", file, "--out", out, "--cache", cache];
    let base = if more.contains(&"--base") { &[][..] } else { &["--base", "models/pointsman-mini"] };
    pointsman(&[&arguments[..], base, more].concat())
}

/// Sums need the strong model, greetings do not.
fn outcomes() -> String {
    let row = |i: u8| {
        let (prompt, weak) =
            if i.is_multiple_of(2) { (format!("Add {i} and {i}"), 0) } else { (format!("Say hello, take {i}"), 1) };
        format!("{{\"prompt\": \"{prompt}\", \"strong_correct\": 1, \"weak_correct\": {weak}}}\n")
    };
    (0..60).map(row).collect()
}

#[test]
fn fit_writes_a_bundle_that_serves_and_routes() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let out = folder.path().join("fitted");

    let fitted = fit(&outcomes(), "strong_weak", &out, &["--folds", "3"]);

    let report: Value =
        serde_json::from_slice(&fitted.stdout).unwrap_or_else(|error| panic!("{error}: {}", text(&fitted.stderr)));
    assert_eq!((&report["n_train"], &report["cross_validation"]["full"]["n"]), (&60.into(), &60.into()));
    assert_eq!(report["base_saw_data"], false, "{report}");
    let rows = folder.path().join("rows.jsonl");
    let evaluated = pointsman(&[
        "eval",
        "--bundle",
        out.to_str().expect("a plain name"),
        "--head",
        "strong_wins",
        "--json",
        "--data",
        rows.to_str().expect("a plain name"),
    ]);
    let report: Value = serde_json::from_slice(&evaluated.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", text(&evaluated.stderr)));
    assert_eq!(report["auc"], 1.0, "{report}");
    assert!(report["ece"].is_number() && report["ece_ci95"].is_array() && report["brier_ci95"].is_array(), "{report}");
}

#[test]
fn fit_writes_the_same_bytes_again() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let [one, two] = ["one", "two"].map(|name| folder.path().join(name));

    for out in [&one, &two] {
        let fitted = fit(LABELLED, "tier", out, &["--inputs", "lexical", "--folds", "0"]);
        assert!(fitted.status.success(), "{fitted:?}");
    }

    for file in ["bundle.yaml", "heads.safetensors", "golden.json", "README.md"] {
        assert_eq!(fs::read(one.join(file)).expect("a file"), fs::read(two.join(file)).expect("a file"), "{file}");
    }
}

#[test]
fn fit_keeps_the_other_heads_of_its_base_and_warns_when_the_base_saw_the_rows() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let [first, second] = ["first", "second"].map(|name| folder.path().join(name));
    let again = ["--base", first.to_str().expect("a plain name"), "--inputs", "lexical", "--folds", "0"];

    let fitted = fit(&outcomes(), "strong_weak", &first, &["--inputs", "lexical", "--folds", "0"]);
    let refitted = fit(&outcomes(), "strong_weak", &second, &again);
    let forgetful = [&again[..], &["--fresh"]].concat();
    let fresh = fit(&outcomes(), "strong_weak", &folder.path().join("third"), &forgetful);

    assert!(fitted.status.success() && !text(&fitted.stderr).contains("warning"), "{fitted:?}");
    assert!(text(&refitted.stderr).contains("the base learnt from these rows"), "{refitted:?}");
    let report: Value = serde_json::from_slice(&refitted.stdout).expect("a report");
    assert_eq!(report["base_saw_data"], true, "{report}");
    assert!(
        fresh.status.success() && !text(&fresh.stderr).contains("warning"),
        "nothing that it reads was learnt: {fresh:?}"
    );
    let fresh: Value = serde_json::from_slice(&fresh.stdout).expect("a report");
    assert_eq!(fresh["base_saw_data"], false, "{fresh}");
    // The golden scores of the base's own head still hold, and the first fit's head is replaced.
    let verified = pointsman(&["bundle", "verify", second.to_str().expect("a plain name")]);
    assert!(verified.status.success(), "{verified:?}");
    let manifest = fs::read_to_string(second.join("bundle.yaml")).expect("a manifest");
    let manifest: Value = serde_json::from_str(&manifest).expect("JSON");
    let offered = manifest["heads"].as_array().expect("heads").iter().filter(|head| head["hidden"] != true);
    let offered: Vec<&str> = offered.filter_map(|head| head["name"].as_str()).collect();
    assert!(offered.contains(&"tier"), "{offered:?}");
    assert_eq!(offered.iter().filter(|head| **head == "strong_wins").count(), 1, "{offered:?}");
}

#[test]
fn fit_keeps_the_gate_of_its_base_where_it_is_asked_to_and_there_is_one() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let [gated, refused] = ["gated", "refused"].map(|name| folder.path().join(name));
    let keep = ["--inputs", "lexical", "--fresh", "--keep-gate", "--folds", "0"];
    let fitted = fit(&outcomes(), "strong_weak", &gated, &keep);
    let without = fit(LABELLED, "tier", &refused, &keep);
    let manifest = fs::read(gated.join("bundle.yaml")).unwrap_or_else(|error| panic!("{error}: {fitted:?}"));
    let manifest: Value = serde_json::from_slice(&manifest).expect("JSON");
    let mut heads = manifest["heads"].as_array().into_iter().flatten();
    let head = heads.find(|head| head["name"] == "strong_wins").expect("the new head");
    assert!(head["mix"].is_array() && head["gate"]["otherwise"] == "strong_wins/length", "{head}");
    assert!(text(&without.stderr).contains("head `tier` has no gate to keep"), "{without:?}");
}

#[test]
fn fit_refuses_a_model_whose_heads_would_have_no_name() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let model = "m".repeat(95);
    let row = |prompt: &str| format!("{{\"prompt\": \"{prompt}\", \"scores\": {{\"{model}\": 1, \"small\": 0}}}}\n");
    let rows: String = ["Add 1 and 2", "Say hello", "Prove it", "Sing"].map(row).concat();

    let fitted = fit(&rows, "success", &folder.path().join("fitted"), &["--inputs", "lexical", "--folds", "0"]);

    let error = text(&fitted.stderr);
    assert!(!fitted.status.success() && error.contains("is too long (allowed: 94 characters)"), "{error}");
}

/// Reads nothing of what is printed.
#[test]
fn fit_does_not_mind_that_nobody_reads_its_report() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let rows = folder.path().join("rows.jsonl");
    fs::write(&rows, LABELLED).expect("a writable folder");
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);

    let status = Command::new(env!("CARGO_BIN_EXE_pointsman"))
        .args([
            "fit",
            "--base",
            "models/pointsman-mini",
            "--task",
            "tier",
            "--inputs",
            "lexical",
            "--folds",
            "0",
            "--data",
        ])
        .arg(&rows)
        .arg("--out")
        .arg(folder.path().join("out"))
        .env("ORT_DYLIB_PATH", "/nowhere/libonnxruntime.so")
        .stdout(writer)
        .status()
        .expect("a process");

    // Nor that there is no ONNX Runtime: a lexical head needs none.
    assert!(status.success(), "{status:?}");
}

/// Each model answers its own kind of prompt.
pub(crate) fn scores() -> String {
    let row = |i: u8| {
        let (prompt, small) =
            if i.is_multiple_of(2) { (format!("Add {i} and {i}"), 0) } else { (format!("Say hello, take {i}"), 1) };
        let large = 1 - small;
        format!(
            "{{\"prompt\": \"{prompt}\", \"scores\": {{\"small\": {small}, \"large\": {large}}}, \"cost_usd\": {{\"small\": 1e-4, \"large\": 1e-3}}}}\n"
        )
    };
    (0..60).map(row).collect()
}

#[test]
fn fit_says_what_rows_of_another_task_hold() {
    let folder = tempfile::tempdir().expect("a temporary folder");

    let refused = fit(&outcomes(), "success", &folder.path().join("out"), &[]);

    let said = text(&refused.stderr);
    assert_eq!(refused.status.code(), Some(65), "{said}");
    assert!(
        said.contains("cannot teach `success`: a row has `strong_correct` and `weak_correct` and not `scores`"),
        "{said}"
    );
}

#[test]
fn eval_asks_the_heads_of_all_models_together() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let out = folder.path().join("fitted");
    let fitted = fit(&scores(), "success", &out, &["--inputs", "lexical", "--folds", "0"]);
    assert!(fitted.status.success(), "{fitted:?}");
    let [bundle, rows] =
        [out.clone(), folder.path().join("rows.jsonl")].map(|path| path.to_str().expect("a name").to_owned());

    let evaluated = pointsman(&["eval", "--bundle", &bundle, "--head", "success", "--json", "--data", &rows]);

    let report: Value = serde_json::from_slice(&evaluated.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", text(&evaluated.stderr)));
    assert_eq!((&report["success"]["quality"], &report["success"]["models"][0]), (&1.0.into(), &"large".into()));
    assert_eq!(report["success"]["shares"], serde_json::json!([0.5, 0.5]), "{report}");
}

#[test]
fn fit_says_when_rows_do_not_teach_the_task() {
    let folder = tempfile::tempdir().expect("a temporary folder");

    let fitted = fit(&outcomes(), "domain", &folder.path().join("out"), &["--inputs", "lexical"]);

    assert_eq!(fitted.status.code(), Some(65));
    assert!(text(&fitted.stderr).contains("cannot teach `domain`"), "{fitted:?}");
}

#[test]
fn the_demo_shows_eight_prompts_and_ends() {
    let demo = pointsman(&["demo", "--once"]);

    let table = text(&demo.stdout);
    assert!(demo.status.success(), "{table}\n{}", text(&demo.stderr));
    for tier in ["simple", "complex"] {
        assert!(table.contains(tier), "no prompt is {tier}: {table}");
    }
}
