//! Room for connections: each is an open file.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What a server has open beside connections: its store, its logs.
const BESIDE: u64 = 200;

/// Raises this process's limit as far as it may. A shell's usual 1,024 would end a
/// fleet at a thousand sensors.
pub(crate) fn make_room(connections: usize) {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    if let Err(why) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%why, "the limit of open files was not raised");
    }
    let needed = connections as u64 + BESIDE;
    // None: there is no limit.
    if let Some(open) = getrlimit(Resource::Nofile)
        .current
        .filter(|open| *open < needed)
    {
        tracing::warn!(
            open,
            needed,
            "the system lets this process have fewer files open than connections are allowed: \
             raise its hard limit (LimitNOFILE)"
        );
    }
}
