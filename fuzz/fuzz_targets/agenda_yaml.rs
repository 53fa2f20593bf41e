//! libFuzzer's entry to the target `agenda_yaml`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| pop_fuzz::agenda_yaml(bytes));
