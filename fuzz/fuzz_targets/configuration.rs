//! Any text is loaded as a configuration and as a bundle's manifest, or refused, in bounded time, memory and stack.

#![no_main]

use libfuzzer_sys::fuzz_target;
use pointsman_fuzz::configuration::load;

fuzz_target!(|input: &[u8]| load(input));
