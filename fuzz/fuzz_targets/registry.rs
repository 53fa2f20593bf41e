//! libFuzzer's entry to the target `registry`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| pop_fuzz::registry(bytes));
