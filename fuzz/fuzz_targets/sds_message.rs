//! libFuzzer's entry to the target `sds_message`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| pop_fuzz::sds_message(bytes));
