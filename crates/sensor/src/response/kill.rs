//! Terminating a process from user space, through a pidfd.

use super::{Actuator, Authorised};
use picket_probe::DisarmSwitch;
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// SIGKILL through pidfd_send_signal(2).
#[derive(Debug)]
pub struct PidfdKiller {
    /// Clock ticks per second of /proc/PID/stat.
    ticks_per_second: u64,
    disarm: Option<DisarmSwitch>,
}

impl PidfdKiller {
    /// For this host; `disarm` tells when nothing may be killed.
    pub fn new(disarm: Option<DisarmSwitch>) -> PidfdKiller {
        PidfdKiller {
            ticks_per_second: rustix::param::clock_ticks_per_second(),
            disarm,
        }
    }

    /// Whether the pid still belongs to the process that started then
    /// (proc_pid_stat(5), field 22: start time after boot in clock ticks).
    fn is_same(&self, pid: u32, start_ns: u64) -> Result<bool, Errno> {
        const NANOS: u64 = 1_000_000_000;
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).map_err(|_| Errno::SRCH)?;
        // The name stands in parentheses and may hold anything, `)` included.
        let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        let start: u64 = after_name
            .split_ascii_whitespace()
            .nth(19)
            .and_then(|field| field.parse().ok())
            .ok_or(Errno::SRCH)?;
        Ok(start == start_ns / (NANOS / self.ticks_per_second))
    }
}

impl Actuator for PidfdKiller {
    fn kill(&mut self, target: Authorised<'_>) -> Result<(), i32> {
        let key = target.key();
        let pid = i32::try_from(key.pid)
            .ok()
            .and_then(Pid::from_raw)
            .ok_or(Errno::INVAL.raw_os_error())?;
        // The pidfd first, the check after: if the pid passed to another process
        // before the open, the check sees that one's start time; if it passes
        // after, the pidfd still means the old one and the signal is refused.
        let fd = pidfd_open(pid, PidfdFlags::empty()).map_err(|errno| errno.raw_os_error())?;
        if !self
            .is_same(key.pid, key.start_ns)
            .map_err(|errno| errno.raw_os_error())?
        {
            return Err(Errno::SRCH.raw_os_error());
        }
        pidfd_send_signal(&fd, Signal::KILL).map_err(|errno| errno.raw_os_error())
    }

    fn disarmed(&self) -> bool {
        // What cannot be read counts as thrown: it is the safe side of the two.
        let thrown = |switch: &DisarmSwitch| switch.is_thrown().unwrap_or(true);
        self.disarm.as_ref().is_some_and(thrown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use picket_model::process::{Image, Parent, Process, ProcessKey};
    use std::os::unix::process::ExitStatusExt;
    use std::process::Command;
    use std::sync::Arc;

    fn start_ns(pid: u32) -> u64 {
        let killer = PidfdKiller::new(None);
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        let ticks: u64 = stat
            .rsplit_once(')')
            .unwrap()
            .1
            .split_whitespace()
            .nth(19)
            .unwrap()
            .parse()
            .unwrap();
        ticks * (1_000_000_000 / killer.ticks_per_second) + 1
    }

    #[test]
    fn kills_the_process_and_not_another_with_its_pid() {
        let mut child = Command::new("sleep").arg("600").spawn().unwrap();
        let pid = child.id();
        let start_ns = start_ns(pid);
        let kill = |start_ns| {
            let key = ProcessKey { pid, start_ns };
            let target = Process::new(key, Arc::new(Image::default()), Parent::None);
            PidfdKiller::new(None).kill(Authorised { target: &target })
        };
        assert_eq!(
            kill(start_ns - 1_000_000_000),
            Err(Errno::SRCH.raw_os_error())
        );
        assert!(child.try_wait().unwrap().is_none());
        assert_eq!(kill(start_ns), Ok(()));
        assert_eq!(child.wait().unwrap().signal(), Some(9));
        assert_eq!(kill(start_ns), Err(Errno::SRCH.raw_os_error()));
    }
}
