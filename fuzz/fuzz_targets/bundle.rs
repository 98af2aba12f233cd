//! An envelope of any bytes, and one that was signed and then changed: nothing that
//! was not signed is ever believed.

#![no_main]

use picket_proto::bundle::{Bundle, RuleFile, SigningKey, TrustedKeys, sign};
use picket_proto::fleet::JoinToken;
use std::sync::LazyLock;

static KEY: LazyLock<SigningKey> = LazyLock::new(|| SigningKey::from_seed(&[7; 32]));
static BUNDLE: LazyLock<Bundle> = LazyLock::new(|| Bundle {
    scope: "web".into(),
    version: 3,
    created_us: 1,
    expires_us: 2,
    files: vec![RuleFile {
        name: "a.yaml".into(),
        text: "rules: []\n".into(),
    }],
});
static SIGNED: LazyLock<Vec<u8>> =
    LazyLock::new(|| sign(&BUNDLE, &KEY).expect("the bundle is well formed"));

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let trusted = TrustedKeys::new([KEY.public()]);
    assert!(trusted.verify(bytes).is_err() || bytes == SIGNED.as_slice());
    // Pairs of a place and a value.
    let mut changed = SIGNED.clone();
    for change in bytes.chunks_exact(3) {
        let at = usize::from(u16::from_le_bytes([change[0], change[1]])) % changed.len();
        changed[at] = change[2];
    }
    if let Ok(verified) = trusted.verify(&changed) {
        // Space between JSON's words and the hint of a key are not signed.
        assert_eq!(verified.bundle(), &*BUNDLE);
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        if let Ok(token) = JoinToken::parse(text) {
            assert_eq!(JoinToken::parse(&token.to_string()), Ok(token));
        }
    }
});
