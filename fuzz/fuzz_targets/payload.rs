//! libFuzzer's entry to the target `payload`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| pop_fuzz::payload(bytes));
