//! Media whose form another vendor does not take: left out with a word, or given another name.

use pointsman_translation::DialectFamily::{Chat, Gemini, Messages, Responses};
use serde_json::Value;

use super::{pair, sent};

fn gemini(part: &str) -> String {
    format!(r#"{{"contents":[{{"role":"user","parts":[{{"text":"Look"}},{part}]}}]}}"#)
}

fn file(uri: &str, media_type: &str) -> String {
    let media_type = if media_type.is_empty() { String::new() } else { format!(r#","mimeType":"{media_type}""#) };
    gemini(&format!(r#"{{"fileData":{{"fileUri":"{uri}"{media_type}}}}}"#))
}

fn inline(media_type: &str) -> String {
    gemini(&format!(r#"{{"inlineData":{{"mimeType":"{media_type}","data":"AAAA"}}}}"#))
}

#[test]
fn a_film_at_an_address_without_a_type_is_no_document() {
    for address in ["https://www.youtube.com/watch?v=x", "https://youtu.be/x"] {
        for upstream in [Messages, Responses, Chat] {
            let (body, losses) = sent(pair(Gemini, upstream), &file(address, ""));

            assert!(losses.starts_with("dropped=video"), "{upstream:?}: {losses}");
            assert!(!body.to_string().contains("you"), "{upstream:?}: {body}");
        }
    }
}

#[test]
fn anthropic_gets_addresses_of_pdfs_and_a_word_is_said_where_nobody_says_what_is_there() {
    let losses = |address: &str, media_type: &str| sent(pair(Gemini, Messages), &file(address, media_type)).1;

    assert_eq!(losses("https://a.example/b.pdf", ""), "changed=max_tokens");
    assert_eq!(losses("https://a.example/b", "application/pdf"), "changed=max_tokens");
    assert_eq!(losses("https://a.example/b", ""), "changed=documents,max_tokens");
    assert_eq!(sent(pair(Gemini, Responses), &file("https://a.example/b", "")).1, "changed=documents");
    assert_eq!(losses("https://a.example/b.html", ""), "dropped=documents; changed=max_tokens");
    assert_eq!(losses("https://a.example/b", "text/html"), "dropped=documents; changed=max_tokens");
    let body = r#"{"model":"m","max_output_tokens":99,"input":[{"role":"user","content":[{"type":"input_text","text":"Look"},{"type":"input_file","file_url":"https://a.example/b.docx"}]}]}"#;
    assert_eq!(sent(pair(Responses, Messages), body).1, "dropped=documents");
}

#[test]
fn google_is_told_that_a_document_of_anthropic_s_is_a_pdf() {
    let body = r#"{"model":"m","max_tokens":9,"messages":[{"role":"user","content":[{"type":"text","text":"Look"},{"type":"document","source":{"type":"url","url":"https://a.example/b"}}]}]}"#;

    let (body, _) = sent(pair(Messages, Gemini), body);

    assert_eq!(body["contents"][0]["parts"][1]["fileData"]["mimeType"], "application/pdf");
}

#[test]
fn openai_gets_sounds_in_its_two_formats_alone() {
    let format = |media_type: &str| {
        let (body, losses) = sent(pair(Gemini, Chat), &inline(media_type));
        let sound = &body["messages"][0]["content"][1]["input_audio"]["format"];
        (sound.as_str().map(str::to_owned), losses)
    };

    for (media_type, expected) in [("audio/wav", "wav"), ("audio/mp3", "mp3"), ("audio/mpeg;rate=1", "mp3")] {
        assert_eq!(format(media_type), (Some(expected.to_owned()), String::new()));
    }
    for media_type in ["audio/ogg", "audio/aac", "audio/flac", "audio/L16;rate=24000"] {
        assert_eq!(format(media_type), (None, "dropped=audio".to_owned()), "{media_type}");
    }
}

#[test]
fn images_of_forms_that_a_vendor_does_not_take_are_left_out_with_a_word() {
    for upstream in [Chat, Responses, Messages] {
        let (body, losses) = sent(pair(Gemini, upstream), &inline("image/heic"));

        assert!(losses.starts_with("dropped=images"), "{upstream:?}: {losses}");
        assert!(!body.to_string().contains("heic"), "{body}");
    }
    let drawing = |media_type: &str| {
        format!(
            r#"{{"model":"m","messages":[{{"role":"user","content":[{{"type":"text","text":"Look"}},{{"type":"image_url","image_url":{{"url":"data:{media_type};base64,iVBORw0KGgo="}}}}]}}]}}"#
        )
    };
    assert_eq!(sent(pair(Chat, Gemini), &drawing("image/svg+xml")).1, "dropped=images");
    let (body, losses) = sent(pair(Chat, Gemini), &drawing("image/jpg"));
    let image: &Value = &body["contents"][0]["parts"][1]["inlineData"]["mimeType"];
    assert_eq!((image.as_str(), losses.as_str()), (Some("image/jpeg"), ""));
    let (body, _) = sent(pair(Chat, Responses), &drawing("image/*"));
    assert_eq!(body["input"][0]["content"][1]["image_url"], "data:image/png;base64,iVBORw0KGgo=");
}
