//! Rules and events from the bytes: the compiled program against the reference.
//! The same body runs on random bytes in the engine's own tests.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| picket_engine::testing::agree(bytes));
