//! Everything that a request may need, put together once.

use std::sync::Arc;

use crate::{
    audit::Audit,
    clients::{ClientDocumentSource, Clients},
    clock::Clock,
    draining::Draining,
    feed::Feed,
    grants::Grants,
    keys::KeyKeeper,
    limits::Limits,
    logins::Logins,
    logouts::Logouts,
    machine_credentials::MachineCredentials,
    metrics::Metrics,
    records::Records,
    renewals::Renewals,
    settings::Settings,
    upstreams::{LoginUpstream, TokenUpstream, guard::Guarded, measured::Measured},
};

/// The service without its listeners.
pub(crate) struct App {
    pub(crate) settings: Arc<Settings>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) records: Arc<Records>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) audit: Arc<Audit>,
    pub(crate) feed: Arc<Feed>,
    pub(crate) clients: Clients,
    pub(crate) keys: KeyKeeper,
    pub(crate) logins: Logins,
    pub(crate) logouts: Logouts,
    pub(crate) machine_credentials: Arc<MachineCredentials>,
    pub(crate) grants: Grants,
    pub(crate) renewals: Renewals,
    pub(crate) limits: Limits,
    pub(crate) draining: Draining,
}

impl App {
    /// A service whose clients have no documents, and whose machine credentials get no token.
    #[cfg(test)]
    pub(crate) fn new(
        settings: Arc<Settings>,
        records: Arc<Records>,
        upstream: Arc<dyn LoginUpstream>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let documents = Arc::new(crate::tests::ScriptedDocuments::default());
        let tokens = Arc::new(crate::tests::ScriptedTokens::default());
        Self::with_upstreams(settings, records, upstream, tokens, documents, clock)
    }

    pub(crate) fn with_upstreams(
        settings: Arc<Settings>,
        records: Arc<Records>,
        upstream: Arc<dyn LoginUpstream>,
        tokens: Arc<dyn TokenUpstream>,
        documents: Arc<dyn ClientDocumentSource>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let metrics = Arc::clone(records.metrics());
        let audit = Audit::start(&settings.audit, Arc::clone(&clock), Arc::clone(&metrics));
        let audit = Arc::new(audit);
        let limits = Limits::new(&settings.limits, &clock, Arc::clone(&metrics));
        let feed = Feed::new(Arc::clone(&records), Arc::clone(&clock), Arc::clone(&settings));
        let feed = Arc::new(feed);
        // What the guard keeps back was not asked, and is not counted as asked.
        let measured = Measured::new(upstream, Arc::clone(&clock), Arc::clone(&metrics));
        let (upstream, bounds) = (Arc::new(measured), settings.intelligencebank.bounds);
        let guarded = Guarded::new(upstream, bounds, Arc::clone(&clock), Arc::clone(&metrics));
        let upstream: Arc<dyn LoginUpstream> = Arc::new(guarded);
        let clients = Clients::new(
            Arc::clone(&settings),
            Arc::clone(&records),
            documents,
            Arc::clone(&clock),
        );
        let tokens = Measured::new(tokens, Arc::clone(&clock), Arc::clone(&metrics));
        let machine_credentials = Arc::new(MachineCredentials::new(
            Arc::clone(&records),
            Arc::clone(&feed),
            Arc::new(tokens),
            Arc::clone(&clock),
            Arc::clone(&settings),
        ));
        let logouts = Logouts::new(Arc::clone(&upstream), Arc::clone(&clock), Arc::clone(&metrics));
        let keys = KeyKeeper::new(Arc::clone(&records), Arc::clone(&settings));
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
            Arc::clone(&machine_credentials),
            Arc::clone(&clock),
            Arc::clone(&settings),
        );
        Self {
            settings,
            clock,
            records,
            metrics,
            audit,
            feed,
            clients,
            keys,
            logins,
            logouts,
            machine_credentials,
            grants,
            renewals,
            limits,
            draining: Draining::default(),
        }
    }
}
