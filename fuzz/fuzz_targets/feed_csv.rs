//! A feed as CSV.

#![no_main]

mod feed;

use picket_intel::{Columns, Format};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    // With the header before it, or the fuzzer would have to find it.
    let text = [b"# value,until\n", bytes].concat();
    let columns = Columns {
        value: "value".to_owned(),
        until: Some("until".to_owned()),
    };
    feed::check(&Format::Csv(columns.clone()), &text);
    feed::check(&Format::Csv(columns), bytes);
});
