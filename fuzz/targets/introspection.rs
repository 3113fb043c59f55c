//! The token service's answer about a token.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ib_gateway_logic::fuzzing::introspection(bytes));
