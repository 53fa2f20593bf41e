//! libFuzzer's entry to the target `reference`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| pop_fuzz::reference(bytes));
