//! The commands for a running sensor, where none runs.

use crate::support::Bench;
use serde_json::Value;

#[test]
fn stats_without_a_sensor_is_an_error_that_says_where_it_looked() {
    Bench::new()
        .run(&["stats", "--control", "run/sensor.sock"])
        .expect_code(2)
        .silent_on_stdout()
        .says("error: no sensor answers at run/sensor.sock");
}

#[test]
fn status_without_a_sensor_says_so_and_who_lifted_blocks() {
    let bench = Bench::new();
    let args = ["status", "--control", "s.sock", "--state", "state"];
    bench
        .run(&args)
        .expect_code(1)
        .silent_on_stderr()
        .prints("sensor    not running: no sensor answers at s.sock");
    bench.write(
        "state/disarmed",
        r#"{"time_ns":1795400000000000000,"user":"alice","uid":1000,"reason":"ticket 4711"}"#,
    );
    bench.run(&args).expect_code(1).prints(
        "blocks    LIFTED by alice (uid 1000) at 2026-11-23 02:13:20.000000 UTC: ticket 4711",
    );
    let mut json = args.to_vec();
    json.extend(["--format", "json"]);
    let ran = bench.run(&json).expect_code(1).silent_on_stderr();
    let report: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(report["running"], false);
    assert_eq!(report["lifted"]["user"], "alice");
    assert!(report["left"].is_array());
}

#[test]
fn what_is_no_number_of_seconds_is_a_usage_error() {
    for seconds in ["0", "1.5", "soon"] {
        Bench::new()
            .run(&["stats", "--watch", seconds])
            .expect_code(2)
            .says("--watch");
    }
}
