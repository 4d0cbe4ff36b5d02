//! Tensors of texts.

use super::*;

fn shape<'c>(name: &'c str, datatype: &'c str, shape: &'c [i64]) -> InputShape<'c> {
    InputShape { name, datatype, shape }
}

fn message(error: InferenceError) -> String {
    let InferenceError::Invalid { message } = error else { panic!("{error:?}") };
    message
}

#[test]
fn texts_come_in_one_column_or_none() {
    assert_eq!(texts_announced(&[shape("text", "BYTES", &[3])]), Ok(3));
    assert_eq!(texts_announced(&[shape("text", "BYTES", &[2, 1])]), Ok(2));
    for wrong in [
        &[][..],
        &[shape("prompt", "BYTES", &[1])],
        &[shape("text", "FP32", &[1])],
        &[shape("text", "BYTES", &[])],
        &[shape("text", "BYTES", &[1, 2])],
        &[shape("text", "BYTES", &[-1])],
        &[shape("text", "BYTES", &[1]), shape("text", "BYTES", &[1])],
    ] {
        let said = message(texts_announced(wrong).expect_err("not the model's"));
        assert!(said.contains("text") || said.contains("model"), "{said}");
    }
}

#[test]
fn binary_texts_have_their_lengths_before_them() {
    let read = texts_of_binary(b"\x02\0\0\0hi\0\0\0\0\x03\0\0\0\xe2\x82\xac");

    assert_eq!(read, Ok(vec!["hi".to_owned(), String::new(), "\u{20ac}".to_owned()]));
    for broken in [&b"\x02\0\0"[..], b"\x03\0\0\0hi", b"\xff\xff\xff\xffhi", b"\x01\0\0\0\xff"] {
        assert!(texts_of_binary(broken).is_err(), "{broken:?}");
    }
}

#[test]
fn a_shape_that_says_another_number_than_there_are_texts_is_refused() {
    let said = message(batch("m", 2, vec!["a".to_owned()]).expect_err("one is missing"));

    assert_eq!(said, "`text` holds 1 texts, and its shape says 2.");
}

fn json(data: &str) -> Result<Vec<String>, InferenceError> {
    serde_json::from_str::<texts::TensorTexts>(data).expect("JSON").all()
}

#[test]
fn texts_of_json_stand_in_one_list_or_each_in_its_own_and_nothing_else_among_them() {
    let both = vec!["a".to_owned(), "b\n".to_owned()];

    assert_eq!((json(r#"["a", "b\n"]"#), json(r#"[["a"], ["b\n"]]"#)), (Ok(both.clone()), Ok(both)));
    for other in ["[1]", r#"[[["a"]]]"#, r#"["a", {"b": ["c"]}]"#, "[null]", "[true, 0.5, -1]", "7"] {
        assert_eq!(message(json(other).expect_err(other)), "`data` of `text` is no list of texts.");
    }
}

#[test]
fn more_texts_than_a_request_may_have_are_counted_and_refused_in_every_form() {
    let many = || vec!["\"\""; 100_000].join(",");
    let too_many = Err(InferenceError::Classify(ClassifyError::WrongCount { inputs: 100_000 }));

    assert_eq!(json(&format!("[{}]", many())), too_many);
    assert_eq!(json(&format!("[[{}]]", many())), too_many);
    assert_eq!(texts_of_binary(&[0; 400_000]), too_many);
    assert_eq!(texts_of_elements(vec![&b""[..]; 100_000]), too_many);
}
