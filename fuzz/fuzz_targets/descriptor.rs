//! libFuzzer's entry to the target `descriptor`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| pop_fuzz::descriptor(bytes));
