//! The programs on the kernel that runs this test: real processes act, and the
//! records are checked. Nothing is stopped; needs root, and says so without.

mod dns;
mod file;
mod network;
mod process;
mod uring;
mod watch;
