//! The description: as it was agreed on, and true.

use std::path::Path;

/// With `PICKET_BLESS=1` the file is written anew.
#[test]
fn the_description_is_the_one_that_is_kept() {
    let now = picket_server::api::openapi().to_pretty_json().unwrap() + "\n";
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/openapi.json");
    if std::env::var_os("PICKET_BLESS").is_some() {
        std::fs::write(&file, &now).unwrap();
    }
    let kept = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        now == kept,
        "the API has changed: look at the difference of docs/openapi.json after \
         PICKET_BLESS=1 cargo test -p picket-server --test api openapi"
    );
}

#[test]
fn every_operation_says_what_it_answers() {
    let description = serde_json::to_value(picket_server::api::openapi()).unwrap();
    let mut names = std::collections::BTreeSet::new();
    for (path, operations) in description["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            let place = format!("{method} {path}");
            let name = operation["operationId"].as_str().unwrap();
            assert!(names.insert(name.to_owned()), "{name} twice");
            assert!(operation["summary"].is_string(), "{place} has no summary");
            let answers = operation["responses"].as_object().unwrap();
            assert!(
                answers.keys().any(|status| status.starts_with(['2', '3'])),
                "{place}"
            );
            let open = operation["security"] == serde_json::json!([{}]);
            let refuses = ["401", "403"]
                .iter()
                .any(|status| answers.contains_key(*status));
            assert!(open || refuses, "{place} refuses nobody");
        }
    }
}
