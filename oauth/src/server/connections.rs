//! Accepting connections and serving them, each within its bounds.

use std::{convert::Infallible, net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Router,
    extract::{ConnectInfo, Request},
    response::Response,
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{
        conn::auto,
        graceful::{GracefulShutdown, Watcher},
    },
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
    time::timeout,
};
use tower::{Service, ServiceExt as _, service_fn};

use super::paced::{Pace, Paced, Progress};
use crate::{internal_tls::InternalTls, settings::ServerSettings};

/// Pause after a failed `accept`, such as when file descriptors have run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Most header fields of a request. Envoy lets as many through.
const MOST_HEADERS: usize = 100;

/// What every connection of one port has in common.
struct Port {
    router: Router,
    settings: ServerSettings,
    tls: Option<Arc<InternalTls>>,
    builder: auto::Builder<TokioExecutor>,
}

/// Accepts connections until the sender behind `stopped` is dropped, then waits for the accepted
/// ones. HTTP/1.1 alone is spoken: what stands in front is Envoy, on the same host or by mTLS.
pub(super) async fn serve_until(
    listener: TcpListener,
    router: Router,
    settings: ServerSettings,
    tls: Option<Arc<InternalTls>>,
    mut stopped: watch::Receiver<()>,
) {
    let places = Arc::new(Semaphore::new(settings.maximum_connections));
    let graceful = GracefulShutdown::new();
    let mut builder = auto::Builder::new(TokioExecutor::new()).http1_only();
    builder
        .http1()
        .timer(TokioTimer::new())
        // It also runs while nothing has come yet; header fields that were begun have a limit of
        // their own.
        .header_read_timeout(settings.idle_timeout)
        .max_headers(MOST_HEADERS)
        .max_buf_size(settings.maximum_header_bytes);
    let port = Arc::new(Port { router, settings, tls, builder });
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
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(cause) => {
                tracing::warn!(%cause, "a connection cannot be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let (port, watcher) = (Arc::clone(&port), graceful.watcher());
        tokio::spawn(async move {
            port.connect(stream, peer, watcher).await;
            drop(place);
        });
    }
    drop(listener);
    if timeout(settings.shutdown, graceful.shutdown()).await.is_err() {
        tracing::warn!("some requests did not finish in time");
    }
}

impl Port {
    async fn connect(&self, stream: TcpStream, peer: SocketAddr, watcher: Watcher) {
        // Small answers go out at once; where that cannot be set, they are only later.
        stream.set_nodelay(true).ok();
        match &self.tls {
            None => self.serve(stream, peer, watcher).await,
            Some(tls) => {
                let handshake = tls.acceptor().accept(stream);
                match timeout(self.settings.header_timeout, handshake).await {
                    Ok(Ok(stream)) => self.serve(stream, peer, watcher).await,
                    Ok(Err(cause)) => {
                        tracing::debug!(%cause, "a TLS handshake failed");
                        tls.refused();
                    }
                    Err(_) => tls.refused(),
                }
            }
        }
    }

    async fn serve<S>(&self, stream: S, peer: SocketAddr, watcher: Watcher)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let progress = Arc::new(Progress::default());
        let pace =
            Pace { header: self.settings.header_timeout, write: self.settings.write_timeout };
        let stream = Paced::new(stream, pace, Arc::clone(&progress));
        let service = TowerToHyperService::new(handling(self.router.clone(), peer, progress));
        let connection = self.builder.serve_connection(TokioIo::new(stream), service).into_owned();
        // How a connection ends is the peer's affair.
        watcher.watch(connection).await.ok();
    }
}

/// The router of one connection: it hears whose it is, and the connection how far its requests are.
fn handling<B>(
    router: Router,
    peer: SocketAddr,
    progress: Arc<Progress>,
) -> impl Service<
    Request<B>,
    Response = Response,
    Error = Infallible,
    Future = impl Future<Output = Result<Response, Infallible>> + Send,
> + Clone
where
    Router: Service<Request<B>, Response = Response, Error = Infallible, Future: Send>,
    B: Send + 'static,
{
    service_fn(move |mut request: Request<B>| {
        let (router, handled) = (router.clone(), progress.begin());
        request.extensions_mut().insert(ConnectInfo(peer));
        async move {
            let response = router.oneshot(request).await;
            drop(handled);
            response
        }
    })
}
