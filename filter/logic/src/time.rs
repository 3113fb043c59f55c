//! Points in time on the host's monotonic clock.

use std::cell::Cell;

/// Milliseconds since some fixed moment of the past, by a clock that never goes back.
///
/// The moment itself means nothing; only differences and comparisons do. A cached decision lives by
/// this clock, so a wall clock that is set back or forward neither prolongs nor shortens it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The point `milliseconds` after the clock's fixed moment.
    #[must_use]
    pub const fn from_milliseconds(milliseconds: u64) -> Self {
        Self(milliseconds)
    }

    /// The point `seconds` later, or the last one there is.
    #[must_use]
    pub const fn plus_seconds(self, seconds: u64) -> Self {
        Self(self.0.saturating_add(seconds.saturating_mul(1000)))
    }

    /// The point `milliseconds` later, or the last one there is.
    #[must_use]
    pub const fn plus_milliseconds(self, milliseconds: u64) -> Self {
        Self(self.0.saturating_add(milliseconds))
    }

    /// Milliseconds from an earlier point to this one; none where that one is later.
    #[must_use]
    pub const fn milliseconds_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// The latest look at the clock, which will do for some requests after it.
///
/// Asking the proxy for the time is a call out of the VM, and the times that a request is judged by are
/// counted in seconds. So a host keeps what it read, for at most [`RecentTime::USES`] requests, and
/// forgets it at each of its ticks: what it goes by is at most a tick old.
#[derive(Debug, Default)]
pub struct RecentTime {
    read: Cell<Option<Timestamp>>,
    uses_left: Cell<u32>,
}

impl RecentTime {
    /// How many requests go by one look.
    pub const USES: u32 = 32;

    /// The clock was read.
    pub fn keep(&self, read: Timestamp) {
        self.read.set(Some(read));
        self.uses_left.set(Self::USES);
    }

    /// Time has passed that nobody counted.
    pub fn forget(&self) {
        self.read.set(None);
    }

    /// What was read, for one more request. `None`: look again.
    pub fn take(&self) -> Option<Timestamp> {
        let left = self.uses_left.get().checked_sub(1)?;
        self.uses_left.set(left);
        self.read.get()
    }
}

#[cfg(test)]
mod tests {
    use super::{RecentTime, Timestamp};

    #[test]
    fn a_look_at_the_clock_serves_some_requests_and_none_after_a_tick() {
        let recent = RecentTime::default();
        assert_eq!(recent.take(), None, "nobody has looked yet");
        let first = Timestamp::from_milliseconds(1);
        recent.keep(first);
        for _ in 0..RecentTime::USES {
            assert_eq!(recent.take(), Some(first));
        }
        assert_eq!(recent.take(), None, "without a tick, a crowd would stop the clock");
        recent.keep(first);
        recent.forget();
        assert_eq!(recent.take(), None, "it may be any age");
        let later = Timestamp::from_milliseconds(2);
        recent.keep(later);
        assert_eq!(recent.take(), Some(later));
    }
}
