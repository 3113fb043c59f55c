//! The one clock of the service. Everything else takes the time as an argument or asks this trait,
//! so that tests decide what time it is.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Where the time comes from.
pub(crate) trait Clock: Send + Sync + 'static {
    /// Milliseconds since the Unix epoch.
    fn unix_milliseconds(&self) -> u64;

    /// A clock that never goes back, for measuring how long something took.
    fn monotonic(&self) -> Duration;

    /// Seconds since the Unix epoch, rounded down.
    fn unix_seconds(&self) -> u64 {
        self.unix_milliseconds() / 1000
    }
}

/// The clocks of the machine.
pub(crate) struct SystemClock {
    origin: Instant,
}

impl SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the one clock")]
    pub(crate) fn new() -> Self {
        Self { origin: Instant::now() }
    }
}

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the one clock")]
    fn unix_milliseconds(&self) -> u64 {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX)
    }

    #[expect(clippy::disallowed_methods, reason = "this is the one clock")]
    fn monotonic(&self) -> Duration {
        Instant::now().saturating_duration_since(self.origin)
    }
}

/// A clock that stands still until a test moves it.
#[cfg(test)]
pub(crate) struct ManualClock {
    unix_milliseconds: std::sync::atomic::AtomicU64,
    monotonic_milliseconds: std::sync::atomic::AtomicU64,
}

#[cfg(test)]
impl ManualClock {
    pub(crate) fn at(unix_seconds: u64) -> Self {
        Self {
            unix_milliseconds: std::sync::atomic::AtomicU64::new(unix_seconds * 1000),
            monotonic_milliseconds: std::sync::atomic::AtomicU64::new(0),
        }
    }

    /// Lets time pass.
    pub(crate) fn advance(&self, by: Duration) {
        let milliseconds = u64::try_from(by.as_millis()).unwrap();
        self.unix_milliseconds.fetch_add(milliseconds, std::sync::atomic::Ordering::SeqCst);
        self.monotonic_milliseconds.fetch_add(milliseconds, std::sync::atomic::Ordering::SeqCst);
    }

    /// Sets the time of day back, as an operator or a time server may.
    pub(crate) fn set_back(&self, by: Duration) {
        let milliseconds = u64::try_from(by.as_millis()).unwrap();
        self.unix_milliseconds.fetch_sub(milliseconds, std::sync::atomic::Ordering::SeqCst);
    }
}

#[cfg(test)]
impl Clock for ManualClock {
    fn unix_milliseconds(&self) -> u64 {
        self.unix_milliseconds.load(std::sync::atomic::Ordering::SeqCst)
    }

    fn monotonic(&self) -> Duration {
        let milliseconds = &self.monotonic_milliseconds;
        Duration::from_millis(milliseconds.load(std::sync::atomic::Ordering::SeqCst))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Clock as _, ManualClock};

    #[test]
    fn a_time_of_day_that_is_set_back_does_not_move_the_monotonic_clock() {
        let clock = ManualClock::at(1_000);
        clock.advance(Duration::from_secs(5));
        clock.set_back(Duration::from_secs(500));
        assert_eq!((clock.unix_seconds(), clock.monotonic()), (505, Duration::from_secs(5)));
    }
}
