//! Logging in, tokens, users.

use crate::client::Client;
use crate::lab::Lab;
use serde_json::json;

fn log_in(client: &Client, name: &str, password: &str) -> crate::client::Answer {
    client.post(
        "/api/v1/session",
        json!({"name": name, "password": password}),
    )
}

/// The pair of a cookie, without what is said about it.
fn cookie(answer: &crate::client::Answer) -> String {
    let set = answer.header("set-cookie");
    set.split(';').next().unwrap().to_owned()
}

pub fn logging_in_and_out(lab: &mut Lab) {
    let plain = lab.admin.without_token();
    let answer = log_in(&plain, "admin", &lab.password).expect(200);
    let set = answer.header("set-cookie");
    for part in ["HttpOnly", "SameSite=Strict", "Path=/api"] {
        assert!(set.contains(part), "{set}");
    }
    assert!(answer.json().get("token").is_none());
    let cookie = cookie(&answer);
    let with = |method: &str, path: &str, more: &[(&str, &str)], body| {
        let mut headers = vec![("cookie", cookie.as_str())];
        headers.extend(more);
        plain.call(method, path, &headers, body)
    };
    let me = with("GET", "/api/v1/me", &[], None).expect(200).json();
    assert_eq!(
        (me["name"].as_str(), me["token"].as_str()),
        (Some("admin"), Some("session"))
    );
    assert_eq!(me["grants"], json!([{"role": "admin"}]));
    // Another site's form sends the cookie, and not the header.
    let new = json!({"name": "forged"});
    let refused = with("POST", "/api/v1/users", &[], Some(&new)).problem(403);
    assert!(refused.contains("x-picket-request"), "{refused}");
    let ours = [("x-picket-request", "1")];
    with("POST", "/api/v1/users", &ours, Some(&new)).expect(201);
    let out = with("DELETE", "/api/v1/session", &ours, None).expect(204);
    assert!(out.header("set-cookie").contains("Max-Age=0"));
    with("GET", "/api/v1/me", &[], None).problem(401);

    // Who is there does not show.
    let wrong = log_in(&plain, "admin", "wrong").problem(401);
    assert_eq!(wrong, log_in(&plain, "no such user", "wrong").problem(401));
    // A user without a password has none that is right.
    log_in(&plain, "forged", "").problem(401);
}

pub fn guessing_is_slowed_down(lab: &mut Lab) {
    let plain = lab.admin.without_token();
    let answers: Vec<_> = (0..30)
        .map(|_| log_in(&plain, "admin", "guess"))
        .take_while(|answer| answer.status == 401)
        .collect();
    assert!((5..30).contains(&answers.len()), "{}", answers.len());
    let slow = log_in(&plain, "admin", &lab.password).expect(429);
    let wait: u64 = slow.header("retry-after").parse().unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
    let counted = lab.admin.get("/metrics").expect(200).text;
    let line = format!("picket_log_ins_failed_total {}", answers.len());
    assert!(counted.lines().any(|found| found == line), "{counted}");
    // Those who are logged in go on.
    lab.admin.get("/api/v1/me").expect(200);
}

pub fn a_new_password_ends_log_ins(lab: &mut Lab) {
    let admin = &lab.admin;
    let new = json!({"name": "anna", "password": "a good password"});
    let made = admin.post("/api/v1/users", new).expect(201);
    assert!(!made.text.contains("argon2"), "{}", made.text);
    let plain = admin.without_token();
    let in_as = |password: &str| {
        let body = json!({"name": "anna", "password": password, "token": true});
        plain.post("/api/v1/session", body)
    };
    let token = |answer: crate::client::Answer| {
        let json = answer.expect(200).json();
        plain.with_token(json["token"].as_str().unwrap())
    };
    let anna = token(in_as("a good password"));
    let change = |old: &str, new: &str| {
        let body = json!({"old": old, "new": new});
        anna.call("PUT", "/api/v1/me/password", &[], Some(&body))
    };
    change("not this", "a better password").problem(403);
    change("a good password", "short").problem(422);
    change("a good password", "a better password").expect(204);
    anna.get("/api/v1/me").problem(401);
    in_as("a good password").problem(401);
    let anna = token(in_as("a better password"));
    // Disabled, they are out at once.
    let path = "/api/v1/users/anna";
    let etag = admin.get(path).expect(200).etag();
    admin
        .put(path, &etag, json!({"disabled": true, "reason": "left"}))
        .expect(200);
    anna.get("/api/v1/me").problem(401);
    in_as("a better password").problem(401);
    admin
        .put(path, &etag, json!({"disabled": false}))
        .problem(412);
}

pub fn tokens_end_when_they_are_revoked(lab: &mut Lab) {
    let admin = &lab.admin;
    admin
        .post("/api/v1/users", json!({"name": "ci"}))
        .expect(201);
    let path = "/api/v1/users/ci/tokens";
    let made = admin
        .post(path, json!({"name": "deploy"}))
        .expect(201)
        .json();
    let secret = made["token"].as_str().unwrap();
    let ci = admin.with_token(secret);
    ci.get("/api/v1/me").expect(200);
    // Their own are theirs to see and end; nobody sees the secret again.
    let listed = ci.get(path).expect(200);
    assert!(!listed.text.contains(secret));
    assert_eq!(listed.json()["items"][0]["name"], "deploy");
    ci.get("/api/v1/users/admin/tokens").problem(403);
    let theirs = admin.get("/api/v1/users/admin/tokens").expect(200).json();
    let id = theirs["items"][0]["id"].as_str().unwrap();
    // Not even under one's own name.
    ci.call("DELETE", &format!("{path}/{id}"), &[], None)
        .problem(404);
    let id = made["id"].as_str().unwrap();
    ci.call("DELETE", &format!("{path}/{id}"), &[], None)
        .expect(204);
    ci.get("/api/v1/me").problem(401);
    let past = json!({"name": "old", "expires_at": "2020-01-01T00:00:00Z"});
    admin.post(path, past).problem(422);
    admin.post(path, json!({"name": "session"})).problem(422);
}

pub fn an_administrator_cannot_lock_themselves_out(lab: &mut Lab) {
    let admin = &lab.admin;
    let path = "/api/v1/users/admin";
    let etag = admin.get(path).expect(200).etag();
    admin
        .put(path, &etag, json!({"disabled": true}))
        .problem(409);
    let own = format!("{path}/grants?role=admin");
    admin.call("DELETE", &own, &[], None).problem(409);
    admin.get("/api/v1/users").expect(200);
}
