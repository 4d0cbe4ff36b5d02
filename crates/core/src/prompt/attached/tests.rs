use serde_json::{Value, json};

use super::*;

fn of(messages: &Value) -> AttachedFiles {
    AttachedFiles::of(json!({"model": "m", "messages": messages}).to_string().as_bytes())
}

fn only(part: &Value) -> AttachedFile {
    let files = of(&json!([{"role": "user", "content": [{"type": "text", "text": "look"}, part]}]));
    assert_eq!(files.count, 1, "{part}");
    files.first[0].clone()
}

fn facts(part: &Value) -> (Option<String>, Option<String>, Option<u64>) {
    let AttachedFile { name, media_type, bytes, .. } = only(part);
    (name, media_type, bytes)
}

fn said(text: &str) -> Option<String> {
    Some(text.to_owned())
}

#[test]
fn files_of_every_dialect_are_known_by_name_type_and_size() {
    let pdf = "data:application/pdf;base64,QUJDRA==";
    let cases = [
        (
            json!({"type": "image_url", "image_url": {"url": "data:image/PNG;base64,QUJD"}}),
            (None, said("image/png"), Some(3)),
        ),
        (
            json!({"type": "image_url", "image_url": {"url": "https://h/a/cat.jpeg?key=secret"}}),
            (said("cat.jpeg"), None, None),
        ),
        (
            json!({"type": "input_image", "image_url": "data:image/webp;base64,QUI="}),
            (None, said("image/webp"), Some(2)),
        ),
        (
            json!({"type": "input_audio", "input_audio": {"data": "QUJD", "format": "wav"}}),
            (None, said("audio/wav"), Some(3)),
        ),
        (
            json!({"type": "file", "file": {"filename": "q3.pdf", "file_data": pdf}}),
            (said("q3.pdf"), said("application/pdf"), Some(4)),
        ),
        (json!({"type": "file", "file": {"file_id": "file-1"}}), (None, None, None)),
        (
            json!({"type": "input_file", "filename": "q3.pdf", "file_data": pdf}),
            (said("q3.pdf"), said("application/pdf"), Some(4)),
        ),
        (json!({"type": "input_file", "file_url": "https://h/x/q4.xlsx"}), (said("q4.xlsx"), None, None)),
        (
            json!({"type": "image", "source": {"type": "base64", "media_type": "image/gif", "data": "QUJD"}}),
            (None, said("image/gif"), Some(3)),
        ),
        (
            json!({"type": "document", "title": "notes", "source": {"type": "text", "media_type": "text/plain", "data": "hello"}}),
            (said("notes"), said("text/plain"), Some(5)),
        ),
        (json!({"type": "document", "source": {"type": "url", "url": "https://h/r.pdf"}}), (said("r.pdf"), None, None)),
    ];
    for (part, expected) in cases {
        assert_eq!(facts(&part), expected, "{part}");
    }
}

#[test]
fn sums_are_of_all_files_and_facts_of_the_first_sixteen() {
    let file =
        |index: usize| json!({"type": "file", "file": {"filename": format!("{index}.csv"), "file_data": "QUJD"}});
    let files: Vec<Value> = (0..20).map(file).collect();

    let all = of(&json!([{"role": "user", "content": files}]));

    assert_eq!((all.first.len(), all.count, all.bytes, all.largest), (16, 20, 60, 3));
    assert_eq!(all.types, "csv");
}

#[test]
fn files_in_tool_results_and_in_items_of_responses_count() {
    let image = json!({"type": "image", "source": {"media_type": "image/png", "data": "QUJD"}});
    let result = json!([{"role": "user", "content": [{"type": "tool_result", "content": [image]}]}]);
    let body = json!({"model": "m", "input": [
        {"role": "user", "content": [{"type": "input_file", "filename": "a.PDF"}]},
        {"type": "function_call_output", "output": [{"type": "input_image", "image_url": "https://h/b.png"}]},
    ]});

    assert_eq!(of(&result).types, "image/png");
    assert_eq!(AttachedFiles::of(body.to_string().as_bytes()).types, "pdf,png");
}

#[test]
fn what_a_client_calls_a_type_or_a_name_is_bounded() {
    let name = format!("a\n{}.pdf", "x".repeat(500));
    let source = json!({"type": "base64", "media_type": "image/<script>", "data": ""});
    let file = only(&json!({"type": "document", "title": name, "source": source}));

    let name = file.name.expect("a name");
    assert_eq!((name.chars().count(), file.media_type.as_deref()), (facts::MOST_NAME, None));
    assert!(name.starts_with("axx") && name.ends_with("x.pdf"), "{name}");
}

#[test]
fn slashes_that_a_client_escapes_change_the_size_little() {
    let body =
        r#"{"messages": [{"content": [{"type": "file", "file": {"file_data": "data:image\/png;base64,\/\/\/\/"}}]}]}"#;

    let file = &AttachedFiles::of(body.as_bytes()).first[0];

    assert_eq!((file.media_type.as_deref(), file.bytes), (Some("image/png"), Some(6)));
}

#[test]
fn odd_shapes_attach_nothing() {
    for body in
        [&b"\xff"[..], b"[]", b"{", br#"{"messages": 1, "input": "x"}"#, br#"{"messages": [null, {"content": 1}]}"#]
    {
        assert_eq!(AttachedFiles::of(body), AttachedFiles::default());
    }
    let odd = json!([{"content": [{"type": "image_url", "image_url": 3}, {"type": "file", "file": [1]}]}]);
    assert_eq!((of(&odd).count, of(&odd).types), (2, String::new()));
}
