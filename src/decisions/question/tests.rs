//! Requests for decisions at the API's limits.

use serde_json::json;

use super::*;

fn read(request: &Value) -> Result<DecisionRequest, DecisionProblem> {
    DecisionRequest::read(&Bytes::from(request.to_string()))
}

fn choice(values: &[Value]) -> Value {
    let choices: Vec<Value> = values.iter().map(|value| json!({"value": value})).collect();
    json!({"type": "choice", "instructions": "Which?", "choices": choices})
}

fn asked(questions: &[Value]) -> Value {
    json!({"model": "m", "input": "text", "questions": questions})
}

#[test]
fn a_request_has_one_to_four_hundred_questions_and_two_to_255_options() {
    let predicate = json!({"type": "predicate", "instructions": "Is it?"});
    let numbered = |count: usize| choice(&(0..count).map(|index| json!(index.to_string())).collect::<Vec<_>>());
    for (questions, is_good) in [
        (vec![], false),
        (vec![predicate.clone(); 400], true),
        (vec![predicate; 401], false),
        (vec![numbered(1)], false),
        (vec![numbered(2)], true),
        (vec![numbered(255)], true),
        (vec![numbered(256)], false),
        (vec![json!({"type": "score", "instructions": "How?", "levels": [{"label": "a"}]})], false),
    ] {
        let read = read(&asked(&questions));
        assert_eq!(read.is_ok(), is_good, "{} questions: {:?}", questions.len(), read.err());
    }
}

#[test]
fn a_text_and_a_boolean_of_the_same_words_differ_and_the_same_option_twice_is_refused() {
    assert!(read(&asked(&[choice(&[json!("true"), json!(true)])])).is_ok());

    let twice = read(&asked(&[choice(&[json!("a"), json!("b"), json!("a")])])).expect_err("`a` is there twice");
    assert_eq!(
        (twice.param, twice.message.as_str()),
        ("questions", r#"`questions[0]` has the option "a" twice (allowed: each once)."#)
    );
}

#[test]
fn json_is_bounded_in_levels_values_and_bytes() {
    let nested = |levels: usize| (1..levels).fold(json!({}), |inner, _| json!({ "a": inner }));

    assert_eq!((check_json(&nested(32)).is_ok(), check_json(&nested(33)).is_ok()), (true, false));
    assert!(check_json(&json!([{}, {}])).is_ok());
    assert!(check_json(&json!({"a": vec![0; 10_001]})).is_err());
    assert!(check_json(&json!({"a": "x".repeat(300_000)})).is_err());
    for scalar in [json!("text"), json!([1]), json!(null)] {
        assert!(check_json(&scalar).is_err(), "{scalar}");
    }
}

#[test]
fn a_stream_is_not_to_be_had() {
    let mut request = asked(&[json!({"type": "predicate", "instructions": "Is it?"})]);
    request["stream"] = json!(true);

    assert_eq!(read(&request).expect_err("no stream").param, "stream");
}

#[test]
fn lists_that_would_take_much_memory_are_refused_while_they_are_read() {
    let zeros = |count: usize| json!(vec![0; count]);
    let predicate = |instructions: Value| json!({"type": "predicate", "instructions": instructions});
    let input = |input: Value| json!({"model": "m", "input": input, "questions": [predicate(json!("Is it?"))]});
    let options: Vec<Value> = (0..100_000).map(|index| json!(index.to_string())).collect();

    for (request, part) in [
        (
            input(json!([{"type": "message", "content": zeros(100_000)}])),
            "too many values in one list (allowed: 100000",
        ),
        (input(zeros(100_001)), "too many values in one list (allowed: 100000"),
        (
            asked(&[predicate(json!([{"type": "input_json", "data": {"a": zeros(12_000)}}]))]),
            "(allowed: 12000 at most)",
        ),
        (asked(&[choice(&options)]), "`questions[0]` has 100000 options (allowed: 2 to 255)."),
        (asked(&[choice(&[zeros(100_000)])]), "expected a text or a boolean"),
        (asked(&vec![predicate(json!("Is it?")); 10_000]), "`questions` has 10000 questions (allowed: 1 to 400)."),
        (asked(&[json!({"type": "score", "instructions": "How?", "choices": []})]), "missing field `levels`"),
    ] {
        let problem = read(&request).expect_err(part);
        assert!(problem.message.contains(part), "{}", problem.message);
    }
    assert!(read(&input(json!([{"type": "message", "content": "Hello."}]))).is_ok());
}
