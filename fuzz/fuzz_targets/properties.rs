//! libFuzzer's entry to the target `properties`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| pop_fuzz::properties(bytes));
