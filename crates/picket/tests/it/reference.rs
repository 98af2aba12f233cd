//! docs/rule-language.md is made from the code, and is what the code says now.

use std::path::Path;

#[test]
fn the_language_reference_is_up_to_date() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    let head = std::fs::read_to_string(docs.join("rule-language.head.md")).unwrap();
    let made = format!(
        "{head}## Reference\n\n{}\n### Diagnostics\n\n{}",
        picket_lang::schema_markdown(),
        picket_lang::problems_markdown()
    );
    let page = docs.join("rule-language.md");
    if std::env::var_os("PICKET_BLESS").is_some() {
        std::fs::write(&page, &made).unwrap();
    }
    let found = std::fs::read_to_string(&page).unwrap_or_default();
    assert!(
        found == made,
        "docs/rule-language.md is stale: PICKET_BLESS=1 cargo test -p picket --test it reference"
    );
}

/// The example at the head of the page is a rule file without a mistake.
#[test]
fn the_example_in_the_reference_is_right() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    let head = std::fs::read_to_string(docs.join("rule-language.head.md")).unwrap();
    let example = head
        .split("```yaml\n")
        .nth(1)
        .and_then(|rest| rest.split("```").next())
        .unwrap();
    let source = picket_lang::Source::new("example", example);
    let checked = picket_lang::check(&[source], &picket_lang::Limits::default());
    assert_eq!(checked.diagnostics, []);
    assert_eq!((checked.rules.len(), checked.policies.len()), (1, 1));
}
