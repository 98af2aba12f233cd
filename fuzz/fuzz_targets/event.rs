//! An event of any bytes; what is one comes back the same from its own JSON.

#![no_main]

use picket_model::ocsf::{event_from_json, event_to_json};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(event) = event_from_json(bytes, 1) {
        let json = event_to_json(&event).to_string();
        let again = event_from_json(json.as_bytes(), 1).expect("our own JSON is read");
        assert_eq!(json, event_to_json(&again).to_string());
    }
});
