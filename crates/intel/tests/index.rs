//! The index against the plainest thing that could do the same.

#![allow(clippy::unwrap_used, missing_docs)]

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use picket_intel::{Builder, Domain, FeedId, Indicator, Prefix};
use proptest::collection::vec;
use proptest::prelude::*;

/// Few labels, so that names often lie under one another.
fn name() -> impl Strategy<Value = String> {
    vec(prop_oneof!["[ab]", "[ab]c", "x{1,30}"], 2..6).prop_map(|labels| labels.join("."))
}

fn v4() -> impl Strategy<Value = (u32, u8)> {
    (
        prop_oneof![0x0a00_0000u32..0x0a00_0400, 0x0a00_0000u32..0x0b00_0000],
        8u8..=32,
    )
        .prop_map(|(net, bits)| (net & (u32::MAX << (32 - bits)), bits))
}

fn v6() -> impl Strategy<Value = (u128, u8)> {
    let base = 0x2001_0db8_u128 << 96;
    (0u128..1024, 16u8..=128, 0u32..96)
        .prop_map(move |(low, bits, by)| ((base | low << by) & (u128::MAX << (128 - bits)), bits))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn domains_as_a_walk_over_suffixes(listed in vec((name(), 0u16..5), 0..200), asked in vec(name(), 50)) {
        let mut builder = Builder::default();
        let mut naive = HashMap::new();
        for (name, feed) in &listed {
            builder.add(FeedId(*feed), &Indicator::Domain(Domain::new(name).unwrap())).unwrap();
            let kept = naive.entry(name.as_str()).or_insert(*feed);
            *kept = (*kept).min(*feed);
        }
        let index = builder.build();
        prop_assert_eq!(index.len(), naive.len());
        for name in asked.iter().chain(listed.iter().map(|(name, _)| name)) {
            let ends = name.rmatch_indices('.').map(|(dot, _)| dot + 1).chain([0]);
            let expected = ends
                .filter_map(|at| naive.get(&name[at..]).map(|feed| (name.len() - at, FeedId(*feed))))
                .next();
            prop_assert_eq!(index.domain(name), expected, "{}", name);
            let loud = format!("{}.", name.to_uppercase());
            prop_assert_eq!(index.domain(&loud), expected, "{}", loud);
        }
    }

    #[test]
    fn hashes_as_a_map(listed in vec((any::<u8>(), 0u8..4, 0u16..5), 0..300)) {
        let mut builder = Builder::default();
        let mut naive = BTreeMap::new();
        for (first, last, feed) in &listed {
            let mut hash = [*first; 32];
            hash[31] = *last;
            builder.add(FeedId(*feed), &Indicator::Sha256(hash)).unwrap();
            let kept = naive.entry(hash).or_insert(*feed);
            *kept = (*kept).min(*feed);
        }
        let index = builder.build();
        for first in 0..=255 {
            for last in 0..5 {
                let mut hash = [first; 32];
                hash[31] = last;
                prop_assert_eq!(index.sha256(&hash), naive.get(&hash).map(|feed| FeedId(*feed)));
            }
        }
    }

    #[test]
    fn addresses_as_a_walk_over_all_prefixes(
        four in vec((v4(), 0u16..3), 0..100),
        six in vec((v6(), 0u16..3), 0..100),
        asked4 in vec(v4(), 50),
        asked6 in vec(v6(), 50),
    ) {
        let mut builder = Builder::default();
        for ((net, bits), feed) in &four {
            builder.add(FeedId(*feed), &Indicator::Prefix(Prefix::V4(*net, *bits))).unwrap();
        }
        for ((net, bits), feed) in &six {
            builder.add(FeedId(*feed), &Indicator::Prefix(Prefix::V6(*net, *bits))).unwrap();
        }
        let index = builder.build();
        let narrowest = |hits: &mut dyn Iterator<Item = (u8, u16)>| {
            hits.max_by_key(|(bits, feed)| (*bits, u16::MAX - feed)).map(|(bits, feed)| (bits, FeedId(feed)))
        };
        for (address, _) in asked4.iter().chain(four.iter().map(|(net, _)| net)) {
            let mut hits = four.iter()
                .filter(|((net, bits), _)| (address ^ net) >> (32 - u32::from(*bits)).min(31) == 0)
                .map(|((_, bits), feed)| (*bits, *feed));
            let expected = narrowest(&mut hits);
            prop_assert_eq!(index.address(IpAddr::V4(Ipv4Addr::from(*address))), expected);
            let mapped = Ipv4Addr::from(*address).to_ipv6_mapped();
            prop_assert_eq!(index.address(IpAddr::V6(mapped)), expected);
        }
        for (address, _) in asked6.iter().chain(six.iter().map(|(net, _)| net)) {
            let mut hits = six.iter()
                .filter(|((net, bits), _)| (address ^ net) >> (128 - u32::from(*bits)).min(127) == 0)
                .map(|((_, bits), feed)| (*bits, *feed));
            let expected = narrowest(&mut hits);
            prop_assert_eq!(index.address(IpAddr::V6(Ipv6Addr::from(*address))), expected);
        }
    }
}

#[test]
fn nothing_is_found_in_nothing() {
    let index = Builder::default().build();
    assert!(index.is_empty());
    assert_eq!(index.domain("a.example"), None);
    assert_eq!(index.sha1(&[0; 20]), None);
    assert_eq!(index.md5(&[0; 16]), None);
    assert_eq!(index.address(IpAddr::V4(Ipv4Addr::LOCALHOST)), None);
}

#[test]
fn odd_names_are_asked_without_harm() {
    let mut builder = Builder::default();
    for name in ["evil.example", "bücher.example"] {
        builder
            .add(FeedId(0), &Indicator::Domain(Domain::new(name).unwrap()))
            .unwrap();
    }
    let index = builder.build();
    for name in [
        "",
        ".",
        "..",
        "notevil.example",
        "evil.example.org",
        "example",
        "evil..example",
    ] {
        assert_eq!(index.domain(name), None, "{name}");
    }
    assert_eq!(
        index.domain(&format!("{}evil.example", "a.".repeat(200))),
        None
    );
    assert_eq!(index.domain(".evil.example"), Some((12, FeedId(0))));
    assert_eq!(index.domain("www.BÜCHER.example."), Some((21, FeedId(0))));
}
