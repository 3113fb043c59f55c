//! A request's whole head, as the proxy hands it over, through the filter.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ib_gateway_logic::fuzzing::request_head(bytes));
