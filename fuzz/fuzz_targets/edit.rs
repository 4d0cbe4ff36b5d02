//! A body that was readable is readable after a model's rules, and they leave nothing to do.

#![no_main]

use std::sync::LazyLock;

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use pointsman_core::prompt::BodyEdits;
use pointsman_core::prompt::model_field;
use serde_json::json;

static EDITS: LazyLock<BodyEdits> = LazyLock::new(|| {
    let rename = [("max_tokens".to_owned(), "max_completion_tokens".to_owned())].into();
    let set = [("stream_options.include_usage".to_owned(), json!(true)), ("n".to_owned(), json!({"a": [1]}))].into();
    BodyEdits::new(&["temperature".to_owned()], &rename, &set)
});

fuzz_target!(|body: &[u8]| {
    let Ok(field) = model_field(body) else { return };
    let edited = EDITS.apply(&Bytes::copy_from_slice(body), field.span, "other");

    let after = model_field(&edited).expect("an edited body is as readable as it was");
    assert_eq!(after.name, "other");
    let again = EDITS.apply(&edited, after.span, "other");
    assert_eq!(again.as_ptr(), edited.as_ptr());
});
