use serde_json::json;

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
    assert_eq!((&*rows[1].prompt, &rows[1].truth), ("b", &GroundTruth::Label("y".into())));
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

    assert_eq!((&*row.prompt, row.history.len()), ("c", 2));
    assert_eq!((&row.history[0]["content"], &row.history[1]["role"]), (&json!("a"), &json!("assistant")));
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
