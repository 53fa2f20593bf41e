//! libFuzzer's entry to the target `report_lines`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| pop_fuzz::report_lines(bytes));
