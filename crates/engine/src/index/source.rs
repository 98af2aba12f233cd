//! The patterns of one source: texts, numbers, addresses, Booleans.

use crate::compile::pattern::{Pattern, filter_char};
use crate::index::grams::GramCounts;
use crate::index::hash::{HashIndex, mix};
use crate::index::texts::{Text, TextIndex};
use picket_lang::ir::IpNetwork;
use picket_model::event::Value;
use std::net::IpAddr;

/// Looks up the patterns that a value holds.
#[derive(Debug, Default)]
pub(crate) struct SourceIndex {
    texts: TextIndex,
    numbers: HashIndex,
    /// By pattern: its number, for what is found under a hash.
    numbers_of: Box<[i64]>,
    ranges: Box<[(i64, i64, u32)]>,
    /// The prefix lengths that occur, by family.
    prefixes: [Box<[u8]>; 2],
    networks: HashIndex,
    /// By pattern: its network.
    networks_of: Box<[Option<IpNetwork>]>,
    bools: [Box<[u32]>; 2],
    present: Box<[u32]>,
}

impl SourceIndex {
    /// Patterns are known by their place in `patterns`.
    pub(crate) fn new(patterns: &[Pattern], counts: &GramCounts) -> SourceIndex {
        let mut numbers = Vec::new();
        let mut ranges = Vec::new();
        let mut networks = Vec::new();
        let mut prefixes = [Vec::new(), Vec::new()];
        let mut bools = [Vec::new(), Vec::new()];
        let mut present = Vec::new();
        let mut numbers_of = Vec::new();
        let mut networks_of = Vec::new();
        for (pattern, number) in patterns.iter().zip(0u32..) {
            match pattern {
                Pattern::Number(own) => {
                    numbers.push((mix(*own as u64), number));
                    numbers_of.resize(number as usize, 0);
                    numbers_of.push(*own);
                }
                Pattern::Range(low, high) => ranges.push((*low, *high, number)),
                Pattern::Network(network) => {
                    prefixes[usize::from(network.base.is_ipv6())].push(network.prefix);
                    networks.push((network_hash(network.base, network.prefix), number));
                    networks_of.resize(number as usize, None);
                    networks_of.push(Some(*network));
                }
                Pattern::Bool(own) => bools[usize::from(*own)].push(number),
                Pattern::Present => present.push(number),
                _ => {}
            }
        }
        for lengths in &mut prefixes {
            lengths.sort_unstable();
            lengths.dedup();
        }
        SourceIndex {
            texts: TextIndex::new(patterns, counts),
            numbers: HashIndex::new(&numbers),
            ranges: ranges.into(),
            prefixes: prefixes.map(Into::into),
            networks: HashIndex::new(&networks),
            numbers_of: numbers_of.into(),
            networks_of: networks_of.into(),
            bools: bools.map(Into::into),
            present: present.into(),
        }
    }

    /// Adds the patterns that a whole value holds, some perhaps twice. True if a
    /// pattern that can prove its predicate does so here.
    #[inline]
    pub(crate) fn look_up(
        &self,
        value: Value<'_>,
        filter: &mut FilterForm,
        hits: &mut Vec<u32>,
    ) -> bool {
        hits.extend_from_slice(&self.present);
        match value {
            Value::Str(text) => return self.text(text, filter, hits),
            Value::List(list) => {
                return list
                    .iter()
                    .fold(true, |proof, text| proof & self.text(text, filter, hits));
            }
            Value::Int(number) => {
                let found = self.numbers.get(mix(number as u64));
                let is_own = |at: &u32| self.numbers_of.get(*at as usize) == Some(&number);
                hits.extend(found.filter(is_own));
                let inside = |&&(low, high, _): &&(i64, i64, u32)| low <= number && number <= high;
                hits.extend(self.ranges.iter().filter(inside).map(|range| range.2));
            }
            Value::Bool(is) => hits.extend_from_slice(&self.bools[usize::from(is)]),
            Value::Ip(address) => {
                for &prefix in &self.prefixes[usize::from(address.is_ipv6())] {
                    let base = masked(address, prefix);
                    let found = self.networks.get(network_hash(base, prefix));
                    hits.extend(found.filter(|at| {
                        let own = self.networks_of.get(*at as usize).copied().flatten();
                        own.is_some_and(|own| own.contains(address))
                    }));
                }
            }
        }
        true
    }

    #[inline]
    fn text(&self, text: &str, filter: &mut FilterForm, hits: &mut Vec<u32>) -> bool {
        let is_ascii = text.is_ascii();
        let text = if is_ascii {
            Text::Ascii(text.as_bytes())
        } else {
            Text::Form(filter.of(text))
        };
        self.texts.look_up(text, hits);
        is_ascii
    }

    pub(crate) fn memory(&self) -> usize {
        self.texts.memory()
            + self.numbers.memory()
            + self.networks.memory()
            + self.numbers_of.len() * 8
            + self.networks_of.len() * size_of::<Option<IpNetwork>>()
            + self.ranges.len() * 24
            + (self.bools[0].len() + self.bools[1].len() + self.present.len()) * 4
    }
}

fn masked(address: IpAddr, prefix: u8) -> IpAddr {
    match address {
        IpAddr::V4(address) => {
            let mask = u32::MAX
                .checked_shl(32 - u32::from(prefix.min(32)))
                .unwrap_or(0);
            IpAddr::V4((address.to_bits() & mask).into())
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX
                .checked_shl(128 - u32::from(prefix.min(128)))
                .unwrap_or(0);
            IpAddr::V6((address.to_bits() & mask).into())
        }
    }
}

/// Of equal networks: a network's own base may have host bits set.
fn network_hash(base: IpAddr, prefix: u8) -> u64 {
    match masked(base, prefix) {
        IpAddr::V4(base) => mix(u64::from(base.to_bits()) << 8 | u64::from(prefix.min(32))),
        IpAddr::V6(base) => {
            let bits = base.to_bits();
            mix(mix(bits as u64) ^ (bits >> 64) as u64 ^ u64::from(prefix) << 57)
        }
    }
}

/// Brings texts into filter form, reusing one buffer.
#[derive(Debug, Default)]
pub(crate) struct FilterForm {
    buffer: Vec<u8>,
}

impl FilterForm {
    /// The text in filter form; the text itself if that is it.
    #[inline]
    pub(crate) fn of<'a>(&'a mut self, text: &'a str) -> &'a [u8] {
        let bytes = text.as_bytes();
        let changes = bytes.iter().fold(false, |changes, &byte| {
            changes | (byte >= 0x80) | byte.is_ascii_uppercase()
        });
        if !changes {
            return bytes;
        }
        self.buffer.clear();
        if text.is_ascii() {
            self.buffer.extend(bytes.iter().map(u8::to_ascii_lowercase));
        } else {
            let mut room = [0; 4];
            for c in text.chars() {
                self.buffer
                    .extend_from_slice(filter_char(c).encode_utf8(&mut room).as_bytes());
            }
        }
        &self.buffer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look_up(index: &SourceIndex, value: Value<'_>) -> Vec<u32> {
        let mut hits = Vec::new();
        index.look_up(value, &mut FilterForm::default(), &mut hits);
        hits.sort();
        hits
    }

    #[test]
    fn numbers_and_addresses_are_found() {
        let network = |base: &str, prefix| {
            Pattern::Network(IpNetwork {
                base: base.parse().expect("an address"),
                prefix,
            })
        };
        let patterns = [
            Pattern::Number(22),
            Pattern::Range(1, 1023),
            network("10.0.0.0", 8),
            network("10.1.2.3", 32),
            network("0.0.0.0", 0),
            network("fe80::", 10),
            Pattern::Bool(true),
            Pattern::Present,
        ];
        let index = SourceIndex::new(&patterns, &GramCounts::new());
        assert_eq!(look_up(&index, Value::Int(22)), [0, 1, 7]);
        assert_eq!(look_up(&index, Value::Int(4444)), [7]);
        let ip = |text: &str| Value::Ip(text.parse().expect("an address"));
        assert_eq!(look_up(&index, ip("10.1.2.3")), [2, 3, 4, 7]);
        assert_eq!(look_up(&index, ip("fe80::1")), [5, 7]);
        assert_eq!(look_up(&index, Value::Bool(true)), [6, 7]);
        assert_eq!(look_up(&index, Value::Bool(false)), [7]);
    }
}
