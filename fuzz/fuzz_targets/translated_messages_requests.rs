//! Any bytes are refused as a request of the API `messages`, or become JSON of every other.

#![no_main]

use libfuzzer_sys::fuzz_target;
use pointsman_fuzz::translation::request;
use pointsman_translation::DialectFamily;

fuzz_target!(|body: &[u8]| request(DialectFamily::Messages, body));
