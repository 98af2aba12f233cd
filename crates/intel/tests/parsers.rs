//! Each format: what is taken, and that a bad line costs only itself.

#![allow(clippy::unwrap_used, missing_docs)]

use picket_intel::{
    Bad, Columns, Fault, Format, Indicator, Limits, ParseError, Prefix, Report, parse,
};

const SHA256: &str = "275a021bbfb6489e54d471899f7db9d1663fc695ec2fe2a2c4538aabf651fd0f";
const NOW: i64 = 1_795_000_000; // November 2026

fn read(format: &Format, text: &str) -> (Vec<Indicator>, Report) {
    let mut found = Vec::new();
    let report = parse(
        format,
        text.as_bytes(),
        &Limits::default(),
        NOW,
        &mut |one| {
            found.push(one);
        },
    );
    (found, report.unwrap())
}

fn listed(indicators: &[Indicator]) -> Vec<String> {
    let text = |indicator: &Indicator| match indicator {
        Indicator::Domain(domain) => domain.as_str().to_owned(),
        Indicator::Prefix(Prefix::V4(net, bits)) => {
            format!("{}/{bits}", std::net::Ipv4Addr::from(*net))
        }
        Indicator::Prefix(Prefix::V6(net, bits)) => {
            format!("{}/{bits}", std::net::Ipv6Addr::from(*net))
        }
        Indicator::Sha256(hash) => format!("sha256 {:02x}", hash[0]),
        Indicator::Sha1(hash) => format!("sha1 {:02x}", hash[0]),
        Indicator::Md5(hash) => format!("md5 {:02x}", hash[0]),
    };
    indicators.iter().map(text).collect()
}

fn bad(line: u64, fault: Fault) -> Bad {
    Bad { line, fault }
}

#[test]
fn plain_lines_of_every_kind() {
    let text = format!(
        "# comment\r\n; another\n\nEVIL.Example.\n*.sub.example.org  # why\n{SHA256}\n\
         203.0.113.77/24\n2001:db8::1\n::ffff:198.51.100.7\nhxxp://bad[.]example/x#y\n\
         https://user:p@[2001:db8::2]:8443/\n0.0.0.0 hosts.example two.example\nbücher.example\n"
    );
    let (found, report) = read(&Format::Plain, &text);
    let expected = [
        "evil.example",
        "sub.example.org",
        "sha256 27",
        "203.0.113.0/24",
        "2001:db8::1/128",
        "198.51.100.7/32",
        "bad.example",
        "2001:db8::2/128",
        "hosts.example",
        "two.example",
        "xn--bcher-kva.example",
    ];
    assert_eq!(listed(&found), expected);
    assert_eq!((report.taken, report.bad), (11, 0));
}

#[test]
fn a_bad_line_is_named_and_the_rest_is_taken() {
    let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    let text = format!("com\n127.0.0.1\n10.0.0.0/4\n1.2.3\n{empty}\nabc..de\n::/0\ngood.example");
    let (found, report) = read(&Format::Plain, &text);
    assert_eq!(listed(&found), ["good.example"]);
    let expected = [
        bad(1, Fault::Wide),
        bad(2, Fault::Local),
        bad(3, Fault::Wide),
        bad(4, Fault::Address),
        bad(5, Fault::Empty),
        bad(6, Fault::Domain),
        bad(7, Fault::Wide),
    ];
    assert_eq!(report.named, expected);
}

#[test]
fn limits_hold() {
    let mut taken = 0;
    let limits = Limits {
        lines: 2,
        line: 20,
        named: 1,
        ..Limits::default()
    };
    let long = "a".repeat(21);
    let text = format!("{long}\n{long}\na.example\n");
    let report = parse(&Format::Plain, text.as_bytes(), &limits, NOW, &mut |_| {
        taken += 1
    });
    let report = report.unwrap();
    assert_eq!(
        (taken, report.bad, report.named.len(), report.cut),
        (0, 2, 1, true)
    );

    let just = parse(
        &Format::Plain,
        b"a.example\nb.example\n",
        &limits,
        NOW,
        &mut |_| {},
    );
    assert!(!just.unwrap().cut);

    let limits = Limits { bytes: 3, ..limits };
    let large = parse(&Format::Plain, b"abcd", &limits, NOW, &mut |_| {});
    assert_eq!(large, Err(ParseError::Large(4, 3)));
}

#[test]
fn csv_with_its_header_in_a_comment() {
    let format = Format::Csv(Columns {
        value: "ioc_value".into(),
        until: Some("until".into()),
    });
    let text = "# Some feed, all rights\n# \"first_seen\",\"ioc_value\",\"until\"\n\
        \"2026-01-01\",\"evil.example\",\"\"\n\
        2026-01-01, 203.0.113.5:443 ,2030-01-01 00:00:00\n\
        x,old.example,2020-01-01\n\
        x,\"never closed,\n\
        x,odd.example,soon\n\
        x\n\
        x,\"https://a.example/?q=\"\"x\"\"\",2030-01-01T00:00:00Z\n# end\n";
    let (found, report) = read(&format, text);
    assert_eq!(
        listed(&found),
        ["evil.example", "203.0.113.5/32", "a.example"]
    );
    assert_eq!(report.expired, 1);
    let expected = [
        bad(6, Fault::Column),
        bad(7, Fault::Time),
        bad(8, Fault::Column),
    ];
    assert_eq!(report.named, expected);

    let none = parse(&format, b"a,b\n1,2\n", &Limits::default(), NOW, &mut |_| {});
    assert_eq!(none, Err(ParseError::NoColumn("ioc_value".into())));
}

#[test]
fn stix_takes_simple_patterns_only() {
    let indicator = |pattern: &str, more: &str| {
        let pattern = serde_json::to_string(pattern).unwrap();
        format!(r#"{{"type":"indicator","pattern_type":"stix","pattern":{pattern}{more}}}"#)
    };
    let objects = [
        indicator(&format!("[file:hashes.'SHA-256' = '{SHA256}']"), ""),
        indicator(
            "[domain-name:value = 'a.example' OR ipv4-addr:value='198.51.100.0/24']",
            "",
        ),
        indicator(
            "[url:value = 'http://b.example/it\\'s'] OR [domain-name:value = 'c.example']",
            "",
        ),
        indicator(
            "[domain-name:value = 'd.example' AND ipv4-addr:value = '198.51.100.1']",
            "",
        ),
        indicator("[domain-name:value LIKE '%.example']", ""),
        indicator("[domain-name:value = 'e.example'] WITHIN 5 SECONDS", ""),
        indicator(
            "[domain-name:value = 'f.example']",
            r#","valid_until":"2021-01-01T00:00:00Z""#,
        ),
        indicator("[domain-name:value = 'g.example']", r#","revoked":true"#),
        indicator("[file:hashes.MD5 = 'zz']", ""),
        r#"{"type":"malware","name":"x"}"#.to_owned(),
        r#"{"type":7}"#.to_owned(),
        indicator("[domain-name:value != 'h.example']", ""),
    ];
    let text = format!(r#"{{"type":"bundle","objects":[{}]}}"#, objects.join(","));
    let (found, report) = read(&Format::Stix, &text);
    let expected = [
        "sha256 27",
        "a.example",
        "198.51.100.0/24",
        "b.example",
        "c.example",
    ];
    assert_eq!(listed(&found), expected);
    assert_eq!((report.expired, report.not_understood), (2, 4));
    assert_eq!(report.named, [bad(9, Fault::Hash), bad(11, Fault::Shape)]);
}

#[test]
fn misp_takes_what_is_meant_for_detection() {
    let event = r#"{"Event":{"info":"x","Attribute":[
        {"type":"domain","value":"a.example","to_ids":true},
        {"type":"domain","value":"b.example","to_ids":false},
        {"type":"ip-dst|port","value":"198.51.100.9|8080","to_ids":true},
        {"type":"comment","value":"hello","to_ids":true},
        {"type":"ip-src","value":"nowhere","to_ids":true},
        {"type":"domain","value":"c.example","to_ids":true,"deleted":true}],
        "Object":[{"name":"file","Attribute":[
        {"type":"filename|md5","value":"x.exe|44d88612fea8a8f36de82e1278abb02f","to_ids":true},{}]}]}}"#;
    let (found, report) = read(&Format::Misp, event);
    assert_eq!(listed(&found), ["a.example", "198.51.100.9/32", "md5 44"]);
    assert_eq!((report.not_understood, report.expired), (2, 1));
    assert_eq!(report.named, [bad(5, Fault::Address), bad(8, Fault::Shape)]);

    let (found, _) = read(
        &Format::Misp,
        &format!(r#"{{"response":[{event},{event}]}}"#),
    );
    assert_eq!(found.len(), 6);
}
