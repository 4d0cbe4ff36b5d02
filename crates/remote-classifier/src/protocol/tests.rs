//! Each protocol's bytes, as its own documentation, package or recorded answers have them.

use pointsman_core::config::{RemoteClassifierConfig, RemoteProtocol};
use serde_json::{Value, json};

use super::tensor::TensorShape;
use super::*;

fn section(section: Value) -> RemoteClassifierConfig {
    serde_json::from_value(section).expect("a section")
}

fn of(protocol: &str) -> RemoteClassifierConfig {
    section(json!({"protocol": protocol, "url": "http://h", "model": "m"}))
}

fn asked(section: &RemoteClassifierConfig, texts: &[&str]) -> (String, Value) {
    let question = question(section, &TextInput::named("text"), texts);
    (question.path, serde_json::from_slice(&question.body).expect("JSON"))
}

fn read(section: &RemoteClassifierConfig, answer: &Value, count: usize) -> Vec<Vec<(String, RemoteOutput)>> {
    let answers = answers(section, answer.to_string().as_bytes(), count).expect("an answer of the protocol");
    answers.into_iter().map(|answer| answer.outputs).collect()
}

fn row(values: &[f64]) -> RemoteOutput {
    RemoteOutput::Row(values.to_vec())
}

fn named(pairs: &[(&str, f64)]) -> RemoteOutput {
    RemoteOutput::Named(pairs.iter().map(|(label, value)| ((*label).to_owned(), *value)).collect())
}

fn only(output: RemoteOutput) -> Vec<(String, RemoteOutput)> {
    vec![(String::new(), output)]
}

#[test]
fn another_pointsman_is_asked_for_a_batch_and_its_labels_keep_their_order() {
    let section = of("pointsman");
    let body = r#"{"classifier": "m", "version": "7", "results": [
        {"heads": {"tier": {"label": "simple", "probabilities": {"simple": 0.7, "medium": 0.2, "complex": 0.1}}, "cost": {"value": 3.5}}, "tokens": 9, "truncated": true},
        {"heads": {}, "tokens": 1, "truncated": false}]}"#;

    let answers = answers(&section, body.as_bytes(), 2).expect("two answers");

    let path = "/v1/classify".to_owned();
    assert_eq!(asked(&section, &["a", "b"]), (path, json!({"classifier": "m", "inputs": ["a", "b"]})));
    let tier = named(&[("simple", 0.7), ("medium", 0.2), ("complex", 0.1)]);
    assert_eq!(answers[0].outputs, [("tier".to_owned(), tier), ("cost".to_owned(), row(&[3.5]))]);
    assert_eq!((answers[0].tokens, answers[0].is_truncated, answers[0].version.as_deref()), (9, true, Some("7")));
}

#[test]
fn an_inference_server_is_asked_with_texts_of_bytes_and_gives_rows_nested_or_flat() {
    let mut section = of("oip_http");
    let body = |outputs: Value| json!({"model_name": "m", "model_version": "v1", "outputs": outputs});
    let flat = json!([{"name": "p", "datatype": "FP32", "shape": [2, 3], "data": [0.1, 0.2, 0.7, 0.5, 0.25, 0.25]}]);
    let nested =
        json!([{"name": "p", "datatype": "FP32", "shape": [2, 3], "data": [[0.1, 0.2, 0.7], [0.5, 0.25, 0.25]]}]);
    let mixed = json!([
        {"name": "score", "datatype": "FP64", "shape": [2], "data": [0.25, 0.5]},
        {"name": "label", "datatype": "BYTES", "shape": [2, 1], "data": ["simple", "complex"]},
    ]);

    let (path, question) = asked(&section, &["a", "b"]);
    section.version = Some("2".to_owned());

    assert_eq!(
        (path.as_str(), asked(&section, &["a"]).0.as_str()),
        ("/v2/models/m/infer", "/v2/models/m/versions/2/infer")
    );
    let tensor = json!({"name": "text", "datatype": "BYTES", "shape": [2, 1], "data": ["a", "b"], "parameters": {"content_type": "str"}});
    assert_eq!(question, json!({"inputs": [tensor]}));
    let expected = [vec![("p".to_owned(), row(&[0.1, 0.2, 0.7]))], vec![("p".to_owned(), row(&[0.5, 0.25, 0.25]))]];
    assert_eq!(read(&section, &body(flat), 2), expected);
    assert_eq!(read(&section, &body(nested), 2), expected);
    let label = |label: &str| ("label".to_owned(), RemoteOutput::Label(label.to_owned()));
    let expected = [
        vec![("score".to_owned(), row(&[0.25])), label("simple")],
        vec![("score".to_owned(), row(&[0.5])), label("complex")],
    ];
    assert_eq!(read(&section, &body(mixed), 2), expected);
}

#[test]
fn a_tensor_that_does_not_hold_what_its_shape_says_is_no_answer() {
    let section = of("oip_http");
    for (shape, data) in [
        (json!([1, 3]), json!([0.5, 0.5])),
        (json!([2, 2]), json!([0.5, 0.5])),
        (json!([1, -1]), json!([0.5])),
        (json!([1, 1]), json!(["a"])),
        (json!([1, 0]), json!([])),
        (json!([9_000_000_000_i64, 9_000_000_000_i64]), json!([0.5])),
    ] {
        let tensor = json!({"name": "p", "datatype": "FP32", "shape": shape, "data": data});
        let body = json!({"outputs": [tensor]}).to_string();

        assert!(answers(&section, body.as_bytes(), 1).is_err(), "{body}");
    }
}

#[test]
fn metadata_names_the_tensor_that_takes_texts() {
    let tensor = |name: &str, datatype: &str, shape: &[i64]| TensorShape {
        name: name.to_owned(),
        datatype: datatype.to_owned(),
        shape: shape.to_vec(),
    };
    let of = |inputs: &[TensorShape]| ModelMetadata { inputs: inputs.to_vec(), ..ModelMetadata::default() };
    let (prompt, flat) = (tensor("prompt", "BYTES", &[-1, 1]), tensor("prompt", "BYTES", &[-1]));
    let other = tensor("ids", "INT64", &[-1, 128]);

    assert_eq!(of(std::slice::from_ref(&prompt)).text_input(None), Ok(TextInput::named("prompt")));
    assert_eq!(of(&[flat]).text_input(None).map(|input| input.shape(3)), Ok(vec![3]));
    assert_eq!(of(&[prompt.clone(), other.clone()]).text_input(Some("prompt")), Ok(TextInput::named("prompt")));
    assert_eq!(of(&[]).text_input(None), Ok(TextInput::named("text")), "MLServer need not say what its models take");
    assert_eq!(
        of(&[prompt, other.clone()]).text_input(None),
        Err("is missing, as the model takes several inputs (allowed: prompt, ids)".to_owned())
    );
    assert_eq!(
        of(std::slice::from_ref(&other)).text_input(None),
        Err("`ids` takes INT64 (allowed: an input that takes texts, BYTES)".to_owned())
    );
    assert_eq!(of(&[other]).text_input(Some("text")), Err("the server has no input `text` (allowed: ids)".to_owned()));
}

#[test]
fn text_embeddings_inference_is_asked_with_one_text_or_a_list_of_lists() {
    let section = of("tei");
    let one = json!([{"score": 0.9, "label": "simple"}, {"score": 0.1, "label": "complex"}]);
    let several = json!([[{"score": 0.9, "label": "b"}, {"score": 0.1, "label": "a"}], [{"score": 1.0, "label": "a"}, {"score": 0.0, "label": "b"}]]);

    let path = "/predict".to_owned();
    let body = |inputs: Value| json!({"inputs": inputs, "truncate": true, "raw_scores": false});
    assert_eq!(asked(&section, &["x"]), (path.clone(), body(json!("x"))));
    assert_eq!(asked(&section, &["x", "y"]), (path, body(json!([["x"], ["y"]]))));
    assert_eq!(read(&section, &one, 1), [only(named(&[("complex", 0.1), ("simple", 0.9)]))]);
    let expected = [only(named(&[("a", 0.1), ("b", 0.9)])), only(named(&[("a", 1.0), ("b", 0.0)]))];
    assert_eq!(read(&section, &several, 2), expected);
}

#[test]
fn vllm_and_sglang_give_a_row_a_text_by_its_index() {
    // vLLM 0.33.0: ClassificationResponse and PoolingResponse.
    let classes = json!({"id": "classify-1", "object": "list", "created": 1, "model": "m", "data": [
        {"index": 1, "label": "LABEL_0", "probs": [0.6, 0.4], "num_classes": 2},
        {"index": 0, "label": null, "probs": [0.1, 0.9], "num_classes": 2},
    ], "usage": {"prompt_tokens": 10, "total_tokens": 10, "completion_tokens": 0, "prompt_tokens_details": null}});
    let pooled = json!({"id": "pool-1", "object": "list", "created": 1, "model": "m",
        "data": [{"index": 0, "object": "pooling", "data": [1.5, -0.5]}], "usage": {"prompt_tokens": 4, "total_tokens": 4}});
    // SGLang 0.5.23: what `EmbeddingReqInput` is answered with.
    let embeddings = json!([{"embedding": [0.25], "meta_info": {"id": "x"}}, {"embedding": [0.5], "meta_info": {}}]);

    let body = json!({"model": "m", "input": ["x", "y"]});
    for (protocol, path) in [("vllm", "/classify"), ("vllm_pooling", "/pooling"), ("sglang", "/v1/classify")] {
        assert_eq!(asked(&of(protocol), &["x", "y"]), (path.to_owned(), body.clone()));
    }
    assert_eq!(asked(&of("sglang_pooling"), &["x", "y"]), ("/classify".to_owned(), json!({"text": ["x", "y"]})));
    let expected = [only(row(&[0.1, 0.9])), only(row(&[0.6, 0.4]))];
    assert_eq!(read(&of("vllm"), &classes, 2), expected);
    assert_eq!(read(&of("sglang"), &classes, 2), expected);
    assert_eq!(read(&of("vllm_pooling"), &pooled, 1), [only(row(&[1.5, -0.5]))]);
    assert_eq!(read(&of("sglang_pooling"), &embeddings, 2), [only(row(&[0.25])), only(row(&[0.5]))]);
    assert_eq!(read(&of("sglang_pooling"), &embeddings[0], 1), [only(row(&[0.25]))]);
}

/// A section whose heads ask a question of each kind.
fn asking(protocol: &str) -> RemoteClassifierConfig {
    section(json!({"protocol": protocol, "url": "http://h", "model": "m", "heads": {
        "code": {"labels": ["no", "yes"], "question": {"kind": "predicate", "instructions": "Is it about code?"}},
        "topic": {"labels": ["math", "law"], "question": {"kind": "choice", "instructions": "Which topic?", "descriptions": {"law": "Courts and contracts"}}},
        "effort": {"output": "depth", "labels": ["low", "high"], "question": {"kind": "score", "instructions": "How hard?"}},
    }}))
}

#[test]
fn a_server_of_decisions_is_asked_a_question_a_head_and_answers_in_their_order() {
    let section = asking("decisions");
    let answer = json!({"model": "gpt-6-luna", "usage": {"input_tokens": 12}, "answers": [
        {"type": "predicate", "name": "code", "probability": 0.9},
        {"type": "score", "name": "depth", "score": 0.8, "confidence": 0.8, "probabilities": [{"label": "low", "value": 0, "probability": 0.2}, {"label": "high", "value": 1, "probability": 0.8}]},
        {"type": "choice", "name": "topic", "choice": "law", "confidence": 0.7, "probabilities": [{"value": "math", "probability": 0.3}, {"value": "law", "probability": 0.7}]},
    ]});
    let refused = json!({"answers": [
        {"type": "refusal", "name": "code"}, {"type": "refusal", "name": "depth"}, {"type": "refusal", "name": "topic"},
    ]});

    let (path, body) = asked(&section, &["x"]);

    let questions = json!([
        {"type": "predicate", "name": "code", "instructions": "Is it about code?"},
        {"type": "score", "name": "depth", "instructions": "How hard?", "levels": [{"label": "low"}, {"label": "high"}]},
        {"type": "choice", "name": "topic", "instructions": "Which topic?", "choices": [{"value": "math"}, {"value": "law", "description": "Courts and contracts"}]},
    ]);
    assert_eq!((path.as_str(), body), ("/v1/decisions", json!({"model": "m", "input": "x", "questions": questions})));
    let expected = vec![
        ("code".to_owned(), row(&[0.9])),
        ("depth".to_owned(), named(&[("low", 0.2), ("high", 0.8)])),
        ("topic".to_owned(), named(&[("math", 0.3), ("law", 0.7)])),
    ];
    assert_eq!(read(&section, &answer, 1), [expected]);
    assert_eq!(read(&section, &refused, 1), [vec![]], "a refusal leaves the head without an output");
    assert!(answers(&section, json!({"answers": []}).to_string().as_bytes(), 1).is_err());
}

#[test]
fn system_one_is_asked_by_names_and_answers_by_them() {
    let section = asking("systemone");
    let answer = json!({"model": "jev-1.13.0", "usage": {"input_tokens": 3530, "output_tokens": 181}, "answers": {
        "topic": {"type": "choice", "choice": "law", "confidence": 0.7, "probabilities": {"math": 0.3, "law": 0.7}},
        "depth": {"type": "score", "score": 0.8, "confidence": 0.8, "legend": {"0": "low", "1": "high"}, "probabilities": {"1": 0.8, "0": 0.2}},
        "code": {"type": "noul", "noul": 0.4},
    }});

    let (path, body) = asked(&section, &["x"]);

    let questions = json!({
        "code": {"type": "noul", "instructions": "Is it about code?"},
        "depth": {"type": "score", "instructions": "How hard?", "criteria": ["low", "high"]},
        "topic": {"type": "choice", "instructions": "Which topic?", "criteria": {"math": "math", "law": "Courts and contracts"}},
    });
    assert_eq!((path.as_str(), body), ("/v1/systemone", json!({"model": "m", "state": "x", "questions": questions})));
    let mut found = read(&section, &answer, 1).remove(0);
    found.sort_by(|one, other| one.0.cmp(&other.0));
    let topic = found.pop().map(|(_, output)| output);
    assert_eq!(found, [("code".to_owned(), row(&[0.4])), ("depth".to_owned(), row(&[0.2, 0.8]))]);
    let Some(RemoteOutput::Named(mut pairs)) = topic else { panic!("no topic") };
    pairs.sort_by(|one, other| one.1.total_cmp(&other.1));
    assert_eq!(pairs, [("math".to_owned(), 0.3), ("law".to_owned(), 0.7)]);
    let strange = json!({"answers": {"depth": {"type": "score", "score": 1.0, "probabilities": {"7": 1.0}}}});
    assert!(answers(&section, strange.to_string().as_bytes(), 1).is_err());
}

#[test]
fn an_answer_of_another_form_or_number_is_none_and_is_not_repeated() {
    for protocol in
        ["pointsman", "oip_http", "tei", "vllm", "vllm_pooling", "sglang", "sglang_pooling", "decisions", "systemone"]
    {
        for body in ["", "hunter2", "{}", "[]", "null", r#"{"data": "hunter2", "results": "hunter2"}"#] {
            let section = of(protocol);
            let read = answers(&section, body.as_bytes(), 3);

            let Err(problem) = read else { panic!("{protocol} takes {body}: {read:?}") };
            assert!(!problem.contains("hunter2"), "{problem}");
        }
    }
}

#[test]
fn a_path_of_the_configuration_takes_the_protocol_s_place() {
    let section =
        section(json!({"protocol": "decisions", "url": "http://h", "model": "m", "path": "/api/alpha/decisions"}));

    assert_eq!(asked(&section, &["x"]).0, "/api/alpha/decisions");
    assert_eq!(batch_limit(RemoteProtocol::Decisions), 1);
}

#[test]
fn the_names_of_a_row_s_values_are_read_where_a_server_says_them() {
    let all = |names: &[&str]| RowNames::All(names.iter().map(|name| (*name).to_owned()).collect());
    let tensor = |parameters: Value| json!({"name": "p", "datatype": "FP32", "shape": [1, 2], "parameters": parameters, "data": [0.1, 0.9]});
    let names = |section: &RemoteClassifierConfig, body: Value| {
        answers(section, body.to_string().as_bytes(), 1).expect("an answer").remove(0).names
    };
    let oip = of("oip_http");
    let of_tensor = |parameters: Value| names(&oip, json!({"outputs": [tensor(parameters)]}));

    let named = vec![("p".to_owned(), all(&["a", "b"]))];
    assert_eq!(of_tensor(json!({"labels": "[\"a\", \"b\"]"})), named);
    assert_eq!(of_tensor(json!({"labels": ["a", "b"]})), named);
    for other in [json!({}), json!(null), json!({"labels": "a, b"}), json!({"labels": 2}), json!({"classification": 1})]
    {
        assert_eq!(of_tensor(other), []);
    }
    let metadata = json!({"inputs": [], "outputs": [
        {"name": "p", "datatype": "FP32", "shape": [-1, 2], "parameters": {"labels": "[\"a\", \"b\"]"}},
        {"name": "q", "datatype": "FP32", "shape": [-1, 2]},
    ]});
    assert_eq!(read_metadata(metadata.to_string().as_bytes()).expect("metadata").labels, named);
    let row = json!({"index": 0, "label": "b", "probs": [0.1, 0.9], "num_classes": 2});
    for protocol in ["vllm", "sglang"] {
        let highest = vec![(String::new(), RowNames::Highest("b".to_owned()))];
        assert_eq!(names(&of(protocol), json!({"data": [row]})), highest);
    }
}
