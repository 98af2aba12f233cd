//! How often somebody may try: a bucket for each, of a bounded number.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Buckets kept, at most. When there are more, those that have been full again for
/// the longest are as good as new and go first.
const BUCKETS: usize = 20_000;

#[derive(Debug, Clone, Copy)]
struct Bucket {
    left: f64,
    at: Instant,
}

/// Buckets of tokens, by whoever takes them.
#[derive(Debug)]
pub struct Limiter<K> {
    per_second: f64,
    burst: f64,
    buckets: Mutex<HashMap<K, Bucket>>,
}

impl<K: Eq + Hash + Clone> Limiter<K> {
    /// So many a second over time, and so many at once.
    pub fn new(per_second: f64, burst: f64) -> Limiter<K> {
        Limiter {
            per_second,
            burst,
            buckets: Mutex::default(),
        }
    }

    /// Takes one, or says how long until there is one.
    pub fn take(&self, who: &K, now: Instant) -> Result<(), Duration> {
        self.with(who, now, |bucket, per_second| {
            if bucket.left < 1.0 {
                return Err(Duration::from_secs_f64((1.0 - bucket.left) / per_second));
            }
            bucket.left -= 1.0;
            Ok(())
        })
    }

    /// Gives one back: what was taken for did not count.
    pub fn give_back(&self, who: &K, now: Instant) {
        let burst = self.burst;
        self.with(who, now, |bucket, _| {
            bucket.left = (bucket.left + 1.0).min(burst);
        });
    }

    fn with<T>(&self, who: &K, now: Instant, act: impl FnOnce(&mut Bucket, f64) -> T) -> T {
        // Whoever panicked left a number behind, and any number is a good one.
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let refilled = |bucket: &Bucket| {
            let gone = now.saturating_duration_since(bucket.at).as_secs_f64();
            (bucket.left + gone * self.per_second).min(self.burst)
        };
        if buckets.len() >= BUCKETS && !buckets.contains_key(who) {
            buckets.retain(|_, bucket| refilled(bucket) < self.burst);
            if buckets.len() >= BUCKETS {
                // All of them are in use: an attack. Nobody's count survives it, and
                // memory does.
                buckets.clear();
            }
        }
        let bucket = buckets.entry(who.clone()).or_insert(Bucket {
            left: self.burst,
            at: now,
        });
        bucket.left = refilled(bucket);
        bucket.at = now;
        act(bucket, self.per_second)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_used_up_comes_back_with_time() {
        let limiter = Limiter::new(1.0, 2.0);
        let start = Instant::now();
        assert!(limiter.take(&"a", start).is_ok());
        assert!(limiter.take(&"a", start).is_ok());
        assert_eq!(limiter.take(&"a", start), Err(Duration::from_secs(1)));
        assert!(limiter.take(&"b", start).is_ok());
        let later = start + Duration::from_millis(1500);
        assert!(limiter.take(&"a", later).is_ok());
        assert!(limiter.take(&"a", later).is_err());
        limiter.give_back(&"a", later);
        assert!(limiter.take(&"a", later).is_ok());
    }

    #[test]
    fn the_number_of_buckets_has_an_end() {
        let limiter = Limiter::new(1.0, 2.0);
        let start = Instant::now();
        for who in 0..BUCKETS + 5 {
            assert!(limiter.take(&who, start).is_ok());
        }
        assert!(limiter.buckets.lock().unwrap().len() <= BUCKETS);
    }
}
