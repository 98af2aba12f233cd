//! `src/fleet/generated.rs` is what `proto/fleet.proto` says. It is kept in the tree
//! so that a build needs no protobuf compiler; with `PICKET_BLESS=1` this test
//! writes it anew.

use std::path::Path;

#[test]
fn the_generated_code_is_current() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let kept = root.join("src/fleet/generated.rs");
    let files = protox::compile(["fleet.proto"], [root.join("proto")]).unwrap();
    let out = tempfile::tempdir().unwrap();
    tonic_prost_build::configure()
        .build_transport(false)
        .bytes(".picket.fleet.v1.Offer")
        .bytes(".picket.fleet.v1.Findings.ocsf")
        .out_dir(out.path())
        .compile_fds(files)
        .unwrap();
    let made = std::fs::read_to_string(out.path().join("picket.fleet.v1.rs")).unwrap();
    if std::env::var_os("PICKET_BLESS").is_some() {
        std::fs::write(&kept, &made).unwrap();
    }
    let text = std::fs::read_to_string(&kept).unwrap_or_default();
    assert!(
        text == made,
        "proto/fleet.proto was changed: PICKET_BLESS=1 cargo test -p picket-proto --test generated"
    );
}
