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
