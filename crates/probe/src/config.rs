//! What the caller asks of the kernel programs.

use picket_model::{ClassSet, EventClass};
use std::path::PathBuf;
use std::time::Duration;

/// What to load and how; [`Default`] is what a sensor without rules needs.
#[derive(Debug, Clone, PartialEq)]
pub struct ProbeConfig {
    /// Size of the ring buffer, in bytes; rounded up to a power of two of at
    /// least a page. Kernel memory is taken for all of it at once.
    pub ring_bytes: u32,
    /// The event classes to see from the start; see
    /// [`Probes::set_classes`](crate::Probes::set_classes). Fork, exec and exit
    /// are always seen: the process tree needs them.
    pub classes: ClassSet,
    /// The cgroup2 directory whose members count as
    /// [`in_scope`](picket_model::record::Task::in_scope); `None`: all do.
    pub scope: Option<PathBuf>,
    /// The classes whose records wake the reader at once; see
    /// [`Probes::set_urgent`](crate::Probes::set_urgent).
    pub urgent: ClassSet,
    /// Also report connects that fail before a packet leaves (no route, no
    /// address, denied), as a [`ConnectOutcome`](picket_model::record::Body::ConnectOutcome).
    ///
    /// Costs a syscall tracepoint, which puts every syscall of the host on the
    /// kernel's slow path (tens of nanoseconds each). Without it, such a connect
    /// has no outcome at all.
    pub connect_status: bool,
    /// Report DNS answers, while `dns.query` or `network.connect` is asked for.
    pub dns_answers: bool,
    /// A datagram on an unconnected UDP socket is reported once for each socket
    /// and destination within this time, so that a flood costs one look-up a
    /// packet and no record.
    pub udp_repeat: Duration,
    /// Where the budgets are pinned: those that are there are gone on with;
    /// `None`: they end with the programs.
    pub budgets: Option<PathBuf>,
    /// Load what judges records without events, for tests.
    #[doc(hidden)]
    pub trials: bool,
}

impl Default for ProbeConfig {
    fn default() -> ProbeConfig {
        ProbeConfig {
            ring_bytes: 16 << 20,
            classes: [
                EventClass::ProcessExec,
                EventClass::NetworkConnect,
                EventClass::NetworkListen,
                EventClass::DnsQuery,
            ]
            .into_iter()
            .collect(),
            scope: None,
            urgent: ClassSet::EMPTY,
            connect_status: false,
            dns_answers: true,
            udp_repeat: Duration::from_secs(60),
            budgets: None,
            trials: false,
        }
    }
}
