//! Memory and time of an index of a million domains, a million SHA-256 and 100,000 prefixes,
//! read from plain lists as feeds are.
//!
//! ```console
//! $ picket-bench-intel [MILLIONS]
//! ```

#![expect(clippy::print_stdout, reason = "the table")]

use anyhow::{Context, Result};
use picket_intel::{Builder, FeedId, Format, Index, Limits, parse};
use std::fmt::Write;
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Instant;

/// Look-ups of each kind, in random order, so that caches help as little as they would.
const ASKED: usize = 1_000_000;
const PREFIXES: usize = 100_000;

fn main() -> Result<()> {
    let millions: usize = match std::env::args().nth(1) {
        Some(text) => text.parse().context("MILLIONS is a number")?,
        None => 1,
    };
    let count = millions * 1_000_000;
    let mut random = Random(0x5eed);
    let domains: Vec<String> = (0..count).map(|_| domain(&mut random)).collect();
    let hashes: Vec<[u8; 32]> = (0..count).map(|_| hash(&mut random)).collect();
    let nets: Vec<u32> = (0..PREFIXES)
        .map(|_| 0x0100_0000 | random.below(1 << 31))
        .collect();

    let mut text = domains.join("\n");
    for hash in &hashes {
        text.push('\n');
        for byte in hash {
            write!(text, "{byte:02x}")?;
        }
    }
    for net in &nets {
        let bits = 16 + random.below(17);
        write!(text, "\n{}/{bits}", Ipv4Addr::from(*net))?;
    }

    let start = Instant::now();
    let mut builder = Builder::default();
    let mut full = None;
    let report = parse(
        &Format::Plain,
        text.as_bytes(),
        &Limits::default(),
        0,
        &mut |one| {
            full = builder.add(FeedId(0), &one).err().or(full);
        },
    )?;
    let index = builder.build();
    let built = start.elapsed();
    anyhow::ensure!(full.is_none(), "the index is full");

    println!("| what | figure |\n|---|---|");
    println!(
        "| indicators read | {} of {} MB, {} bad |",
        report.taken,
        text.len() >> 20,
        report.bad
    );
    println!("| read and built | {:.2} s |", built.as_secs_f64());
    let average = domains.iter().map(String::len).sum::<usize>() as f64 / domains.len() as f64;
    println!("| bytes of a domain, on average | {average:.1} |");
    println!("| memory | {:.1} MB |", index.memory() as f64 / 1e6);
    lookups(&index, &domains, &hashes, &nets, &mut random)
}

fn lookups(
    index: &Index,
    domains: &[String],
    hashes: &[[u8; 32]],
    nets: &[u32],
    random: &mut Random,
) -> Result<()> {
    // Copied, so that reading the question is not what takes the time.
    let listed: Vec<String> = (0..ASKED)
        .filter_map(|_| random.of(domains))
        .cloned()
        .collect();
    time("a listed domain", &listed, |name| {
        index.domain(name).is_some()
    })?;
    let below: Vec<String> = listed
        .iter()
        .map(|name| format!("cdn.www.{name}"))
        .collect();
    time("two labels below a listed domain", &below, |name| {
        index.domain(name).is_some()
    })?;
    let others: Vec<String> = (0..ASKED)
        .map(|_| format!("www.{}", domain(random)))
        .collect();
    time(
        "a domain that is not listed, of 3 or 4 labels",
        &others,
        |name| index.domain(name).is_some(),
    )?;
    let listed: Vec<[u8; 32]> = (0..ASKED)
        .filter_map(|_| random.of(hashes))
        .copied()
        .collect();
    time("a listed SHA-256", &listed, |hash| {
        index.sha256(hash).is_some()
    })?;
    let others: Vec<[u8; 32]> = (0..ASKED).map(|_| hash(random)).collect();
    time("a SHA-256 that is not listed", &others, |hash| {
        index.sha256(hash).is_some()
    })?;
    let address = |net: &u32| IpAddr::V4(Ipv4Addr::from(*net));
    let listed: Vec<IpAddr> = (0..ASKED)
        .filter_map(|_| random.of(nets))
        .map(address)
        .collect();
    time(
        "an address, prefixes of 17 lengths, listed",
        &listed,
        |one| index.address(*one).is_some(),
    )?;
    let any: Vec<IpAddr> = (0..ASKED)
        .map(|_| address(&random.below(u32::MAX)))
        .collect();
    time("an address, any", &any, |one| index.address(*one).is_some())?;
    Ok(())
}

/// The best of five rounds, per look-up, in time on the processor, and how many hit.
fn time<T>(what: &str, asked: &[T], ask: impl Fn(&T) -> bool) -> Result<()> {
    let mut best = u64::MAX;
    let mut hits = 0;
    for _ in 0..5 {
        let start = on_processor()?;
        hits = asked.iter().filter(|one| black_box(ask(one))).count();
        best = best.min(on_processor()? - start);
    }
    let each = best as f64 / asked.len() as f64;
    let share = 100.0 * hits as f64 / asked.len() as f64;
    println!("| {what} | {each:.0} ns ({share:.0} % hit) |");
    Ok(())
}

/// Nanoseconds that this thread was on a processor: other work on the machine then costs
/// only the caches it takes.
fn on_processor() -> Result<u64> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    let first = text.split_whitespace().next().context("schedstat")?;
    Ok(first.parse()?)
}

/// About as long as the names in public lists: 12 to 24 bytes, two or three labels.
fn domain(random: &mut Random) -> String {
    const ENDS: [&str; 6] = ["com", "net", "xyz", "top", "info", "co.uk"];
    let mut name = String::new();
    for _ in 0..8 + random.below(11) {
        let letter = u8::try_from(random.below(26)).unwrap_or(0);
        name.push(char::from(b'a' + letter));
    }
    let end = random.of(&ENDS).copied().unwrap_or("com");
    format!("{name}.{end}")
}

fn hash(random: &mut Random) -> [u8; 32] {
    let mut out = [0; 32];
    for part in out.chunks_exact_mut(8) {
        part.copy_from_slice(&random.next().to_le_bytes());
    }
    out
}

/// splitmix64: the same figures in each run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, most: u32) -> u32 {
        u32::try_from(((self.next() >> 32) * u64::from(most)) >> 32).unwrap_or(0)
    }

    fn of<'a, T>(&mut self, all: &'a [T]) -> Option<&'a T> {
        let most = u32::try_from(all.len()).ok()?;
        all.get(self.below(most) as usize)
    }
}
