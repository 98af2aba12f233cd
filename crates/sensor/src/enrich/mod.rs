//! What the kernel does not say: names of users, containers and addresses.

mod containers;
mod names;
mod users;

pub use containers::{Containers, container_uid};
pub use names::Names;
pub use users::Users;

/// Everything an event is enriched from.
#[derive(Debug)]
pub struct Enrichment {
    /// User names.
    pub users: Users,
    /// Containers by cgroup.
    pub containers: Containers,
    /// Host names by address.
    pub names: Names,
}
