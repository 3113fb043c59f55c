//! Listening, serving, sweeping, and stopping without dropping what was accepted.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use axum::Router;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto, graceful::GracefulShutdown},
    service::TowerToHyperService,
};
use tokio::{
    net::TcpListener,
    runtime::Runtime,
    signal::unix::{Signal, SignalKind, signal},
    sync::{Semaphore, watch},
    time::{MissedTickBehavior, interval},
};

use crate::{
    app::App,
    clock::{Clock as _, SystemClock},
    endpoints,
    metrics::Metrics,
    records::{KeysError, Records},
    settings::{Problem, ServerSettings, Settings},
    store::{self, Store},
    upstreams::intelligencebank::IntelligenceBank,
};

/// Most expired records that one write transaction removes.
const SWEEP_BATCH: usize = 500;
/// Most batches in one sweep: the rest waits for the next.
const SWEEP_BATCHES: usize = 200;
/// How often measured durations are put into their buckets.
const UPKEEP: Duration = Duration::from_secs(5);
/// Pause after a failed `accept`, such as when file descriptors have run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

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
    /// The store ended while the service ran.
    #[error("the store has ended unexpectedly")]
    StoreEnded,
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
    let records = Arc::new(Records::new(store, sealer, metrics));
    records.prove_keys(clock.unix_seconds()).await.map_err(|cause| match cause {
        KeysError::Sealing(_) => ServeError::SealingKeys(cause.to_string()),
        KeysError::Store(_) | KeysError::Conflict => refused(cause.to_string()),
    })?;
    let upstream = IntelligenceBank::new(&settings.intelligencebank)
        .map_err(|cause| ServeError::Upstream(cause.to_string()))?;
    let (public_address, internal_address) = (settings.public_address, settings.internal_address);
    let (server, sweep) = (settings.server, settings.store.sweep);
    let app = Arc::new(App::new(Arc::new(settings), records, Arc::new(upstream), clock));
    let resumed = app.feed.resume(app.clock.unix_seconds()).await;
    resumed.map_err(|cause| refused(cause.description().to_owned()))?;

    // From here on a signal is a wish to stop, not the end.
    let mut signals = Signals::new().map_err(ServeError::Runtime)?;
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
    let servers = [
        tokio::spawn(serve_until(public, endpoints::public(&app), server, stopped.clone())),
        tokio::spawn(serve_until(internal, endpoints::internal(&app), server, stopped)),
    ];
    let outcome = wait_for_end(app.records.store(), &mut signals).await;
    tracing::info!("the service stops");
    app.feed.close();
    drop(stop);
    for server in servers {
        if server.await.is_err() {
            tracing::error!("a listener had died");
        }
    }
    keeper.abort();
    tracing::info!("the service has stopped");
    outcome
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

/// Accepts connections until the sender behind `stopped` is dropped, then waits for the accepted
/// ones. HTTP/1.1 alone is spoken: what stands in front is Envoy, on the same host or by mTLS.
async fn serve_until(
    listener: TcpListener,
    router: Router,
    settings: ServerSettings,
    mut stopped: watch::Receiver<()>,
) {
    let places = Arc::new(Semaphore::new(settings.maximum_connections));
    let graceful = GracefulShutdown::new();
    let mut builder = auto::Builder::new(TokioExecutor::new()).http1_only();
    builder.http1().timer(TokioTimer::new()).header_read_timeout(settings.header_timeout);
    loop {
        // Beyond the bound connections wait in the system's queue.
        let place = tokio::select! {
            place = Arc::clone(&places).acquire_owned() => place,
            _ = stopped.changed() => break,
        };
        let Ok(place) = place else { break };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stopped.changed() => break,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(cause) => {
                tracing::warn!(%cause, "a connection cannot be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        // Small answers go out at once; where that cannot be set, they are only later.
        stream.set_nodelay(true).ok();
        let service = TowerToHyperService::new(router.clone());
        let connection = builder.serve_connection(TokioIo::new(stream), service).into_owned();
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            // How a connection ends is the peer's affair.
            connection.await.ok();
            drop(place);
        });
    }
    drop(listener);
    if tokio::time::timeout(settings.shutdown, graceful.shutdown()).await.is_err() {
        tracing::warn!("some requests did not finish in time");
    }
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
            _ = sweeps.tick() => sweep(&app).await,
            _ = upkeeps.tick() => app.metrics.upkeep(),
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
