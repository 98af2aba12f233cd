//! What holds for every request.

use crate::client::Client;
use crate::lab::Lab;
use crate::world::{define, rule, stage};
use picket_server::config::Tls;
use serde_json::json;
use std::io::{Read, Write};
use std::net::TcpStream;

pub fn every_change_is_in_the_audit_log(lab: &mut Lab) {
    let admin = &lab.admin;
    let etag = define(admin, "rules", "one", &rule("one", "", "process.pid == 1"));
    admin
        .put(
            "/api/v1/rules/one",
            &etag,
            json!({"body": rule("one", "", "process.pid == 2"), "reason": "why not"}),
        )
        .expect(200);
    let etag = stage(admin, "rules", "one", "simulate");
    admin
        .delete("/api/v1/rules/one?reason=over", &etag)
        .expect(204);
    admin
        .post(
            "/api/v1/users",
            json!({"name": "bob", "password": "a long password"}),
        )
        .expect(201);
    admin
        .post("/api/v1/users/bob/grants", json!({"role": "viewer"}))
        .expect(204);
    let token = admin
        .post("/api/v1/users/bob/tokens", json!({"name": "ci"}))
        .expect(201)
        .json();
    admin
        .post(
            "/api/v1/session",
            json!({"name": "bob", "password": "wrong"}),
        )
        .expect(401);
    let join = admin
        .post("/api/v1/join-tokens", json!({"labels": {"env": "prod"}}))
        .expect(201)
        .json();
    assert!(join["token"].as_str().unwrap().starts_with("pjoin."));
    let page = admin.get("/api/v1/audit?limit=500").expect(200);
    let log = page.json();
    let entries: Vec<String> = log["items"]
        .as_array()
        .unwrap()
        .iter()
        .rev()
        .map(|entry| {
            format!(
                "{} {}",
                entry["actor"].as_str().unwrap(),
                entry["action"].as_str().unwrap()
            )
        })
        .collect();
    for wanted in [
        "system:first-start user.create",
        "user:admin api_token.create",
        "user:admin rule.create",
        "user:admin rule.update",
        "user:admin rule.delete",
        "user:admin user.create",
        "user:admin user.grant",
        "user:bob session.refuse",
        "user:admin join_token.create",
    ] {
        assert!(
            entries.iter().any(|entry| entry == wanted),
            "{wanted}: {entries:?}"
        );
    }
    let reasons: Vec<&str> = log["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["reason"].as_str().unwrap())
        .collect();
    assert!(
        reasons.contains(&"why not") && reasons.contains(&"over"),
        "{reasons:?}"
    );
    for secret in [
        &token["token"],
        &join["token"],
        &json!(lab.password),
        &json!("a long password"),
    ] {
        assert!(!page.text.contains(secret.as_str().unwrap()));
    }
    let of_bob = admin.get("/api/v1/audit?actor=user:bob").expect(200).json();
    assert_eq!(of_bob["items"].as_array().unwrap().len(), 1);
    let whole = admin.get("/api/v1/audit/verify").expect(200).json();
    assert_eq!(whole, json!({"whole": true}));
    // It is only ever added to.
    for method in ["DELETE", "PUT", "POST"] {
        admin.call(method, "/api/v1/audit", &[], None).problem(405);
    }
}

pub fn answers_say_little_to_strangers(lab: &mut Lab) {
    let stranger = lab.admin.without_token();
    for path in [
        "/",
        "/api/v1/nothing",
        "/api/v2/rules",
        "/../etc/passwd",
        "/api/v1/rules/%00",
    ] {
        let answer = stranger.get(path);
        assert!(
            matches!(answer.status, 401 | 404),
            "{path}: {}",
            answer.status
        );
    }
    let answer = stranger.get("/api/v1/rules").expect(401);
    assert_eq!(answer.header("www-authenticate"), "Bearer");
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("cache-control", "no-store"),
        ("referrer-policy", "no-referrer"),
    ] {
        assert_eq!(answer.header(name), value);
    }
    assert!(
        answer
            .header("content-security-policy")
            .contains("default-src 'none'")
    );
    assert!(answer.header("server").is_empty());
    for header in ["Bearer", "Basic YTpi", "bearer  "] {
        let answer = stranger.send("GET", "/api/v1/me", &[("authorization", header)], None);
        assert_eq!(answer.status(), 401, "{header}");
    }
    // The description is no secret.
    let described = stranger.get("/api/v1/openapi.json").expect(200).json();
    assert_eq!(
        described["openapi"].as_str().map(|version| &version[..3]),
        Some("3.1")
    );

    // With a certificate of its own, on loopback, both are spoken; nothing is sent in the clear
    // that was asked for by TLS.
    let lab = Lab::with(|config| config.tls = Tls::SelfSigned);
    assert!(lab.data().join("tls/server.crt").exists());
    let mode = |file: &str| {
        use std::os::unix::fs::PermissionsExt;
        lab.data()
            .join(file)
            .metadata()
            .unwrap()
            .permissions()
            .mode()
            & 0o777
    };
    assert_eq!(mode("tls/server.key"), 0o600);
    lab.stop();
}

pub fn too_much_is_refused(lab: &mut Lab) {
    let admin = &lab.admin;
    // By what its head says alone: nothing of such a body is read.
    let mut stream = TcpStream::connect(lab.server().address()).unwrap();
    let head = "POST /api/v1/session HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
        Content-Length: 4000000\r\nConnection: close\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    assert!(answer.contains("application/problem+json"), "{answer}");
    let large = "#".repeat((1 << 20) + 1);
    admin
        .post("/api/v1/rules", json!({"name": "x", "body": large}))
        .problem(413);
    let body = json!({"name": "n", "labels": {}});
    admin.post("/api/v1/join-tokens", body).problem(422);
    let plain = admin.send(
        "POST",
        "/api/v1/users",
        &[("content-type", "text/plain")],
        Some(b"{}"),
    );
    assert_eq!(plain.status(), 415);
    let deep = "[".repeat(100_000);
    let json_type = [("content-type", "application/json")];
    let answer = admin.send("POST", "/api/v1/users", &json_type, Some(deep.as_bytes()));
    assert!(matches!(answer.status().as_u16(), 400 | 422));

    let slow = Lab::with(|config| {
        config.api.requests_per_second = 1.0;
        config.api.burst = 5.0;
    });
    let stranger = slow.admin.without_token();
    let answers: Vec<u16> = (0..10).map(|_| stranger.get("/healthz").status).collect();
    assert!(
        answers.contains(&200) && answers.last() == Some(&429),
        "{answers:?}"
    );
    let refused = stranger.get("/healthz").expect(429);
    assert!(!refused.header("retry-after").is_empty());
    slow.stop();
}

pub fn a_server_that_stops_lets_requests_end(lab: &mut Lab) {
    // A request whose head is there, and whose body is not yet.
    let mut stream = TcpStream::connect(lab.server().address()).unwrap();
    let body = b"{\"name\": \"x\", \"password\": \"y\"}";
    let head = format!(
        "POST /api/v1/session HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nExpect: 100-continue\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    // It is being answered once it asks for the rest.
    let mut asked = [0; 25];
    stream.read_exact(&mut asked).unwrap();
    assert!(asked.starts_with(b"HTTP/1.1 100"));
    let server = lab.take_server();
    let base = format!("http://{}", server.address());
    let stopping = lab.runtime.spawn(server.stop());
    // New connections are refused once it stops; the old one ends well.
    while TcpStream::connect(&base["http://".len()..]).is_ok() {
        std::thread::yield_now();
    }
    stream.write_all(body).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
    lab.runtime.block_on(stopping).unwrap();
    let _ = Client::new(&base);
}
