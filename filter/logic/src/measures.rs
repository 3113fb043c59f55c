//! The gauges and histograms of the filter.

/// Something that goes up and down. Each worker moves its own share; the proxy adds them up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gauge {
    /// Cached approvals.
    CachedGrants,
    /// Cached refusals.
    CachedRefusals,
    /// Sessions that cached approvals use.
    Sessions,
    /// Streams that wait for the token service or for a replay.
    WaitingStreams,
    /// Callouts under way, the feed's among them.
    Callouts,
    /// Workers whose revocation feed is current. Fewer than there are workers: some live by the time
    /// that `maximum_stale_seconds` allows.
    CurrentFeeds,
}

impl Gauge {
    /// Every gauge, in the order of its discriminant.
    pub const ALL: [Self; 6] = [
        Self::CachedGrants,
        Self::CachedRefusals,
        Self::Sessions,
        Self::WaitingStreams,
        Self::Callouts,
        Self::CurrentFeeds,
    ];

    /// The gauge's name. Envoy shows it as `wasmcustom.<name>`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::CachedGrants => "ib_gateway.cached_grants",
            Self::CachedRefusals => "ib_gateway.cached_refusals",
            Self::Sessions => "ib_gateway.sessions",
            Self::WaitingStreams => "ib_gateway.waiting_streams",
            Self::Callouts => "ib_gateway.callouts_under_way",
            Self::CurrentFeeds => "ib_gateway.current_revocation_feeds",
        }
    }

    /// The gauge's place in [`Gauge::ALL`].
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }
}

/// Something whose distribution matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Histogram {
    /// How long introspections took, in milliseconds.
    IntrospectionMilliseconds,
    /// How long renewals took, in milliseconds.
    RenewalMilliseconds,
    /// How long replays took, in milliseconds.
    ReplayMilliseconds,
}

impl Histogram {
    /// Every histogram, in the order of its discriminant.
    pub const ALL: [Self; 3] =
        [Self::IntrospectionMilliseconds, Self::RenewalMilliseconds, Self::ReplayMilliseconds];

    /// The histogram's name. Envoy shows it as `wasmcustom.<name>`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::IntrospectionMilliseconds => "ib_gateway.introspection_milliseconds",
            Self::RenewalMilliseconds => "ib_gateway.renewal_milliseconds",
            Self::ReplayMilliseconds => "ib_gateway.replay_milliseconds",
        }
    }

    /// The histogram's place in [`Histogram::ALL`].
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }
}

#[cfg(test)]
mod tests {
    use super::{Gauge, Histogram};

    #[test]
    fn a_measure_sits_at_its_index_so_that_none_is_shown_as_another() {
        assert!(Gauge::ALL.into_iter().enumerate().all(|(index, one)| one.index() == index));
        assert!(Histogram::ALL.into_iter().enumerate().all(|(index, one)| one.index() == index));
    }
}
