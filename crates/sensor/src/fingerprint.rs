//! Short names for things that the next run of the sensor must recognise.

/// FNV-1a, 64 bits (RFC 9923), over parts that are kept apart. The same on every
/// host and in every version. No defence against somebody who looks for a
/// collision: those who write rules can do more than that.
#[derive(Debug, Clone, Copy)]
pub struct Fingerprint(u64);

impl Fingerprint {
    /// Of nothing yet.
    pub fn new() -> Fingerprint {
        Fingerprint(0xcbf2_9ce4_8422_2325)
    }

    /// Adds a part.
    #[must_use]
    pub fn with(self, part: &[u8]) -> Fingerprint {
        let length = (part.len() as u64).to_le_bytes();
        let add = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        Fingerprint(part.iter().chain(&length).fold(self.0, add))
    }

    /// Never 0.
    pub fn long(self) -> u64 {
        self.0.max(1)
    }

    /// Half as long. Never 0.
    pub fn short(self) -> u32 {
        ((self.0 >> 32) as u32 ^ self.0 as u32).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_kept_apart() {
        let of = |parts: &[&str]| {
            let all = parts
                .iter()
                .fold(Fingerprint::new(), |all, part| all.with(part.as_bytes()));
            all.long()
        };
        assert_ne!(of(&["ab", "c"]), of(&["a", "bc"]));
        assert_ne!(of(&[""]), of(&[]));
        assert_eq!(of(&["a"]), of(&["a"]));
    }
}
