use super::super::{RuleFile, TrustedKeys};
use super::*;
use proptest::prelude::*;

fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed(&[seed; 32])
}

fn bundle() -> Bundle {
    Bundle {
        scope: "payments".to_owned(),
        version: 3,
        created_us: 1,
        expires_us: 2,
        files: vec![RuleFile {
            name: "web.yaml".to_owned(),
            text: "rules: []\n".to_owned(),
        }],
    }
}

fn trusted(seeds: &[u8]) -> TrustedKeys {
    TrustedKeys::new(seeds.iter().map(|&seed| key(seed).public()))
}

/// The envelope with its JSON changed.
fn changed(envelope: &[u8], change: impl FnOnce(&mut serde_json::Value)) -> Vec<u8> {
    let mut value = serde_json::from_slice(envelope).unwrap();
    change(&mut value);
    serde_json::to_vec(&value).unwrap()
}

#[test]
fn what_was_signed_comes_out() {
    let envelope = sign(&bundle(), &key(1)).unwrap();
    let verified = trusted(&[2, 1]).verify(&envelope).unwrap();
    assert_eq!(verified.bundle(), &bundle());
    assert_eq!(verified.key(), &key(1).public().id());
}

#[test]
fn a_stranger_s_signature_counts_for_nothing() {
    let envelope = sign(&bundle(), &key(9)).unwrap();
    let refused = trusted(&[1, 2]).verify(&envelope).unwrap_err();
    let told = refused.to_string();
    assert!(told.contains(&key(9).public().id().to_string()), "{told}");
    assert!(told.contains(&key(2).public().id().to_string()), "{told}");
    // To say that it is a trusted key's does not help.
    let forged = changed(&envelope, |value| {
        value["signatures"][0]["keyid"] = key(1).public().id().to_string().into();
    });
    assert!(matches!(
        trusted(&[1]).verify(&forged),
        Err(Unverified::Signature { .. })
    ));
    assert!(matches!(
        trusted(&[]).verify(&envelope),
        Err(Unverified::Signature { .. })
    ));
}

#[test]
fn the_key_s_name_is_a_hint_and_one_good_signature_is_enough() {
    let envelope = sign(&bundle(), &key(1)).unwrap();
    let nameless = changed(&envelope, |value| {
        value["signatures"][0]["keyid"] = serde_json::Value::Null;
    });
    assert!(trusted(&[1]).verify(&nameless).is_ok());
    let other: serde_json::Value =
        serde_json::from_slice(&sign(&bundle(), &key(9)).unwrap()).unwrap();
    let both = changed(&envelope, |value| {
        let first = value["signatures"][0].clone();
        value["signatures"] = serde_json::json!([other["signatures"][0], first]);
    });
    assert!(trusted(&[1]).verify(&both).is_ok());
}

#[test]
fn relabelled_content_is_no_longer_signed() {
    let envelope = sign(&bundle(), &key(1)).unwrap();
    let relabelled = changed(&envelope, |value| {
        let payload = STANDARD.decode(value["payload"].as_str().unwrap()).unwrap();
        let text = String::from_utf8(payload)
            .unwrap()
            .replace("payments", "web");
        value["payload"] = STANDARD.encode(text).into();
    });
    assert!(matches!(
        trusted(&[1]).verify(&relabelled),
        Err(Unverified::Signature { .. })
    ));
    let retyped = changed(&envelope, |value| {
        value["payloadType"] = "text/plain".into()
    });
    assert!(matches!(
        trusted(&[1]).verify(&retyped),
        Err(Unverified::Type { .. })
    ));
}

#[test]
fn a_signature_for_another_type_is_none() {
    let payload = serde_json::to_vec(&bundle()).unwrap();
    let envelope = serde_json::json!({
        "payload": STANDARD.encode(&payload),
        "payloadType": PAYLOAD_TYPE,
        "signatures": [{"sig": STANDARD.encode(
            key(1).sign(&pre_authentication("application/other", &payload)))}],
    });
    assert!(matches!(
        trusted(&[1]).verify(envelope.to_string().as_bytes()),
        Err(Unverified::Signature { .. })
    ));
}

#[test]
fn well_signed_nonsense_is_refused() {
    let wrong: [fn(&mut Bundle); 5] = [
        |bundle| bundle.scope.clear(),
        |bundle| bundle.version = 0,
        |bundle| bundle.expires_us = bundle.created_us,
        |bundle| bundle.files[0].name.clear(),
        |bundle| bundle.scope = "x".repeat(MAX_NAME + 1),
    ];
    for change in wrong {
        let mut bundle = bundle();
        change(&mut bundle);
        assert!(matches!(
            sign(&bundle, &key(1)),
            Err(Unverified::Content(_))
        ));
    }
}

#[test]
fn the_encoding_is_that_of_dsse() {
    // The example of the DSSE protocol, section "Signature Definition".
    assert_eq!(
        pre_authentication("http://example.com/HelloWorld", b"hello world"),
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    );
}

proptest! {
    #[test]
    fn no_byte_may_be_changed(at in any::<prop::sample::Index>(), to in any::<u8>()) {
        let envelope = sign(&bundle(), &key(1)).unwrap();
        let mut bytes = envelope.clone();
        let at = at.index(bytes.len());
        bytes[at] = to;
        // A changed key name is only a changed hint; nothing else gets through.
        if let Ok(verified) = trusted(&[1]).verify(&bytes) {
            prop_assert_eq!(verified.bundle(), &bundle());
        }
    }

    #[test]
    fn anything_is_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(trusted(&[1]).verify(&bytes).is_err());
    }
}
