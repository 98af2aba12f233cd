//! A rule file of any bytes: diagnostics or rules, never a panic; and what is
//! printed of it can be printed.

#![no_main]

use picket_lang::{Limits, Source, check, render_json, render_text};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let sources = [Source::new("fuzz.yaml", bytes)];
    let checked = check(&sources, &Limits::default());
    let _ = render_text(&checked.diagnostics, &sources, false);
    let _ = render_json(&checked.diagnostics, &sources);
});
