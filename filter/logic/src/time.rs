//! Points in time on the host's monotonic clock.

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
