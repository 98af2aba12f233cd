//! An OpenID Connect provider of the test's own, over real HTTP.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::runtime::Runtime;

pub const CLIENT: &str = "picket";
/// With signs that have to be escaped.
pub const SECRET: &str = "s3cret:of the%client";

/// How the next token is spoiled.
#[derive(Clone, Default)]
pub struct Spoil {
    /// Claims in place of the usual ones; null takes one out.
    pub claims: Value,
    /// In place of `ES256`.
    pub alg: Option<&'static str>,
    /// Signed with a key that is not shown.
    pub wrong_key: bool,
    /// The key's name.
    pub kid: Option<&'static str>,
}

struct Login {
    nonce: String,
    challenge: String,
    redirect: String,
}

struct Inner {
    issuer: String,
    pair: EcdsaKeyPair,
    other: EcdsaKeyPair,
    codes: Mutex<HashMap<String, Login>>,
    spoil: Mutex<Spoil>,
    groups: Mutex<Value>,
}

pub struct Sso {
    inner: Arc<Inner>,
    _runtime: Runtime,
}

fn text(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn pair() -> EcdsaKeyPair {
    let random = SystemRandom::new();
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
    EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref(), &random).unwrap()
}

pub fn seconds() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    since.as_secs() as i64
}

impl Sso {
    pub fn start() -> Sso {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let bound = tokio::net::TcpListener::bind("127.0.0.1:0");
        let listener = runtime.block_on(bound).unwrap();
        let inner = Arc::new(Inner {
            issuer: format!("http://{}/realm", listener.local_addr().unwrap()),
            pair: pair(),
            other: pair(),
            codes: Mutex::default(),
            spoil: Mutex::default(),
            groups: Mutex::new(json!(["security"])),
        });
        let routes = Router::new()
            .route("/realm/.well-known/openid-configuration", get(discovery))
            .route("/realm/keys", get(keys))
            .route("/realm/token", post(token))
            .with_state(inner.clone());
        runtime.spawn(async move { axum::serve(listener, routes).await });
        Sso {
            inner,
            _runtime: runtime,
        }
    }

    pub fn issuer(&self) -> &str {
        &self.inner.issuer
    }

    pub fn spoil(&self, spoil: Spoil) {
        *self.inner.spoil.lock().unwrap() = spoil;
    }

    pub fn groups(&self, groups: Value) {
        *self.inner.groups.lock().unwrap() = groups;
    }

    /// As if somebody had logged in at the page that the URL names: the code.
    pub fn log_in(&self, url: &str) -> String {
        let query = query(url);
        assert!(
            url.starts_with(&format!("{}/authorize?", self.inner.issuer)),
            "{url}"
        );
        for (name, value) in [
            ("response_type", "code"),
            ("client_id", CLIENT),
            ("code_challenge_method", "S256"),
            ("scope", "openid groups"),
        ] {
            assert_eq!(query[name], value);
        }
        let code = format!("code-{}", self.inner.codes.lock().unwrap().len());
        let login = Login {
            nonce: query["nonce"].clone(),
            challenge: query["code_challenge"].clone(),
            redirect: query["redirect_uri"].clone(),
        };
        self.inner.codes.lock().unwrap().insert(code.clone(), login);
        code
    }
}

/// The pairs behind the `?`.
pub fn query(url: &str) -> HashMap<String, String> {
    pairs(url.split_once('?').unwrap().1)
}

fn pairs(text: &str) -> HashMap<String, String> {
    let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
    pairs
        .map(|(name, value)| (name.to_owned(), decoded(value)))
        .collect()
}

fn decoded(text: &str) -> String {
    let (mut out, mut bytes) = (Vec::new(), text.bytes());
    while let Some(byte) = bytes.next() {
        match byte {
            b'%' => {
                let hex = [bytes.next().unwrap(), bytes.next().unwrap()];
                let hex = std::str::from_utf8(&hex).unwrap();
                out.push(u8::from_str_radix(hex, 16).unwrap());
            }
            b'+' => out.push(b' '),
            byte => out.push(byte),
        }
    }
    String::from_utf8(out).unwrap()
}

async fn discovery(State(sso): State<Arc<Inner>>) -> Json<Value> {
    let issuer = &sso.issuer;
    Json(json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/authorize"),
        "token_endpoint": format!("{issuer}/token"),
        "jwks_uri": format!("{issuer}/keys"),
        "token_endpoint_auth_methods_supported": ["client_secret_basic"],
    }))
}

async fn keys(State(sso): State<Arc<Inner>>) -> Json<Value> {
    let point = sso.pair.public_key().as_ref();
    Json(json!({"keys": [{
        "kty": "EC", "crv": "P-256", "kid": "k1", "use": "sig",
        "x": text(&point[1..33]), "y": text(&point[33..]),
    }]}))
}

async fn token(State(sso): State<Arc<Inner>>, headers: HeaderMap, body: String) -> Response {
    let refuse = |why: &str| {
        let body = json!({"error": "invalid_grant", "error_description": why});
        (StatusCode::BAD_REQUEST, Json(body)).into_response()
    };
    let form = pairs(&body);
    let basic = headers["authorization"].to_str().unwrap();
    let basic = STANDARD
        .decode(basic.strip_prefix("Basic ").unwrap())
        .unwrap();
    let basic = String::from_utf8(basic).unwrap();
    let (id, secret) = basic.split_once(':').unwrap();
    if (decoded(id).as_str(), decoded(secret).as_str()) != (CLIENT, SECRET) {
        return (StatusCode::UNAUTHORIZED, "who?").into_response();
    }
    assert_eq!(form["grant_type"], "authorization_code");
    // A code is good once.
    let Some(login) = sso.codes.lock().unwrap().remove(&form["code"]) else {
        return refuse("the code is used or made up");
    };
    if text(&Sha256::digest(&form["code_verifier"])) != login.challenge {
        return refuse("the verifier is wrong");
    }
    if form["redirect_uri"] != login.redirect {
        return refuse("the redirect is another");
    }
    let token = sso.id_token(&login.nonce);
    Json(json!({"access_token": "unused", "token_type": "Bearer", "id_token": token}))
        .into_response()
}

impl Inner {
    fn id_token(&self, nonce: &str) -> String {
        let spoil = self.spoil.lock().unwrap().clone();
        let now = seconds();
        let mut claims = json!({
            "iss": self.issuer, "sub": "4711", "aud": CLIENT, "exp": now + 300, "iat": now,
            "nonce": nonce, "preferred_username": "ada", "groups": *self.groups.lock().unwrap(),
        });
        for (name, value) in spoil.claims.as_object().into_iter().flatten() {
            match value {
                Value::Null => drop(claims.as_object_mut().unwrap().remove(name)),
                value => claims[name] = value.clone(),
            }
        }
        let alg = spoil.alg.unwrap_or("ES256");
        let header = json!({"alg": alg, "kid": spoil.kid.unwrap_or("k1")});
        let encoded = |value: &Value| text(value.to_string().as_bytes());
        let message = format!("{}.{}", encoded(&header), encoded(&claims));
        let pair = if spoil.wrong_key {
            &self.other
        } else {
            &self.pair
        };
        let signed = match alg {
            "none" => Vec::new(),
            _ => {
                let signed = pair.sign(&SystemRandom::new(), message.as_bytes());
                signed.unwrap().as_ref().to_vec()
            }
        };
        format!("{message}.{}", text(&signed))
    }
}
