use serde_json::json;
use sha2::{Digest, Sha256};

use super::*;

fn dataset(text: &str) -> Dataset<&[u8]> {
    Dataset::new(Path::new("data.jsonl"), text.as_bytes())
}

#[test]
fn rows_come_with_their_place_and_other_keys_are_ignored() {
    let text =
        "{\"prompt\":\"a\",\"label\":\"x\",\"id\":[1]}\n{\"contaminated\":true,\"label\":\"y\",\"prompt\":\"b\"}";

    let rows: Vec<DatasetRow> = dataset(text).collect::<Result<_, _>>().expect("two good rows");

    assert_eq!((rows[0].line, rows[0].end, rows[0].contaminated), (1, 36, false));
    assert_eq!((rows[1].line, rows[1].end, rows[1].contaminated), (2, text.len() as u64, true));
    assert_eq!((&*rows[1].asked.text, &rows[1].truth), ("b", &GroundTruth::Label("y".into())));
}

#[test]
fn a_bad_line_is_named_and_ends_the_rows() {
    let mut rows =
        dataset("{\"prompt\":\"a\",\"label\":\"x\"}\n{\"prompt\":\"a\"}\n{\"prompt\":\"a\",\"label\":\"x\"}\n");

    let error = rows.nth(1).expect("a second line").expect_err("no label").to_string();

    assert!(error.starts_with("`data.jsonl` line 2, column 14: missing field `label` (expected"), "{error}");
    assert!(rows.next().is_none());
}

#[test]
fn a_conversation_is_a_prompt_with_the_turns_before_it() {
    let text = r#"{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"},{"role":"user","content":"c"}],"label":"x"}"#;

    let row = dataset(text).next().expect("a row").expect("a good row");

    assert_eq!((&*row.asked.text, row.asked.history.len()), ("c", 2));
    assert_eq!((&row.asked.history[0]["content"], &row.asked.history[1]["role"]), (&json!("a"), &json!("assistant")));
}

#[test]
fn a_row_must_say_once_what_was_asked() {
    let user = r#"{"role":"user","content":"a"}"#;
    let refused = [
        (r#"{"label":"x"}"#.to_owned(), "missing field `prompt`"),
        (format!(r#"{{"label":"x","prompt":"a","messages":[{user}]}}"#), "`prompt` beside `messages`"),
        (r#"{"label":"x","messages":[]}"#.to_owned(), "ends with no user turn"),
        (
            format!(r#"{{"label":"x","messages":[{user},{{"role":"assistant","content":"b"}}]}}"#),
            "ends with no user turn",
        ),
        (r#"{"label":"x","messages":[{"role":"user","content":[]}]}"#.to_owned(), "ends with no user turn"),
    ];

    for (line, expected) in refused {
        let error = dataset(&line).next().expect("an answer").expect_err(&line).to_string();

        assert!(error.contains(expected), "{line}: {error}");
    }
}

#[test]
fn outcomes_of_two_models_and_of_many_are_told_from_labels() {
    let text = concat!(
        r#"{"prompt":"a","strong_correct":1,"weak_correct":0.5,"subject":"law"}"#,
        "\n",
        r#"{"prompt":"b","scores":{"x":1.0,"y":0.0},"cost_usd":{"x":0.25},"tokens":{"x":{"input":1,"output":2}}}"#,
        "\n",
        r#"{"prompt":"c","domain":"law","task":"t"}"#,
    );

    let truths: Vec<GroundTruth> = dataset(text).map(|row| row.expect("a good row").truth).collect();

    let x = ModelOutcome { score: 1.0, cost: Some(0.25), tokens: Some(3) };
    let y = ModelOutcome { score: 0.0, cost: None, tokens: None };
    let models = [("x".to_owned(), x), ("y".to_owned(), y)];
    assert_eq!(
        truths,
        [
            GroundTruth::Pair { strong: 1.0, weak: 0.5 },
            GroundTruth::Models(models.into_iter().collect()),
            GroundTruth::Label("law".into())
        ]
    );
}

#[test]
fn tokens_are_priced_where_the_cost_is_not_known() {
    let text = concat!(
        r#"{"prompt":"a","scores":{"x":1,"y":1,"z":1},"cost_usd":{"x":0.25},"#,
        r#""tokens":{"x":{"input":10,"output":2},"y":{"input":10,"output":2},"z":7}}"#
    );
    let price = TokenPrice::new(1e6, 1e7);
    let prices = ["x", "y", "z"].map(|model| (model.to_owned(), price));

    let row = dataset(text).priced_by(prices.into()).next().expect("a row").expect("a good row");

    let GroundTruth::Models(answers) = row.truth else { panic!("outcomes of several models") };
    let seen: Vec<_> = answers.values().map(|answer| (answer.cost, answer.tokens)).collect();
    assert_eq!(seen, [(Some(0.25), Some(12)), (Some(30.0), Some(12)), (None, Some(7))]);
}

#[test]
fn the_hash_is_that_of_every_byte() {
    let mut rows = dataset("{\"prompt\":\"a\",\"label\":\"x\"}\r\n");

    assert_eq!(rows.by_ref().filter_map(Result::ok).count(), 1);

    let whole = Sha256::digest(b"{\"prompt\":\"a\",\"label\":\"x\"}\r\n");
    assert_eq!(rows.sha256(), whole.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
}

/// Returns what the rows of a file ask, and their truths.
fn read(text: &str) -> Vec<(String, GroundTruth)> {
    dataset(text).map(|row| row.map(|row| (row.asked.text, row.truth)).expect("a good row")).collect()
}

#[test]
fn a_byte_order_mark_and_lines_without_a_row_are_passed_over_and_hashed() {
    let text = "\u{feff}\n{\"prompt\":\"a\",\"label\":\"x\"}\r\n\r\n   \n{\"prompt\":\"b\",\"label\":\"y\"}\n\n";
    let marked = "\u{feff}{\"prompt\":\"a\",\"label\":\"x\"}\n";

    let mut rows = dataset(text);
    let lines: Vec<u64> = rows.by_ref().map(|row| row.expect("a good row").line).collect();

    assert_eq!(lines, [2, 5]);
    assert_eq!(rows.sha256(), Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect::<String>());
    assert_eq!(read(marked), [("a".to_owned(), GroundTruth::Label("x".to_owned()))]);
}

#[test]
fn a_file_in_utf_16_is_refused_by_that_name() {
    let mut rows = Dataset::new(Path::new("data.jsonl"), &b"\xff\xfe{\0\"\0"[..]);

    let error = rows.next().expect("an answer").expect_err("no UTF-8").to_string();

    assert!(error.starts_with("`data.jsonl` line 1, column 1: the file is UTF-16, not UTF-8 (expected"), "{error}");
}

#[test]
fn qualities_may_be_true_or_false_and_labels_whole_numbers() {
    let rows = [
        r#"{"prompt":"a","strong_correct":true,"weak_correct":false}"#,
        r#"{"prompt":"b","scores":{"x":true,"y":0.5}}"#,
        r#"{"prompt":"c","label":3}"#,
        r#"{"prompt":"d","label":2.0}"#,
        r#"{"prompt":"e","label":-1}"#,
        r#"{"prompt":"f","category":true}"#,
        r#"{"prompt":"g","label":null,"domain":"law"}"#,
    ];

    let truths: Vec<GroundTruth> = read(&rows.join("\n")).into_iter().map(|(_, truth)| truth).collect();

    let outcome = |score| ModelOutcome { score, cost: None, tokens: None };
    let models = [("x".to_owned(), outcome(1.0)), ("y".to_owned(), outcome(0.5))];
    let label = |text: &str| GroundTruth::Label(text.to_owned());
    let pair = GroundTruth::Pair { strong: 1.0, weak: 0.0 };
    let numbers = [label("3"), label("2"), label("-1"), label("true"), label("law")];
    assert_eq!(truths, [vec![pair, GroundTruth::Models(models.into())], numbers.to_vec()].concat());
}

#[test]
fn values_that_could_mean_two_things_are_refused_with_their_place_and_what_is_expected() {
    let refused = [
        (r#"{"prompt":"a","label":1.5}"#, "column 25: invalid type: floating point `1.5`, expected a label: a string,"),
        (r#"{"prompt":"a","label":["x"]}"#, "column 23: invalid type: sequence, expected a label: a string,"),
        (r#"{"prompt":"a","strong_correct":"yes","weak_correct":1}"#, "column 36: invalid type: string \"yes\""),
        (r#"  {"prompt":1,"label":"x"}"#, "column 26: `prompt` is no string"),
        (r#"{"text":["a"],"label":"x"}"#, "column 26: `text` is no string"),
        (r#"{"messages":"a","label":"x"}"#, "`messages` is neither the turns of a chat nor a request body"),
        (r#"{"messages":{"input":"a"},"label":"x"}"#, "`messages` is an object without the turns of a chat"),
    ];

    for (line, expected) in refused {
        let error = dataset(line).next().expect("an answer").expect_err(line).to_string();

        assert!(error.contains(expected) && error.contains("(expected an object with"), "{line}: {error}");
    }
}

#[test]
fn text_stands_for_a_prompt_where_no_other_key_says_what_was_asked() {
    let rows = [r#"{"text":"a","label":"x"}"#, r#"{"text":"other","prompt":"b","label":"x"}"#];

    let asked: Vec<String> = read(&rows.join("\n")).into_iter().map(|(text, _)| text).collect();

    assert_eq!(asked, ["a", "b"]);
}

#[test]
fn a_whole_request_body_is_read_as_a_request_would_be() {
    let tools = r#""tools":[{"type":"function","function":{"name":"search"}}]"#;
    let turns = r#"[{"role":"system","content":"s"},{"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}]"#;
    let rows = [
        format!(r#"{{"model":"auto",{tools},"messages":{turns},"label":"x"}}"#),
        format!(r#"{{"messages":{{"model":"auto",{tools},"messages":{turns}}},"label":"x"}}"#),
    ];

    for row in rows {
        let asked = dataset(&row).next().expect("a row").expect("a good row").asked;

        assert_eq!((&*asked.text, asked.history.len(), asked.is_reply()), ("a\nb", 1, false), "{row}");
        let request = asked.request();
        assert_eq!(json!(asked.features())["tools"], json!(1), "{row}");
        assert_eq!(request.prompt().newest_ask(), "a\nb");
    }
}

#[test]
fn a_conversation_of_messages_keeps_its_system_text_and_its_tools() {
    let row = r#"{"system":"be brief","messages":[{"role":"user","content":"a"},{"role":"assistant","content":[{"type":"text","text":"b"}]},{"role":"user","content":"c"}],"label":"x"}"#;

    let asked = dataset(row).next().expect("a row").expect("a good row").asked;

    assert_eq!((&*asked.text, asked.is_reply()), ("c", true));
    assert_eq!(asked.request().prompt().newest_ask(), "c");
}

#[test]
fn a_row_with_scores_and_a_pair_tells_what_the_task_prefers() {
    let row = r#"{"prompt":"a","strong_correct":1,"weak_correct":0,"scores":{"small":0,"large":1}}"#;
    let truth = |prefer| {
        let mut rows = dataset(row).preferring(prefer);
        rows.next().expect("a row").expect("read").truth
    };

    assert!(matches!(truth(TruthPreference::Outcomes), GroundTruth::Pair { .. }));
    assert!(matches!(truth(TruthPreference::Scores), GroundTruth::Models(_)));
}
