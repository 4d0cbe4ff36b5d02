//! Any bytes are read as a request of this dialect or refused, as `model_field` refuses them.

#![no_main]

use libfuzzer_sys::fuzz_target;
use pointsman::prompt::{Dialect, Prompt, model_field};

fuzz_target!(|body: &[u8]| {
    let prompt = Prompt::parse(Dialect::Messages, body);
    let field = model_field(body);
    match (prompt, field) {
        (Ok(prompt), Ok(field)) => {
            assert_eq!((prompt.model, prompt.model_span), (field.name, field.span));
        }
        (Err(one), Err(other)) => assert_eq!(one, other),
        (prompt, field) => panic!("{prompt:?} but {field:?}"),
    }
});
