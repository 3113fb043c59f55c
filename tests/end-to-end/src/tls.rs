//! TLS to the simulator, with the run's own certificate authority and no other.

use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::connection::Connection;
use crate::deadline::PATIENCE;

/// Opens a verified TLS connection to `address` in the name of `host`.
///
/// # Panics
///
/// When nobody listens there or the authority's certificate cannot be read.
#[must_use]
#[track_caller]
pub fn tls_connection(address: SocketAddr, host: &str, ca_pem: &Path) -> Connection {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(ca_pem).expect("the CA certificate is there") {
        roots.add(certificate.expect("a certificate in PEM")).expect("a certificate authority");
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let configuration = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring knows the default versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from(host.to_owned()).expect("a host name");
    let client = ClientConnection::new(Arc::new(configuration), name).expect("a TLS client");
    let stream = TcpStream::connect_timeout(&address, PATIENCE)
        .unwrap_or_else(|error| panic!("cannot connect to {host} at {address}: {error}"));
    stream.set_nodelay(true).expect("a TCP socket");
    Connection::over_tls(StreamOwned::new(client, stream))
}
