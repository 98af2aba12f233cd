//! What holds for a feed of any bytes: everything is taken or accounted for, what is taken
//! can be looked up, and nothing panics.

use picket_intel::{Builder, FeedId, Format, Indicator, Limits, Prefix, parse};

pub fn check(format: &Format, bytes: &[u8]) {
    let mut found = Vec::new();
    let report = parse(
        format,
        bytes,
        &Limits::default(),
        1_700_000_000,
        &mut |one| {
            found.push(one);
        },
    );
    let Ok(report) = report else { return };
    assert_eq!(report.taken, found.len() as u64);
    assert!(report.named.len() as u64 <= report.bad);
    let mut builder = Builder::default();
    for one in &found {
        builder.add(FeedId(0), one).expect("few");
    }
    let index = builder.build();
    assert!(index.len() <= found.len());
    for one in &found {
        let listed = match one {
            Indicator::Sha256(hash) => index.sha256(hash).is_some(),
            Indicator::Sha1(hash) => index.sha1(hash).is_some(),
            Indicator::Md5(hash) => index.md5(hash).is_some(),
            Indicator::Domain(domain) => index.domain(domain.as_str()).is_some(),
            Indicator::Prefix(Prefix::V4(net, _)) => index
                .address(std::net::Ipv4Addr::from(*net).into())
                .is_some(),
            Indicator::Prefix(Prefix::V6(net, _)) => index
                .address(std::net::Ipv6Addr::from(*net).into())
                .is_some(),
        };
        assert!(listed, "{one:?}");
    }
}
