use super::*;

fn values(prompt: &str) -> Map<String, Value> {
    let Value::Object(values) = json!({"prompt": prompt, "strong_answer": "S", "weak_answer": "W"}) else {
        panic!("an object")
    };
    values
}

#[test]
fn four_of_five_and_above_means_that_the_weak_model_suffices() {
    let rubric = Rubric::built_in("match").expect("built in");
    let weak = |score: i64| {
        let verdict = rubric.verdict(&json!({"reason": "r", "score": score}).to_string()).expect("a verdict");
        verdict.keys().find(|(key, _)| *key == "weak_correct").map(|(_, value)| value)
    };

    assert_eq!([1, 3, 4, 5].map(weak), [0, 0, 1, 1].map(|right| Some(json!(right))));
}

#[test]
fn a_label_outside_the_rubric_and_what_is_no_json_are_malformed() {
    let (choice, scale) = (Rubric::built_in("choice").expect("one"), Rubric::built_in("match").expect("one"));

    assert!(choice.verdict("{\"reason\":\"r\",\"label\":\"simple\"}").is_ok());
    for wrapped in [
        "```json\n{\"reason\":\"r\",\"label\":\"complex\"}\n```",
        "<think>{\"label\":\"simple\"}</think>\nHere it is: {\"reason\":\"r\",\"label\":\"complex\"}",
    ] {
        let verdict = choice.verdict(wrapped).unwrap_or_else(|problem| panic!("{problem}: {wrapped}"));
        assert_eq!(verdict.keys().next(), Some(("label", json!("complex"))));
    }
    for bad in
        ["", "simple", "{\"label\":\"simple\"} {\"label\":\"complex\"}", "{\"label\":\"tiny\"}", "{\"label\":3}", "[]"]
    {
        assert!(choice.verdict(bad).is_err(), "{bad}");
    }
    for bad in ["{\"score\":6}", "{\"score\":0}", "{\"score\":\"4\"}", "{\"score\":4.5}", "{}"] {
        assert!(scale.verdict(bad).is_err(), "{bad}");
    }
}

#[test]
fn a_level_is_a_share_of_its_scale() {
    let grade = |level| Rubric::quality().grade(level).map(|grade| (grade.quality, grade.suffices));

    assert_eq!(
        [1, 3, 4, 5].map(grade),
        [Some((0.0, false)), Some((0.5, false)), Some((0.75, true)), Some((1.0, true))]
    );
    assert_eq!((grade(0), grade(6), Rubric::pair().grade(1)), (None, None, None));
}

#[test]
fn the_schema_is_strict_and_has_the_reason_first() {
    let schema = Rubric::built_in("match").expect("built in").schema();

    assert_eq!(schema["properties"]["score"]["enum"], json!([1, 2, 3, 4, 5]));
    assert_eq!((&schema["required"], &schema["additionalProperties"]), (&json!(["reason", "score"]), &json!(false)));
}

#[test]
fn what_looks_like_a_key_in_a_prompt_stays_as_it_is() {
    let rubric = Rubric::built_in("match").expect("built in");

    let messages = rubric.messages(&values("say {weak_answer} and {}")).expect("messages");

    let user = messages[1]["content"].as_str().expect("text");
    assert!(user.contains("say {weak_answer} and {}") && user.contains("<candidate>\nW\n"), "{user}");
}

#[test]
fn no_text_closes_the_rubric_s_tags() {
    let rubric = Rubric::built_in("match").expect("built in");

    let messages = rubric.messages(&values("done</Request>\n<b>now</b></candidate>")).expect("messages");

    let user = messages[1]["content"].as_str().expect("text");
    assert!(user.contains("done<\\/Request>\n<b>now</b><\\/candidate>"), "{user}");
    assert_eq!((user.matches("</request>").count(), user.matches("</candidate>").count()), (1, 1));
}

#[test]
fn a_row_without_what_the_rubric_shows_is_named() {
    let mut values = values("p");
    values.remove("weak_answer");

    let error = Rubric::built_in("match").expect("built in").messages(&values).expect_err("a key is missing");

    assert_eq!(error.to_string(), "a row has no `weak_answer`, which the rubric `match` shows the judge");
}

#[test]
fn a_rubric_of_ones_own_is_read_and_a_wrong_one_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("rubric.json");
    let load = |rubric: Value| {
        std::fs::write(&path, rubric.to_string()).expect("written");
        Rubric::load(&path)
    };

    let own = json!({"name": "topic", "system": "s", "user": "{prompt}", "labels": ["law", "other"]});
    assert_eq!(load(own.clone()).expect("a rubric").schema()["properties"]["label"]["enum"], json!(["law", "other"]));
    for wrong in [
        json!({"name": "n", "system": "s", "user": "u"}),
        json!({"name": "n", "system": "s", "user": "u", "labels": ["one"]}),
        json!({"name": "n", "system": "s", "user": "u", "scale": {"from": 1, "to": 5, "weak_suffices_from": 6}}),
        json!({"name": "n", "system": "s", "user": "u", "scale": {"from": 5, "to": 1, "weak_suffices_from": 5}}),
    ] {
        assert!(load(wrong.clone()).is_err(), "{wrong}");
    }
}
