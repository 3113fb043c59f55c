//! The target of a proxied request, as it follows the prefix.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ib_gateway_logic::fuzzing::target(bytes));
