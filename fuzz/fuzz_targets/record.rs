//! A kernel record of any bytes, DNS packets included, taken into the process table.

#![no_main]

use picket_model::event::Host;
use picket_probe::synth::one_of_each;
use picket_sensor::enrich::{Containers, Enrichment, Names, Users};
use picket_sensor::process::{Assembler, Limits};
use std::sync::Arc;

/// Random bytes hardly ever have a record's head, so half of the inputs are
/// changes to a good record: pairs of a place and a value.
fn record(bytes: &[u8]) -> Vec<u8> {
    match bytes.split_first() {
        Some((first, changes)) if first % 2 == 1 => {
            let mut records = one_of_each();
            let which = usize::from(first / 2) % records.len();
            let mut record = records.swap_remove(which);
            for change in changes.chunks_exact(3) {
                let at = usize::from(u16::from_le_bytes([change[0], change[1]]));
                if let Some(byte) = record.get_mut(at) {
                    *byte = change[2];
                }
            }
            record
        }
        _ => bytes.to_vec(),
    }
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let bytes = &record(bytes);
    if let Ok(record) = picket_probe::decode(bytes) {
        let enrichment = Enrichment {
            users: Users::from_pairs([]),
            containers: Containers::replayed(Some(1)),
            names: Names::new(4),
        };
        let mut assembler = Assembler::new(
            Limits::default(),
            enrichment,
            Arc::new(Host::default()),
            1,
            0,
        );
        let _ = assembler.take(record);
    }
});
