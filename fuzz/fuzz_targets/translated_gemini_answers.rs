//! Any bytes as a stream, an answer or an error of the API `gemini` are JSON for every client, wherever a stream is cut.

#![no_main]

use libfuzzer_sys::fuzz_target;
use pointsman_fuzz::translation::answer;
use pointsman_translation::DialectFamily;

fuzz_target!(|input: &[u8]| answer(DialectFamily::Gemini, input));
