//! The reading end of the kernel's ring buffer.
//!
//! libbpf has one too; its callback runs inside C, where a panic ends the
//! process and a borrowed closure cannot be handed in.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

/// `BPF_RINGBUF_BUSY_BIT`: reserved, not yet committed.
const BUSY: u32 = 1 << 31;
/// `BPF_RINGBUF_DISCARD_BIT`: given up by the program.
const DISCARDED: u32 = 1 << 30;
/// `BPF_RINGBUF_HDR_SZ`: length and page offset before each record.
const HEADER: u64 = 8;

/// A mapped ring buffer. One reader only: `&mut self` sees to it here, the
/// kernel lets nobody else map it writable meanwhile.
#[derive(Debug)]
pub(crate) struct Ring {
    fd: OwnedFd,
    consumer: Mapping,
    producer: Mapping,
    page: usize,
    size: u64,
}

impl Ring {
    /// Maps the ring of `size` bytes behind the map `fd`.
    pub(crate) fn map(fd: BorrowedFd<'_>, size: usize) -> io::Result<Ring> {
        // SAFETY: sysconf has no preconditions.
        let page = usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096);
        let fd = fd.try_clone_to_owned()?;
        let consumer = Mapping::new(&fd, page, libc::PROT_READ | libc::PROT_WRITE, 0)?;
        // The data lies there twice in a row, so a record is never broken.
        let producer = Mapping::new(&fd, page + 2 * size, libc::PROT_READ, page)?;
        Ok(Ring {
            fd,
            consumer,
            producer,
            page,
            size: size as u64,
        })
    }

    /// Hands the records that are there to `each`, in order; stops after as
    /// many bytes as the ring holds, so that a flood cannot keep it here.
    pub(crate) fn consume(&mut self, each: &mut dyn FnMut(&[u8])) -> usize {
        let mut count = 0;
        let start = self.consumer.position().load(Ordering::Relaxed);
        let mut at = start;
        while at < self.producer.position().load(Ordering::Acquire) && at - start < self.size {
            let offset = self.page + (at & (self.size - 1)) as usize;
            let length = self.producer.length_at(offset).load(Ordering::Acquire);
            if length & BUSY != 0 {
                break;
            }
            let len = length & !DISCARDED;
            if length & DISCARDED == 0 {
                each(self.producer.bytes(offset + HEADER as usize, len as usize));
                count += 1;
            }
            at += (u64::from(len) + HEADER).next_multiple_of(8);
            // Only now may the kernel write there again.
            self.consumer.position().store(at, Ordering::Release);
        }
        count
    }

    /// Waits until the kernel wakes the reader or `timeout` is over.
    pub(crate) fn wait(&self, timeout: Duration) -> io::Result<()> {
        let mut poll = libc::pollfd {
            fd: self.fd.as_raw_fd(),
            events: libc::POLLIN,
            revents: 0,
        };
        let wait = libc::timespec {
            tv_sec: timeout.as_secs().try_into().unwrap_or(libc::time_t::MAX),
            tv_nsec: timeout.subsec_nanos().into(),
        };
        // SAFETY: both pointers are to live values, one pollfd is announced,
        // and no signal mask is given.
        let ready = unsafe { libc::ppoll(&mut poll, 1, &wait, std::ptr::null()) };
        if ready < 0 {
            let error = io::Error::last_os_error();
            if error.kind() != io::ErrorKind::Interrupted {
                return Err(error);
            }
        }
        Ok(())
    }
}

#[derive(Debug)]
pub(crate) struct Mapping {
    base: NonNull<u8>,
    len: usize,
}

// SAFETY: the memory is shared with the kernel only, and read and written
// through atomics or, for committed records, not written at all.
unsafe impl Send for Mapping {}
// SAFETY: as above; a position moves only through the `&mut` of the one reader.
unsafe impl Sync for Mapping {}

impl Mapping {
    pub(crate) fn new(
        fd: &OwnedFd,
        len: usize,
        protection: i32,
        offset: usize,
    ) -> io::Result<Mapping> {
        let offset = libc::off_t::try_from(offset).map_err(io::Error::other)?;
        // SAFETY: a new mapping at an address of the kernel's choice.
        let base = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                len,
                protection,
                libc::MAP_SHARED,
                fd.as_raw_fd(),
                offset,
            )
        };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let base =
            NonNull::new(base.cast()).ok_or_else(|| io::Error::other("mapped at address 0"))?;
        Ok(Mapping { base, len })
    }

    /// The position that the first eight bytes hold.
    fn position(&self) -> &AtomicU64 {
        // SAFETY: a page at least is mapped, page-aligned, for `self`'s life,
        // and the kernel too accesses this word atomically.
        unsafe { self.base.cast::<AtomicU64>().as_ref() }
    }

    /// Words that the kernel too accesses atomically only.
    pub(crate) fn words(&self, first: usize, count: usize) -> &[AtomicU64] {
        assert!(
            (first + count) * size_of::<u64>() <= self.len,
            "words outside the mapping"
        );
        // SAFETY: inside the mapping by the assertion, aligned since mappings are,
        // and mapped for `self`'s life.
        unsafe {
            let start = self.base.cast::<AtomicU64>().add(first);
            std::slice::from_raw_parts(start.as_ptr(), count)
        }
    }

    fn length_at(&self, offset: usize) -> &AtomicU32 {
        assert!(
            offset % 8 == 0 && offset + 8 <= self.len,
            "a record header outside the ring"
        );
        // SAFETY: inside the mapping and aligned, by the assertion; the kernel
        // too accesses this word atomically.
        unsafe { self.base.add(offset).cast::<AtomicU32>().as_ref() }
    }

    fn bytes(&self, offset: usize, len: usize) -> &[u8] {
        assert!(
            offset <= self.len && len <= self.len - offset,
            "a record outside the ring"
        );
        // SAFETY: inside the mapping, by the assertion; the kernel does not
        // write a committed record before the consumer position has passed it.
        unsafe { std::slice::from_raw_parts(self.base.add(offset).as_ptr(), len) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: this is the whole of a mapping that nothing refers to any more.
        unsafe { libc::munmap(self.base.as_ptr().cast(), self.len) };
    }
}
