//! Filters that people keep.

use crate::lab::Lab;
use crate::world::project;
use picket_server::auth::Role;
use serde_json::{Value, json};

fn names(page: &Value) -> Vec<&str> {
    let items = page["items"].as_array().unwrap().iter();
    items.map(|item| item["name"].as_str().unwrap()).collect()
}

pub fn filters_are_ones_own_or_shared(lab: &mut Lab) {
    project(&lab.admin, "payments", "web-*");
    project(&lab.admin, "secret-thing", "db-*");
    let anna = lab.user("anna", &[(Some("payments"), Role::Responder)]);
    let bob = lab.user("bob", &[(None, Role::Responder)]);
    let save = |kind: &str, name: &str, query: &str, shared: bool| json!({"kind": kind, "name": name, "query": query, "shared": shared});
    let where_curl = "severity=high&where=process.cmd_line%20contains%20%22curl%22";
    let own = anna.post(
        "/api/v1/filters",
        save("finding", "curl", where_curl, false),
    );
    let own = own.expect(201).json();
    assert_eq!(
        (&own["own"], &own["query"]),
        (&json!(true), &json!(where_curl))
    );
    anna.post("/api/v1/filters", save("finding", "curl", "", false))
        .problem(409);
    // Of another kind it is another one.
    anna.post("/api/v1/filters", save("issue", "curl", "label=a", false))
        .expect(201);
    for (body, status) in [
        (save("sensor", "x", "", false), 422),
        (save("finding", "", "", false), 422),
        (save("finding", "x", "severity=terrible", false), 400),
        (save("finding", "x", "limit=5", false), 422),
        (save("finding", "x", "a b", false), 422),
        (
            save("finding", "x", "where=process.nmae%20==%20%22a%22", false),
            422,
        ),
        (save("finding", "x", "project=secret-thing", false), 404),
        // What others see, one who answers everywhere decides.
        (save("finding", "x", "", true), 403),
    ] {
        anna.post("/api/v1/filters", body).problem(status);
    }
    bob.post(
        "/api/v1/filters",
        save("issue", "mine", "overdue=true", false),
    )
    .expect(201);
    let all = bob.post(
        "/api/v1/filters",
        save("finding", "for all", "severity=low", true),
    );
    let all = all.expect(201).json();
    let named = save("finding", "not for anna", "project=secret-thing", true);
    bob.post("/api/v1/filters", named).expect(201);
    let seen = anna.get("/api/v1/filters").expect(200).json();
    assert_eq!(names(&seen), ["curl", "for all", "curl"]);
    let seen = bob.get("/api/v1/filters").expect(200).json();
    assert_eq!(names(&seen), ["for all", "not for anna", "mine"]);
    let path = |filter: &Value| format!("/api/v1/filters/{}", filter["id"].as_str().unwrap());
    let delete = |client: &crate::client::Client, filter: &Value| {
        client.call("DELETE", &path(filter), &[], None)
    };
    delete(&bob, &own).problem(404);
    delete(&anna, &all).problem(403);
    delete(&lab.admin, &all).expect(204);
    delete(&anna, &own).expect(204);
    delete(&anna, &own).problem(404);
    let seen = anna.get("/api/v1/filters").expect(200).json();
    assert_eq!(names(&seen), ["curl"]);
}
