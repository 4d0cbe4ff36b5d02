use proptest::prelude::*;
use serde_json::json;

use super::*;

const KEYS: &[&str] = &["content", "text"];

/// Scans `document` in pieces of `size` bytes.
fn scanned(document: &str, size: usize) -> (DocumentScan, AnswerSample) {
    let (mut scan, mut text) = (DocumentScan::new(KEYS), AnswerSample::default());
    for piece in document.as_bytes().chunks(size) {
        scan.feed(piece, &mut text);
    }
    (scan, text)
}

#[test]
fn usage_is_found_at_the_top_and_where_vendors_put_it_only() {
    for (document, found) in [
        (r#"{"usage": {"a": 1}}"#, true),
        (r#"{"message":{"id":"x","usage":{"a":1}}}"#, true),
        (r#"{"response":{"usage":{"a":1}},"x":1}"#, true),
        (r#"{"choices":[{"delta":{},"usage":{"a":1}}]}"#, true),
        (r#"{"x_groq":{"id":"x","usage":{"a":1}}}"#, true),
        (r#"{"usageMetadata":{"a":1}}"#, true),
        (r#"{"usage":{"a":1},"x_groq":{"usage":{"a":2}}}"#, true),
        (r#"{"x_groq":{"usage":{"a":2}},"usage":{"a":1}}"#, true),
        (r#"{"choices":[{"delta":{"usage":{"a":1}}}]}"#, false),
        (r#"{"choices":{"usage":{"a":1}}}"#, false),
        (r#"{"tools":[{"usage":{"a":1}}]}"#, false),
        (r#"{"other":{"usage":{"a":1}}}"#, false),
        (r#"{"response":{"x":{"usage":{"a":1}}}}"#, false),
        (r#"{"text":"\"usage\":{\"a\":1}"}"#, false),
        (r#"{"usage": null}"#, false),
        (r#"["usage", {"a": 1}]"#, false),
    ] {
        for size in 1..=document.len() {
            let (scan, _) = scanned(document, size);

            assert_eq!(scan.usage(), found.then(|| json!({"a": 1})).as_ref(), "{document} in pieces of {size}");
        }
    }
}

#[test]
fn a_usage_object_is_read_up_to_its_limit() {
    for (padding, read) in [(MAX_USAGE - 8, true), (MAX_USAGE - 7, false)] {
        let document = format!("{{\"usage\":{{\"a\":\"{}\"}}}}", "x".repeat(padding));

        assert_eq!(scanned(&document, 100).0.usage().is_some(), read, "{padding}");
    }
}

#[test]
fn empty_choices_are_told_from_filled_and_absent_ones() {
    for (document, choices) in [
        (r#"{"choices":[ ],"usage":{}}"#, ChoicesState::Empty),
        (r#"{"choices":[{}]}"#, ChoicesState::Filled),
        (r#"{"choices":[1]}"#, ChoicesState::Filled),
        (r#"{"choices":["#, ChoicesState::Opened),
        (r#"{"choices":null}"#, ChoicesState::Absent),
        (r#"{"x":{"choices":[]}}"#, ChoicesState::Absent),
    ] {
        for size in 1..=document.len() {
            assert_eq!(scanned(document, size).0.choices(), choices, "{document} in pieces of {size}");
        }
    }
}

#[test]
fn only_an_object_that_closes_is_complete() {
    for (document, complete) in
        [("{}", true), (" {\"a\":[]} \n", true), ("{", false), ("[DONE]", false), ("{}{}", false), ("x{}", false)]
    {
        assert_eq!(scanned(document, 1).0.is_complete(), complete, "{document}");
    }
}

#[test]
fn the_type_is_that_of_the_top_level() {
    let (scan, _) = scanned(r#"{"delta":{"type":"inner"},"type":"message_stop"}"#, 3);

    assert!(scan.is_kind("message_stop"));
    assert!(!scan.is_kind("inner"));
}

#[test]
fn the_number_of_an_event_is_that_of_the_top_level() {
    for (document, number) in [
        (r#"{"type":"x","sequence_number":104,"delta":"a"}"#, Some(104)),
        (r#"{"sequence_number": 0 }"#, Some(0)),
        (r#"{"delta":{"sequence_number":1}}"#, None),
        (r#"{"sequence_number":null}"#, None),
        (r#"{"sequence_number":"7"}"#, None),
        (r#"{"sequence_number":99999999999999999999}"#, Some(u64::MAX)),
    ] {
        for size in 1..=document.len() {
            assert_eq!(scanned(document, size).0.sequence(), number, "{document} in pieces of {size}");
        }
    }
}

#[test]
fn text_is_sampled_without_its_escapes() {
    let (_, text) = scanned(r#"{"content":"a\n\u00e9\"","role":"user","x":[{"text":"模\ud83d\ude00"}]}"#, 1);

    assert_eq!(text.lossy(), "a\né\"模\u{fffd}");
}

proptest! {
    #[test]
    fn no_bytes_panic_and_no_split_matters(bytes in prop::collection::vec(prop::sample::select(&b"{}[]:,\"\\u0 ausage"[..]), 0..60), size in 1_usize..9) {
        let document = String::from_utf8(bytes).expect("ASCII");

        let (whole, whole_text) = scanned(&document, 60);
        let (parts, parts_text) = scanned(&document, size);

        prop_assert_eq!(whole.usage(), parts.usage());
        prop_assert_eq!(whole.choices(), parts.choices());
        prop_assert_eq!(whole.is_complete(), parts.is_complete());
        prop_assert_eq!(whole.sequence(), parts.sequence());
        prop_assert_eq!(whole_text.lossy(), parts_text.lossy());
    }
}

#[test]
fn the_service_tier_is_that_of_the_top_level_or_the_envelope() {
    for (document, tier) in [
        (r#"{"service_tier":"flex"}"#, Some(ServiceTier::Flex)),
        (r#"{"response":{"service_tier":"priority"}}"#, Some(ServiceTier::Priority)),
        (r#"{"service_tier":"default"}"#, Some(ServiceTier::Standard)),
        (r#"{"service_tier":null}"#, None),
        (r#"{"metadata":{"service_tier":"flex"}}"#, None),
        (r#"{"text":"service_tier"}"#, None),
    ] {
        for size in 1..=document.len() {
            assert_eq!(scanned(document, size).0.tier(), tier, "{document} in pieces of {size}");
        }
    }
}
