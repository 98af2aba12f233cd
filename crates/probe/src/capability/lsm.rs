//! Whether security hooks call BPF programs here.

use super::State;
use crate::{hooks, load, log, probes, wire};
use libbpf_rs::{MapCore, MapFlags, ProgramInput};

const REMEDY: &str =
    "boot with `bpf` in lsm= (see /sys/kernel/security/lsm), CONFIG_BPF_LSM=y and without lockdown";

/// Loads and attaches a program that only notes it was called, and opens a file.
pub(super) fn probe() -> State {
    match try_out() {
        Ok(true) => State::Ok(String::new()),
        Ok(false) => State::no("the kernel takes the program and does not call it", REMEDY),
        Err(error) => State::no(error, REMEDY),
    }
}

fn try_out() -> Result<bool, String> {
    let told = |error: libbpf_rs::Error| error.to_string();
    log::start();
    let mut open = load::open_object(64 << 10).map_err(|error| error.to_string())?;
    for mut program in open.progs_mut() {
        let wanted = program.name() == hooks::LSM || program.name() == hooks::KNOW_SELF;
        program.set_autoload(wanted);
    }
    let object = open.load().map_err(told)?;
    let find =
        |name| probes::program(&object, name).ok_or_else(|| format!("{name} is not in the object"));
    find(hooks::KNOW_SELF)?
        .test_run(ProgramInput::default())
        .map_err(told)?;
    let link = find(hooks::LSM)?.attach().map_err(told)?;
    let opened = std::fs::File::open("/dev/null").map_err(|error| error.to_string());
    drop(link);
    opened?;
    let seen = probes::map(&object, "picket_settings")
        .map_err(|error| error.to_string())?
        .lookup(&wire::SET_LSM_SEEN.to_ne_bytes(), MapFlags::ANY)
        .map_err(told)?;
    Ok(seen.is_some_and(|seen| probes::number(&seen) != 0))
}
