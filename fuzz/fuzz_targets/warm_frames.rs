//! libFuzzer's entry to the target `warm_frames`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| pop_fuzz::warm_frames(bytes));
