//! What the control plane orders on a host, on the real kernel: what is killed, cut off
//! and quarantined is the test's own.

use anyhow::{Context, Result, ensure};
use picket_e2e::fleet::{Control, cause, now};
use picket_e2e::netns::{Netns, Wire};
use picket_e2e::{Scratch, needs_root, wait};
use picket_proto::order::{Action, FileRef, ProcessRef};
use picket_server::fleet::{new_order, undoing};
use picket_store::{HostAction, HostActionState, Uuid, new_id};
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, UdpSocket};
use std::process::{Child, Command, Stdio};

/// Gives an order.
fn order(control: &Control, sensor: Uuid, action: &Action, lease: Option<u32>) -> Result<Uuid> {
    let new = new_order(new_id(), sensor, action, lease, 600, now());
    let new = new.map_err(anyhow::Error::msg)?;
    let id = new.id;
    control.ask(control.store().order_action(new, &cause("test")))?;
    Ok(id)
}

/// Waits until it stands so; another end is an error.
fn stands(control: &Control, id: Uuid, wanted: HostActionState) -> Result<HostAction> {
    let what = format!("an order that is {}", wanted.name());
    wait::until(&what, || {
        let action = control.ask(control.store().host_action(id))?;
        let bad = [HostActionState::Failed, HostActionState::Refused];
        ensure!(
            action.state == wanted || !bad.contains(&action.state),
            "{}: {}",
            action.state.name(),
            action.why
        );
        Ok((action.state == wanted).then_some(action))
    })
}

fn process(pid: u32) -> Result<ProcessRef> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let (_, rest) = stat.rsplit_once(") ").context("a line of stat")?;
    let ticks: u64 = rest.split(' ').nth(19).context("a start")?.parse()?;
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
    Ok(ProcessRef {
        pid,
        start_ns: ticks * (1_000_000_000 / rustix::param::clock_ticks_per_second()),
        boot_id: Some(boot.trim().to_owned()),
    })
}

fn is_there(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.rsplit(") ").next().unwrap_or("Z").starts_with('Z'))
}

/// A shell whose grandchild has lost its parent: by ppid it is nobody's.
fn family() -> Result<(Child, u32)> {
    let mut shell = Command::new("sh")
        .args(["-c", "(sleep 600 & echo $!); exec sleep 600"])
        .stdout(Stdio::piped())
        .spawn()?;
    let mut line = String::new();
    let out = shell.stdout.take().context("its output")?;
    BufReader::new(out).read_line(&mut line)?;
    Ok((shell, line.trim().parse()?))
}

#[test]
fn an_order_tells_of_a_process_and_ends_it_with_all_its_kin() -> Result<()> {
    needs_root!();
    let scratch = Scratch::new()?;
    let control = Control::start(&scratch)?;
    let token = control.join_token(1, &[])?;
    let sensor = control.sensor(&scratch, "state", &token).start()?;
    let known = control.sensor_where("the sensor", |_| true)?;
    let (mut shell, orphan) = family()?;
    let mut stranger = Ends(Command::new("sleep").arg("600").spawn()?);

    let look = Action::CollectForensics {
        process: process(shell.id())?,
    };
    let look = order(&control, known.id, &look, None)?;
    let told = stands(&control, look, HostActionState::Done)?.result;
    ensure!(told["cmd_line"][0] == "sleep", "{told}");
    ensure!(
        told["exe_sha256"]
            .as_str()
            .is_some_and(|text| text.len() == 64),
        "{told}"
    );

    let end = Action::KillTree {
        process: process(shell.id())?,
    };
    let end = order(&control, known.id, &end, None)?;
    let ended = stands(&control, end, HostActionState::Done)?;
    ensure!(ended.result["killed"] == 2, "{}", ended.result);
    ensure!(shell.wait()?.code().is_none(), "it ended by itself");
    wait::until("the end of the orphan", || {
        Ok((!is_there(orphan)).then_some(()))
    })?;
    ensure!(stranger.0.try_wait()?.is_none(), "a stranger was killed");

    // The same process is there no more: whoever has its pid by then is somebody else.
    let again = Action::KillTree {
        process: ProcessRef {
            pid: stranger.0.id(),
            start_ns: 1,
            boot_id: None,
        },
    };
    let again = order(&control, known.id, &again, None)?;
    let failed = wait::until("an answer", || {
        let action = control.ask(control.store().host_action(again))?;
        Ok((!action.state.is_open()).then_some(action))
    })?;
    ensure!(failed.state == HostActionState::Failed, "{failed:?}");
    ensure!(stranger.0.try_wait()?.is_none(), "a stranger was killed");
    sensor.stop()?;
    Ok(())
}

/// A process that ends with the test.
struct Ends(Child);

impl Drop for Ends {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_file_is_taken_away_and_put_back_and_a_host_may_refuse() -> Result<()> {
    needs_root!();
    let scratch = Scratch::new()?;
    let control = Control::start(&scratch)?;
    let token = control.join_token(2, &[])?;
    let sensor = control.sensor(&scratch, "state", &token).start()?;
    let known = control.sensor_where("the sensor", |_| true)?;
    let path = scratch.write("malware", "evil")?.canonicalize()?;
    let take = |sha256: &str| Action::QuarantineFile {
        path: path.display().to_string(),
        file: FileRef {
            sha256: Some(sha256.to_owned()),
            inode: None,
            mtime_ns: None,
        },
    };
    // printf evil | sha256sum
    let digest = "b5c1fb2efc6d6b4674c2fdcc48ce01b43a3b7c03763c0c3355de0099ee0f8c73";
    let taken = order(&control, known.id, &take(digest), None)?;
    let action = stands(&control, taken, HostActionState::Done)?;
    ensure!(!path.exists(), "it is still there");
    let back = undoing(&action, now()).map_err(anyhow::Error::msg)?;
    control.ask(control.store().order_action(back, &cause("clean")))?;
    stands(&control, taken, HostActionState::Undone)?;
    ensure!(std::fs::read_to_string(&path)? == "evil");
    sensor.stop()?;

    let mut deaf = control
        .sensor(&scratch, "deaf", &token)
        .arg("--actions")
        .arg("collect_forensics")
        .start()?;
    let other = control.sensor_where("another sensor", |sensor| sensor.id != known.id)?;
    let refused = order(&control, other.id, &take(digest), None)?;
    deaf.message("warning: an order was refused: this sensor does not carry out quarantine_file")?;
    let action = wait::until("an answer", || {
        let action = control.ask(control.store().host_action(refused))?;
        Ok((!action.state.is_open()).then_some(action))
    })?;
    ensure!(action.state == HostActionState::Refused, "{action:?}");
    ensure!(path.exists(), "it is gone");
    deaf.stop()?;
    Ok(())
}

/// Whether a packet from inside leaves for that address.
fn reaches(netns: &Netns, wire: &Wire, address: Ipv4Addr) -> Result<bool> {
    let inside = wire.inside;
    netns.inside(move || {
        let socket = UdpSocket::bind((inside, 0))?;
        match socket.send_to(b"x", (address, 9)) {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => Ok(false),
            Err(error) => Err(error.into()),
        }
    })
}

#[test]
fn a_host_is_cut_off_but_for_its_server_until_its_lease_ends_sensor_or_not() -> Result<()> {
    needs_root!();
    if Command::new("nft").arg("--version").output().is_err() {
        picket_e2e::skipped("nft is not installed (package nftables)");
        return Ok(());
    }
    let scratch = Scratch::new()?;
    let netns = Netns::new()?;
    let wire = netns.wire()?;
    let control = Control::start_with(&scratch, |config| {
        config.listen = (wire.host, 0).into();
    })?;
    let token = control.join_token(1, &[])?;
    let wrapper = netns.wrapper();
    let wrapper: Vec<&str> = wrapper.iter().map(String::as_str).collect();
    let start = || {
        let builder = control.sensor(&scratch, "state", &token).through(&wrapper);
        builder.start()
    };
    let sensor = start()?;
    let known = control.sensor_where("the sensor", |_| true)?;
    ensure!(reaches(&netns, &wire, wire.other)?, "the wire is broken");

    let isolate = Action::IsolateHost {
        allow: Vec::new(),
        dns: false,
    };
    let first = order(&control, known.id, &isolate, Some(30))?;
    stands(&control, first, HostActionState::Done)?;
    ensure!(!reaches(&netns, &wire, wire.other)?, "not cut off");
    // A port of the server's host that is not the server's.
    ensure!(
        !reaches(&netns, &wire, wire.host)?,
        "all of the host is let through"
    );

    // The sensor dies, and comes back to its server through the cut.
    sensor.kill()?;
    ensure!(
        !reaches(&netns, &wire, wire.other)?,
        "a dead sensor lets it back"
    );
    let beat = control.sensor_where("a heartbeat", |sensor| sensor.heartbeat.is_some())?;
    let before = beat.heartbeat.map(|beat| beat.at);
    let sensor = start()?;
    control.sensor_where("a later heartbeat", |sensor| {
        sensor.heartbeat.as_ref().map(|beat| beat.at) > before
    })?;
    ensure!(
        !reaches(&netns, &wire, wire.other)?,
        "a restart lets it back"
    );
    let over = stands(&control, first, HostActionState::Undone)?;
    ensure!(over.why.contains("its time is over"), "{}", over.why);
    ensure!(reaches(&netns, &wire, wire.other)?, "it is still cut off");

    // Let back by order, long before the end.
    let second = order(&control, known.id, &isolate, Some(3_600))?;
    let action = stands(&control, second, HostActionState::Done)?;
    ensure!(!reaches(&netns, &wire, wire.other)?, "not cut off");
    // A shorter one beside it ends, and the longer one holds.
    let short = order(&control, known.id, &isolate, Some(2))?;
    stands(&control, short, HostActionState::Undone)?;
    ensure!(
        !reaches(&netns, &wire, wire.other)?,
        "the shorter one has decided"
    );
    let back = undoing(&action, now()).map_err(anyhow::Error::msg)?;
    control.ask(control.store().order_action(back, &cause("clean")))?;
    stands(&control, second, HostActionState::Undone)?;
    ensure!(reaches(&netns, &wire, wire.other)?, "it is still cut off");

    // Nobody is there at the end: the kernel itself lets it back.
    let third = order(&control, known.id, &isolate, Some(3))?;
    stands(&control, third, HostActionState::Done)?;
    sensor.kill()?;
    wait::until("the end of the lease without a sensor", || {
        Ok(reaches(&netns, &wire, wire.other)?.then_some(()))
    })?;
    let sensor = start()?;
    stands(&control, third, HostActionState::Undone)?;
    sensor.stop()?;
    Ok(())
}
