//! A sensor's instance of the test's own: what it pins is nobody else's, and goes with the test.

use crate::scratch::unique;
use std::fs;
use std::path::{Path, PathBuf};

/// Below this every sensor pins what outlives it.
const PINS: &str = "/sys/fs/bpf/picket";

/// A name for `--instance`. At the end the pins under it are removed, and with
/// them whatever a killed sensor left in force.
#[derive(Debug)]
pub struct Instance {
    name: String,
}

impl Instance {
    /// One that no other test has.
    pub fn new() -> Instance {
        Instance {
            name: format!("test-{}", unique()),
        }
    }

    /// As `--instance` takes it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it pins.
    pub fn pins(&self) -> PathBuf {
        Path::new(PINS).join(&self.name)
    }
}

impl Default for Instance {
    fn default() -> Instance {
        Instance::new()
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(self.pins());
    }
}
