//! Listening, serving, sweeping, and stopping without dropping what was accepted.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    net::TcpListener,
    runtime::Runtime,
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
    time::{MissedTickBehavior, interval},
};

use crate::{
    app::App,
    clock::{Clock as _, SystemClock},
    endpoints,
    internal_tls::InternalTls,
    keys::{self, KeySignals},
    metrics::Metrics,
    records::{KeysError, Records},
    settings::{Problem, Settings},
    store::{self, Store, measured::Measured},
    upstreams::{
        client_documents::HttpsDocuments, intelligencebank::IntelligenceBank, rei_cca::ReiCca,
    },
};

mod connections;
mod paced;

use connections::serve_until;

/// Most expired records that one write transaction removes.
const SWEEP_BATCH: usize = 500;
/// Most batches in one sweep: the rest waits for the next.
const SWEEP_BATCHES: usize = 200;
/// How often measured durations are put into their buckets, and gauges brought up to date.
const UPKEEP: Duration = Duration::from_secs(5);
/// How often the certificates of the internal port are looked at.
const CERTIFICATES: Duration = Duration::from_secs(2);

/// Why the service could not start or go on.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The runtime could not be made, or signals not be heard.
    #[error("the runtime failed: {0}")]
    Runtime(io::Error),
    /// An address could not be listened on.
    #[error("cannot listen on {address}: {cause}")]
    Listen {
        /// The address of the settings.
        address: SocketAddr,
        /// The system's words.
        cause: io::Error,
    },
    /// The store could not be opened.
    #[error("{field}: the store cannot be opened: {place}: {cause}")]
    Store {
        /// The setting that says where it is.
        field: &'static str,
        /// Where it is, by the settings.
        place: String,
        /// The engine's words.
        cause: String,
    },
    /// The sealing keys are not those of the store.
    #[error("{0}")]
    SealingKeys(String),
    /// The keys in the store cannot be used.
    #[error("{0}")]
    Keys(String),
    /// The store ended while the service ran.
    #[error("the store has ended unexpectedly")]
    StoreEnded,
    /// The audit log could not be opened.
    #[error("audit.file: the audit log cannot be opened: {0}")]
    Audit(String),
    /// The certificates of the internal port cannot be used.
    #[error("internal_tls: {0}")]
    InternalTls(String),
    /// The HTTPS client could not be made.
    #[error("{0}")]
    Upstream(String),
}

/// Serves until SIGTERM or SIGINT, then finishes what was accepted, for at most
/// `server.shutdown_seconds`.
///
/// # Errors
///
/// [`ServeError`] when the service cannot start, or its store ends.
pub fn serve(settings: Settings) -> Result<(), ServeError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(ServeError::Runtime)?;
    let longest = settings.server.shutdown;
    run_on(runtime, longest, run(settings))
}

/// Runs `future`, and gives what it leaves behind at most `longest`: the look-up of a name cannot be
/// interrupted, and nobody waits for it any more.
fn run_on<T>(runtime: Runtime, longest: Duration, future: impl Future<Output = T>) -> T {
    let outcome = runtime.block_on(future);
    runtime.shutdown_timeout(longest);
    outcome
}

async fn run(settings: Settings) -> Result<(), ServeError> {
    // Another provider may have been installed in this process already; either is fine.
    rustls::crypto::ring::default_provider().install_default().ok();
    for Problem { field, reason } in settings.warnings() {
        tracing::warn!(field, reason, "a setting deserves a look");
    }
    let (field, place) = settings.store.place();
    let refused = |cause: String| ServeError::Store { field, place: place.clone(), cause };
    let store = store::open(&settings.store).await.map_err(|cause| refused(cause.to_string()))?;
    let clock = Arc::new(SystemClock::new());
    let (sealer, metrics) = (Arc::clone(&settings.sealer), Arc::new(Metrics::new()));
    metrics.started(clock.unix_seconds());
    let store = Measured::new(store, clock.clone(), Arc::clone(&metrics));
    let records = Arc::new(Records::new(Arc::new(store), sealer, metrics));
    records.prove_keys(clock.unix_seconds()).await.map_err(|cause| match cause {
        KeysError::Sealing(_) => ServeError::SealingKeys(cause.to_string()),
        KeysError::Store(_) | KeysError::Conflict => refused(cause.to_string()),
    })?;
    let upstream = IntelligenceBank::new(&settings.intelligencebank)
        .map_err(|cause| ServeError::Upstream(cause.to_string()))?;
    let documents = HttpsDocuments::new(&settings.intelligencebank)
        .map_err(|cause| ServeError::Upstream(cause.to_string()))?;
    let tokens = ReiCca::new(&settings.intelligencebank)
        .map_err(|cause| ServeError::Upstream(cause.to_string()))?;
    let (public_address, internal_address) = (settings.public_address, settings.internal_address);
    let (server, sweep) = (settings.server, settings.store.sweep);
    let (upstream, documents) = (Arc::new(upstream), Arc::new(documents));
    let tokens = Arc::new(tokens);
    let tls = internal_tls(&settings, records.metrics())?;
    let settings = Arc::new(settings);
    let app = App::with_upstreams(settings, records, upstream, tokens, documents, clock);
    let app = Arc::new(app);
    if let Some(cause) = app.audit.failure() {
        return Err(ServeError::Audit(cause.to_owned()));
    }
    let keys = app.keys.refresh(app.clock.unix_seconds()).await;
    keys.map_err(|cause| ServeError::Keys(cause.to_string()))?;
    let resumed = app.feed.resume(app.clock.unix_seconds()).await;
    resumed.map_err(|cause| refused(cause.description().to_owned()))?;

    // From here on a signal is a wish to stop, not the end.
    let mut signals = Signals::new().map_err(ServeError::Runtime)?;
    let key_signals = KeySignals::new().map_err(ServeError::Runtime)?;
    let public = listen(public_address).await?;
    let internal = listen(internal_address).await?;
    tracing::info!(
        public = %bound(&public, public_address),
        internal = %bound(&internal, internal_address),
        version = env!("CARGO_PKG_VERSION"),
        "the service has started"
    );
    let (stop, stopped) = watch::channel(());
    let keeper = tokio::spawn(keep_house(Arc::clone(&app), sweep, UPKEEP, stopped.clone()));
    let key_tasks = [
        tokio::spawn(keys::poll(Arc::clone(&app), stopped.clone())),
        tokio::spawn(keys::follow_signals(Arc::clone(&app), key_signals, stopped.clone())),
    ];
    let follower = tls.clone().map(|tls| tokio::spawn(follow(tls)));
    let servers = [
        tokio::spawn(serve_until(public, endpoints::public(&app), server, None, stopped.clone())),
        tokio::spawn(serve_until(
            internal,
            endpoints::internal(&app),
            server,
            tls.clone(),
            stopped,
        )),
    ];
    let outcome = wait_for_end(app.records.store(), &mut signals).await;
    let outcome = drain(&app, server.drain, &mut signals, outcome).await;
    tracing::info!("the service stops");
    app.feed.close();
    drop(stop);
    for server in servers {
        if server.await.is_err() {
            tracing::error!("a listener had died");
        }
    }
    keeper.abort();
    key_tasks.iter().for_each(tokio::task::JoinHandle::abort);
    if let Some(follower) = follower {
        follower.abort();
    }
    let longest = server.shutdown;
    let closing = tokio::task::spawn_blocking(move || app.audit.close(longest));
    if tokio::time::timeout(longest, closing).await.is_err() {
        tracing::error!("the audit log could not be finished in time");
    }
    tracing::info!("the service has stopped");
    outcome
}

fn internal_tls(
    settings: &Settings,
    metrics: &Arc<Metrics>,
) -> Result<Option<Arc<InternalTls>>, ServeError> {
    let Some(tls) = settings.internal_tls.clone() else { return Ok(None) };
    let tls = InternalTls::new(tls, Arc::clone(metrics))
        .map_err(|cause| ServeError::InternalTls(cause.reason))?;
    Ok(Some(Arc::new(tls)))
}

/// Looks at the certificates every now and then.
async fn follow(tls: Arc<InternalTls>) {
    let mut looks = interval(CERTIFICATES);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        looks.tick().await;
        let tls = Arc::clone(&tls);
        // Files may be slow. What became of it is in the metrics.
        tokio::task::spawn_blocking(move || tls.follow()).await.ok();
    }
}

async fn listen(address: SocketAddr) -> Result<TcpListener, ServeError> {
    TcpListener::bind(address).await.map_err(|cause| ServeError::Listen { address, cause })
}

/// The address that is listened on, whose port the system may have chosen.
fn bound(listener: &TcpListener, asked: SocketAddr) -> SocketAddr {
    listener.local_addr().unwrap_or(asked)
}

/// The signals that ask for a stop.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }
}

/// Waits for a signal. A store that ends before is a failure: whoever started this process starts it
/// again, and the store with it.
async fn wait_for_end(store: &dyn Store, signals: &mut Signals) -> Result<(), ServeError> {
    tokio::select! {
        _ = signals.terminate.recv() => Ok(()),
        _ = signals.interrupt.recv() => Ok(()),
        () = store.ended() => {
            tracing::error!("the store has ended");
            Err(ServeError::StoreEnded)
        }
    }
}

/// Goes on for `longest` after a wish to stop, and tells everybody who asks to ask another instance. A second
/// signal ends it.
async fn drain(
    app: &App,
    longest: Duration,
    signals: &mut Signals,
    outcome: Result<(), ServeError>,
) -> Result<(), ServeError> {
    outcome?;
    app.draining.begin();
    tracing::info!(seconds = longest.as_secs(), "the service is about to stop");
    let end = wait_for_end(app.records.store(), signals);
    tokio::time::timeout(longest, end).await.unwrap_or(Ok(()))
}

/// Removes expired records every now and then (what is left over is refused at read all the same),
/// and keeps the metrics small.
pub(crate) async fn keep_house(
    app: Arc<App>,
    sweep_every: Duration,
    upkeep_every: Duration,
    mut stopped: watch::Receiver<()>,
) {
    let (mut sweeps, mut upkeeps) = (interval(sweep_every), interval(upkeep_every));
    for interval in [&mut sweeps, &mut upkeeps] {
        // The first tick of an interval is at once.
        interval.reset();
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    }
    loop {
        tokio::select! {
            _ = sweeps.tick() => {
                app.limits.sweep();
                sweep(&app).await;
            }
            _ = upkeeps.tick() => {
                app.metrics.upkeep();
                app.machine_credentials.measure().await;
            }
            _ = stopped.changed() => return,
        }
    }
}

async fn sweep(app: &App) {
    let mut removed = 0_usize;
    for _ in 0..SWEEP_BATCHES {
        match app.records.store().purge(app.clock.unix_seconds(), SWEEP_BATCH).await {
            Ok(count) => {
                removed = removed.saturating_add(count);
                if count < SWEEP_BATCH {
                    break;
                }
            }
            Err(cause) => {
                tracing::error!(%cause, "a sweep failed");
                return;
            }
        }
    }
    tracing::debug!(removed, "expired records are removed");
}

#[cfg(test)]
mod tests;
