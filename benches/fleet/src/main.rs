//! A server with thousands of sensors, measured from outside: what it holds in memory
//! for them, how long they take to come in all at once, how long a rule takes from its
//! publication to the last sensor, how many findings a second it acknowledges.
//!
//! ```console
//! $ picket-bench-fleet [--sensors N] [--folder DIR] [--findings N] [--postgres]
//! ```
//! The server is a process of its own, so that its memory and CPU time are its own; the
//! sensors are tasks of this one. They speak the real protocol: they enrol over TLS, hold
//! a stream over mutual TLS, verify each bundle. What they lack is a kernel. With
//! `--folder` the enrolled fleet is kept, and the next run begins with it.

#![expect(clippy::print_stdout, reason = "the table")]

mod arguments;
mod enrolment;
mod figures;
mod fleet;
mod line;
mod measure;
mod process;
mod publish;
mod sensor;
mod serve;
mod server;

use anyhow::Result;

fn main() -> Result<()> {
    process::raise_file_limit()?;
    let runtime = tokio::runtime::Runtime::new()?;
    let mut words = std::env::args().skip(1).peekable();
    if words.next_if(|word| word == serve::WORD).is_some() {
        return runtime.block_on(serve::run(words));
    }
    let arguments = arguments::Arguments::parse(words)?;
    runtime.block_on(measure::run(&arguments))
}
