//! A segment of any bytes: records are read to an end, and what was read is read the
//! same again from the part that is good.

#![no_main]

use picket_sensor::spool::{Damage, parse};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let (records, good, damage) = parse(bytes);
    assert!(good <= bytes.len());
    assert_eq!(damage == Damage::None, good == bytes.len());
    let (again, length, damage) = parse(&bytes[..good]);
    assert_eq!(records, again);
    assert_eq!((length, damage), (good, Damage::None));
});
