//! DNS record types (IANA "Resource Record (RR) TYPEs").

/// The name of a record type; `TYPE65280` for one without (RFC 3597 section 5).
pub fn type_name(number: u16) -> Box<str> {
    match TYPES.iter().find(|&&(known, _)| known == number) {
        Some(&(_, name)) => name.into(),
        None => format!("TYPE{number}").into(),
    }
}

/// The names of the types that have one.
pub const TYPE_NAMES: &[&str] = &{
    let mut names = [""; TYPES.len()];
    let mut at = 0;
    while at < TYPES.len() {
        names[at] = TYPES[at].1;
        at += 1;
    }
    names
};

const TYPES: &[(u16, &str)] = &[
    (1, "A"),
    (2, "NS"),
    (5, "CNAME"),
    (6, "SOA"),
    (10, "NULL"),
    (12, "PTR"),
    (13, "HINFO"),
    (15, "MX"),
    (16, "TXT"),
    (28, "AAAA"),
    (29, "LOC"),
    (33, "SRV"),
    (35, "NAPTR"),
    (43, "DS"),
    (44, "SSHFP"),
    (46, "RRSIG"),
    (48, "DNSKEY"),
    (52, "TLSA"),
    (64, "SVCB"),
    (65, "HTTPS"),
    (252, "AXFR"),
    (255, "ANY"),
    (257, "CAA"),
];
