//! Any bytes are read as a legacy completion's request or refused.

#![no_main]

use libfuzzer_sys::fuzz_target;
use pointsman_core::prompt::Dialect;
use pointsman_fuzz::request;

fuzz_target!(|body: &[u8]| request(Dialect::Completions, body));
