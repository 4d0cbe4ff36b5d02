//! A body that names a model names the other one after the splice, and is the same in every other byte.

#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use pointsman_core::prompt::model_field;
use pointsman_core::prompt::splice;

const MODEL: &str = "an \"other\" model\n";

fuzz_target!(|body: &[u8]| {
    let Ok(field) = model_field(body) else { return };
    let spliced = splice(&Bytes::copy_from_slice(body), field.span.clone(), MODEL);

    let after = model_field(&spliced).expect("a spliced body is as readable as it was");
    assert_eq!(after.name, MODEL);
    assert_eq!(spliced[..after.span.start], body[..field.span.start]);
    assert_eq!(spliced[after.span.end..], body[field.span.end..]);
});
