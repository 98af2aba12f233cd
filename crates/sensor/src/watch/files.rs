//! Watches single files through their folders, woken by changes alone.
//!
//! A folder such as `/etc` is read by every process that starts: a watch that
//! also hears of reading would cost the host more than the rules do.

use crossbeam_channel::Sender;
use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
use rustix::io::{Errno, retry_on_intr, write};
use std::ffi::OsStr;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

/// What becomes of a file when it is written, replaced, or taken away.
const CHANGES: WatchFlags = WatchFlags::CLOSE_WRITE
    .union(WatchFlags::MOVED_TO)
    .union(WatchFlags::MOVED_FROM)
    .union(WatchFlags::DELETE)
    .union(WatchFlags::CREATE);

/// Room for some events with the longest names.
const BUFFER: usize = 4_096;

/// Dropped, it stops.
pub struct FileWatch {
    stop: Arc<OwnedFd>,
    thread: Option<JoinHandle<()>>,
}

impl FileWatch {
    /// Sends when one of the files may have changed. They need not exist, but
    /// their folders must.
    pub fn new(files: &[PathBuf], sender: Sender<()>) -> io::Result<FileWatch> {
        let inotify = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        let mut watched = Vec::with_capacity(files.len());
        for file in files {
            let descriptor = inotify::add_watch(&inotify, super::folder(file), CHANGES)?;
            watched.push((descriptor, file.clone()));
        }
        let stop = Arc::new(eventfd(0, EventfdFlags::CLOEXEC)?);
        let stopped = stop.clone();
        let thread = std::thread::Builder::new()
            .name("picket-files".into())
            .spawn(move || {
                while wait(&inotify, &stopped) {
                    if drain(&inotify, &watched) {
                        let _ = sender.try_send(());
                    }
                }
            })?;
        Ok(FileWatch {
            stop,
            thread: Some(thread),
        })
    }
}

impl Drop for FileWatch {
    fn drop(&mut self) {
        // Fails only when its counter is full, and then it has been told.
        let _ = write(&self.stop, &1_u64.to_ne_bytes());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Waits for events; false when it is over.
fn wait(inotify: &OwnedFd, stop: &OwnedFd) -> bool {
    let mut ready = [
        PollFd::from_borrowed_fd(inotify.as_fd(), PollFlags::IN),
        PollFd::from_borrowed_fd(stop.as_fd(), PollFlags::IN),
    ];
    retry_on_intr(|| poll(&mut ready, None)).is_ok() && ready[1].revents().is_empty()
}

/// Takes all events; tells whether one is about a watched file.
fn drain(inotify: &OwnedFd, watched: &[(i32, PathBuf)]) -> bool {
    let mut buffer = [MaybeUninit::uninit(); BUFFER];
    let mut events = Reader::new(inotify, &mut buffer);
    let mut changed = false;
    loop {
        match events.next() {
            Ok(event) => {
                let name = event
                    .file_name()
                    .map(|name| Path::new(OsStr::from_bytes(name.to_bytes())).as_os_str());
                // What overflowed may have been about any of them.
                changed |= event.events().contains(ReadFlags::QUEUE_OVERFLOW)
                    || watched.iter().any(|(descriptor, file)| {
                        *descriptor == event.wd() && name == file.file_name()
                    });
            }
            Err(Errno::INTR) => {}
            Err(_) => return changed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crossbeam_channel::{Receiver, bounded};
    use std::time::Duration;

    const SOON: Duration = Duration::from_secs(10);

    fn watch(file: &Path) -> (FileWatch, Receiver<()>) {
        let (sender, changes) = bounded(1);
        let watch = FileWatch::new(&[file.to_owned()], sender).unwrap();
        (watch, changes)
    }

    #[test]
    fn tells_of_writing_replacing_and_removing() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("passwd");
        let (_watch, changes) = watch(&file);
        std::fs::write(&file, "root").unwrap();
        assert!(changes.recv_timeout(SOON).is_ok());
        let new = folder.path().join("passwd+");
        std::fs::write(&new, "toor").unwrap();
        while changes.try_recv().is_ok() {}
        std::fs::rename(&new, &file).unwrap();
        assert!(changes.recv_timeout(SOON).is_ok());
        while changes.try_recv().is_ok() {}
        std::fs::remove_file(&file).unwrap();
        assert!(changes.recv_timeout(SOON).is_ok());
    }

    #[test]
    fn is_silent_about_reading_and_about_others() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("passwd");
        std::fs::write(&file, "root").unwrap();
        let inotify = inotify::init(CreateFlags::NONBLOCK).unwrap();
        let descriptor = inotify::add_watch(&inotify, folder.path(), CHANGES).unwrap();
        let watched = [(descriptor, file.clone())];
        std::fs::read(&file).unwrap();
        assert!(matches!(
            Reader::new(&inotify, &mut [MaybeUninit::uninit(); BUFFER]).next(),
            Err(Errno::AGAIN)
        ));
        std::fs::write(folder.path().join("group"), "root").unwrap();
        assert!(!drain(&inotify, &watched));
        std::fs::write(&file, "toor").unwrap();
        assert!(drain(&inotify, &watched));
    }

    #[test]
    fn a_folder_that_is_not_there_is_an_error() {
        let (sender, _changes) = bounded(1);
        assert!(FileWatch::new(&["/nonexistent/folder/file".into()], sender).is_err());
    }
}
