//! Log-in by an OpenID Connect provider, with the test as the browser.

use crate::client::{Answer, Client};
use crate::lab::Lab;
use crate::sso::{CLIENT, SECRET, Spoil, Sso, query, seconds};
use crate::world;
use picket_server::auth::Role;
use picket_server::config::{GroupRole, Oidc};
use picket_store::LogIn;
use serde_json::{Value, json};

const BEGIN: &str = "/api/v1/session/oidc";
const CALLBACK: &str = "/api/v1/session/oidc/callback";

fn lab(sso: &Sso) -> Lab {
    lab_with(sso, |_| {})
}

fn lab_with(sso: &Sso, adjust: impl FnOnce(&mut Oidc)) -> Lab {
    Lab::with(|config| {
        let secret = config.data.join("oidc.secret");
        std::fs::write(&secret, format!("{SECRET}\n")).unwrap();
        let role = |group: &str, role, project: Option<&str>| GroupRole {
            group: group.to_owned(),
            role,
            project: project.map(str::to_owned),
        };
        config.api.log_ins_per_minute = 1e6;
        let mut oidc = Oidc {
            issuer: sso.issuer().to_owned(),
            client_id: CLIENT.to_owned(),
            client_secret: Some(secret),
            redirect: format!("http://127.0.0.1:1{CALLBACK}"),
            authorities: None,
            scopes: vec!["groups".to_owned()],
            groups_claim: "groups".to_owned(),
            name_claim: "preferred_username".to_owned(),
            roles: vec![
                role("security", Role::Author, Some("payments")),
                role("security", Role::Viewer, None),
                role("bosses", Role::Admin, None),
                role("nowhere", Role::Viewer, Some("not-there")),
            ],
        };
        adjust(&mut oidc);
        config.oidc = Some(oidc);
    })
}

/// A cookie that was set: name and value, as they are sent back.
fn cookie(answer: &Answer, name: &str) -> Option<String> {
    let set = answer.headers.get_all("set-cookie").iter();
    set.filter_map(|value| value.to_str().ok())
        .filter_map(|value| value.split(';').next())
        .find(|pair| pair.starts_with(&format!("{name}=")))
        .map(str::to_owned)
}

/// One browser, on its way.
struct Browser {
    client: Client,
    attempt: String,
    state: String,
    code: String,
}

impl Browser {
    fn begin(lab: &Lab, sso: &Sso) -> Browser {
        let client = lab.admin.without_token();
        let answer = client.get(BEGIN).expect(303);
        let url = answer.header("location").to_owned();
        let set = answer.header("set-cookie");
        for part in ["HttpOnly", "SameSite=Lax", "Max-Age=600", "Path=/;"] {
            assert!(set.contains(part), "{set}");
        }
        Browser {
            attempt: cookie(&answer, "picket_oidc").unwrap(),
            state: query(&url)["state"].clone(),
            code: sso.log_in(&url),
            client,
        }
    }

    fn finish(&self) -> Answer {
        let path = format!("{CALLBACK}?code={}&state={}", self.code, self.state);
        self.client
            .call("GET", &path, &[("cookie", &self.attempt)], None)
    }
}

/// What the API says of whoever has that session.
fn me(client: &Client, session: &str) -> Value {
    let answer = client.call("GET", "/api/v1/me", &[("cookie", session)], None);
    answer.expect(200).json()
}

fn logged_in(lab: &Lab, sso: &Sso) -> Value {
    let browser = Browser::begin(lab, sso);
    let answer = browser.finish().expect(303);
    assert_eq!(answer.header("location"), "/");
    // The attempt is over.
    assert_eq!(
        cookie(&answer, "picket_oidc").as_deref(),
        Some("picket_oidc=")
    );
    me(&browser.client, &cookie(&answer, "picket_session").unwrap())
}

#[test]
fn groups_give_roles_at_each_log_in() {
    let sso = Sso::start();
    let lab = lab(&sso);
    world::project(&lab.admin, "payments", "web-*");
    let me = logged_in(&lab, &sso);
    assert_eq!(me["name"], "ada", "{me}");
    let grants = || {
        let answer = lab.admin.get("/api/v1/users/ada/grants").expect(200).json();
        let items = answer["items"]
            .as_array()
            .unwrap_or_else(|| answer.as_array().unwrap());
        let mut grants: Vec<String> = items
            .iter()
            .map(|grant| format!("{} {}", grant["role"].as_str().unwrap(), grant["project"]))
            .collect();
        grants.sort();
        grants
    };
    assert_eq!(grants(), ["author \"payments\"", "viewer null"]);

    // Another group, another right; what was given by hand goes too.
    sso.groups(json!(["bosses", "nowhere"]));
    logged_in(&lab, &sso);
    assert_eq!(grants(), ["admin null"]);

    // In no group of ours: nothing is left, and nobody is let in.
    sso.groups(json!(["nowhere"]));
    let refused = Browser::begin(&lab, &sso).finish().problem(403);
    assert!(refused.contains("groups"), "{refused}");
    assert!(grants().is_empty());

    // It is in the audit log, with who did it.
    let log = lab.admin.get("/api/v1/audit?limit=100").expect(200).text;
    for part in ["system:oidc", "user.create", "user.grant", "user.revoke"] {
        assert!(log.contains(part), "{part}: {log}");
    }
    lab.stop();
}

#[test]
fn what_is_spoiled_lets_nobody_in() {
    let sso = Sso::start();
    let lab = lab(&sso);
    let now = seconds();
    let claims = |claims: Value| Spoil {
        claims,
        ..Spoil::default()
    };
    for (what, spoil, says) in [
        ("nonce", claims(json!({"nonce": "other"})), "nonce"),
        ("no nonce", claims(json!({"nonce": null})), "nonce"),
        ("audience", claims(json!({"aud": "other"})), "aud"),
        (
            "audiences",
            claims(json!({"aud": [CLIENT, "other"]})),
            "azp",
        ),
        ("issuer", claims(json!({"iss": "https://other"})), "iss"),
        ("expired", claims(json!({"exp": now - 120})), "exp"),
        ("future", claims(json!({"iat": now + 600})), "iat"),
        ("no subject", claims(json!({"sub": null})), "claim"),
        (
            "wrong key",
            Spoil {
                wrong_key: true,
                ..Spoil::default()
            },
            "signature",
        ),
        (
            "unknown key",
            Spoil {
                kid: Some("k2"),
                ..Spoil::default()
            },
            "no key",
        ),
        (
            "none",
            Spoil {
                alg: Some("none"),
                ..Spoil::default()
            },
            "algorithm",
        ),
        (
            "hmac",
            Spoil {
                alg: Some("HS256"),
                ..Spoil::default()
            },
            "algorithm",
        ),
        (
            "confused",
            Spoil {
                alg: Some("RS256"),
                ..Spoil::default()
            },
            "no key",
        ),
    ] {
        sso.spoil(spoil);
        let answer = Browser::begin(&lab, &sso).finish();
        assert!(cookie(&answer, "picket_session").is_none(), "{what}");
        let said = answer.problem(401);
        assert!(said.contains(says), "{what}: {said}");
    }
    // And it was no fault of the rest.
    sso.spoil(Spoil::default());
    logged_in(&lab, &sso);
    lab.stop();
}

#[test]
fn a_log_in_belongs_to_the_browser_that_began_it() {
    let sso = Sso::start();
    let lab = lab(&sso);
    let begin = || Browser::begin(&lab, &sso);
    let said = |browser: &Browser| browser.finish().problem(401);
    let other = begin();

    // Another's state; another's cookie; none.
    let mut browser = begin();
    browser.state = other.state.clone();
    assert!(said(&browser).contains("begin again"));
    let mut browser = begin();
    browser.attempt = other.attempt.clone();
    assert!(said(&browser).contains("begin again"));
    let mut browser = begin();
    browser.attempt = "picket_oidc=".to_owned();
    assert!(said(&browser).contains("begin again"));

    // A stolen code, brought with a log-in of the thief's own: the provider knows
    // whose verifier it is.
    let mut thief = begin();
    let victim = begin();
    thief.code = victim.code.clone();
    assert!(said(&thief).contains("did not take the code"));

    // A code is good once.
    let browser = begin();
    browser.finish().expect(303);
    assert!(said(&browser).contains("did not take the code"));

    // The provider says that nobody is let in; another provider answers.
    let browser = begin();
    for (query, says) in [
        (
            format!("error=access_denied&state={}", browser.state),
            "nobody",
        ),
        (
            format!("code=x&iss=https://other&state={}", browser.state),
            "another provider",
        ),
    ] {
        let path = format!("{CALLBACK}?{query}");
        let headers = [("cookie", browser.attempt.as_str())];
        let refused = browser
            .client
            .call("GET", &path, &headers, None)
            .problem(401);
        assert!(refused.contains(says), "{refused}");
    }
    lab.stop();
}

#[test]
fn a_local_user_of_the_same_name_is_somebody_else() {
    let sso = Sso::start();
    let lab = lab(&sso);
    sso.spoil(Spoil {
        claims: json!({"preferred_username": "admin", "groups": ["bosses"]}),
        ..Spoil::default()
    });
    let said = Browser::begin(&lab, &sso).finish().problem(409);
    assert!(said.contains("another user admin"), "{said}");

    // Disabled here is disabled.
    sso.spoil(Spoil::default());
    logged_in(&lab, &sso);
    let store = &lab.store;
    lab.runtime.block_on(async {
        let user = store.user_named("ada").await.unwrap();
        let log_in = LogIn { ..user.log_in };
        let cause = crate::lab::cause();
        let changed = store.change_user(user.id, user.version, log_in, true, &cause);
        changed.await.unwrap();
    });
    let said = Browser::begin(&lab, &sso).finish().problem(403);
    assert!(said.contains("disabled"), "{said}");
    lab.stop();
}

#[test]
fn a_provider_that_is_not_what_it_should_be_is_not_used() {
    let sso = Sso::start();
    // It calls itself otherwise.
    let lab_of_other = lab_with(&sso, |oidc| oidc.issuer.push('/'));
    let said = lab_of_other.admin.without_token().get(BEGIN).problem(503);
    assert!(said.contains("calls itself"), "{said}");
    lab_of_other.stop();
    // It is not there.
    let lab_of_nobody = lab_with(&sso, |oidc| oidc.issuer = "http://127.0.0.1:1".to_owned());
    lab_of_nobody.admin.without_token().get(BEGIN).problem(503);
    // Passwords still do.
    let body = json!({"name": "admin", "password": lab_of_nobody.password});
    lab_of_nobody
        .admin
        .without_token()
        .post("/api/v1/session", body)
        .expect(200);
    lab_of_nobody.stop();
    // There is none.
    let plain = Lab::with(|_| {});
    let said = plain.admin.without_token().get(BEGIN).problem(404);
    assert!(said.contains("[oidc]"), "{said}");
    plain.stop();
}
