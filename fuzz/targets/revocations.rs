//! An answer of the revocation feed.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ib_gateway_logic::fuzzing::revocations(bytes));
