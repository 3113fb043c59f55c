//! One limit: a bucket a key, in a map that never grows beyond its bound.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use governor::{
    Quota, RateLimiter, clock::Reference as _, middleware::NoOpMiddleware, nanos::Nanos,
    state::StateStore,
};

use crate::{clock::Clock, settings::RateSettings};

/// Least time between two sweeps of a full map, so that strangers cannot have it swept all the time.
const SWEEP_PAUSE: Duration = Duration::from_secs(1);

/// The service's clock, as governor asks it.
#[derive(Clone)]
struct GovernorClock(Arc<dyn Clock>);

impl governor::clock::Clock for GovernorClock {
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.0.monotonic()
    }
}

/// A key, and whether its bucket pays.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Touch<K> {
    key: K,
    spend: bool,
}

/// The buckets. Beyond `most` keys, all further ones share one bucket: who is known goes on, and
/// strangers together get no more than one of them.
struct Buckets<K> {
    most: usize,
    clock: GovernorClock,
    kept: Arc<Mutex<Kept<K>>>,
}

struct Kept<K> {
    /// What the times in the buckets are counted from.
    origin: Duration,
    /// When each bucket is full again.
    full_at: HashMap<K, Nanos>,
    shared: Option<Nanos>,
    swept: Option<Duration>,
}

impl<K: Hash + Eq> Kept<K> {
    /// Forgets the buckets that are full: a new one would be, too.
    fn sweep(&mut self, now: Duration) {
        let elapsed = now.duration_since(self.origin);
        self.full_at.retain(|_, full_at| *full_at > elapsed);
        self.swept = Some(now);
    }
}

impl<K: Hash + Eq + Clone> StateStore for Buckets<K> {
    type Key = Touch<K>;

    fn measure_and_replace<T, F, E>(&self, touch: &Touch<K>, decide: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let mut found = kept.full_at.get(&touch.key).copied();
        let mut has_place = found.is_some() || kept.full_at.len() < self.most;
        if !has_place {
            let now = self.clock.0.monotonic();
            if kept.swept.is_none_or(|swept| now >= swept.saturating_add(SWEEP_PAUSE)) {
                kept.sweep(now);
            }
            has_place = kept.full_at.len() < self.most;
        }
        if !has_place {
            found = kept.shared;
        }
        let (outcome, full_at) = decide(found)?;
        if touch.spend && has_place {
            kept.full_at.insert(touch.key.clone(), full_at);
        } else if touch.spend {
            kept.shared = Some(full_at);
        }
        Ok(outcome)
    }
}

/// A limit over keys of one kind.
pub(super) struct Rate<K: Hash + Eq + Clone> {
    limiter: RateLimiter<Touch<K>, Buckets<K>, GovernorClock, NoOpMiddleware<Duration>>,
    kept: Arc<Mutex<Kept<K>>>,
    clock: GovernorClock,
}

impl<K: Hash + Eq + Clone> Rate<K> {
    pub(super) fn new(settings: RateSettings, most: usize, clock: &Arc<dyn Clock>) -> Self {
        let clock = GovernorClock(Arc::clone(clock));
        let quota = Quota::per_minute(settings.per_minute).allow_burst(settings.burst);
        let origin = clock.0.monotonic();
        let kept = Kept { origin, full_at: HashMap::new(), shared: None, swept: None };
        let kept = Arc::new(Mutex::new(kept));
        let buckets = Buckets { most, clock: clock.clone(), kept: Arc::clone(&kept) };
        let limiter = RateLimiter::new(quota, buckets, clock.clone());
        Self { limiter, kept, clock }
    }

    /// Takes one from the bucket of `key`. Where there is none, the error is the time until there is
    /// one, in whole seconds, at least 1.
    pub(super) fn spend(&self, key: K) -> Result<(), u64> {
        self.touch(&Touch { key, spend: true })
    }

    /// Whether one could be taken.
    pub(super) fn look(&self, key: K) -> Result<(), u64> {
        self.touch(&Touch { key, spend: false })
    }

    fn touch(&self, touch: &Touch<K>) -> Result<(), u64> {
        self.limiter.check_key(touch).map_err(|until| {
            let wait = until.wait_time_from(self.clock.0.monotonic());
            seconds_rounded_up(wait).max(1)
        })
    }

    /// Forgets the buckets that are full again.
    pub(super) fn sweep(&self) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.sweep(self.clock.0.monotonic());
    }

    #[cfg(test)]
    fn keys(&self) -> usize {
        self.kept.lock().unwrap().full_at.len()
    }
}

fn seconds_rounded_up(duration: Duration) -> u64 {
    duration.as_secs().saturating_add(u64::from(duration.subsec_nanos() > 0))
}

#[cfg(test)]
mod tests {
    use std::{num::NonZeroU32, sync::Arc, time::Duration};

    use super::{Rate, RateSettings};
    use crate::clock::{Clock, ManualClock};

    fn rate(per_minute: u32, burst: u32, most: usize) -> (Rate<u32>, Arc<ManualClock>) {
        let clock = Arc::new(ManualClock::at(1_000));
        let settings = RateSettings {
            per_minute: NonZeroU32::new(per_minute).unwrap(),
            burst: NonZeroU32::new(burst).unwrap(),
        };
        let shared: Arc<dyn Clock> = clock.clone();
        (Rate::new(settings, most, &shared), clock)
    }

    #[test]
    fn a_burst_passes_and_then_one_each_interval_and_not_a_millisecond_earlier() {
        let (rate, clock) = rate(20, 2, 10);
        assert_eq!([rate.spend(1), rate.spend(1), rate.spend(1)], [Ok(()), Ok(()), Err(3)]);
        assert_eq!(rate.spend(2), Ok(()), "another key has a bucket of its own");
        clock.advance(Duration::from_millis(2_999));
        assert_eq!(rate.spend(1), Err(1));
        clock.advance(Duration::from_millis(1));
        assert_eq!([rate.spend(1), rate.spend(1)], [Ok(()), Err(3)]);
        clock.advance(Duration::from_secs(6));
        assert_eq!([rate.spend(1), rate.spend(1), rate.spend(1)], [Ok(()), Ok(()), Err(3)]);
    }

    #[test]
    fn looking_takes_nothing() {
        let (rate, _clock) = rate(60, 1, 10);
        assert_eq!([rate.look(1), rate.look(1), rate.spend(1)], [Ok(()); 3]);
        assert_eq!([rate.look(1), rate.spend(1)], [Err(1); 2]);
        assert_eq!(rate.keys(), 1);
    }

    #[test]
    fn beyond_the_bound_strangers_share_one_bucket_and_who_is_known_goes_on() {
        let (rate, clock) = rate(60, 2, 3);
        for key in 0..3 {
            assert_eq!(rate.spend(key), Ok(()));
        }
        // Of five strangers two pass, as if they were one.
        let strangers: Vec<_> = (10..15).map(|key| rate.spend(key)).collect();
        assert_eq!(strangers, [Ok(()), Ok(()), Err(1), Err(1), Err(1)]);
        assert_eq!([rate.spend(0), rate.spend(0)], [Ok(()), Err(1)]);
        assert_eq!(rate.keys(), 3);
        // Buckets that are full again make place for others.
        clock.advance(Duration::from_secs(2));
        assert_eq!([rate.spend(20), rate.spend(20), rate.spend(20)], [Ok(()), Ok(()), Err(1)]);
        assert_eq!(rate.keys(), 1);
    }

    #[test]
    fn a_sweep_forgets_what_is_full_and_nothing_else() {
        let (rate, clock) = rate(60, 3, 10);
        rate.spend(1).unwrap();
        for _ in 0..3 {
            rate.spend(2).unwrap();
        }
        clock.advance(Duration::from_secs(1));
        rate.sweep();
        assert_eq!(rate.keys(), 1);
        assert_eq!([rate.spend(2), rate.spend(2)], [Ok(()), Err(1)]);
    }
}
