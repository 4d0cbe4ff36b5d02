//! Messages at their bounds.

use super::*;
use crate::classify::classify_input::Input;
use crate::inference::InferTensorContents;

/// Returns a field of this number with this content, so many times.
fn repeated(number: u8, content: &[u8], times: usize) -> Vec<u8> {
    let length = u8::try_from(content.len()).expect("short");
    [&[number << 3 | 2, length][..], content].concat().repeat(times)
}

fn refused<U: BoundedMessage>(message: Vec<u8>) -> Option<(Code, bool)> {
    let refusal = read::<U>(Bytes::from(message)).err()?;
    Some((refusal.code(), refusal.metadata().get(CODE.0).is_some_and(|code| code == CODE.1)))
}

#[test]
fn four_megabytes_of_empty_elements_are_refused_wherever_they_stand() {
    const MANY: usize = 2 << 20;
    let too_long = Some((Code::InvalidArgument, true));
    let within = |number: u8, content: Vec<u8>| {
        let length = u32::try_from(content.len()).expect("a length");
        let mut message = vec![number << 3 | 2];
        prost::encoding::encode_varint(u64::from(length), &mut message);
        [message, content].concat()
    };
    let numbers = vec![0; 4 << 20];

    for message in [
        repeated(5, b"", MANY),
        repeated(6, b"", MANY),
        repeated(7, b"", MANY),
        repeated(4, b"", MANY),
        within(5, within(3, numbers.clone())),
        within(5, repeated(4, b"", MANY)),
        within(5, within(5, repeated(8, b"", MANY))),
        within(5, within(5, within(3, numbers.clone()))),
        within(5, within(5, [3 << 3, 0].repeat(MANY))),
        within(5, repeated(5, &repeated(8, b"", 60), MANY / 100)),
        within(6, repeated(2, b"", MANY)),
    ] {
        assert_eq!(refused::<ModelInferRequest>(message), too_long);
    }
    assert_eq!(refused::<ClassifyRequest>(repeated(2, b"", MANY)), too_long);
    assert_eq!(refused::<ModelInferResponse>(repeated(5, b"", MANY)), Some((Code::OutOfRange, true)));
    let of_a_head = within(3, within(1, within(2, repeated(2, b"", MANY))));
    assert_eq!(refused::<ClassifyResponse>(of_a_head), Some((Code::OutOfRange, true)));
}

#[test]
fn what_is_sent_in_earnest_is_read_as_it_was_written() {
    let texts: Vec<Bytes> = (0..1000).map(|index| Bytes::from(format!("Question {index}?"))).collect();
    let contents = InferTensorContents { bytes_contents: texts, ..InferTensorContents::default() };
    let parameter = InferParameter::default();
    let tensor = InferInputTensor {
        name: "text".to_owned(),
        shape: vec![1000, 1],
        parameters: [("content_type".to_owned(), parameter)].into(),
        contents: Some(contents),
        ..InferInputTensor::default()
    };
    let infer = ModelInferRequest { inputs: vec![tensor], ..ModelInferRequest::default() };
    let input = |index: usize| ClassifyInput { input: Some(Input::Text("word ".repeat(index))) };
    let classify = ClassifyRequest { classifier: "c".to_owned(), inputs: (0..1000).map(input).collect() };
    let raw = ModelInferRequest { raw_input_contents: vec![vec![0; 4 << 20].into()], ..ModelInferRequest::default() };
    let scores = InferTensorContents { fp32_contents: vec![0.5; 1 << 20], ..InferTensorContents::default() };
    let output = InferOutputTensor { contents: Some(scores), ..InferOutputTensor::default() };
    let answer = ModelInferResponse { outputs: vec![output], ..ModelInferResponse::default() };

    for infer in [infer, raw] {
        assert_eq!(read::<ModelInferRequest>(infer.encode_to_vec().into()).expect("a message"), infer);
    }
    assert_eq!(read::<ClassifyRequest>(classify.encode_to_vec().into()).expect("a message"), classify);
    assert_eq!(read::<ModelInferResponse>(answer.encode_to_vec().into()).expect("a message"), answer);
}

#[test]
fn what_is_no_message_is_an_invalid_argument_and_unknown_fields_are_skipped() {
    for broken in [&[5 << 3 | 2, 9, 0][..], &[0xff; 11], &[5 << 3 | 3]] {
        assert_eq!(refused::<ModelInferRequest>(broken.to_vec()), Some((Code::InvalidArgument, false)), "{broken:?}");
    }
    assert_eq!(refused::<ModelInferRequest>(repeated(15, b"unknown", 1 << 18)), None);
}
