//! A feed in the format Plain.

#![no_main]

mod feed;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| feed::check(&picket_intel::Format::Plain, bytes));
