//! A file of JSON lines that is rotated by its size.

use crate::config::ToFile;
use crate::deliver::{Failure, Refused, Way};
use crate::record::Record;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

pub(crate) struct File {
    to: ToFile,
    open: Option<Open>,
}

struct Open {
    file: fs::File,
    inode: (u64, u64),
    length: u64,
}

impl File {
    pub(crate) fn open(to: &ToFile) -> File {
        File {
            to: to.clone(),
            open: None,
        }
    }

    /// The file at the path. Somebody else may have moved the one that was open.
    fn current(&mut self) -> io::Result<&mut Open> {
        let there = fs::metadata(&self.to.path).ok().map(|there| inode(&there));
        let open = match self.open.take() {
            Some(open) if Some(open.inode) == there => open,
            _ => {
                let mut options = OpenOptions::new();
                // Findings: nobody else's business.
                options.append(true).create(true).mode(0o600);
                let file = options.open(&self.to.path)?;
                let found = file.metadata()?;
                Open {
                    file,
                    inode: inode(&found),
                    length: found.len(),
                }
            }
        };
        Ok(self.open.insert(open))
    }

    fn write(&mut self, records: &[Record]) -> io::Result<()> {
        let mut length = self.current()?.length;
        let mut lines = String::new();
        for record in records {
            let line = format!("{}\n", record.ocsf);
            if length > 0 && length + line.len() as u64 > self.to.max_bytes {
                self.append(&std::mem::take(&mut lines))?;
                self.rotate()?;
                length = 0;
            }
            length += line.len() as u64;
            lines.push_str(&line);
        }
        self.append(&lines)
    }

    /// Writes whole lines, to the disk itself.
    fn append(&mut self, lines: &str) -> io::Result<()> {
        let open = self.current()?;
        let written = open.file.write_all(lines.as_bytes());
        if written.is_err() {
            // A line that was cut short must not become the start of the next one.
            let _ = open.file.set_len(open.length);
        } else {
            open.length += lines.len() as u64;
        }
        written.and_then(|()| open.file.sync_data())
    }

    /// `f` becomes `f.1`, that one `f.2`; the last one goes.
    fn rotate(&mut self) -> io::Result<()> {
        self.open = None;
        for number in (1..self.to.keep).rev() {
            let older = numbered(&self.to.path, number);
            if older.exists() {
                fs::rename(older, numbered(&self.to.path, number + 1))?;
            }
        }
        match self.to.keep {
            0 => fs::remove_file(&self.to.path),
            _ => fs::rename(&self.to.path, numbered(&self.to.path, 1)),
        }
    }
}

fn inode(found: &fs::Metadata) -> (u64, u64) {
    (found.dev(), found.ino())
}

fn numbered(path: &Path, number: u32) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number}"));
    name.into()
}

impl Way for File {
    fn send(&mut self, records: &[Record]) -> Result<Option<Refused>, Failure> {
        let written = self.write(records);
        written.map_err(|why| Failure::for_now(format!("{}: {why}", self.to.path.display())))?;
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::tests::record;
    use serde_json::Value;
    use std::os::unix::fs::PermissionsExt;

    fn uids(path: &Path) -> Vec<String> {
        let text = fs::read_to_string(path).unwrap_or_default();
        let uid = |line| {
            let json: Value = serde_json::from_str(line).unwrap();
            json["finding_info"]["uid"].as_str().unwrap().to_owned()
        };
        text.lines().map(uid).collect()
    }

    #[test]
    fn a_full_file_is_moved_and_no_line_is_cut() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("findings.jsonl");
        let line = record(1).ocsf.to_string().len() as u64 + 1;
        let to = ToFile {
            path: path.clone(),
            max_bytes: 3 * line,
            keep: 2,
        };
        let mut file = File::open(&to);
        let records: Vec<Record> = (0..10).map(record).collect();
        file.send(&records[..4]).unwrap();
        file.send(&records[4..]).unwrap();
        assert_eq!(uids(&path), ["f9"]);
        assert_eq!(uids(&numbered(&path, 1)), ["f6", "f7", "f8"]);
        assert_eq!(uids(&numbered(&path, 2)), ["f3", "f4", "f5"]);
        assert!(!numbered(&path, 3).exists());
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
    }

    #[test]
    fn a_file_that_somebody_moved_is_made_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        let to = ToFile {
            path: path.clone(),
            max_bytes: 1 << 20,
            keep: 1,
        };
        let mut file = File::open(&to);
        file.send(&[record(1)]).unwrap();
        fs::rename(&path, folder.path().join("moved")).unwrap();
        file.send(&[record(2)]).unwrap();
        assert_eq!(uids(&path), ["f2"]);
        let nowhere = ToFile {
            path: folder.path().join("no/f"),
            ..to
        };
        let failure = File::open(&nowhere).send(&[record(3)]).unwrap_err();
        assert!(failure.again && failure.why.contains("no/f"), "{failure:?}");
    }
}
