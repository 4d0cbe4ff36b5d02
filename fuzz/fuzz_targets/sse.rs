//! An answer, whole or as a stream of events, says the same and passes as the same bytes wherever it is cut.

#![no_main]

use libfuzzer_sys::fuzz_target;
use pointsman_fuzz::answer;

fuzz_target!(|input: &[u8]| answer(input));
