//! A response body in chunks, against a slow masker.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ib_gateway_logic::fuzzing::redact(bytes));
