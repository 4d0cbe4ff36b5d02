//! Conversations of other APIs' clients in Google's words: what other proxies lose or invent we do not.

use serde_json::json;

use super::builders::{call, failed, image, of_turns, result, said, texts, thought, turn};
use super::{BUDGET, NEW, written};
use crate::conversion::sealed::VendorSeal;
use crate::family::DialectFamily;
use crate::neutral::{Document, Image, ImageDetail, MediaSource, Part, PartBody, TurnRole};

#[test]
fn instructions_at_the_beginning_have_their_place_and_those_in_the_middle_stand_where_they_stood() {
    let request = of_turns(vec![
        said(TurnRole::System, "S1"),
        said(TurnRole::Developer, "S2"),
        said(TurnRole::User, "Q"),
        said(TurnRole::Assistant, "A"),
        said(TurnRole::System, "S3"),
        said(TurnRole::User, "Q2"),
    ]);
    let (body, losses) = written(&request, NEW);
    assert_eq!(body["systemInstruction"], json!({"parts": [{"text": "S1"}, {"text": "S2"}]}));
    let contents = body["contents"].as_array().expect("contents");
    assert_eq!(contents.len(), 3);
    assert_eq!((&contents[2]["role"], texts(&contents[2])), (&json!("user"), vec!["S3", "Q2"]));
    assert_eq!(losses, "changed=system_turns");
}

#[test]
fn a_request_of_instructions_alone_has_contents() {
    let (body, losses) = written(&of_turns(vec![said(TurnRole::System, "S")]), NEW);
    assert_eq!(body, json!({"contents": [{"role": "user", "parts": [{"text": "S"}]}]}));
    assert_eq!(losses, "changed=system_turns");
}

#[test]
fn empty_turns_are_left_out_and_never_filled() {
    let request = of_turns(vec![
        said(TurnRole::User, "Q"),
        turn(TurnRole::Assistant, Vec::new()),
        said(TurnRole::Assistant, ""),
        said(TurnRole::User, "Q2"),
    ]);
    let (body, losses) = written(&request, NEW);
    assert_eq!(
        body["contents"],
        json!([{"role": "user", "parts": [{"text": "Q"}]}, {"role": "user", "parts": [{"text": "Q2"}]}])
    );
    assert_eq!(losses, "changed=empty_turns");
}

#[test]
fn a_loop_of_tools_keeps_ids_names_order_errors_and_images() {
    let request = of_turns(vec![
        said(TurnRole::User, "Q"),
        turn(TurnRole::Assistant, vec![Part::text("A"), call("c1", "f", "{\"a\": 1}"), call("c2", "g", "")]),
        turn(
            TurnRole::User,
            vec![Part::text("more"), failed("c2", "no"), result("c1", vec![Part::text("{\"t\":20}"), image(None)])],
        ),
    ]);
    let (body, losses) = written(&request, NEW);
    let skip = "c2tpcF90aG91Z2h0X3NpZ25hdHVyZV92YWxpZGF0b3I=";
    assert_eq!(
        body["contents"][1]["parts"],
        json!([
            {"text": "A"},
            {"functionCall": {"id": "c1", "name": "f", "args": {"a": 1}}, "thoughtSignature": skip},
            {"functionCall": {"id": "c2", "name": "g", "args": {}}},
        ])
    );
    assert_eq!(
        body["contents"][2]["parts"],
        json!([
            {"functionResponse": {"id": "c2", "name": "g", "response": {"error": "no"}}},
            {"functionResponse": {"id": "c1", "name": "f", "response": {"t": 20},
                "parts": [{"inlineData": {"mimeType": "image/png", "data": "AAAA"}}]}},
            {"text": "more"},
        ])
    );
    assert_eq!(losses, "changed=thinking.sealed");
}

#[test]
fn models_before_gemini_3_get_images_of_results_beside_them_and_no_signature() {
    let request = of_turns(vec![
        said(TurnRole::User, "Q"),
        turn(TurnRole::Assistant, vec![call("c1", "f", "{}")]),
        turn(TurnRole::User, vec![result("c1", vec![Part::text("see"), image(Some(ImageDetail::Low))])]),
    ]);
    let (body, losses) = written(&request, BUDGET);
    assert_eq!(body["contents"][1]["parts"], json!([{"functionCall": {"id": "c1", "name": "f", "args": {}}}]));
    assert_eq!(
        body["contents"][2]["parts"],
        json!([
            {"functionResponse": {"id": "c1", "name": "f", "response": {"output": "see"}}},
            {"inlineData": {"mimeType": "image/png", "data": "AAAA"}},
        ])
    );
    assert_eq!(losses, "dropped=images.detail; changed=tool_results.content");
}

#[test]
fn arguments_that_are_no_object_go_as_a_text_and_that_is_said() {
    let request = of_turns(vec![said(TurnRole::User, "Q"), turn(TurnRole::Assistant, vec![call("c", "f", "{\"a\":")])]);
    let (body, losses) = written(&request, BUDGET);
    assert_eq!(body["contents"][1]["parts"][0]["functionCall"]["args"], json!({"input": "{\"a\":"}));
    assert_eq!(losses, "changed=tools");
}

#[test]
fn thoughts_go_back_to_their_maker_alone_and_are_never_text() {
    let own = VendorSeal::new(DialectFamily::Gemini, "R09P");
    let foreign = VendorSeal::new(DialectFamily::Messages, "Q0xB");
    let request = of_turns(vec![turn(
        TurnRole::Assistant,
        vec![thought("T1", Some(foreign)), thought("T2", None), thought("T3", Some(own)), Part::text("A")],
    )]);
    let (body, losses) = written(&request, NEW);
    assert_eq!(
        body["contents"][0]["parts"],
        json!([{"text": "T3", "thought": true, "thoughtSignature": "R09P"}, {"text": "A"}])
    );
    assert_eq!(losses, "dropped=thinking");
}

#[test]
fn a_signature_that_a_client_kept_as_a_thought_goes_on_the_call_after_it() {
    let seal = |text| VendorSeal::new(DialectFamily::Gemini, text);
    let request = of_turns(vec![
        said(TurnRole::User, "Q"),
        turn(TurnRole::Assistant, vec![thought("", Some(seal("QQ=="))), call("c1", "f", "{}"), call("c2", "f", "{}")]),
        turn(TurnRole::User, vec![result("c1", Vec::new()), result("c2", Vec::new())]),
        turn(TurnRole::Assistant, vec![Part::text("A"), thought("", Some(seal("Qg==")))]),
    ]);
    let (body, losses) = written(&request, NEW);
    assert_eq!(body["contents"][1]["parts"][0]["thoughtSignature"], "QQ==");
    assert_eq!(body["contents"][1]["parts"][1].get("thoughtSignature"), None);
    assert_eq!(body["contents"][3]["parts"], json!([{"text": "A"}, {"text": "", "thoughtSignature": "Qg=="}]));
    assert_eq!(losses, "");
}

#[test]
fn a_refusal_of_an_assistants_turn_is_kept() {
    let request = of_turns(vec![turn(TurnRole::Assistant, vec![Part::new(PartBody::Refusal("I cannot.".into()))])]);
    let (body, losses) = written(&request, NEW);
    assert_eq!(texts(&body["contents"][0]), ["I cannot."]);
    assert_eq!(losses, "changed=refusals");
}

#[test]
fn media_go_by_bytes_by_address_and_as_text() {
    let url = |url: &'static str| MediaSource::Url { url: url.into(), media_type: None };
    let document = |source| Document { source, title: None, context: None, cites: None };
    let text = document(MediaSource::Text("plain".into()));
    let pdf = Document {
        title: Some("t.pdf".into()),
        ..document(MediaSource::Base64 { media_type: "application/pdf".into(), data: "JVBE".into() })
    };
    let request = of_turns(vec![turn(
        TurnRole::User,
        vec![
            image(Some(ImageDetail::High)),
            Part::new(PartBody::Image(Image { source: url("https://a.example/i.JPG?s=1"), detail: None })),
            Part::new(PartBody::Document(pdf)),
            Part::new(PartBody::Document(text)),
        ],
    )]);
    let (body, losses) = written(&request, NEW);
    assert_eq!(
        body["contents"][0]["parts"],
        json!([
            {"inlineData": {"mimeType": "image/png", "data": "AAAA"}, "mediaResolution": {"level": "MEDIA_RESOLUTION_HIGH"}},
            {"fileData": {"fileUri": "https://a.example/i.JPG?s=1", "mimeType": "image/jpeg"}},
            {"inlineData": {"mimeType": "application/pdf", "data": "JVBE"}},
            {"text": "plain"},
        ])
    );
    assert_eq!(losses, "dropped=documents.details; changed=documents");
}

#[test]
fn a_file_of_another_vendors_store_is_refused() {
    let source = MediaSource::FileId("file-abc".into());
    let request =
        of_turns(vec![turn(TurnRole::User, vec![Part::new(PartBody::Image(Image { source, detail: None }))])]);
    assert_eq!(written(&request, NEW).1, "refused=file_ids; changed=empty_turns");
}
