//! Recordings: the kernel's own records in a file, to be taken through the
//! whole pipeline again.
//!
//! ```text
//! PICKETREC1\n  {header as one line of JSON}\n  [u32 length, record bytes]…
//! ```
//! Lengths are little-endian.

use serde::{Deserialize, Serialize};
use std::io::{self, BufRead, Read, Write};

/// First line of a recording.
pub const MAGIC: &[u8] = b"PICKETREC1\n";
/// No record is longer: 4,096 bytes of arguments, five paths and the fixed part.
const MAX_RECORD: u32 = 64 << 10;
/// A header with a name for each of 100,000 users.
const MAX_HEADER: u64 = 8 << 20;

/// What the records do not say themselves.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// Picket's version.
    pub version: String,
    /// The host's name.
    pub hostname: String,
    /// The sensor run, for event uids.
    pub run: u64,
    /// Nanoseconds from boot time to the epoch.
    pub epoch_offset_ns: i64,
    /// Inode number of the host's mount namespace.
    pub mount_namespace: Option<u32>,
    /// Names by uid.
    pub users: Vec<(u32, String)>,
    /// The arguments of pid 1.
    #[serde(default)]
    pub init: Vec<String>,
}

/// Why a recording could not be read.
#[derive(Debug, thiserror::Error)]
pub enum RecordingError {
    /// The file could not be read.
    #[error("cannot read the recording: {0}")]
    Io(#[from] io::Error),
    /// It does not begin as one.
    #[error("this is no recording: it does not begin with PICKETREC1")]
    Magic,
    /// The header is broken.
    #[error("the recording's header is broken: {0}")]
    Header(String),
    /// It ends inside a record, or a length is impossible. What came before was read.
    #[error("the recording is cut or damaged after {records} records")]
    Damaged {
        /// Whole records before the damage.
        records: u64,
    },
}

/// Writes a recording.
#[derive(Debug)]
pub struct Writer<W: Write> {
    out: W,
}

impl<W: Write> Writer<W> {
    /// Begins one.
    pub fn new(mut out: W, header: &Header) -> io::Result<Writer<W>> {
        out.write_all(MAGIC)?;
        serde_json::to_writer(&mut out, header)?;
        out.write_all(b"\n")?;
        Ok(Writer { out })
    }

    /// Adds one record.
    pub fn record(&mut self, bytes: &[u8]) -> io::Result<()> {
        let len = u32::try_from(bytes.len())
            .ok()
            .filter(|len| *len <= MAX_RECORD)
            .ok_or_else(|| io::Error::other("record too long"))?;
        self.out.write_all(&len.to_le_bytes())?;
        self.out.write_all(bytes)
    }

    /// Ends it.
    pub fn finish(mut self) -> io::Result<W> {
        self.out.flush()?;
        Ok(self.out)
    }
}

/// Reads a recording.
#[derive(Debug)]
pub struct Reader<R: BufRead> {
    input: R,
    header: Header,
    record: Vec<u8>,
    records: u64,
}

impl<R: BufRead> Reader<R> {
    /// Begins to read.
    pub fn new(mut input: R) -> Result<Reader<R>, RecordingError> {
        let mut magic = [0; MAGIC.len()];
        input
            .read_exact(&mut magic)
            .map_err(|_| RecordingError::Magic)?;
        if magic != MAGIC {
            return Err(RecordingError::Magic);
        }
        let mut line = Vec::new();
        (&mut input).take(MAX_HEADER).read_until(b'\n', &mut line)?;
        let header = serde_json::from_slice(&line)
            .map_err(|error| RecordingError::Header(error.to_string()))?;
        Ok(Reader {
            input,
            header,
            record: Vec::new(),
            records: 0,
        })
    }

    /// What came first.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The next record; none at the end.
    pub fn next_record(&mut self) -> Result<Option<&[u8]>, RecordingError> {
        if self.input.fill_buf()?.is_empty() {
            return Ok(None);
        }
        let damaged = RecordingError::Damaged {
            records: self.records,
        };
        let mut len = [0; 4];
        if self.input.read_exact(&mut len).is_err() {
            return Err(damaged);
        }
        let len = u32::from_le_bytes(len);
        if len > MAX_RECORD {
            return Err(damaged);
        }
        self.record.resize(len as usize, 0);
        if self.input.read_exact(&mut self.record).is_err() {
            return Err(damaged);
        }
        self.records += 1;
        Ok(Some(&self.record))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> Header {
        Header {
            version: "0".into(),
            hostname: "h".into(),
            run: 7,
            epoch_offset_ns: -1,
            mount_namespace: Some(3),
            users: vec![(0, "root".into())],
            init: vec!["/sbin/init".into()],
        }
    }

    fn recording() -> Vec<u8> {
        let mut writer = Writer::new(Vec::new(), &header()).unwrap();
        writer.record(b"one").unwrap();
        writer.record(b"").unwrap();
        writer.record(&[9; 5_000]).unwrap();
        writer.finish().unwrap()
    }

    #[test]
    fn what_is_written_is_read() {
        let bytes = recording();
        let mut reader = Reader::new(&bytes[..]).unwrap();
        assert_eq!(reader.header(), &header());
        assert_eq!(reader.next_record().unwrap(), Some(&b"one"[..]));
        assert_eq!(reader.next_record().unwrap(), Some(&b""[..]));
        assert_eq!(reader.next_record().unwrap().map(<[u8]>::len), Some(5_000));
        assert_eq!(reader.next_record().unwrap(), None);
    }

    #[test]
    fn every_cut_and_any_other_file_is_an_error_and_what_came_before_is_read() {
        let bytes = recording();
        let mut reader = Reader::new(&bytes[..bytes.len() - 1]).unwrap();
        assert!(reader.next_record().is_ok() && reader.next_record().is_ok());
        assert!(matches!(
            reader.next_record(),
            Err(RecordingError::Damaged { records: 2 })
        ));
        assert!(matches!(
            Reader::new(&b"{}"[..]),
            Err(RecordingError::Magic)
        ));
        for cut in 0..bytes.len() {
            if let Ok(mut reader) = Reader::new(&bytes[..cut]) {
                while let Ok(Some(_)) = reader.next_record() {}
            }
        }
    }
}
