//! What a server does with those who do not keep to the protocol.

use anyhow::{Context, Result, ensure};
use picket_e2e::Scratch;
use picket_e2e::fleet::{Control, now};
use picket_proto::fleet::wire::fleet_client::FleetClient;
use picket_proto::fleet::wire::{self, from_sensor, from_server};
use picket_proto::fleet::{JoinToken, MAX_FINDINGS, MAX_TO_SERVER, PROTOCOL};
use picket_sensor::fleet::{Identity, NewKey, connect, joined, joining};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;
use tonic::{Code, Status, Streaming};

struct Stage {
    control: Control,
    token: JoinToken,
    _scratch: Scratch,
}

/// An open stream.
struct Line {
    out: mpsc::Sender<wire::FromSensor>,
    incoming: Streaming<wire::FromServer>,
}

impl Stage {
    fn new() -> Result<Stage> {
        let scratch = Scratch::new()?;
        let control = Control::start(&scratch)?;
        let token = JoinToken::parse(&control.join_token(5, &[])?)?;
        Ok(Stage {
            control,
            token,
            _scratch: scratch,
        })
    }

    fn stranger(&self) -> Result<FleetClient<Channel>> {
        let url = self.control.url().parse()?;
        let tls = joining(self.token.authority)?;
        Ok(self.control.run(connect(&url, tls))?)
    }

    fn request(&self, key: &NewKey) -> wire::EnrolRequest {
        wire::EnrolRequest {
            protocol: PROTOCOL,
            secret: self.token.secret.to_vec(),
            csr: key.request.clone(),
            host: "odd".to_owned(),
            facts: b"{}".to_vec(),
        }
    }

    fn enrol(&self) -> Result<(Identity, FleetClient<Channel>)> {
        let mut client = self.stranger()?;
        let key = NewKey::make()?;
        let reply = self
            .control
            .run(client.enrol(self.request(&key)))?
            .into_inner();
        let answer = reply.identity.context("no identity")?;
        let identity = key.signed(&reply.sensor, answer, now())?;
        let url = self.control.url().parse()?;
        let client = self.control.run(connect(&url, joined(&identity)?))?;
        Ok((identity, client))
    }

    fn open(&self, client: &mut FleetClient<Channel>) -> Result<Line> {
        let (out, outgoing) = mpsc::channel(8);
        let stream = self
            .control
            .run(client.stream(ReceiverStream::new(outgoing)))?;
        let incoming = stream.into_inner();
        Ok(Line { out, incoming })
    }

    fn say(&self, line: &Line, said: from_sensor::Said) -> Result<()> {
        let message = wire::FromSensor { said: Some(said) };
        Ok(self.control.run(line.out.send(message))?)
    }

    /// The next message, or why there is none.
    fn hear(&self, line: &mut Line) -> Result<Option<from_server::Said>, Status> {
        let heard = self.control.run(line.incoming.message())?;
        Ok(heard.and_then(|message| message.said))
    }

    /// The stream's end.
    fn end(&self, line: &mut Line) -> Result<Status> {
        loop {
            match self.hear(line) {
                Ok(Some(_)) => {}
                Ok(None) => anyhow::bail!("it ended without a word"),
                Err(status) => return Ok(status),
            }
        }
    }
}

fn hello() -> wire::Hello {
    wire::Hello {
        protocol: PROTOCOL,
        run: vec![1; 16],
        host: "odd".to_owned(),
        ..wire::Hello::default()
    }
}

#[test]
fn strangers_may_enrol_and_nothing_else() -> Result<()> {
    let stage = Stage::new()?;
    let mut client = stage.stranger()?;
    let rotate = client.rotate(wire::RotateRequest { csr: vec![1] });
    let refused = stage.control.run(rotate).unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated, "{refused}");
    let (_out, outgoing) = mpsc::channel::<wire::FromSensor>(1);
    let stream = client.stream(ReceiverStream::new(outgoing));
    let refused = stage.control.run(stream).unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated, "{refused}");

    let key = NewKey::make()?;
    let good = stage.request(&key);
    let odd: [(&str, Code, wire::EnrolRequest); 6] = [
        (
            "secret",
            Code::PermissionDenied,
            wire::EnrolRequest {
                secret: vec![0; 32],
                ..good.clone()
            },
        ),
        (
            "no secret",
            Code::PermissionDenied,
            wire::EnrolRequest {
                secret: vec![],
                ..good.clone()
            },
        ),
        (
            "csr",
            Code::InvalidArgument,
            wire::EnrolRequest {
                csr: vec![7; 300],
                ..good.clone()
            },
        ),
        (
            "host",
            Code::InvalidArgument,
            wire::EnrolRequest {
                host: "a\nb".to_owned(),
                ..good.clone()
            },
        ),
        (
            "facts",
            Code::InvalidArgument,
            wire::EnrolRequest {
                facts: b"[]".to_vec(),
                ..good.clone()
            },
        ),
        (
            "protocol",
            Code::FailedPrecondition,
            wire::EnrolRequest {
                protocol: 99,
                ..good.clone()
            },
        ),
    ];
    for (what, code, request) in odd {
        let refused = stage.control.run(client.enrol(request)).unwrap_err();
        assert_eq!(refused.code(), code, "{what}: {refused}");
    }
    // None of that cost a use, and nobody is there.
    assert!(stage.control.sensors()?.is_empty());
    for _ in 0..5 {
        stage.enrol()?;
    }
    assert_eq!(stage.control.sensors()?.len(), 5);
    Ok(())
}

#[test]
fn streams_that_are_none_end_with_a_reason() -> Result<()> {
    let stage = Stage::new()?;
    let (_, mut client) = stage.enrol()?;
    let beat = || from_sensor::Said::Heartbeat(wire::Heartbeat::default());
    let cases: [(&str, Vec<from_sensor::Said>); 4] = [
        ("begins with Hello", vec![beat()]),
        (
            "protocol",
            vec![from_sensor::Said::Hello(wire::Hello {
                protocol: 7,
                ..hello()
            })],
        ),
        (
            "id of its run",
            vec![from_sensor::Said::Hello(wire::Hello {
                run: vec![],
                ..hello()
            })],
        ),
        (
            "comes once",
            vec![
                from_sensor::Said::Hello(hello()),
                from_sensor::Said::Hello(hello()),
            ],
        ),
    ];
    for (why, said) in cases {
        let mut line = stage.open(&mut client)?;
        for said in said {
            stage.say(&line, said)?;
        }
        let status = stage.end(&mut line)?;
        ensure!(status.message().contains(why), "{why}: {status}");
    }
    assert_eq!(stage.control.fleet()?.connected(), 0);
    Ok(())
}

#[test]
fn findings_that_are_none_are_told_and_hold_up_nobody() -> Result<()> {
    let stage = Stage::new()?;
    let (_, mut client) = stage.enrol()?;
    let mut line = stage.open(&mut client)?;
    stage.say(&line, from_sensor::Said::Hello(hello()))?;
    let finding = |uid: &str| {
        let json = serde_json::json!({
            "time": 1, "severity_id": 3, "disposition_id": 17,
            "finding_info": {"uid": uid, "analytic": {"uid": "any"}},
        });
        bytes(json.to_string())
    };
    let ocsf = vec![
        finding("one"),
        bytes("{".to_owned()),
        bytes("{}".to_owned()),
        finding("one"),
        bytes(format!(
            "{{\"finding_info\":\"{}\"}}",
            "x".repeat(300 << 10)
        )),
        finding("two"),
    ];
    let message = wire::Findings {
        lane: 3,
        last: 9,
        ocsf,
    };
    stage.say(&line, from_sensor::Said::Findings(message))?;
    let stored = loop {
        match stage.hear(&mut line)? {
            Some(from_server::Said::Stored(stored)) => break stored,
            Some(_) => {}
            None => anyhow::bail!("the stream has ended"),
        }
    };
    assert_eq!((stored.lane, stored.last), (3, 9));
    assert_eq!(stored.refused.len(), 3, "{stored:?}");
    let mut uids: Vec<String> = stage
        .control
        .findings()?
        .into_iter()
        .map(|row| row.uid)
        .collect();
    uids.sort();
    assert_eq!(uids, ["one", "two"]);

    // More than a message may hold.
    let many = wire::Findings {
        lane: 3,
        last: 10,
        ocsf: vec![finding("x"); MAX_FINDINGS + 1],
    };
    stage.say(&line, from_sensor::Said::Findings(many))?;
    let status = stage.end(&mut line)?;
    assert_eq!(status.code(), Code::InvalidArgument, "{status}");
    let mut line = stage.open(&mut client)?;
    stage.say(&line, from_sensor::Said::Hello(hello()))?;
    let long = wire::Findings {
        lane: 3,
        last: 11,
        ocsf: vec![bytes("x".repeat(MAX_TO_SERVER))],
    };
    stage.say(&line, from_sensor::Said::Findings(long))?;
    let status = stage.end(&mut line)?;
    assert_eq!(status.code(), Code::OutOfRange, "{status}");
    assert_eq!(stage.control.findings()?.len(), 2);
    Ok(())
}

fn bytes(text: String) -> tonic::codegen::Bytes {
    text.into()
}

#[test]
fn one_certificate_on_two_hosts_ends_the_first_ones_stream() -> Result<()> {
    let stage = Stage::new()?;
    let (_, mut client) = stage.enrol()?;
    let mut first = stage.open(&mut client)?;
    stage.say(&first, from_sensor::Said::Hello(hello()))?;
    ensure!(matches!(
        stage.hear(&mut first)?,
        Some(from_server::Said::Welcome(_))
    ));
    let mut clone = stage.open(&mut client)?;
    let other = wire::Hello {
        run: vec![2; 16],
        ..hello()
    };
    stage.say(&clone, from_sensor::Said::Hello(other))?;
    ensure!(matches!(
        stage.hear(&mut clone)?,
        Some(from_server::Said::Welcome(_))
    ));
    let status = stage.end(&mut first)?;
    assert_eq!(status.code(), Code::Aborted, "{status}");
    assert_eq!(stage.control.fleet()?.connected(), 1);
    Ok(())
}
