//! The pipeline on recorded records, in this process: what one event costs
//! from the ring buffer's bytes to the verdict.

use anyhow::{Context, Result, bail};
use picket_lang::Source;
use picket_model::event::Host;
use picket_sensor::enrich::{Containers, Enrichment, Names, Users};
use picket_sensor::loader;
use picket_sensor::pipeline::{Emitted, Pipeline};
use picket_sensor::process::{Assembler, Limits};
use picket_sensor::recording::Reader;
use picket_sensor::response::{Ledger, ProtectedSet, Responder};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

const RUNS: usize = 15;

/// What was measured, microseconds a process life.
pub struct Offline {
    pub best_us: f64,
    pub median_us: f64,
    pub decode_us: f64,
    pub runs: usize,
}

/// Takes the recording through the pipeline again and again.
pub fn measure(recording: &Path, rules: &str) -> Result<Offline> {
    let records = read(recording)?;
    let mut totals = Vec::new();
    let mut decodes = Vec::new();
    for _ in 0..RUNS {
        let start = Instant::now();
        for bytes in &records {
            let _ = std::hint::black_box(picket_probe::decode(bytes));
        }
        let decode = start.elapsed();

        let mut pipeline = pipeline(rules)?;
        let start = Instant::now();
        for bytes in &records {
            if let Ok(record) = picket_probe::decode(bytes) {
                pipeline.record(record);
            }
        }
        let total = start.elapsed();
        let lives = pipeline
            .stats
            .events
            .get("process.exec")
            .copied()
            .unwrap_or(0);
        if lives == 0 {
            bail!("the recording holds no exec");
        }
        let per_life = |time: std::time::Duration| time.as_secs_f64() * 1e6 / lives as f64;
        totals.push(per_life(total));
        decodes.push(per_life(decode));
    }
    totals.sort_by(f64::total_cmp);
    decodes.sort_by(f64::total_cmp);
    Ok(Offline {
        best_us: totals[0],
        median_us: totals[RUNS / 2],
        decode_us: decodes[RUNS / 2],
        runs: RUNS,
    })
}

fn read(path: &Path) -> Result<Vec<Vec<u8>>> {
    let file = std::fs::File::open(path).context("cannot open the recording")?;
    let mut reader = Reader::new(std::io::BufReader::new(file))?;
    let mut records = Vec::new();
    while let Some(bytes) = reader.next_record()? {
        records.push(bytes.to_vec());
    }
    Ok(records)
}

fn pipeline(rules: &str) -> Result<Pipeline<impl FnMut(Emitted) -> bool>> {
    let source = Source {
        name: "bench".into(),
        bytes: rules.as_bytes().to_vec(),
    };
    let (set, _, _) = loader::arm(vec![source], &[], None, &[]).context("the bench's rules")?;
    let enrichment = Enrichment {
        users: Users::from_pairs([(0, "root".into())]),
        containers: Containers::replayed(None),
        names: Names::new(1_024),
    };
    let assembler = Assembler::new(
        Limits::default(),
        enrichment,
        Arc::new(Host::default()),
        1,
        0,
    );
    let responder = Responder::new(
        &set.policies,
        ProtectedSet::new(0, None, Vec::new()),
        Ledger::own(),
        None,
    );
    Ok(Pipeline::new(assembler, set, responder, |_| true, false))
}
