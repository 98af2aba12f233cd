//! A recording of any bytes: it ends, with an error or without.

#![no_main]

use picket_sensor::recording::Reader;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(mut reader) = Reader::new(bytes) {
        while let Ok(Some(record)) = reader.next_record() {
            let _ = picket_probe::decode(record);
        }
    }
});
