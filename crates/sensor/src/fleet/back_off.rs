//! How long to wait before the server is asked again.

use std::time::Duration;

const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(60);

/// Grows with each failure; each wait is a random part of it ("full jitter"), so
/// that a fleet that lost its server at one moment does not come back at one.
#[derive(Debug, Default)]
pub(super) struct BackOff {
    failures: u32,
}

impl BackOff {
    /// The next wait. `share` is random, from 0 to 1; `advised` is what the server
    /// asked for, at least.
    pub(super) fn next(&mut self, share: f64, advised: Option<Duration>) -> Duration {
        let longest = FIRST
            .saturating_mul(1 << self.failures.min(16))
            .min(LONGEST);
        self.failures += 1;
        let jitter = longest.mul_f64(share.clamp(0.0, 1.0));
        advised.unwrap_or_default().min(LONGEST * 10) + jitter
    }

    /// It went well.
    pub(super) fn reset(&mut self) {
        self.failures = 0;
    }
}

/// Random, from 0 to 1.
pub(super) fn random_share() -> f64 {
    let mut bytes = [0; 4];
    // Without random bytes the wait is the longest: nobody is hurt by it.
    match rustix::rand::getrandom(&mut bytes[..], rustix::rand::GetRandomFlags::empty()) {
        Ok(_) => f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX),
        Err(_) => 1.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_an_end_and_are_spread() {
        let mut back_off = BackOff::default();
        let longest: Vec<u64> = (0..8).map(|_| back_off.next(1.0, None).as_secs()).collect();
        assert_eq!(longest, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(back_off.next(0.0, None), Duration::ZERO);
        assert_eq!(back_off.next(0.5, None), Duration::from_secs(30));
        back_off.reset();
        let advised = Some(Duration::from_secs(5));
        assert_eq!(back_off.next(1.0, advised), Duration::from_secs(6));
    }
}
