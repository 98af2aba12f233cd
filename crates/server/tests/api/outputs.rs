//! Outputs: what is stored is told to others, once they take it.

use crate::lab::Lab;
use crate::receiver::{Receiver, is_signed};
use crate::world::{NOW, alarming, store};
use picket_model::Severity;
use picket_outputs::{Output, Target, To, ToFile};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

const SECRET: &str = "a secret of the other side";
const PATIENCE: Duration = Duration::from_secs(60);

fn webhook(folder: &Path, receiver: &Receiver) -> Output {
    let file = folder.join("hook.secret");
    std::fs::create_dir_all(folder).unwrap();
    std::fs::write(&file, SECRET).unwrap();
    Output {
        name: "hook".to_owned(),
        severity: Severity::Informational,
        target: Target::Webhook(To {
            url: format!("http://{}/in", receiver.address),
            secret_file: Some(file),
            authorities: None,
        }),
    }
}

fn file(path: &Path, severity: Severity) -> Output {
    Output {
        name: "disk".to_owned(),
        severity,
        target: Target::File(ToFile {
            path: path.to_owned(),
            max_bytes: 1 << 20,
            keep: 1,
        }),
    }
}

fn uid(finding: &Value) -> String {
    finding["finding_info"]["uid"].as_str().unwrap().to_owned()
}

fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn metric(lab: &Lab, line: &str) -> bool {
    let text = lab.admin.get("/metrics").expect(200).text;
    text.lines().any(|found| found == line)
}

#[test]
fn a_receiver_that_was_down_is_told_all_of_it_and_a_file_what_is_bad_enough() {
    let receiver = Receiver::start(&[500, 503, 200]);
    let folder = tempfile::tempdir().unwrap();
    let lines = folder.path().join("findings.jsonl");
    let lab = Lab::with(|config| {
        config.outputs = vec![
            webhook(&config.data, &receiver),
            file(&lines, Severity::High),
        ];
    });
    let mut mild = alarming("mild", NOW + 1, "two", &[]);
    mild.columns.severity = Severity::Low;
    store(&lab, vec![alarming("bad", NOW, "one", &[]), mild]);
    let mut told = BTreeSet::new();
    for answered in [500, 503, 200] {
        let request = receiver.next();
        let signed = request.headers.clone();
        assert!(signed.contains_key("webhook-signature"));
        assert!(is_signed(&request, SECRET) && !is_signed(&request, "another"));
        let events: Value = serde_json::from_str(&request.body).unwrap();
        for event in events.as_array().unwrap() {
            assert_eq!(event["type"], "dev.picket.finding");
            if answered == 200 {
                told.insert(uid(&event["data"]));
            }
        }
    }
    assert_eq!(told.len(), 2, "{told:?}");
    let written = until("the file has a line", || {
        let text = std::fs::read_to_string(&lines).ok()?;
        (!text.is_empty()).then_some(text)
    });
    assert_eq!(written.lines().count(), 1, "{written}");
    until("the metrics say so", || {
        let told = metric(&lab, "picket_output_findings_told_total{output=\"hook\"} 2");
        let failed = metric(&lab, "picket_output_failures_total{output=\"hook\"} 2");
        let filed = metric(&lab, "picket_output_findings_told_total{output=\"disk\"} 1");
        (told && failed && filed).then_some(())
    });
    assert!(receiver.is_silent());
    lab.stop();
}

#[test]
fn what_waits_is_counted_and_a_secret_that_is_missing_is_said_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let nowhere = folder.path().join("not/there/yet.jsonl");
    let lab = Lab::with(|config| {
        config.outputs = vec![file(&nowhere, Severity::Informational)];
    });
    store(&lab, vec![alarming("a", NOW, "one", &[])]);
    until("the metrics count what waits", || {
        metric(&lab, "picket_output_waiting{output=\"disk\"} 1").then_some(())
    });
    std::fs::create_dir_all(nowhere.parent().unwrap()).unwrap();
    until("it is told", || {
        let text = std::fs::read_to_string(&nowhere).ok()?;
        (text.lines().count() == 1).then_some(())
    });
    lab.stop();

    let mut config = picket_server::config::Config::in_folder(folder.path());
    let receiver = Receiver::start(&[200]);
    let mut output = webhook(folder.path(), &receiver);
    if let Target::Webhook(to) = &mut output.target {
        to.secret_file = Some(folder.path().join("none"));
    }
    config.listen = "127.0.0.1:0".parse().unwrap();
    config.outputs = vec![output];
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let started = runtime.block_on(picket_server::start(config));
    let why = started.err().expect("it does not start").to_string();
    assert!(why.contains("output hook") && why.contains("none"), "{why}");
}
