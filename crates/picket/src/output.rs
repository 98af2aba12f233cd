//! Standard output. Its reader may leave at any time: that is no error.

use anyhow::Result;
use serde::Serialize;
use std::io::{self, BufWriter, StdoutLock, Write};

/// Buffered standard output.
pub type Out = BufWriter<StdoutLock<'static>>;

/// Opens it.
pub fn stdout() -> Out {
    BufWriter::with_capacity(64 << 10, io::stdout().lock())
}

/// Writes a text whole.
pub fn write(text: &str) -> Result<()> {
    let mut out = stdout();
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}

/// Writes a value as JSON on a line of its own.
pub fn json_line(out: &mut Out, value: &impl Serialize) -> io::Result<()> {
    // The conversion keeps what kind of I/O error it was.
    serde_json::to_writer(&mut *out, value)?;
    out.write_all(b"\n")
}

/// Whether an error says that the reader of a pipe has left.
pub fn reader_left(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        let cause = cause.downcast_ref::<io::Error>();
        cause.is_some_and(|cause| cause.kind() == io::ErrorKind::BrokenPipe)
    })
}
