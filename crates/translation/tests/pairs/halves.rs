//! Halves of surrogate pairs: each costs its text that letter alone, and the two halves of a stream's pair are one letter.

use pointsman_translation::DialectFamily;
use serde_json::Value;

use super::{answer, framed, pairs, request, sent, stream, texts};

const CHAT: &str = r#"{"model":"m","messages":[{"role":"system","content":"Rules \ud83d"},{"role":"user","content":"Ask \ud83d"},
    {"role":"assistant","content":null,"tool_calls":[{"id":"call_1","type":"function","function":{"name":"f","arguments":"{\"a\":\"Given \\ud83d\"}"}}]},
    {"role":"tool","tool_call_id":"call_1","content":"Result \ud83d"},{"role":"user","content":[{"type":"text","text":"Part \ud83d"}]}],
    "tools":[{"type":"function","function":{"name":"f","description":"Does \ud83d","parameters":{"type":"object","properties":{"a":{"type":"string","description":"An \ud83d"}}}}}]}"#;
const RESPONSES: &str = r#"{"model":"m","instructions":"Rules \ud83d","input":[{"role":"user","content":"Ask \ud83d"},
    {"type":"function_call","call_id":"call_1","name":"f","arguments":"{\"a\":\"Given \\ud83d\"}"},{"type":"function_call_output","call_id":"call_1","output":"Result \ud83d"},
    {"role":"user","content":[{"type":"input_text","text":"Part \ud83d"}]}],
    "tools":[{"type":"function","name":"f","description":"Does \ud83d","parameters":{"type":"object","properties":{"a":{"type":"string","description":"An \ud83d"}}}}]}"#;
const MESSAGES: &str = r#"{"model":"m","max_tokens":9,"system":[{"type":"text","text":"Rules \ud83d"}],"messages":[{"role":"user","content":"Ask \ud83d"},
    {"role":"assistant","content":[{"type":"tool_use","id":"t1","name":"f","input":{"a":"Given \ud83d"}}]},
    {"role":"user","content":[{"type":"tool_result","tool_use_id":"t1","content":[{"type":"text","text":"Result \ud83d"}]},{"type":"text","text":"Part \ud83d"}]}],
    "tools":[{"name":"f","description":"Does \ud83d","input_schema":{"type":"object","properties":{"a":{"type":"string","description":"An \ud83d"}}}}]}"#;
const GEMINI: &str = r#"{"systemInstruction":{"parts":[{"text":"Rules \ud83d"}]},"contents":[{"role":"user","parts":[{"text":"Ask \ud83d"}]},
    {"role":"model","parts":[{"functionCall":{"id":"c1","name":"f","args":{"a":"Given \ud83d"}}}]},
    {"role":"user","parts":[{"functionResponse":{"id":"c1","name":"f","response":{"output":"Result \ud83d"}}},{"text":"Part \ud83d"}]}],
    "tools":[{"functionDeclarations":[{"name":"f","description":"Does \ud83d","parametersJsonSchema":{"type":"object","properties":{"a":{"type":"string","description":"An \ud83d"}}}}]}]}"#;

fn request_of(client: DialectFamily) -> &'static str {
    match client {
        DialectFamily::Chat => CHAT,
        DialectFamily::Responses => RESPONSES,
        DialectFamily::Messages => MESSAGES,
        DialectFamily::Gemini => GEMINI,
    }
}

/// Returns an answer that says `said` and calls a tool with it, in JSON's spelling.
fn answer_of(upstream: DialectFamily, said: &str) -> String {
    let body = match upstream {
        DialectFamily::Chat => {
            r#"{"id":"a","model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"SAID","tool_calls":[{"id":"call_1","type":"function","function":{"name":"f","arguments":"{\"a\":\"SAID\"}"}}]},"finish_reason":"tool_calls"}]}"#
        }
        DialectFamily::Responses => {
            r#"{"id":"a","model":"m","status":"completed","output":[{"type":"message","id":"m1","role":"assistant","content":[{"type":"output_text","text":"SAID","annotations":[]}]},{"type":"function_call","id":"f1","call_id":"call_1","name":"f","arguments":"{\"a\":\"SAID\"}"}]}"#
        }
        DialectFamily::Messages => {
            r#"{"id":"a","type":"message","role":"assistant","model":"m","content":[{"type":"text","text":"SAID"},{"type":"tool_use","id":"t1","name":"f","input":{"a":"SAID"}}],"stop_reason":"tool_use","usage":{"input_tokens":1,"output_tokens":1}}"#
        }
        DialectFamily::Gemini => {
            r#"{"candidates":[{"content":{"role":"model","parts":[{"text":"SAID"},{"functionCall":{"name":"f","args":{"a":"SAID"}}}]},"finishReason":"STOP","index":0}],"responseId":"a"}"#
        }
    };
    body.replace("SAID", said)
}

/// Returns a stream that says both pieces, and calls a tool with both where a call comes in pieces.
fn stream_of(upstream: DialectFamily, pieces: [&str; 2]) -> Vec<String> {
    let events: &[&str] = match upstream {
        DialectFamily::Chat => &[
            r#"{"id":"a","model":"m","choices":[{"index":0,"delta":{"role":"assistant","reasoning_content":"ONE"}}]}"#,
            r#"{"id":"a","choices":[{"index":0,"delta":{"reasoning_content":"TWO"}}]}"#,
            r#"{"id":"a","choices":[{"index":0,"delta":{"content":"ONE"}}]}"#,
            r#"{"id":"a","choices":[{"index":0,"delta":{"content":"TWO"}}]}"#,
            r#"{"id":"a","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"call_1","function":{"name":"f","arguments":"{\"a\":\"ONE"}}]}}]}"#,
            r#"{"id":"a","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"TWO\"}"}}]}}]}"#,
            r#"{"id":"a","choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}"#,
            "[DONE]",
        ],
        DialectFamily::Responses => &[
            r#"{"type":"response.created","response":{"id":"a","model":"m","status":"in_progress","output":[]}}"#,
            r#"{"type":"response.output_item.added","output_index":0,"item":{"type":"message","id":"m1","role":"assistant","content":[]}}"#,
            r#"{"type":"response.output_text.delta","output_index":0,"content_index":0,"delta":"ONE"}"#,
            r#"{"type":"response.output_text.delta","output_index":0,"content_index":0,"delta":"TWO"}"#,
            r#"{"type":"response.output_item.done","output_index":0,"item":{"type":"message","id":"m1","role":"assistant","content":[{"type":"output_text","text":"ONETWO"}]}}"#,
            r#"{"type":"response.output_item.added","output_index":1,"item":{"type":"function_call","id":"f1","call_id":"call_1","name":"f","arguments":""}}"#,
            r#"{"type":"response.function_call_arguments.delta","output_index":1,"delta":"{\"a\":\"ONE"}"#,
            r#"{"type":"response.function_call_arguments.delta","output_index":1,"delta":"TWO\"}"}"#,
            r#"{"type":"response.output_item.done","output_index":1,"item":{"type":"function_call","id":"f1","call_id":"call_1","name":"f","arguments":"{}"}}"#,
            r#"{"type":"response.completed","response":{"id":"a","model":"m","status":"completed","output":[]}}"#,
        ],
        DialectFamily::Messages => &[
            r#"{"type":"message_start","message":{"id":"a","model":"m","usage":{"input_tokens":1,"output_tokens":1}}}"#,
            r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"ONE"}}"#,
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"TWO"}}"#,
            r#"{"type":"content_block_stop","index":0}"#,
            r#"{"type":"content_block_start","index":1,"content_block":{"type":"tool_use","id":"t1","name":"f","input":{}}}"#,
            r#"{"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":"{\"a\":\"ONE"}}"#,
            r#"{"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":"TWO\"}"}}"#,
            r#"{"type":"content_block_stop","index":1}"#,
            r#"{"type":"message_delta","delta":{"stop_reason":"tool_use"},"usage":{"output_tokens":2}}"#,
            r#"{"type":"message_stop"}"#,
        ],
        DialectFamily::Gemini => &[
            r#"{"candidates":[{"content":{"role":"model","parts":[{"text":"ONE"}]},"index":0}],"responseId":"a"}"#,
            r#"{"candidates":[{"content":{"role":"model","parts":[{"text":"TWO"}]},"index":0}],"responseId":"a"}"#,
            r#"{"candidates":[{"content":{"role":"model","parts":[{"text":""}]},"finishReason":"STOP","index":0}],"usageMetadata":{"promptTokenCount":1},"responseId":"a"}"#,
        ],
    };
    framed(events).into_iter().map(|event| event.replace("ONE", pieces[0]).replace("TWO", pieces[1])).collect()
}

#[test]
fn half_of_a_pair_costs_a_request_that_letter_alone() {
    for pair in pairs() {
        let (body, losses) = sent(pair, request_of(pair.client));

        let texts = texts(&body);
        for word in ["Rules", "Ask", "Result", "Part", "Does", "An"] {
            let said = format!("{word} \u{fffd}");
            assert!(texts.iter().any(|text| text.contains(&said)), "{}: {word}: {body}", pair.name());
        }
        assert!(texts.iter().any(|text| text.contains("Given ")), "{}: {body}", pair.name());
        assert!(!losses.contains("text"), "{}: {losses}", pair.name());
    }
}

#[test]
fn no_vendor_is_sent_half_of_a_pair() {
    for pair in pairs() {
        let body = request(pair, request_of(pair.client)).expect("a request").body;

        // Arguments in a text are the model's JSON within it, which no server reads.
        let text = String::from_utf8(body).expect("text").replace(r"\\ud83d", "");
        assert!(!text.contains(r"\ud83d"), "{}: {text}", pair.name());
    }
}

#[test]
fn half_of_a_pair_costs_an_answer_that_letter_alone() {
    for pair in pairs() {
        let body = answer(pair, &answer_of(pair.upstream, r"A long answer \ud83d"));

        let found = texts(&body);
        assert!(found.contains(&"A long answer \u{fffd}"), "{}: {body}", pair.name());
        let called = found.iter().filter(|text| text.contains("A long answer")).count();
        assert!(called > 1, "{}: no call: {body}", pair.name());
    }
}

#[test]
fn the_halves_of_a_pair_in_two_pieces_of_a_stream_are_one_letter() {
    for pair in pairs() {
        let pieces = stream(pair, &stream_of(pair.upstream, [r"smile \ud83d", r"\ude00 and more"]));

        let all = pieces.concat();
        assert!(!all.contains('\u{fffd}'), "{}: {all}", pair.name());
        let letters = all.matches("😀 and more").count();
        assert!(letters >= 1, "{}: {all}", pair.name());
        // Nothing but the half is held: what came before it is there before the other half has come.
        let first = pieces.iter().position(|piece| piece.contains("smile ")).expect("the first piece");
        let second = pieces.iter().position(|piece| piece.contains("😀 and more")).expect("the second piece");
        assert!(first < second, "{}: {all}", pair.name());
    }
}

#[test]
fn a_half_of_a_stream_whose_other_half_does_not_come_is_replaced() {
    for pair in pairs() {
        for (pieces, expected) in [([r"one \ud83d", " two"], "\u{fffd} two"), ([r"one", r" two \ud83d"], "\u{fffd}")] {
            let all = stream(pair, &stream_of(pair.upstream, pieces)).concat();

            assert!(all.contains(expected), "{}: {all}", pair.name());
        }
    }
}

#[test]
fn an_error_with_half_of_a_pair_keeps_its_words() {
    let body = br#"{"type":"error","error":{"type":"invalid_request_error","message":"no text \ud83d","code":400,"status":"INVALID_ARGUMENT"}}"#;
    for pair in pairs() {
        let error: Value = serde_json::from_slice(&pair.error(400, body)).expect("JSON");

        assert!(texts(&error).contains(&"no text \u{fffd}"), "{}: {error}", pair.name());
    }
}
