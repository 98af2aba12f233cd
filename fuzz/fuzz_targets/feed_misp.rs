//! A feed in the format Misp.

#![no_main]

mod feed;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| feed::check(&picket_intel::Format::Misp, bytes));
