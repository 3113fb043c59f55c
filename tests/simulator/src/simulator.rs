//! Starts the two servers, and stops them.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use axum_server::Handle;
use axum_server::tls_rustls::{RustlsAcceptor, RustlsConfig};
use tokio::task::JoinHandle;
use tracing::info;

use crate::certificates::{CertificateError, Certificates};
use crate::clock::Clock;
use crate::connection::AbortableAcceptor;
use crate::shared::Shared;
use crate::{control, front};

/// Where the simulator listens and what it writes.
#[derive(Clone, Debug)]
pub struct Options {
    /// Address of the TLS listener for every simulated host.
    pub listen: SocketAddr,
    /// Address of the control API, plain HTTP. It is for tests only and asks for no credential.
    pub control: SocketAddr,
    /// File for the certificate (PEM) of the authority made at start.
    pub ca_out: PathBuf,
    /// The simulator's clock.
    pub clock: Clock,
}

/// Why the simulator did not start, or stopped.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address cannot be listened on.
    #[error("{option}: cannot listen on {address}: {source}")]
    Listen {
        /// The option that names the address.
        option: &'static str,
        /// The address.
        address: SocketAddr,
        /// What the operating system says.
        source: io::Error,
    },
    /// There is no certificate to serve with.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// A server ended by itself.
    #[error("a server stopped: {0}")]
    Server(#[from] io::Error),
}

/// A running simulator. It stops when it is dropped or told to.
pub struct Simulator {
    listen: SocketAddr,
    control: SocketAddr,
    handles: [Handle<SocketAddr>; 2],
    servers: [JoinHandle<io::Result<()>>; 2],
}

impl Simulator {
    /// Listens on both addresses, writes the authority's certificate and begins to serve: whoever
    /// gets an answer from the control API finds everything ready. Needs a Tokio runtime.
    ///
    /// # Errors
    ///
    /// When an address is taken or the certificate cannot be made or written.
    pub fn start(options: Options) -> Result<Self, StartError> {
        // Whoever checks the certificate goes by the machine's clock, whatever ours says.
        let certificates = Certificates::generate(&Clock::system())?;
        let (tls_listener, listen) = bind("--listen", options.listen)?;
        let (control_listener, control) = bind("--control", options.control)?;
        certificates.write_authority(&options.ca_out)?;

        let shared = Arc::new(Shared::new(options.clock));
        let acceptor =
            RustlsAcceptor::new(RustlsConfig::from_config(Arc::clone(&certificates.server)))
                .acceptor(AbortableAcceptor);
        let handles = [Handle::new(), Handle::new()];
        let [tls_handle, control_handle] = handles.clone();
        let tls = axum_server::from_tcp(tls_listener)?.acceptor(acceptor).handle(tls_handle);
        let plain = axum_server::from_tcp(control_listener)?.handle(control_handle);
        let hosts: Router = front::router(Arc::clone(&shared));
        let servers = [
            tokio::spawn(tls.serve(hosts.into_make_service())),
            tokio::spawn(plain.serve(control::router(shared).into_make_service())),
        ];
        info!(%listen, %control, "the simulator is ready");
        Ok(Self { listen, control, handles, servers })
    }

    /// The address of the TLS listener, with the port that was chosen where 0 was asked for.
    #[must_use]
    pub fn listen_address(&self) -> SocketAddr {
        self.listen
    }

    /// The address of the control API.
    #[must_use]
    pub fn control_address(&self) -> SocketAddr {
        self.control
    }

    /// Waits for a server to end, which none does by itself.
    ///
    /// # Errors
    ///
    /// What ended it.
    pub async fn ended(&mut self) -> Result<(), StartError> {
        let [hosts, control] = &mut self.servers;
        let result = tokio::select! {
            result = hosts => result,
            result = control => result,
        };
        Ok(result.map_err(io::Error::other)??)
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        for handle in &self.handles {
            handle.shutdown();
        }
    }
}

fn bind(
    option: &'static str,
    address: SocketAddr,
) -> Result<(TcpListener, SocketAddr), StartError> {
    let failed = |source| StartError::Listen { option, address, source };
    let listener = TcpListener::bind(address).map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    let chosen = listener.local_addr().map_err(failed)?;
    Ok((listener, chosen))
}
