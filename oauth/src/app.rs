//! Everything that a request may need, put together once.

use std::sync::Arc;

use crate::{
    clock::Clock,
    feed::Feed,
    grants::Grants,
    limits::Limits,
    logins::Logins,
    metrics::Metrics,
    records::Records,
    renewals::Renewals,
    settings::Settings,
    upstreams::{LoginUpstream, guard::Guarded},
};

/// The service without its listeners.
pub(crate) struct App {
    pub(crate) settings: Arc<Settings>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) records: Arc<Records>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) feed: Arc<Feed>,
    pub(crate) logins: Logins,
    pub(crate) grants: Grants,
    pub(crate) renewals: Renewals,
    pub(crate) limits: Limits,
}

impl App {
    pub(crate) fn new(
        settings: Arc<Settings>,
        records: Arc<Records>,
        upstream: Arc<dyn LoginUpstream>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let metrics = Arc::clone(records.metrics());
        let limits = Limits::new(&settings.limits, &clock, Arc::clone(&metrics));
        let bounds = settings.intelligencebank.bounds;
        let guarded = Guarded::new(upstream, bounds, Arc::clone(&clock), Arc::clone(&metrics));
        let upstream: Arc<dyn LoginUpstream> = Arc::new(guarded);
        let feed = Feed::new(Arc::clone(&records), Arc::clone(&clock), Arc::clone(&settings));
        let feed = Arc::new(feed);
        let logins = Logins::new(
            Arc::clone(&records),
            Arc::clone(&upstream),
            Arc::clone(&clock),
            Arc::clone(&settings),
            Arc::clone(&metrics),
        );
        let grants = Grants::new(
            Arc::clone(&records),
            Arc::clone(&feed),
            Arc::clone(&clock),
            Arc::clone(&settings),
            Arc::clone(&metrics),
        );
        let renewals = Renewals::new(
            Arc::clone(&records),
            Arc::clone(&feed),
            upstream,
            Arc::clone(&clock),
            Arc::clone(&settings),
        );
        Self { settings, clock, records, metrics, feed, logins, grants, renewals, limits }
    }
}
