//! Blocks are lifted and put back, with a sensor and without. What does that acts on
//! every sensor of a host, so it runs in guests.

use anyhow::{Result, ensure};
use picket_e2e::guest::kernel::{self, Series};
use picket_e2e::guest::watched::{self, Seen};
use picket_e2e::rules::RuleFile;
use picket_e2e::skipped;

/// The sensor that the script starts anew, as the harness did the first.
const RESTART: &str = r#"
picket sensor ARGS >>/findings 2>/messages &
sensor=$!
exec 3</messages
while read -r line <&3; do
    [ "$line" = ready ] && break
    echo "restarted: $line"
done
"#;

const ARGS: &str = "--rules /rules --control /tmp/sensor.sock --state /tmp/state --on-exit keep";

/// A step, then what became of the target.
fn script() -> String {
    let told = |what: &str, command: &str| {
        format!("{command} 2>&1 | while read -r line; do echo \"{what}: $line\"; done\n")
    };
    let code = |what: &str, command: &str| {
        format!("{command} >/dev/null 2>&1\necho \"{what}: code $?\"\n")
    };
    let target = |what: &str| code(&format!("target, {what}"), "/bin/target hold");
    let disarm = "picket disarm --state /tmp/state";
    let arm = "picket arm --state /tmp/state --control /tmp/sensor.sock";
    let status = "picket status --state /tmp/state --control /tmp/sensor.sock";
    let mut script = target("armed");
    script += &told("first", &format!("{disarm} --reason 'ticket 4711'"));
    script += &target("lifted");
    script += &code("second", disarm);
    script += &told("status", status);
    script += &code("arm", arm);
    script += &target("armed again");
    script += &code("arm twice", arm);

    // What a killed sensor leaves in force.
    script += "kill -KILL $sensor\nwait $sensor\n";
    script += &target("without a sensor");
    script += &told("left", status);
    script += &code("status without a sensor", status);
    script += &code("third", &format!("{disarm} --format json"));
    script += &target("lifted without a sensor");
    script += &RESTART.replace("ARGS", ARGS);
    script += &target("started disarmed");
    script += &code("last arm", arm);
    script += &target("armed at last");
    script
}

fn blocks_are_lifted_and_put_back(series: Series) -> Result<()> {
    let rules = RuleFile::new()
        .rule("bad", "process.exec", "process.path == \"/bin/target\"")
        .policy_on(
            "stop-bad",
            "{rules: [bad]}",
            "block",
            "budget: {kills: 100, per: 1m, on_exceed: simulate}",
        )
        .policy("watch-bad", "bad", "simulate");
    let mut guest = match watched::guest(series)? {
        Ok(guest) => guest,
        Err(why) => {
            skipped(why);
            return Ok(());
        }
    };
    guest.write("/rules/test.yaml", 0o644, rules.text());
    guest.add(
        std::path::Path::new(picket_e2e::binary::CAUSE),
        "/bin/target",
    )?;
    let seen = Seen::of(&guest, ARGS, &script())?;
    for line in [
        "target, armed: code 137",
        "first: stop-bad: block (kill, deny); budget of 100 actions in 1m; sensor ",
        "target, lifted: code 0",
        "second: code 1",
        "status: blocks    LIFTED by uid 0 at ",
        "arm: code 0",
        "target, armed again: code 137",
        "arm twice: code 1",
        "target, without a sensor: code 137",
        "left: in force  stop-bad: block (kill, deny)",
        "status without a sensor: code 1",
        "third: code 0",
        "target, lifted without a sensor: code 0",
        "restarted: warning: every block on this host was lifted by uid 0",
        "target, started disarmed: code 0",
        "last arm: code 0",
        "target, armed at last: code 137",
        // Told by the last sensor while it ran.
        "message: warning: blocks are in force again",
    ] {
        ensure!(
            seen.says_something_like(line),
            "not said: {line}\n{}",
            seen.transcript()
        );
    }
    // Only what blocks was lifted, and the reason is told.
    ensure!(!seen.says_something_like("first: watch-bad"));
    let says = |part: &str| seen.outcome.lines.iter().any(|line| line.contains(part));
    ensure!(
        says("ticket 4711") && says(", which is gone"),
        "{}",
        seen.transcript()
    );
    Ok(())
}

#[test]
fn blocks_are_lifted_and_put_back_on_6_1() -> Result<()> {
    blocks_are_lifted_and_put_back(kernel::V6_1)
}

#[test]
fn blocks_are_lifted_and_put_back_on_6_12() -> Result<()> {
    blocks_are_lifted_and_put_back(kernel::V6_12)
}

/// Rules on what is known before an execution, and on what is known only after it.
fn refusing() -> RuleFile {
    RuleFile::new()
        .rule("early", "process.exec", "process.path == \"/bin/target\"")
        .rule(
            "late",
            "process.exec",
            "process.cmd_line endswith \"/nobody\"",
        )
        .rule("made", "file.create", "file.path == \"/tmp/refused\"")
        .rule(
            "asked",
            "dns.query",
            "query.hostname == \"refused.e2e.example\"",
        )
        .policy("refuse-early", "early", "{deny: true}")
        .policy("refuse-late", "late", "{deny: true}")
        .policy("stop-made", "made", "block")
        .policy("stop-asked", "asked", "block")
}

/// What status and doctor say, and what is then done.
fn what_is_said_is_done(lsm: bool) -> Result<()> {
    let mut guest = match watched::guest(kernel::V6_12)? {
        Ok(guest) => guest,
        Err(why) => {
            skipped(why);
            return Ok(());
        }
    };
    guest.argument(if lsm {
        "lsm=lockdown,bpf"
    } else {
        "lsm=lockdown"
    });
    guest.write("/rules/test.yaml", 0o644, refusing().text());
    guest.add(
        std::path::Path::new(picket_e2e::binary::CAUSE),
        "/bin/target",
    )?;
    let script = "
picket doctor | while read -r line; do echo \"doctor: $line\"; done
picket status --control /tmp/sensor.sock | while read -r line; do echo \"status: $line\"; done
/bin/target hold >/dev/null 2>&1
echo \"target: code $?\"
picket-cause creat /tmp/refused >/dev/null 2>&1
echo \"create: code $?\"
[ -e /tmp/refused ]
echo \"made: $?\"
";
    let seen = Seen::of(&guest, "--rules /rules --control /tmp/sensor.sock", script)?;
    let (no_lsm, fexit) = (
        "no security hook (BPF LSM) refuses it here",
        "where the kernel returns from them (fexit)",
    );
    let (early, late, made, target, exists) = if lsm {
        (
            "denied in kernel".to_owned(),
            "cannot be enforced: process.cmd_line is known only when the operation is over"
                .to_owned(),
            "denied in kernel".to_owned(),
            "target: code 126",
            "made: 1",
        )
    } else {
        (
            format!("cannot be enforced: {no_lsm}"),
            format!("cannot be enforced: {no_lsm}"),
            format!("killed in kernel: {no_lsm}"),
            "target: code 0",
            "made: 0",
        )
    };
    for line in [
        format!("doctor: ok  kills in cgroup hooks: {fexit}"),
        format!(
            "doctor: {} deny on process.exec: {early}",
            if lsm { "ok " } else { "no " }
        ),
        "doctor: ok  kill on dns.query: killed in kernel".to_owned(),
        format!("status: process.exec     {early}"),
        format!("status: process.exec     {late}"),
        format!("status: file.create      {made}"),
        "status: dns.query        denied in kernel".to_owned(),
        target.to_owned(),
        "create: code 137".to_owned(),
        exists.to_owned(),
    ] {
        ensure!(
            seen.says_something_like(&line),
            "not said: {line}\n{}",
            seen.transcript()
        );
    }
    Ok(())
}

#[test]
fn what_is_said_is_done_with_security_hooks() -> Result<()> {
    what_is_said_is_done(true)
}

#[test]
fn what_is_said_is_done_without_security_hooks() -> Result<()> {
    what_is_said_is_done(false)
}
