use super::*;
use crate::bundle::{Bundle, sign};

const NOW: i64 = 1_000_000_000;
const LIFE: i64 = 60_000_000;

fn key() -> SigningKey {
    SigningKey::from_seed(&[1; 32])
}

fn trusted() -> TrustedKeys {
    TrustedKeys::new([key().public()])
}

fn order() -> Order {
    Order {
        id: "order-1".to_owned(),
        sensor: "sensor-1".to_owned(),
        issued_us: NOW,
        expires_us: NOW + LIFE,
        lease_seconds: None,
        action: Action::KillTree {
            process: ProcessRef {
                pid: 4_242,
                start_ns: 7,
                boot_id: None,
            },
        },
    }
}

fn admit(order: &Order, sensor: &str, now: i64) -> Result<Order, Refusal> {
    let envelope = order.sign(&key()).unwrap();
    let signed = verify(&envelope, &trusted()).unwrap();
    signed.admit(sensor, &[Kind::KillTree], now)
}

#[test]
fn an_order_is_for_one_sensor_until_its_end() {
    let order = order();
    assert_eq!(admit(&order, "sensor-1", NOW), Ok(order.clone()));
    let other = admit(&order, "sensor-2", NOW);
    assert!(matches!(other, Err(Refusal::Sensor { .. })), "{other:?}");
    let late = admit(&order, "sensor-1", NOW + LIFE);
    assert_eq!(late, Err(Refusal::Expired { late_us: 0 }));
    let early = admit(&order, "sensor-1", NOW - 2 * SKEW_US);
    assert!(matches!(early, Err(Refusal::Early { .. })), "{early:?}");
}

#[test]
fn the_host_says_what_may_be_done_on_it() {
    let mut order = order();
    order.lease_seconds = Some(60);
    order.action = Action::IsolateHost {
        allow: Vec::new(),
        dns: false,
    };
    let kind = Kind::IsolateHost;
    assert_eq!(
        admit(&order, "sensor-1", NOW),
        Err(Refusal::NotAllowed(kind))
    );
    // Taking back needs no leave.
    order.lease_seconds = None;
    order.action = Action::Undo {
        order: "order-0".to_owned(),
    };
    assert!(admit(&order, "sensor-1", NOW).is_ok());
}

#[test]
fn a_forged_or_changed_order_is_none() {
    let forged = order().sign(&SigningKey::from_seed(&[2; 32])).unwrap();
    let refused = verify(&forged, &trusted()).unwrap_err();
    assert!(matches!(refused, Unverified::Signature { .. }), "{refused}");
    // Its payload in an envelope that was signed over another.
    let other = Order {
        id: "order-2".to_owned(),
        ..order()
    };
    let mut envelope: serde_json::Value =
        serde_json::from_slice(&order().sign(&key()).unwrap()).unwrap();
    let theirs: serde_json::Value = serde_json::from_slice(&other.sign(&key()).unwrap()).unwrap();
    envelope["payload"] = theirs["payload"].clone();
    let refused = verify(&serde_json::to_vec(&envelope).unwrap(), &trusted()).unwrap_err();
    assert!(matches!(refused, Unverified::Signature { .. }), "{refused}");
}

#[test]
fn a_bundles_signature_is_none_for_an_order() {
    let bundle = Bundle {
        scope: "payments".to_owned(),
        version: 1,
        created_us: NOW,
        expires_us: NOW + LIFE,
        files: Vec::new(),
    };
    let bundle = sign(&bundle, &key()).unwrap();
    let refused = verify(&bundle, &trusted()).unwrap_err();
    assert!(matches!(refused, Unverified::Type { .. }), "{refused}");
    // Relabelled: the type was signed with it.
    let mut relabelled: serde_json::Value = serde_json::from_slice(&bundle).unwrap();
    relabelled["payloadType"] = PAYLOAD_TYPE.into();
    let refused = verify(&serde_json::to_vec(&relabelled).unwrap(), &trusted()).unwrap_err();
    assert!(matches!(refused, Unverified::Signature { .. }), "{refused}");
    // And the other way about.
    let order = order().sign(&key()).unwrap();
    let refused = trusted().verify(&order).unwrap_err();
    assert!(matches!(refused, Unverified::Type { .. }), "{refused}");
}

#[test]
fn orders_that_make_no_sense_are_not_signed() {
    let wrong = |change: fn(&mut Order)| {
        let mut order = order();
        change(&mut order);
        assert!(order.sign(&key()).is_err(), "{order:?}");
    };
    let isolate = |allow: &[&str]| Action::IsolateHost {
        allow: allow.iter().map(|text| (*text).to_owned()).collect(),
        dns: false,
    };
    wrong(|order| order.id.clear());
    wrong(|order| order.expires_us = order.issued_us);
    wrong(|order| order.expires_us += 2 * 86_400_000_000);
    wrong(|order| order.lease_seconds = Some(5));
    wrong(|order| {
        order.action = Action::KillTree {
            process: ProcessRef {
                pid: 1,
                start_ns: 0,
                boot_id: None,
            },
        };
    });
    wrong(|order| {
        order.action = Action::QuarantineFile {
            path: "/tmp/../etc/passwd".to_owned(),
            file: FileRef {
                sha256: Some("0".repeat(64)),
                inode: None,
                mtime_ns: None,
            },
        };
    });
    let mut cut_off = Order {
        action: isolate(&["10.0.0.0/8", "fd00::/8", "192.0.2.1"]),
        ..order()
    };
    // Not for ever.
    assert!(cut_off.check().is_err());
    cut_off.lease_seconds = Some(60);
    assert_eq!(cut_off.check(), Ok(()));
    cut_off.action = isolate(&["10.0.0.0/33"]);
    assert!(cut_off.check().is_err());
}
