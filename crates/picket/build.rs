//! Puts the built-in rules (`rules/` at the root of the repository) into the
//! binary, as a table of names and contents.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

fn main() -> io::Result<()> {
    let manifest = PathBuf::from(variable("CARGO_MANIFEST_DIR")?);
    let folder = manifest.join("../../rules");
    // Cargo looks at everything below a folder, so new files count as well.
    writeln!(io::stdout(), "cargo:rerun-if-changed={}", folder.display())?;
    let mut files = Vec::new();
    if folder.is_dir() {
        collect(&folder.canonicalize()?, "", &mut files)?;
    }
    files.sort();
    let mut table = String::from("&[\n");
    for (name, path) in &files {
        let _ = writeln!(table, "    ({name:?}, include_bytes!({path:?})),");
    }
    table.push_str("]\n");
    let out = Path::new(&variable("OUT_DIR")?).join("builtin_rules.rs");
    std::fs::write(out, table)
}

fn collect(folder: &Path, prefix: &str, files: &mut Vec<(String, PathBuf)>) -> io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
            continue;
        };
        if name.starts_with('.') {
            continue;
        }
        let name = format!("{prefix}{name}");
        if path.is_dir() {
            collect(&path, &format!("{name}/"), files)?;
        } else if name.ends_with(".yaml") || name.ends_with(".yml") {
            files.push((name, path));
        }
    }
    Ok(())
}

fn variable(name: &str) -> io::Result<String> {
    std::env::var(name).map_err(|error| io::Error::other(format!("{name}: {error}")))
}
