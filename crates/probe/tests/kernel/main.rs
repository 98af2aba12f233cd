//! The programs on the kernel that runs this test: real processes act, and the
//! records are checked. Nothing is stopped; needs root, and says so without.

#![allow(clippy::expect_used)] // A test that cannot go on ends here.

mod capability;
mod dns;
mod file;
mod instances;
mod load;
mod network;
mod process;
mod uring;
mod watch;
