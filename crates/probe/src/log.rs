//! What libbpf and the verifier say, kept for error messages: libbpf would
//! write it to stderr, and says nothing of the verifier's unless asked.

use libbpf_rs::PrintLevel;
use std::sync::{Mutex, Once, PoisonError};

/// How much is kept: a verifier log's end is what tells.
const KEPT: usize = 16 << 10;

static LOG: Mutex<String> = Mutex::new(String::new());
static INSTALLED: Once = Once::new();

/// Forgets what was said so far, and listens from now on.
pub(crate) fn start() {
    INSTALLED.call_once(|| {
        libbpf_rs::set_print(Some((PrintLevel::Info, keep)));
    });
    LOG.lock().unwrap_or_else(PoisonError::into_inner).clear();
}

/// What was said since [`start`].
pub(crate) fn take() -> String {
    std::mem::take(&mut LOG.lock().unwrap_or_else(PoisonError::into_inner))
}

fn keep(_: PrintLevel, line: String) {
    let mut log = LOG.lock().unwrap_or_else(PoisonError::into_inner);
    log.push_str(&line);
    if log.len() > KEPT {
        let cut = log.ceil_char_boundary_from(log.len() - KEPT);
        log.drain(..cut);
    }
}

trait CharBoundary {
    fn ceil_char_boundary_from(&self, index: usize) -> usize;
}

impl CharBoundary for String {
    fn ceil_char_boundary_from(&self, index: usize) -> usize {
        (index..=self.len())
            .find(|index| self.is_char_boundary(*index))
            .unwrap_or(self.len())
    }
}
