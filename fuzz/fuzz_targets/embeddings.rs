//! Any bytes are read as an embedding's request or refused.

#![no_main]

use libfuzzer_sys::fuzz_target;
use pointsman_core::prompt::Dialect;
use pointsman_fuzz::request;

fuzz_target!(|body: &[u8]| request(Dialect::Embeddings, body));
