//! The commands for a running sensor, and for blocks whose sensor has died.

pub mod arm;
pub mod disarm;
pub mod stats;
pub mod status;

mod shown;

use picket_sensor::enrich::Users;
use std::path::PathBuf;

/// `--state DIR`.
#[derive(Debug, Clone, clap::Args)]
pub struct StateArgs {
    /// Where the marker of lifted blocks lies; the sensor's own --state (of picket up: --data)
    #[arg(long, value_name = "DIR", default_value = picket_sensor::disarm::STATE)]
    pub state: PathBuf,
}

/// Who runs this command: who logged in, or called sudo, rather than root.
fn caller() -> (String, u32) {
    let number = |text: String| text.trim().parse::<u32>().ok();
    // (uid_t) -1: nobody logged in.
    let login = std::fs::read_to_string("/proc/self/loginuid")
        .ok()
        .and_then(number)
        .filter(|uid| *uid != u32::MAX);
    let uid = login
        .or_else(|| std::env::var("SUDO_UID").ok().and_then(number))
        .unwrap_or_else(|| rustix::process::getuid().as_raw());
    let users = Users::from_file(crate::live::PASSWD).pairs();
    let name = users.into_iter().find(|(own, _)| *own == uid);
    (name.map(|(_, name)| name).unwrap_or_default(), uid)
}

/// Now, nanoseconds since the epoch.
fn now_ns() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| since.as_nanos().try_into().unwrap_or(i64::MAX))
}
