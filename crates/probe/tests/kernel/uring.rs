//! A very small io_uring: one request at a time, by bare system calls.

use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

const OPENAT: u8 = 18;
const RENAMEAT: u8 = 35;
const UNLINKAT: u8 = 36;

/// struct io_uring_params of linux/io_uring.h, as words.
type Params = [u32; 30];

struct Uring {
    fd: i32,
    submission: *mut u8,
    entries: *mut u8,
    completion: *mut u8,
    params: Params,
}

impl Uring {
    fn new() -> Option<Uring> {
        let mut params: Params = [0; 30];
        // SAFETY: the kernel fills the parameters, which are as large as its own.
        let fd = unsafe { libc::syscall(libc::SYS_io_uring_setup, 4, params.as_mut_ptr()) } as i32;
        if fd < 0 {
            return None;
        }
        let map = |offset: i64, len: usize| {
            // SAFETY: a new mapping of the ring's descriptor.
            let at = unsafe {
                libc::mmap(
                    std::ptr::null_mut(),
                    len,
                    libc::PROT_READ | libc::PROT_WRITE,
                    libc::MAP_SHARED,
                    fd,
                    offset,
                )
            };
            assert_ne!(at, libc::MAP_FAILED);
            at.cast::<u8>()
        };
        Some(Uring {
            fd,
            submission: map(0, 4096),
            entries: map(0x1000_0000, 4096),
            completion: map(0x800_0000, 4096),
            params,
        })
    }

    fn word(base: *mut u8, offset: u32) -> &'static AtomicU32 {
        // SAFETY: the kernel gave the offset, inside a mapping that is kept.
        unsafe { &*base.add(offset as usize).cast::<AtomicU32>() }
    }

    /// Submits one entry and waits for its result.
    fn run(&self, entry: [u64; 8]) -> i32 {
        // io_sqring_offsets begin at word 10: head, tail, mask, entries, flags, dropped, array;
        // io_cqring_offsets at word 20: head, tail, mask, entries, overflow, cqes.
        let tail = Self::word(self.submission, self.params[11]);
        let at = tail.load(Ordering::Relaxed);
        let index = at & Self::word(self.submission, self.params[12]).load(Ordering::Relaxed);
        // SAFETY: four entries of 64 bytes fit in the mapping; the index is masked.
        unsafe {
            self.entries
                .cast::<[u64; 8]>()
                .add(index as usize)
                .write(entry)
        };
        Self::word(self.submission, self.params[16] + 4 * index).store(index, Ordering::Relaxed);
        tail.store(at + 1, Ordering::Release);
        // SAFETY: submits the one entry and waits for one completion.
        let submitted = unsafe {
            libc::syscall(
                libc::SYS_io_uring_enter,
                self.fd,
                1,
                1,
                1,
                std::ptr::null::<u8>(),
                0,
            )
        };
        assert_eq!(submitted, 1);
        let head = Self::word(self.completion, self.params[20]);
        let at = head.load(Ordering::Relaxed);
        let index = at & Self::word(self.completion, self.params[22]).load(Ordering::Relaxed);
        let result =
            Self::word(self.completion, self.params[25] + 16 * index + 8).load(Ordering::Acquire);
        head.store(at + 1, Ordering::Release);
        result as i32
    }
}

fn c(path: &Path) -> CString {
    CString::new(path.as_os_str().as_bytes()).expect("no NUL")
}

pub fn is_available() -> bool {
    Uring::new().is_some()
}

pub fn open_create_rename_unlink(from: &Path, to: &Path) {
    let uring = Uring::new().expect("io_uring");
    let (from, to) = (c(from), c(to));
    let here = (libc::AT_FDCWD as u32 as u64) << 32;
    let (from, to) = (from.as_ptr() as u64, to.as_ptr() as u64);
    // Words of struct io_uring_sqe: opcode and descriptor; second address;
    // first address; length (mode, or second descriptor) and flags.
    let flags = (libc::O_CREAT | libc::O_WRONLY) as u64;
    assert!(
        uring.run([
            u64::from(OPENAT) | here,
            0,
            from,
            0o600 | flags << 32,
            0,
            0,
            0,
            0
        ]) >= 0
    );
    assert_eq!(
        uring.run([
            u64::from(RENAMEAT) | here,
            to,
            from,
            libc::AT_FDCWD as u32 as u64,
            0,
            0,
            0,
            0
        ]),
        0
    );
    assert_eq!(
        uring.run([u64::from(UNLINKAT) | here, 0, to, 0, 0, 0, 0, 0]),
        0
    );
}
