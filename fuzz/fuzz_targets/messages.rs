//! Any bytes are read as a message of Anthropic's, to answer or to count, or refused.

#![no_main]

use libfuzzer_sys::fuzz_target;
use pointsman_core::prompt::Dialect;
use pointsman_fuzz::request;

fuzz_target!(|body: &[u8]| {
    request(Dialect::Messages, body);
    request(Dialect::CountTokens, body);
});
