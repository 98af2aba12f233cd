use super::*;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair};
use serde_json::{Value, json};

/// Made with `openssl genrsa` and `openssl dgst -sign`; the private key is gone.
const RSA_N: &str = "7WoWERN_jdYGGZ9yhxatIlugTp6sATkIj3-S8XsG_220OQIs9icGmWby3LN5J5ghUaQzDDq11LUazs7i0OcAx0rtJCeOrigmzZR56-Aie55aiGxZoa9ngdxW7uBPbGbSpshgauYmfa70LXOLM8v8wX-pCKvAH13saxgDnE_NH3aQcAnH4-zM3mvUDzYDC74J79OOV0EQkN2rzxjpv41pS01zIkBY11pbfHEbRzaNEXIEJ14EC1Y1_st18AqMgKqTpDTgz2hij2MoB9NfscSy7vS3MzHDRYy4rpYbO4KytX4KaL78oy9WHoaDb_wXS-NZeF6mh2v83x9Lm8N244cg4w";
const RS256: &str = "eyJhbGciOiJSUzI1NiIsImtpZCI6InIifQ.eyJzdWIiOiI0NzExIn0.u8qTbmMB_2-DSaSg89L6EXvnPZFnQnJNojSSQdVneJvEmSQbgLTpUGjUbFThAYpE_XKcrzFqGvrw5c0IMiuz7-x-W68yPAWioVMkZXwpeW_NHdawzGiEe2R93iSGcF3NTdpT9WZ6u4WeqmWLKmP70Dmb8lNlEex0Eo8fnd4k1zoiLIQZwj5GVD6WuVqKqzz9Zd4k5piCWTbSbYk42BGuu2swjbnNbsSuCXeJG1ANl53mUy1fwtfRicQ8hkPjXJw5BYWFSd-YEZbW-gtbxUEqYOs_5tqPpiHwuH6TOXvOY0Lu0aj_S3jQvNGEL3XQQJ3--gNAKeD6Kx2K_vewRNCSzQ";
const PS256: &str = "eyJhbGciOiJQUzI1NiIsImtpZCI6InIifQ.eyJzdWIiOiI0NzExIn0.in7Re0ggYxqaBd4EsTauh3r5hIEXCAI4WOIaDZlZGgjRWOFAsK4XNgAL9Hc9OJ5adX-lLO01Y7WGagKFIeizZjOioN56vDqUasJqB1-b0ksRTjgEnc63gpoRF1Bf7sCmY6_1TnIkaboXYIG7Igg4VjiespKzMz0NW6YdNqhuMDNHS_K1vcnDBLnoZ5rFy4FYY4jveenPHXKPftYd_pOSSUly--RHJhZCfSanhUjkvjBQ_7FPP03RpYsWqBupU45BBwMTfAKdsA0nNWf3Tx6FMuNsFnIx8TH4fLrECUj6vnoiKIg06sudFZc3rCfwWt0J7zFihnFaNRTS4EGcLaeXfw";

const PAYLOAD: &[u8] = br#"{"sub":"4711"}"#;

fn text(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn keys(keys: Value) -> Keys {
    serde_json::from_value(json!({"keys": keys})).unwrap()
}

fn rsa() -> Value {
    json!({"kty": "RSA", "kid": "r", "n": RSA_N, "e": "AQAB"})
}

fn token(header: Value, sign: impl Fn(&[u8]) -> Vec<u8>) -> String {
    let message = format!("{}.{}", text(header.to_string().as_bytes()), text(PAYLOAD));
    let signed = sign(message.as_bytes());
    format!("{message}.{}", text(&signed))
}

fn p256() -> (EcdsaKeyPair, Value) {
    let random = SystemRandom::new();
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref(), &random);
    let pair = pair.unwrap();
    let point = pair.public_key().as_ref();
    let key = json!({
        "kty": "EC", "crv": "P-256", "kid": "e", "use": "sig", "alg": "ES256",
        "x": text(&point[1..33]), "y": text(&point[33..]),
    });
    (pair, key)
}

#[test]
fn what_openssl_signed_with_rsa_is_believed() {
    for token in [RS256, PS256] {
        assert_eq!(keys(json!([rsa()])).verify(token).unwrap(), PAYLOAD);
    }
    // The other key's signature, and one letter of the payload.
    let (signed, other) = (
        RS256.rsplit_once('.').unwrap().0,
        PS256.rsplit_once('.').unwrap().1,
    );
    let swapped = format!("{signed}.{other}");
    assert_eq!(
        keys(json!([rsa()])).verify(&swapped),
        Err(BadToken::Signature)
    );
    let changed = RS256.replacen(&text(PAYLOAD), &text(br#"{"sub":"4712"}"#), 1);
    assert_eq!(
        keys(json!([rsa()])).verify(&changed),
        Err(BadToken::Signature)
    );
}

#[test]
fn curves_verify_and_no_other_key_does() {
    let random = SystemRandom::new();
    let (pair, key) = p256();
    let sign = |message: &[u8]| pair.sign(&random, message).unwrap().as_ref().to_vec();
    let good = token(json!({"alg": "ES256", "kid": "e"}), sign);
    // Beside keys of other kinds, some of them broken.
    let broken = json!({"kty": "EC", "kid": "e", "crv": "P-256", "x": "AA", "y": "AA"});
    let many = keys(json!([rsa(), broken, {"kty": 7}, key]));
    assert_eq!(many.verify(&good).unwrap(), PAYLOAD);
    let unnamed = token(json!({"alg": "ES256"}), sign);
    assert_eq!(many.verify(&unnamed).unwrap(), PAYLOAD);

    let (_, mut other) = p256();
    assert_eq!(keys(json!([other])).verify(&good), Err(BadToken::Signature));
    other["kid"] = "x".into();
    assert_eq!(
        keys(json!([other])).verify(&good),
        Err(BadToken::UnknownKey)
    );
    let mut encrypts = key.clone();
    encrypts["use"] = "enc".into();
    assert_eq!(
        keys(json!([encrypts])).verify(&good),
        Err(BadToken::UnknownKey)
    );

    let pkcs8 = Ed25519KeyPair::generate_pkcs8(&random).unwrap();
    let pair = Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).unwrap();
    let x = text(pair.public_key().as_ref());
    let key = json!({"kty": "OKP", "crv": "Ed25519", "x": x});
    let good = token(json!({"alg": "EdDSA"}), |message| {
        pair.sign(message).as_ref().to_vec()
    });
    assert_eq!(keys(json!([key])).verify(&good).unwrap(), PAYLOAD);
}

#[test]
fn a_key_is_used_for_its_own_algorithm_alone() {
    let random = SystemRandom::new();
    let (pair, key) = p256();
    let sign = |message: &[u8]| pair.sign(&random, message).unwrap().as_ref().to_vec();
    for alg in ["RS256", "ES384", "EdDSA"] {
        let confused = token(json!({"alg": alg, "kid": "e"}), sign);
        let error = keys(json!([key])).verify(&confused).unwrap_err();
        assert_eq!(error, BadToken::UnknownKey, "{alg}");
    }
}

#[test]
fn unsigned_and_hmac_are_unknown() {
    let public = keys(json!([rsa()]));
    for alg in [
        "none", "None", "NONE", "HS256", "HS512", "", "ES256K", "RS1",
    ] {
        for signed in [&[][..], RSA_N.as_bytes()] {
            let forged = token(json!({"alg": alg, "kid": "r"}), |_| signed.to_vec());
            assert_eq!(public.verify(&forged), Err(BadToken::Algorithm), "{alg}");
        }
    }
}

#[test]
fn what_is_no_token_is_none() {
    let public = keys(json!([rsa()]));
    let long = "a".repeat(MAX_TOKEN + 1);
    let crit = token(
        json!({"alg": "RS256", "crit": ["b64"], "b64": false}),
        |_| vec![0; 256],
    );
    let five = format!("{RS256}.a.b");
    for wrong in [
        "",
        "a",
        "..",
        "a.b.c",
        &RS256[1..],
        &five,
        &long,
        &crit,
        "e30.e30.AA",
    ] {
        let error = public.verify(wrong).unwrap_err();
        assert!(matches!(error, BadToken::Shape(_)), "{wrong}: {error}");
    }
}
