//! Contents as `MLServer` and as Triton send them.

use super::*;
use crate::protocol::RemoteOutput;

fn tensor(name: &str, datatype: &str, shape: &[i64]) -> InferOutputTensor {
    InferOutputTensor {
        name: name.to_owned(),
        datatype: datatype.to_owned(),
        shape: shape.to_vec(),
        ..InferOutputTensor::default()
    }
}

/// Reads one output with raw contents, of two texts.
fn raw(datatype: &str, raw: Vec<u8>) -> Result<Vec<RemoteOutput>, String> {
    let response = ModelInferResponse {
        outputs: vec![tensor("p", datatype, &[2, 1])],
        raw_output_contents: vec![Bytes::from(raw)],
        ..ModelInferResponse::default()
    };
    let answers = read(response, 2)?;
    Ok(answers.into_iter().flat_map(|answer| answer.outputs).map(|(_, output)| output).collect())
}

fn rows(values: [f64; 2]) -> Result<Vec<RemoteOutput>, String> {
    Ok(values.map(|value| RemoteOutput::Row(vec![value])).into())
}

#[test]
fn raw_contents_are_little_endian_elements_of_their_type() {
    // As `numpy.array([0.5, -2], dtype).tobytes()` writes them.
    assert_eq!(raw("FP16", vec![0x00, 0x38, 0x00, 0xc0]), rows([0.5, -2.0]));
    assert_eq!(raw("FP32", vec![0, 0, 0, 0x3f, 0, 0, 0, 0xc0]), rows([0.5, -2.0]));
    assert_eq!(raw("BF16", vec![0x00, 0x3f, 0x00, 0xc0]), rows([0.5, -2.0]));
    assert_eq!(raw("FP64", [0.5_f64.to_le_bytes(), (-2.0_f64).to_le_bytes()].concat()), rows([0.5, -2.0]));
    assert_eq!(raw("INT64", [1_i64.to_le_bytes(), (-2_i64).to_le_bytes()].concat()), rows([1.0, -2.0]));
    assert_eq!(raw("INT8", vec![1, 0xfe]), rows([1.0, -2.0]));
    assert_eq!(raw("UINT16", vec![1, 0, 0, 1]), rows([1.0, 256.0]));
    assert_eq!(raw("BOOL", vec![1, 0]), rows([1.0, 0.0]));
}

#[test]
fn raw_bytes_have_their_length_before_each_element() {
    let label = |label: &str| RemoteOutput::Label(label.to_owned());
    let framed = [&5_u32.to_le_bytes()[..], b"hello", &0_u32.to_le_bytes()].concat();

    assert_eq!(raw("BYTES", framed), Ok(vec![label("hello"), label("")]));
    for broken in [vec![9, 0, 0, 0, b'x'], vec![1, 0], [&[1, 0, 0, 0][..], &[0xff], &[0, 0, 0, 0]].concat()] {
        assert!(raw("BYTES", broken).is_err());
    }
}

#[test]
fn raw_contents_that_are_no_whole_elements_or_of_no_type_are_no_answer() {
    assert!(raw("FP32", vec![0, 0, 0]).is_err());
    assert!(raw("FP99", vec![0; 8]).is_err());
    let twice = ModelInferResponse {
        outputs: vec![tensor("p", "FP32", &[1, 1])],
        raw_output_contents: vec![Bytes::from_static(&[0; 4]); 2],
        ..ModelInferResponse::default()
    };
    assert!(read(twice, 1).is_err());
}

#[test]
fn typed_contents_are_read_by_their_type() {
    let contents = InferTensorContents { fp32_contents: vec![0.25, 0.75, 1.0, 0.0], ..InferTensorContents::default() };
    let labels = InferTensorContents {
        bytes_contents: vec![Bytes::from_static(b"simple"), Bytes::from_static(b"complex")],
        ..InferTensorContents::default()
    };
    let response = ModelInferResponse {
        model_version: "3".to_owned(),
        outputs: vec![
            InferOutputTensor { contents: Some(contents), ..tensor("p", "FP32", &[2, 2]) },
            InferOutputTensor { contents: Some(labels), ..tensor("label", "BYTES", &[2, 1]) },
        ],
        ..ModelInferResponse::default()
    };

    let answers = read(response, 2).expect("two answers");

    assert_eq!(answers[0].version.as_deref(), Some("3"));
    let outputs = [
        ("p".to_owned(), RemoteOutput::Row(vec![0.25, 0.75])),
        ("label".to_owned(), RemoteOutput::Label("simple".to_owned())),
    ];
    assert_eq!(answers[0].outputs, outputs);
}

#[test]
fn a_request_names_model_version_and_tensor_and_holds_texts_as_bytes() {
    let section = serde_json::json!({"protocol": "oip_grpc", "url": "http://h", "model": "m", "version": "2"});
    let section = serde_json::from_value(section).expect("a section");

    let request = request(&section, &TextInput::named("prompt"), &["a", "ü"]);

    assert_eq!((request.model_name.as_str(), request.model_version.as_str()), ("m", "2"));
    let [input] = &*request.inputs else { panic!("one input") };
    assert_eq!((input.name.as_str(), input.datatype.as_str(), &*input.shape), ("prompt", "BYTES", &[2, 1][..]));
    let texts = input.contents.as_ref().map(|contents| &contents.bytes_contents);
    assert_eq!(texts, Some(&vec![Bytes::from_static(b"a"), Bytes::from_static("ü".as_bytes())]));
}

#[test]
fn the_labels_of_a_tensor_are_read_from_its_parameters() {
    let labels = InferParameter { parameter_choice: Some(ParameterChoice::StringParam(r#"["a", "b"]"#.to_owned())) };
    let contents = InferTensorContents { fp32_contents: vec![0.5, 0.25], ..InferTensorContents::default() };
    let output = InferOutputTensor {
        parameters: [("labels".to_owned(), labels)].into(),
        contents: Some(contents),
        ..tensor("p", "FP32", &[1, 2])
    };

    let answers = read(ModelInferResponse { outputs: vec![output], ..ModelInferResponse::default() }, 1);

    let names = crate::protocol::RowNames::All(vec!["a".to_owned(), "b".to_owned()]);
    assert_eq!(answers.expect("an answer")[0].names, [("p".to_owned(), names)]);
}
