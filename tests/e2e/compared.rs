//! `pointsman eval --answers`: policies beside single models on graded answers, as JSON, tables and a page.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::training::{CONFIG, Folder, json, pointsman, text};

/// Texts that would be markup where a page did not keep them as text.
const HOSTILE: &str = "</script><script>alert(1)</script><img src=x onerror=alert(2)><!-- <script>";

/// A graded answer to the prompt with this number; `big` is right on all but every fifth, `small` on every second.
fn answer(number: usize, asked: &str, model: &str) -> Value {
    let right = if model == "big" { !number.is_multiple_of(5) } else { number.is_multiple_of(2) };
    let cost = if model == "big" { 0.01 } else { 0.001 };
    let mut row = json!({
        "kind": "answer", "id": format!("q{number}"), "prompt": format!("Question {number}: what is {number} + 1?"),
        "asked": asked, "model": model, "status": 200, "answer": format!("{model} says {}", number + 1), "cost_usd": cost,
        "first_byte_ms": 20.0, "duration_ms": if model == "big" { 80.0 } else { 40.0 }, "input_tokens": 9,
        "output_tokens": 3, "grades": [{"grader": "number", "score": f64::from(u8::from(right)), "correct": right}],
    });
    if asked == "auto" {
        row["policy"] = json!("auto");
        row["label"] = json!(if model == "big" { "complex" } else { "simple" });
        (row["score"], row["reason"], row["overhead_us"]) = (json!(0.8), json!("tier"), json!(2500));
    }
    row
}

/// Answers to so many prompts, of both models and of a policy that sends every third prompt to `big`.
pub(crate) fn answers(folder: &Folder, prompts: usize, more: impl Fn(usize, &mut Value)) -> PathBuf {
    let mut lines = String::new();
    for number in 0..prompts {
        let chosen = if number.is_multiple_of(3) { "big" } else { "small" };
        for (asked, model) in [("small", "small"), ("big", "big"), ("auto", chosen)] {
            let mut row = answer(number, asked, model);
            more(number, &mut row);
            writeln!(lines, "{row}").expect("writing to a string");
        }
    }
    folder.write("graded.jsonl", &lines)
}

fn page(folder: &Path) -> String {
    fs::read_to_string(folder.join("index.html")).expect("a page")
}

#[test]
fn a_policy_stands_beside_every_model_with_its_differences() {
    let folder = Folder::new();
    let graded = answers(&folder, 60, |_, _| {});

    let report = json(&pointsman(&[&"eval", &"--answers", &graded, &"--json"]));

    let router = &report["routers"][0];
    let near = |value: &Value, wanted: f64| (value.as_f64().expect("a number") - wanted).abs() < 1e-9;
    assert_eq!((&report["n"], &report["strong"], &report["weak"]), (&json!(60), &json!("big"), &json!("small")));
    assert!(near(&report["models"][0]["quality"], 0.8) && near(&report["models"][1]["quality"], 0.5), "{report}");
    // A third of the prompts to big (right on 16 of 20), the others to small (right on 20 of 40).
    assert!(near(&router["quality"], 0.6) && near(&router["cost_usd"], 0.004), "{router}");
    assert!(near(&router["pgr"], 1.0 / 3.0) && near(&router["shares"]["big"], 1.0 / 3.0), "{router}");
    assert_eq!(router["latency_ms"], json!({"n": 60, "p50": 40.0, "p95": 80.0}));
    // Small fails and big does not on the 16 that 2, 3 and 5 do not divide; big fails on 0 and 30, which small gets right.
    assert_eq!(router["choices"]["wrong"], 18, "{router}");
    let names: Vec<&Value> = router["against"].as_array().expect("a list").iter().map(|other| &other["name"]).collect();
    assert!(names.contains(&&json!("oracle")) && names.contains(&&json!("length")), "{names:?}");
    let shown = text(&pointsman(&[&"eval", &"--answers", &graded]).stdout);
    for part in ["policy auto", "arena score", "random at its shares", "policy auto by label"] {
        assert!(shown.contains(part), "no `{part}` in\n{shown}");
    }
}

#[test]
fn a_policy_of_a_configuration_is_decided_anew_and_gets_the_answers_of_the_models_that_it_chooses() {
    let folder = Folder::new();
    let config = folder.config("p.yaml", "0.5");
    let graded = answers(&folder, 8, |number, row| {
        row["prompt"] =
            json!(if number < 4 { "Hi!" } else { "Prove that the halting problem is undecidable, in detail." });
        if row["asked"] == "auto" {
            row["asked"] = json!("old");
            row["policy"] = json!("old");
        }
        for key in ["asked", "model"] {
            if row[key] == "big" {
                row[key] = json!("gpt-big");
            }
        }
    });
    let compare = |more: &[&str]| {
        let mut arguments: Vec<&dyn AsRef<Path>> = vec![&"eval", &"--answers", &graded, &"-c", &config, &"--json"];
        arguments.extend(more.iter().map(|argument| argument as &dyn AsRef<Path>));
        pointsman(&arguments)
    };

    let lacking = compare(&[]);
    let report = json(&compare(&["--stand-in", "big=gpt-big"]));

    let error = text(&lacking.stderr);
    assert!(lacking.status.code() == Some(64) && error.contains("`big`") && error.contains("--stand-in"), "{error}");
    let routers = report["routers"].as_array().expect("a list");
    let [old, anew] = &routers[..] else { panic!("{report}") };
    assert_eq!(
        (&old["kind"], &anew["kind"], &anew["name"]),
        (&json!("policy"), &json!("policy_offline"), &json!("auto"))
    );
    assert_eq!(anew["shares"], json!({"small": 0.5, "gpt-big": 0.5}), "{anew}");
    assert_eq!(anew["ranking"]["by"], "score");
    assert!(anew["overhead_us"]["p50"].as_f64().is_some_and(|us| us > 0.0), "{anew}");
}

#[test]
fn the_page_holds_every_answer_and_none_of_them_is_markup() {
    let folder = Folder::new();
    let graded = answers(&folder, 250, |number, row| {
        if number.is_multiple_of(10) {
            row["prompt"] = json!(format!("{HOSTILE} {number}"));
            row["answer"] = json!(format!("{HOSTILE} an answer to {number}"));
            row["grades"][0]["reason"] = json!(HOSTILE);
        }
    });
    let report = folder.write("x", "").with_file_name("report");

    let output = pointsman(&[&"eval", &"--answers", &graded, &"--report", &report, &"--json"]);

    assert!(output.status.success(), "{}", text(&output.stderr));
    let page = page(&report);
    assert!(!page.contains("<img") && !page.contains("alert(1)</script>"));
    // One script that runs, and blocks that none runs: the index, and texts of a hundred prompts each.
    assert_eq!((page.matches("<script>").count(), page.matches("<script type=\"application/json\"").count()), (1, 4));
    assert!(page.contains("default-src 'none'") && page.contains("script-src 'sha256-"));
    assert!(!page.contains("src=\"") && !page.contains("href=\"") && !page.contains("@import"));
    for number in [0, 1, 99, 100, 240, 249] {
        assert!(
            page.contains(&format!("answer to {number}\"")) || page.contains(&format!("says {}\"", number + 1)),
            "{number}"
        );
    }
    assert!(fs::read_to_string(report.join("cost-quality.svg")).expect("a plot").starts_with("<svg xmlns"));
}

#[test]
fn outcomes_of_models_are_compared_as_answers_are() {
    let folder = Folder::new();
    let row = |small: u8, big: u8| json!({"prompt": "Hi!", "scores": {"cheap": small, "dear": big}, "cost_usd": {"cheap": 0.001, "dear": 0.01}});
    let outcomes = folder.write("outcomes.jsonl", &format!("{}\n{}\n", row(1, 1), row(0, 1)));
    let config = folder.config("p.yaml", "0.5");
    let stand_ins: [&dyn AsRef<Path>; 4] = [&"--stand-in", &"small=cheap", &"--stand-in", &"big=dear"];

    let mut arguments: Vec<&dyn AsRef<Path>> = vec![&"eval", &"--answers", &outcomes, &"--config", &config, &"--json"];
    arguments.extend(stand_ins);
    let report = json(&pointsman(&arguments));

    assert_eq!((&report["n"], &report["routers"][0]["shares"]), (&json!(2), &json!({"cheap": 1.0})), "{report}");
    assert_eq!((&report["routers"][0]["quality"], &report["oracle"]["quality"]), (&json!(0.5), &json!(1.0)));
}

#[test]
fn a_head_needs_its_bundle_and_answers_take_none() {
    let folder = Folder::new();
    let graded = answers(&folder, 2, |_, _| {});
    let empty = folder.write("empty.jsonl", "\n");

    let bare = pointsman(&[&"eval", &"--data", &graded]);
    let both = pointsman(&[&"eval", &"--answers", &graded, &"--bundle", &"b"]);
    let nothing = pointsman(&[&"eval", &"--answers", &empty]);

    assert_eq!([&bare, &both].map(|output| output.status.code()), [Some(64); 2]);
    assert!(text(&bare.stderr).contains("--bundle"), "{}", text(&bare.stderr));
    assert_eq!(nothing.status.code(), Some(65));
    assert!(CONFIG.contains("auto") && text(&nothing.stderr).contains("holds no answers"), "{}", text(&nothing.stderr));
}

#[test]
fn a_policy_that_checks_answers_pays_for_both_and_stands_beside_a_threshold_at_its_cost() {
    let folder = Folder::new();
    let text = fs::read_to_string(folder.config("p.yaml", "0.5")).expect("a file");
    let checked = "  - name: checked\n    strategy: {kind: escalate, cheap: small, strong: big, check: {refusal: true, finish_reason: true}}\n";
    let config = folder.write("both.yaml", &format!("{text}{checked}"));
    // Small is wrong on the odd ones: there it refuses, or is cut.
    let graded = answers(&folder, 8, |number, row| {
        let name = row["asked"].as_str().expect("a name").to_owned();
        if name == "auto" {
            (row["asked"], row["policy"]) = (json!("old"), json!("old"));
        }
        row["finish_reason"] = json!(if name == "small" && number % 4 == 3 { "length" } else { "stop" });
        if name == "small" && number % 4 == 1 {
            row["answer"] = json!("I'm sorry, but I can't help with that.");
        }
    });
    let compare = |policies: &'static str| {
        let arguments: [&dyn AsRef<Path>; 10] =
            [&"eval", &"--answers", &graded, &"-c", &config, &"--policy", &policies, &"--policies", &"old", &"--json"];
        pointsman(&arguments)
    };

    let report = json(&compare("auto,checked"));

    let routers = report["routers"].as_array().expect("a list");
    let checked = routers.iter().find(|router| router["name"] == "checked").expect("the policy");
    let near = |value: &Value, wanted: f64| (value.as_f64().expect("a number") - wanted).abs() < 1e-9;
    // Big is wrong on 5 alone. Eight answers of small, and four of big.
    assert!(near(&checked["quality"], 0.875) && near(&checked["cost_usd"], 0.006), "{checked}");
    let against = |name: &str| {
        let all = checked["against"].as_array().expect("a list");
        all.iter().find(|other| other["name"] == name).unwrap_or_else(|| panic!("{name}: {checked}")).clone()
    };
    for name in ["threshold on the score of auto at its cost", "threshold on length at its cost", "random at its cost"]
    {
        assert!(near(&against(name)["cost_share"], 1.0), "{name}: {}", against(name));
    }
    // Of the gap between 0.5 and 0.75, chance gets what 5 of 9 parts of its cost buy.
    assert!(near(&against("random at its cost")["quality"], 0.875 - (0.5 + 0.25 * 5.0 / 9.0)), "{checked}");
}

#[test]
fn a_judge_of_answers_costs_what_its_grades_do_and_each_of_several_answers_is_checked() {
    let folder = Folder::new();
    let text = fs::read_to_string(folder.config("p.yaml", "0.5")).expect("a file");
    let checked =
        "  - name: checked\n    strategy: {kind: escalate, cheap: small, strong: big, check: {judge: {judge: big}}}\n";
    let config = folder.write("judged.yaml", &format!("{text}{checked}"));
    let mut lines = String::new();
    for number in 1..3 {
        writeln!(lines, "{}", answer(number, "big", "big")).expect("writing to a string");
        // The second answer of small is wrong, and the judge sees it.
        for (repeat, score) in [(0, 1.0), (1, 0.0)] {
            let mut row = answer(number, "small", "small");
            row["repeat"] = json!(repeat);
            row["grades"] = json!([{"grader": "number", "score": score, "correct": score > 0.5},
                {"grader": "judge", "score": score, "cost_usd": 0.0005}]);
            writeln!(lines, "{row}").expect("writing to a string");
        }
    }
    let graded = folder.write("judged.jsonl", &lines);

    let report = json(&pointsman(&[
        &"eval",
        &"--answers",
        &graded,
        &"-c",
        &config,
        &"--policy",
        &"checked",
        &"--weights",
        &"judge=0",
        &"--json",
    ]));

    let router = &report["routers"][0];
    let near = |value: &Value, wanted: f64| (value.as_f64().expect("a number") - wanted).abs() < 1e-9;
    assert!(near(&router["quality"], 1.0) && near(&router["judge_cost_usd"], 0.0005), "{router}");
    // Half of the answers are small's alone; behind the others big's is paid too.
    assert!(near(&router["cost_usd"], (0.0015 + 0.0115) / 2.0), "{router}");
}
