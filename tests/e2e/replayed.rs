//! Replay and calibrate over every kind of strategy: what logs tell, and what no log holds.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::training::{CONFIG, Folder, json, pointsman, text};

pub(crate) const FLAT: &str =
    "{kind: threshold, classifier: default, head: tier, strong: big, weak: small, threshold: 0.5}";

/// Sure below a level of 0.2 and above 0.8; a judge for the rest.
const JUDGED: &str = "{kind: cascade, otherwise: big, stages: [SURE, {kind: judge, judge: big, choices: [
      {model: small, description: short}, {model: big, description: long}]}]}";
const SURE: &str =
    "{kind: tiers, classifier: default, tiers: {simple: small, medium: big, complex: big}, min_confidence: 0.8}";

/// Writes the configuration with another strategy.
pub(crate) fn with_strategy(folder: &Folder, name: &str, strategy: &str) -> PathBuf {
    let mut text = String::new();
    for line in fs::read_to_string(folder.config(name, "0.5")).expect("the file").lines() {
        match line.split_once("strategy: ") {
            Some((indent, _)) => text += &format!("{indent}strategy: {}\n", strategy.replace("SURE", SURE)),
            None => text += &format!("{line}\n"),
        }
    }
    folder.write(name, &text)
}

/// Replays what `more` makes of the usual log with one strategy and against another.
fn replay(now: &str, against: &str, more: impl Fn(usize, &mut Value)) -> Value {
    let folder = Folder::new();
    let (now, against) = (with_strategy(&folder, "a.yaml", now), with_strategy(&folder, "b.yaml", against));
    let log = folder.log(more);
    json(&pointsman(&[&"replay", &"-c", &now, &"--against", &against, &log, &"--json"]))
}

fn counts(report: &Value) -> (u64, u64) {
    (report["n"].as_u64().expect("a count"), report["moved"].as_u64().expect("a count"))
}

#[test]
fn a_utility_is_replayed_with_what_the_logs_tell_of_answers() {
    // Small is as likely to succeed as the prompt is simple: it is better than 0.9 on ten of a hundred.
    let utility = |lambda: u32| {
        format!(
            "{{kind: utility, classifier: default, models: [small, big], lambda: {lambda}, otherwise: big,
      success: {{small: {{head: tier, label: simple}}, big: {{chance: 0.9}}}}}}"
        )
    };

    let free = replay(FLAT, &utility(0), |_, _| {});
    // 200 tokens cost $0.0002 or $0.002: $1000 for a sure success leaves only small.
    let dear = replay(FLAT, &utility(1000), |_, _| {});

    assert_eq!((counts(&free), counts(&dear)), ((100, 40), (100, 50)), "{free}\n{dear}");
    assert_eq!((&free["moves"][0]["from"], &dear["moves"][0]["from"]), (&json!("small"), &json!("big")));
}

#[test]
fn a_hierarchy_is_replayed_by_the_branch_of_the_logged_label() {
    let branch = |threshold: f64| FLAT.replace("0.5", &threshold.to_string());
    let hierarchy = format!(
        "{{kind: hierarchy, classifier: default, head: tier, otherwise: big, default: {},
      branches: [{{labels: [simple], strategy: {}}}]}}",
        branch(0.9),
        branch(0.3)
    );

    let report = replay(FLAT, &hierarchy, |_, _| {});

    assert_eq!(counts(&report), (100, 60), "{report}"); // 20 simple ones go up, 40 others down
}

#[test]
fn stages_before_a_judge_are_replayed_and_what_the_judge_would_say_is_counted() {
    let report = replay(JUDGED, FLAT, |_, _| {});

    assert_eq!(counts(&report), (40, 0), "{report}");
    let place = "answer of the judge at policies[0].strategy.stages[1]";
    assert_eq!((&report["not_replayed"], &report["unscored"]), (&json!({place: 60}), &json!(0)));
}

#[test]
fn a_split_is_replayed_where_the_log_says_who_falls_together() {
    let split = |by: &str| format!("{{kind: split, models: {{small: 1, big: 1}}, by: {by}}}");
    let all = "{kind: split, models: {small: 1}, by: client}";

    let by_client = replay(&split("client"), all, |i, line| line["client"] = json!(format!("team-{i}")));
    let by_conversation = replay(&split("conversation"), &split("conversation"), |i, line| {
        if i < 30 {
            line["conversation"] = json!(format!("{i:016x}"));
        }
    });

    let (n, moved) = counts(&by_client);
    assert!(n == 100 && (30..=70).contains(&moved), "{by_client}");
    assert_eq!(counts(&by_conversation), (30, 0), "{by_conversation}");
    assert_eq!(by_conversation["not_replayed"], json!({"conversation (split, rollout)": 70}));
}

#[test]
fn a_client_is_replayed_with_the_models_of_its_team() {
    let of = |lists: &str| {
        let folder = Folder::new();
        let with = |name: &str, sections: &str| {
            let file = with_strategy(&folder, name, "{kind: split, models: {small: 1, big: 1}, by: client}");
            let text = fs::read_to_string(file).expect("the file") + sections;
            folder.write(name, &text)
        };
        let client = "clients: {anna: {team: red, keys: []}, ben: {team: red, keys: []}}\n";
        let files =
            [with("a.yaml", &format!("{client}teams: {{red: {{}}}}\n")), with("b.yaml", &format!("{client}{lists}"))];
        let log = folder.log(|i, line| line["client"] = json!(["anna", "ben"][i % 2]));
        counts(&json(&pointsman(&[&"replay", &"-c", &files[0], &"--against", &files[1], &log, &"--json"])))
    };

    let (small, big) =
        (of("teams: {red: {models: {allow: [small]}}}\n"), of("teams: {red: {models: {deny: [small]}}}\n"));
    assert_eq!(of("teams: {red: {}}\n"), (100, 0));
    assert_eq!((small.0, big.0, small.1 + big.1), (100, 100, 100), "each moves to where its team may go");
}

#[test]
fn a_log_of_which_nothing_can_be_replayed_says_what_it_lacks() {
    let folder = Folder::new();
    let random = with_strategy(&folder, "a.yaml", "{kind: random, models: [small, big]}");
    let log = folder.log(|_, _| {});

    let output = pointsman(&[&"replay", &"-c", &random, &"--against", &random, &log]);

    let error = text(&output.stderr);
    assert_eq!(output.status.code(), Some(65), "{error}");
    assert!(
        error.contains("no decision that can be replayed (100 lack the draw of a strategy by chance (random, bandit))"),
        "{error}"
    );
}

#[test]
fn similarity_is_replayed_where_there_is_text() {
    let similarity = "{kind: similarity, classifier: default, threshold: 0, otherwise: big, routes: [
      {model: small, examples: ['What is the capital of France?']},
      {model: big, examples: ['Prove the theorem by induction over the natural numbers.']}]}";
    let report = replay(FLAT, similarity, |i, line| {
        let text = if i < 50 { "What is the capital of Spain?" } else { "Prove this lemma by induction on n." };
        if !(2..98).contains(&i) {
            (line["text"], line["text_bytes"]) = (json!(text), json!(text.len()));
        }
    });

    assert_eq!(counts(&report), (4, 0), "{report}");
    assert_eq!(report["not_replayed"], json!({"text to compare": 96}));
}

#[test]
fn rules_that_read_what_no_log_holds_are_not_taken_for_false() {
    let folder = Folder::new();
    let file = folder.config("a.yaml", "0.5");
    let ruled = CONFIG.lines().find(|line| line.contains("rules:")).expect("rules");
    let with = ruled.replace("}]", "}, {when: \"headers['x-team'] == 'red'\", use: big}]");
    let with = format!("{with}\n    overrides: {{models: ['*']}}");
    let text = fs::read_to_string(&file).expect("the file").replace(ruled, &with);
    let against = folder.write("b.yaml", &format!("{text}rule_headers: [x-team]\n"));
    let log = folder.log(|i, line| {
        line["features"]["images"] = json!(u8::from(i < 10)); // the first rule decides
        line["reason"] = json!(if i == 0 { "override" } else { "rule" });
    });

    let output = pointsman(&[&"replay", &"-c", &file, &"--against", &against, &log, &"--json"]);

    let report = json(&output);
    assert_eq!((counts(&report), &report["not_replayed"]), ((10, 1), &json!({"header `x-team`": 90})), "{report}");
    // What the client chose is refused where it may not choose.
    assert_eq!((&report["moves"][0]["from"], &report["moves"][0]["to"]), (&json!("(refused)"), &json!("small")));
}

#[test]
fn requests_that_were_refused_are_counted_and_left_out_of_everything_that_reads_logs() {
    let folder = Folder::new();
    let now = with_strategy(&folder, "a.yaml", FLAT);
    let log = folder.log(|i, line| {
        if i < 10 {
            line["kind"] = json!("denial");
            line["denied"] = json!({"status": 403, "code": "denied_by_policy"});
            line.as_object_mut().expect("an object").remove("model");
        }
    });

    let replayed = pointsman(&[&"replay", &"-c", &now, &"--against", &now, &log]);
    let report = json(&pointsman(&[&"replay", &"-c", &now, &"--against", &now, &log, &"--json"]));
    let calibrated = pointsman(&[&"calibrate", &"-c", &now, &"--log", &log, &"--strong-share", &"50%", &"--json"]);

    assert_eq!(
        (counts(&report), &report["denied"], &report["passed_over"]),
        ((90, 0), &json!(10), &json!(0)),
        "{report}"
    );
    assert!(text(&replayed.stdout).contains("left out  10, they were refused when they came"), "{replayed:?}");
    assert_eq!(json(&calibrated)["n"], 90);
}

#[test]
fn what_only_watched_and_what_was_cut_are_replayed_as_they_were() {
    let cautious = SURE.replace("0.8", "0, max_truncated_tokens: 10, otherwise: big");
    let report = replay(FLAT, &cautious, |i, line| {
        line["answered_by"] = Value::Null;
        line["truncated_tokens"] = json!(if i < 20 { 11 } else { 10 });
    });

    // Those that were cut, and the 21 of which the bundle's thresholds make more than the flat one does.
    assert_eq!(counts(&report), (100, 41), "{report}");
    assert_eq!(report["passed_over"], 0);
}

#[test]
fn a_threshold_within_a_cascade_is_calibrated_on_the_requests_that_get_there() {
    let folder = Folder::new();
    let cascade = format!("{{kind: cascade, otherwise: big, stages: [SURE, {}]}}", FLAT.replace("0.5", "0.7"));
    let config = with_strategy(&folder, "a.yaml", &cascade);
    let log = folder.log(|_, _| {});
    let run = |more: &[&str]| {
        let mut arguments: Vec<&dyn AsRef<std::path::Path>> = vec![&"calibrate", &"-c", &config, &"--log", &log];
        arguments.extend(more.iter().map(|one| one as &dyn AsRef<std::path::Path>));
        arguments.extend([&"--strong-share" as &dyn AsRef<std::path::Path>, &"50%"]);
        pointsman(&arguments)
    };

    let open = run(&[]);
    let lost = run(&["--at", "stages[2]"]);
    let named = json(&run(&["--at", "stages[1]", "--json"]));
    let diff = text(&run(&["--at", "policies[0].strategy.stages[0].min_confidence"]).stdout);

    let allowed = "(allowed: policies[0].strategy.stages[0].min_confidence, policies[0].strategy.stages[1].threshold)";
    assert_eq!([open.status.code(), lost.status.code()], [Some(64); 2]);
    let said = text(&open.stderr);
    assert!(said.contains("policies[0].strategy: holds more than one threshold") && said.contains(allowed), "{said}");
    let said = text(&lost.stderr);
    assert!(said.contains("policies[0].strategy.stages[2]: is no threshold") && said.contains(allowed), "{said}");
    assert_eq!(
        (&named["n"], &named["left_out"], &named["threshold"]),
        (&json!(60), &json!(40), &json!(0.5)),
        "{named}"
    );
    assert_eq!(named["key"], "policies[0].strategy.stages[1].threshold");
    // Below its confidence the next stage decides: big from a level of 0.7 on, whatever comes before.
    assert!(diff.contains("+    strategy: {kind: cascade") && diff.contains("threshold: 0.7}"), "{diff}");
}

#[test]
fn a_strategy_without_a_threshold_is_refused_with_its_place() {
    let folder = Folder::new();
    let random = with_strategy(&folder, "a.yaml", "{kind: random, models: [small, big]}");
    let log = folder.log(|_, _| {});

    let output = pointsman(&[&"calibrate", &"-c", &random, &"--log", &log, &"--strong-share", &"50%"]);

    let error = text(&output.stderr);
    let wanted = "policies[0].strategy: a strategy of the kind `random` has no threshold to calibrate (allowed: tiers, threshold)";
    assert!(output.status.code() == Some(65) && error.contains(wanted), "{error}");
}

#[test]
fn rules_about_texts_are_replayed_by_what_the_log_holds_of_them() {
    let folder = Folder::new();
    let with_rule = |name: &str, when: &str| {
        let path = with_strategy(&folder, name, FLAT);
        let text = fs::read_to_string(&path).expect("the file");
        let rules = text.lines().find(|line| line.contains("rules: ")).expect("rules");
        let indent = rules.split_once("rules: ").map_or("", |(indent, _)| indent);
        folder.write(name, &text.replace(rules, &format!("{indent}rules: [{{when: \"{when}\", use: big}}]")))
    };
    let now = with_strategy(&folder, "now.yaml", FLAT);
    let log = folder.log(|i, line| {
        if i < 30 {
            (line["text"], line["text_bytes"]) = (json!("a contract"), json!(10));
        }
    });
    let replayed = |path: PathBuf| json(&pointsman(&[&"replay", &"-c", &now, &"--against", &path, &log, &"--json"]));

    let ask = replayed(with_rule("ask.yaml", "prompt.contains_any(['contract'], 'ask')"));
    let all = pointsman(&[
        &"replay",
        &"-c",
        &now,
        &"--against",
        &with_rule("all.yaml", "prompt.matches_any(['contract'])"),
        &log,
    ]);

    assert_eq!(counts(&ask), (30, 30), "{ask}");
    assert_eq!(ask["not_replayed"], json!({"text of the ask, which rules look through": 70}));
    let error = text(&all.stderr);
    assert!(error.contains("100 lack the texts of the whole request, which rules look through"), "{error}");
}

#[test]
fn a_log_is_never_written_over_by_the_list_of_what_moved() {
    let folder = Folder::new();
    let (config, log) = (folder.config("p.yaml", "0.5"), folder.log(|_, _| {}));
    let before = fs::read(&log).expect("the log");

    let refused = pointsman(&[&"replay", &"-c", &config, &"--against", &config, &log, &"--moved", &log]);

    let said = text(&refused.stderr);
    assert!(refused.status.code() == Some(64) && said.contains("of --moved is the file of LOG as well"), "{said}");
    assert_eq!(fs::read(&log).expect("the log"), before);
}

const CHECKED: &str = "{kind: escalate, cheap: small, strong: big, check: {finish_reason: true, refusal: true}}";

/// Makes a line one of an `escalate`: every fourth request went to the strong model, after 20 + 10 tokens of the cheap one.
fn checked(i: usize, line: &mut Value) {
    (line["strategy"], line["reason"], line["model"]) = (json!("escalate"), json!("escalate"), json!("small"));
    line["answered_by"] = json!(if i.is_multiple_of(4) { "big" } else { "small" });
    if i.is_multiple_of(4) {
        (line["escalated"], line["escalation_cost_usd"]) = (json!("refusal"), json!(0.0001));
    }
}

fn cost(report: &Value, key: &str) -> f64 {
    report[key].as_f64().expect("a cost")
}

#[test]
fn a_checked_answer_is_replayed_by_what_its_checks_came_to() {
    let strong_at_all = replay(CHECKED, &FLAT.replace("0.5", "0.0"), checked);
    let same = replay(CHECKED, CHECKED, checked);

    // 200 tokens cost $0.0002 or $0.002: 75 of the one, 25 of the other and 25 answers that nobody got.
    assert_eq!(counts(&strong_at_all), (100, 75), "the others had the strong model already: {strong_at_all}");
    assert!((cost(&strong_at_all, "cost_usd") - (75.0 * 0.0002 + 25.0 * 0.0021)).abs() < 1e-9, "{strong_at_all}");
    assert!((cost(&strong_at_all, "cost_against_usd") - 100.0 * 0.002).abs() < 1e-9, "{strong_at_all}");
    assert_eq!((counts(&same), &same["cost_increase"]), ((100, 0), &json!(0.0)), "{same}");
}

#[test]
fn checks_that_the_log_knows_nothing_of_leave_requests_out() {
    let folder = Folder::new();
    let now = with_strategy(&folder, "now.yaml", CHECKED);
    let other = with_strategy(&folder, "other.yaml", &CHECKED.replace("finish_reason: true, ", ""));
    let flat = with_strategy(&folder, "flat.yaml", FLAT);
    let refused = |now: &PathBuf, against: &PathBuf, log: &PathBuf| {
        let output = pointsman(&[&"replay", &"-c", now, &"--against", against, log]);
        (output.status.code(), text(&output.stderr))
    };

    let plain = folder.log(|_, _| {});
    let not_of_it = refused(&now, &flat, &plain);
    let log = folder.log(checked);
    let (other_check, other_writer) = (refused(&now, &other, &log), refused(&flat, &now, &log));

    for (code, said) in [not_of_it, other_check, other_writer] {
        let wanted = "(100 lack the outcome of the checks at policies[0].strategy)";
        assert!(code == Some(65) && said.contains(wanted), "{said}");
    }
}

#[test]
fn a_policy_has_to_be_named_where_there_are_several() {
    let folder = Folder::new();
    let one = fs::read_to_string(folder.config("one.yaml", "0.5")).expect("the file");
    let two = folder
        .write("two.yaml", &format!("{one}  - name: other\n    strategy: {{kind: random, models: [small, big]}}\n"));
    let log = folder.log(|_, _| {});

    let output = pointsman(&[&"calibrate", &"-c", &two, &"--log", &log, &"--strong-share", &"50%"]);

    let said = text(&output.stderr);
    let wanted = "the configuration has 2 policies: name one (allowed: auto, other)";
    assert!(output.status.code() == Some(64) && said.contains(wanted), "{said}");
}
