//! `picket action`, on a server whose sensor is not there.

use crate::server::{CONFIG, Server};
use crate::support::Bench;
use picket_store::{
    Cause, Certificate, Labels, Location, NewJoinToken, NewSensor, SecretHash, new_id, open,
};
use serde_json::{Value, json};

/// As if a sensor had joined.
fn sensor(bench: &Bench) -> String {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let place = Location::Sqlite(bench.path().join("data/picket.db"));
        let store = open(&place).await.unwrap();
        let hash: SecretHash = [7; 32];
        let token = NewJoinToken {
            hash,
            labels: Labels::new(),
            expires_at: 2,
            uses: 1,
        };
        let cause = Cause {
            actor: "test".to_owned(),
            reason: String::new(),
            at: 1,
        };
        store.make_join_token(token, &cause).await.unwrap();
        let new = NewSensor {
            id: new_id(),
            host: "web-1".to_owned(),
            facts: json!({}),
            certificate: Certificate {
                serial: "1".to_owned(),
                issued_at: 1,
                expires_at: 2,
            },
        };
        let joined = store.enrol(&hash, new, 1).await.unwrap();
        store.close().await;
        joined.id.to_string()
    })
}

#[test]
fn an_order_is_given_listed_and_taken_back() {
    let bench = Bench::new();
    bench.write("server.toml", CONFIG);
    let server = Server::start(&bench);
    let url = server.log_in(&bench);
    let run = |args: &[&str]| {
        let remote = ["--server", &url, "--token-file", "token"];
        let ca = ["--ca", "data/tls/server.crt"];
        bench.run(&[&["action"], args, &remote, &ca].concat())
    };
    run(&["list"]).expect_code(0).says("nothing was ordered");
    let sensor = sensor(&bench);
    let common = ["--reason", "case 7", "--wait", "0"];
    let isolate = ["isolate", "--sensor", &sensor, "--lease", "60"];
    let given = run(&[&isolate[..], &common, &["--format", "json"]].concat()).expect_code(0);
    let given: Value = serde_json::from_str(&given.stdout).unwrap();
    assert_eq!(given["state"], "queued");
    let id = given["id"].as_str().unwrap();

    run(&["show", id])
        .expect_code(0)
        .prints("isolate_host: queued");
    run(&["list", "--sensor", &sensor])
        .expect_code(0)
        .prints("case 7");
    run(&[&["undo", id][..], &common].concat())
        .expect_code(0)
        .prints("undo: queued");
    // A lease is asked for before anything is sent, and what is no id is no path.
    run(&["isolate", "--sensor", &sensor, "--reason", "r"])
        .expect_code(2)
        .says("--lease");
    run(&["show", "../users"]).expect_code(2).says("is no id");
    let process = [
        "kill-tree",
        "--sensor",
        &sensor,
        "--pid",
        "1",
        "--start-ns",
        "1",
    ];
    run(&[&process[..], &common].concat())
        .expect_code(2)
        .says("pid 1 is nothing to act on");
}
