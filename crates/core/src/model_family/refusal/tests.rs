use serde_json::json;

use super::*;

fn refused(answer: &str) -> Vec<String> {
    let sent = json!({"model": "m", "messages": [], "temperature": 0.2, "top_p": 1, "max_tokens": 5, "stop": ["a"],
        "frequency_penalty": 0.1, "seed": 7, "user": "u", "reasoning_effort": "xhigh", "logprobs": true, "tools": [],
        "presence_penalty": 0, "text": {"verbosity": "low"}, "thinking": {"type": "enabled", "budget_tokens": 2000}});
    let sent = Bytes::from(sent.to_string());
    RefusedParameter::all_in(answer.as_bytes(), &sent).into_iter().map(|parameter| parameter.name).collect()
}

#[test]
fn a_refused_parameter_is_known_in_every_vendor_s_words() {
    for (answer, expected) in [
        (
            r#"{"error":{"message":"Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.","type":"invalid_request_error","param":"max_tokens","code":"unsupported_parameter"}}"#,
            &["max_tokens"][..],
        ),
        (
            r#"{"error":{"message":"Unsupported value: 'temperature' does not support 0.2 with this model. Only the default (1) value is supported.","param":"temperature","code":"unsupported_value"}}"#,
            &["temperature"],
        ),
        (
            r#"{"error":{"message":"Unsupported parameter: 'text.verbosity' is not supported with this model.","param":"text.verbosity","code":null}}"#,
            &["text.verbosity"],
        ),
        (r#"{"error":{"message":"Unknown parameter: 'seed'.","param":"seed","code":"unknown_parameter"}}"#, &["seed"]),
        (r#"{"error":{"message":"Unrecognized request argument supplied: logprobs"}}"#, &["logprobs"]),
        (r#"{"error":{"message":"Unrecognized request argument supplied: user"}}"#, &["user"]),
        (r#"{"error":{"message":"Unrecognized request arguments supplied: seed, stop"}}"#, &["seed", "stop"]),
        (r#"{"code":"x","error":"Argument not supported on this model: stop"}"#, &["stop"]),
        (r#"{"error":{"message":"Unsupported param: presence_penalty"}}"#, &["presence_penalty"]),
        (r#"{"error":{"message":"Unrecognized key(s) in object: 'user'"}}"#, &["user"]),
        (
            r#"{"type":"error","error":{"type":"invalid_request_error","message":"`temperature` is deprecated for this model."}}"#,
            &["temperature"],
        ),
        (
            r#"{"type":"error","error":{"message":"`temperature` and `top_p` cannot both be specified for this model. Please use only one."}}"#,
            &["top_p"],
        ),
        (r#"{"type":"error","error":{"message":"seed: Extra inputs are not permitted"}}"#, &["seed"]),
        (
            r#"{"type":"error","error":{"message":"\"thinking.type.enabled\" is not supported for this model. Use \"thinking.type.adaptive\" and \"output_config.effort\" to control thinking behavior."}}"#,
            &["thinking"],
        ),
        (
            r#"[{"error":{"code":400,"message":"Invalid JSON payload received. Unknown name \"frequency_penalty\": Cannot find field.\nInvalid JSON payload received. Unknown name \"seed\": Cannot find field.","status":"INVALID_ARGUMENT"}}]"#,
            &["frequency_penalty", "seed"],
        ),
        (
            r#"{"error":{"message":"deepseek-reasoner does not support the parameter `logprobs`","type":"invalid_request_error"}}"#,
            &["logprobs"],
        ),
        (
            r#"{"object":"error","message":{"detail":[{"type":"extra_forbidden","loc":["body","seed"],"msg":"Extra inputs are not permitted","input":7}]},"type":"invalid_request_error"}"#,
            &["seed"],
        ),
        (
            r#"{"object":"error","message":"[{'type': 'extra_forbidden', 'loc': ('body', 'user'), 'msg': 'Extra inputs are not permitted', 'input': 'u'}]","type":"BadRequestError","code":400}"#,
            &["user"],
        ),
        (
            r#"{"code":"invalid-argument","error":"Argument not supported on this model: presencePenalty"}"#,
            &["presence_penalty"],
        ),
    ] {
        assert_eq!(refused(answer), expected, "{answer}");
    }
}

#[test]
fn what_makes_up_the_question_is_never_refused_and_other_errors_name_nothing() {
    for answer in [
        r#"{"error":{"message":"'tools' is not supported with this model.","param":"tools","code":"unsupported_parameter"}}"#,
        r#"{"error":{"message":"This model does not support image input for a user turn that says stop."}}"#,
        r#"{"error":{"message":"max_tokens is too large: 5. This model supports at most 4 completion tokens."}}"#,
        r#"{"error":{"message":"temperature must be at most 2"}}"#,
        r#"{"error":{"message":"This is not supported by the model: do not let a user stop it."}}"#,
        r#"{"error":{"message":"Tools are not supported on this model: they stop"}}"#,
        "temperature is not supported",
        "[]",
        "",
    ] {
        assert_eq!(refused(answer), Vec::<String>::new(), "{answer}");
    }
}

#[test]
fn one_refused_value_of_several_is_no_refused_parameter() {
    let sent = Bytes::from_static(br#"{"reasoning_effort":"xhigh","temperature":0}"#);
    let effort = r#"{"error":{"message":"Unsupported value: 'xhigh' is not supported with the 'o4-mini' model. Supported values are: 'low', 'medium', and 'high'.","param":"reasoning_effort","code":"unsupported_value"}}"#;

    let refused = RefusedParameter::all_in(effort.as_bytes(), &sent);

    assert_eq!(refused.len(), 1);
    assert!(refused[0].refuses(b"\"xhigh\"") && !refused[0].refuses(b"\"high\""));
}

#[test]
fn sealed_reasoning_is_refused_as_an_element_and_the_others_stay() {
    let refusal = r#"{"error":{"message":"Encrypted content is not supported with this model.","param":"include"}}"#;
    let value = r#"["reasoning.encrypted_content","message.output_text.logprobs"]"#;
    let sent = Bytes::from(format!(r#"{{"include":{value},"reasoning":{{}}}}"#));

    let refused = RefusedParameter::all_in(refusal.as_bytes(), &sent);

    assert_eq!((refused.len(), &*refused[0].name), (1, "include"));
    assert_eq!(refused[0].rest(value.as_bytes()), Some(vec![json!("message.output_text.logprobs")]));
    assert!(!refused[0].refuses(br#"["message.output_text.logprobs"]"#));
}
