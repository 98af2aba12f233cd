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

/// Of two types with one name, the description would hold one, and say it of both.
#[test]
fn every_schema_has_a_name_of_its_own() {
    let mut names = std::collections::BTreeMap::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            let mut derived = false;
            for line in text.lines() {
                derived |= line.starts_with("#[derive(") && line.contains("ToSchema");
                let mut words = line.split([' ', '<', '{', '(']);
                let named = words.find(|word| matches!(*word, "struct" | "enum"));
                if let (true, Some(_), Some(name)) = (derived, named, words.next()) {
                    let before = names.insert(name.to_owned(), path.clone());
                    assert!(before.is_none(), "{name}: {before:?} and {path:?}");
                    derived = false;
                }
            }
        }
    }
    assert!(names.len() > 50, "{}", names.len());
}
