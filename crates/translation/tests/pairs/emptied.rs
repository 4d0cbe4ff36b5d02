//! Requests of which a translation leaves nothing to answer, and requests that have asked nothing.

use pointsman_translation::DialectFamily::{Chat, Gemini, Messages, Responses};
use pointsman_translation::{DialectFamily, Field, TranslationRefusal};
use serde_json::{Value, json};

use super::{pair, request, sent};

const SOUND: &str = r#"{"type":"input_audio","input_audio":{"data":"UklGRg==","format":"wav"}}"#;
const DRAWING: &str = r#"{"type":"image_url","image_url":{"url":"data:image/svg+xml;base64,PHN2Zz4="}}"#;

fn chat(content: &str) -> String {
    format!(
        r#"{{"model":"m","messages":[{{"role":"system","content":"Be brief."}},{{"role":"user","content":{content}}}]}}"#
    )
}

fn lost(client: DialectFamily, upstream: DialectFamily, body: &str) -> Option<Field> {
    match request(pair(client, upstream), body) {
        Err(TranslationRefusal::Unsayable(loss)) => Some(loss.field),
        Err(other) => panic!("{other}"),
        Ok(_) => None,
    }
}

#[test]
fn a_request_of_which_nothing_is_left_to_answer_is_refused_by_what_is_lost() {
    let cases = [
        (Chat, Messages, chat(&format!("[{SOUND}]")), Field::Audio),
        (Chat, Responses, chat(&format!("[{SOUND}]")), Field::Audio),
        (Chat, Messages, chat(&format!("[{DRAWING}]")), Field::Images),
        (Chat, Responses, chat(&format!("[{DRAWING}]")), Field::Images),
        (Chat, Gemini, chat(&format!("[{DRAWING}]")), Field::Images),
        (Chat, Messages, chat(r#"[{"type":"image_url"}]"#), Field::Text),
        (
            Messages,
            Chat,
            r#"{"model":"m","max_tokens":9,"messages":[{"role":"user","content":[{"type":"document","source":{"type":"url","url":"https://a.example/b.pdf"}}]}]}"#.to_owned(),
            Field::Documents,
        ),
        (
            Responses,
            Chat,
            r#"{"model":"m","input":[{"role":"user","content":[{"type":"input_file","file_url":"https://a.example/b.pdf"}]}]}"#.to_owned(),
            Field::Documents,
        ),
        (
            Responses,
            Messages,
            r#"{"model":"m","input":[{"role":"user","content":[{"type":"input_hologram"}]}]}"#.to_owned(),
            Field::Items,
        ),
        (
            Gemini,
            Messages,
            r#"{"contents":[{"role":"user","parts":[{"inlineData":{"mimeType":"video/mp4","data":"AAAA"}}]}]}"#.to_owned(),
            Field::Video,
        ),
        (
            Gemini,
            Responses,
            r#"{"contents":[{"role":"user","parts":[{"executableCode":{"code":"1"}}]}]}"#.to_owned(),
            Field::Items,
        ),
    ];
    for (client, upstream, body, field) in cases {
        assert_eq!(lost(client, upstream, &body), Some(field), "{client:?} to {upstream:?}: {body}");
    }
}

#[test]
fn the_refusal_names_what_could_not_be_carried() {
    let refusal = request(pair(Chat, Messages), &chat(&format!("[{SOUND}]"))).expect_err("nothing is left");

    assert_eq!(
        refusal.to_string(),
        "`audio` cannot be said in the API of the chosen model: without it nothing is left that could be answered"
    );
}

#[test]
fn a_question_of_which_something_is_left_goes_out() {
    let with_text = chat(&format!(r#"[{SOUND},{{"type":"text","text":"What is said?"}}]"#));
    let in_two_turns = format!(
        r#"{{"model":"m","messages":[{{"role":"user","content":"What is said?"}},{{"role":"user","content":[{SOUND}]}}]}}"#
    );
    let of_before = format!(
        r#"{{"model":"m","messages":[{{"role":"user","content":[{SOUND}]}},{{"role":"assistant","content":"Hm."}},{{"role":"user","content":"Well?"}}]}}"#
    );
    for body in [with_text, in_two_turns, of_before] {
        let (_, losses) = sent(pair(Chat, Messages), &body);
        assert!(losses.starts_with("dropped=audio"), "{body}: {losses}");
    }
}

#[test]
fn a_last_question_that_is_lost_is_refused_whatever_came_before() {
    let body = format!(
        r#"{{"model":"m","messages":[{{"role":"user","content":"Hi"}},{{"role":"assistant","content":"Yes?"}},{{"role":"user","content":[{SOUND}]}}]}}"#
    );
    for upstream in [Messages, Responses] {
        assert_eq!(lost(Chat, upstream, &body), Some(Field::Audio));
    }
}

#[test]
fn an_empty_question_goes_out_empty_for_the_vendor_to_judge() {
    let empty: [(DialectFamily, &str); 4] = [
        (Chat, r#"{"model":"m","messages":[{"role":"user","content":""}]}"#),
        (Responses, r#"{"model":"m","input":""}"#),
        (Messages, r#"{"model":"m","max_tokens":9,"messages":[{"role":"user","content":""}]}"#),
        (Gemini, r#"{"contents":[{"role":"user","parts":[{"text":""}]}]}"#),
    ];
    for (client, body) in empty {
        for upstream in client.nearest().into_iter().filter(|upstream| *upstream != client) {
            let (body, _) = sent(pair(client, upstream), body);

            let (turns, turn) = match upstream {
                Chat | Messages => (&body["messages"], json!({"role": "user", "content": ""})),
                Responses => (&body["input"], json!({"type": "message", "role": "user", "content": ""})),
                Gemini => (&body["contents"], json!({"role": "user", "parts": [{"text": ""}]})),
            };
            assert_eq!(*turns, Value::Array(vec![turn]), "{client:?} to {upstream:?}");
        }
    }
}

#[test]
fn a_request_of_instructions_alone_has_a_turn_everywhere() {
    let body = r#"{"model":"m","messages":[{"role":"system","content":"Say hello."}]}"#;

    assert_eq!(sent(pair(Chat, Messages), body).0["messages"], json!([{"role": "user", "content": "Say hello."}]));
    let input = json!([{"type": "message", "role": "system", "content": "Say hello."}]);
    assert_eq!(sent(pair(Chat, Responses), body).0["input"], input);
    assert_eq!(sent(pair(Chat, Gemini), body).0["contents"][0]["parts"], json!([{"text": "Say hello."}]));
}
