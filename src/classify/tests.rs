//! Batches in their JSON.

use bytes::Bytes;

use super::*;

fn batch(body: &'static str) -> Result<ClassifyBatch, ClassifyError> {
    read(&Bytes::from_static(body.as_bytes()))
}

#[test]
fn texts_and_bodies_stand_side_by_side() {
    let read = batch(
        r#"{"classifier": "c", "inputs": ["a\n", {"body": {"x": [1, 2.50]}}, {"path": "/v1/messages", "body": {}}]}"#,
    )
    .expect("a batch");

    assert_eq!(read.classifier.as_deref(), Some("c"));
    let [ClassifyInput::Text(text), ClassifyInput::Body { path, json }, ClassifyInput::Body { path: other, .. }] =
        &read.inputs[..]
    else {
        panic!("{:?}", read.inputs)
    };
    assert_eq!((&**text, &**path, &**other), ("a\n", "/v1/chat/completions", "/v1/messages"));
    assert_eq!(&json[..], br#"{"x": [1, 2.50]}"#, "as the client wrote it");
}

#[test]
fn what_is_no_input_is_named_with_its_place() {
    for (body, place) in [
        ("{}", "missing field `inputs`"),
        (r#"{"inputs": ["a"], "input": 1}"#, "unknown field `input`"),
        (r#"{"inputs": ["a", 1]}"#, "inputs[1]: "),
        (r#"{"inputs": [{"text": "a"}]}"#, "inputs[0]: unknown field `text`"),
        (r#"{"inputs": [{"path": "/v1/messages"}]}"#, "inputs[0]: missing field `body`"),
    ] {
        let Err(ClassifyError::Malformed { message }) = batch(body) else { panic!("{body}") };
        assert!(message.starts_with(place), "{body}: {message}");
    }
}
