//! TLS with client certificates on the internal port: who gets in, how certificates are replaced, and
//! that a stop finishes what was accepted there too.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, in its helpers too"
)]

use std::{
    io::{self, Read as _, Write as _},
    net::TcpStream,
    path::Path,
    sync::Arc,
    time::Duration,
};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _},
    version::{TLS12, TLS13},
};
use tempfile::TempDir;

mod serving;

use serving::{Serving, settings};

const SERVER: &str = "oauth.internal";
const GATEWAY: &str = "gateway.internal";
const CREDENTIAL: &str = "gateway-credential-for-tests-0123456789";

type Authority = CertifiedIssuer<'static, KeyPair>;

/// A certificate and its key, in PEM.
struct Identity {
    certificate: String,
    key: String,
}

fn authority() -> Authority {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn identity(authority: &Authority, name: &str) -> Identity {
    let key = KeyPair::generate().unwrap();
    let certificate =
        CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, authority).unwrap();
    Identity { certificate: certificate.pem(), key: key.serialize_pem() }
}

/// Writes beside the file and renames, as whoever rotates certificates should.
fn put(folder: &Path, name: &str, text: &str) {
    let beside = folder.join(format!("{name}.new"));
    std::fs::write(&beside, text).unwrap();
    std::fs::rename(beside, folder.join(name)).unwrap();
}

fn put_server(folder: &Path, identity: &Identity) {
    put(folder, "internal.key", &identity.key);
    put(folder, "internal.crt", &identity.certificate);
}

/// A service whose internal port asks for certificates of `clients`.
fn start(folder: &TempDir, server: &Identity, clients: &Authority, more: &str) -> Serving {
    put_server(folder.path(), server);
    put(folder.path(), "client-ca.crt", &clients.as_ref().pem());
    let path = |name: &str| folder.path().join(name);
    let section = format!(
        "internal_tls: {{ certificate_file: {:?}, key_file: {:?}, client_ca_file: {:?}, \
         client_names: [ {GATEWAY} ] }}\n{more}",
        path("internal.crt"),
        path("internal.key"),
        path("client-ca.crt"),
    );
    Serving::start(&settings(folder, &section))
}

/// Somebody who speaks TLS to the internal port.
struct Caller {
    config: Arc<ClientConfig>,
}

impl Caller {
    fn new(servers: &Authority, own: Option<&Identity>) -> Self {
        Self::with_version(servers, own, &TLS13)
    }

    fn with_version(
        servers: &Authority,
        own: Option<&Identity>,
        version: &'static rustls::SupportedProtocolVersion,
    ) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(servers.as_ref().der().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(roots);
        let config = match own {
            None => builder.with_no_client_auth(),
            Some(Identity { certificate, key }) => builder
                .with_client_auth_cert(
                    vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()],
                    PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap(),
                )
                .unwrap(),
        };
        Self { config: Arc::new(config) }
    }

    fn connect(&self, serving: &Serving) -> StreamOwned<ClientConnection, TcpStream> {
        let name = ServerName::try_from(SERVER).unwrap();
        let connection = ClientConnection::new(Arc::clone(&self.config), name).unwrap();
        let stream = TcpStream::connect(serving.internal).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        StreamOwned::new(connection, stream)
    }

    fn ask(&self, serving: &Serving, request: &str) -> io::Result<String> {
        let mut stream = self.connect(serving);
        stream.write_all(request.as_bytes())?;
        read_answer(&mut stream)
    }

    fn get(&self, serving: &Serving, path: &str) -> io::Result<String> {
        let head = format!("GET {path} HTTP/1.1\r\nhost: t\r\nconnection: close\r\n");
        self.ask(serving, &format!("{head}authorization: Bearer {CREDENTIAL}\r\n\r\n"))
    }
}

fn read_answer(stream: &mut impl io::Read) -> io::Result<String> {
    let mut answer = String::new();
    match stream.read_to_string(&mut answer) {
        // The server need not say farewell in TLS.
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof && !answer.is_empty() => {}
        Err(error) => return Err(error),
        Ok(_) => {}
    }
    if answer.is_empty() { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(answer) }
}

#[test]
fn the_internal_port_serves_the_gateways_certificate_and_nobody_elses() {
    let folder = tempfile::tempdir().unwrap();
    let (servers, clients) = (authority(), authority());
    let serving = start(&folder, &identity(&servers, SERVER), &clients, "");
    let gateway = identity(&clients, GATEWAY);
    for version in [&TLS12, &TLS13] {
        let gateway = Caller::with_version(&servers, Some(&gateway), version);
        let answer = gateway.get(&serving, "/revocations").unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        for (what, own) in [
            ("no certificate", None),
            ("another CA's", Some(identity(&authority(), GATEWAY))),
            ("another name", Some(identity(&clients, "somebody.internal"))),
            ("the server's CA", Some(identity(&servers, GATEWAY))),
        ] {
            let stranger = Caller::with_version(&servers, own.as_ref(), version);
            let refused = stranger.get(&serving, "/metrics");
            assert!(refused.is_err(), "{what}: {refused:?}");
        }
    }
    // Without TLS there is no answer in HTTP.
    assert!(!serving.get_bytes(serving.internal, "/healthz").starts_with(b"HTTP"));
    // The certificate is no credential: that is asked for as ever.
    let gateway = Caller::new(&servers, Some(&gateway));
    let head = "GET /revocations HTTP/1.1\r\nhost: t\r\nconnection: close\r\n\r\n";
    assert!(gateway.ask(&serving, head).unwrap().starts_with("HTTP/1.1 401"));
    let metrics = gateway.get(&serving, "/metrics").unwrap();
    let refused = metrics.lines().find(|line| line.starts_with("oauth_internal_tls_refused_total"));
    assert_eq!(refused, Some("oauth_internal_tls_refused_total 9"));
    // Probes have the public port.
    assert!(serving.get(serving.public, "/healthz").starts_with("HTTP/1.1 200"));
}

/// Asks for the metrics until they hold `wanted`.
#[track_caller]
fn until_metrics_have(caller: &Caller, serving: &Serving, wanted: &str) {
    for _ in 0..200 {
        if caller.get(serving, "/metrics").is_ok_and(|metrics| metrics.contains(wanted)) {
            return;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    panic!("no {wanted}");
}

#[test]
fn certificates_are_replaced_without_a_restart_and_unusable_ones_are_not_taken() {
    let folder = tempfile::tempdir().unwrap();
    let (old, new, clients) = (authority(), authority(), authority());
    let serving = start(&folder, &identity(&old, SERVER), &clients, "");
    let gateway = identity(&clients, GATEWAY);
    let (by_old, by_new) = (Caller::new(&old, Some(&gateway)), Caller::new(&new, Some(&gateway)));
    assert!(by_new.get(&serving, "/healthz").is_err());
    let unusable = r#"oauth_internal_tls_reloads_total{result="unusable"}"#;
    put(folder.path(), "internal.crt", "-----BEGIN CERTIFICATE-----\nnonsense\n");
    until_metrics_have(&by_old, &serving, &format!("{unusable} 1"));
    assert!(by_old.get(&serving, "/healthz").unwrap().starts_with("HTTP/1.1 200"));
    // A connection keeps what it began with.
    let mut kept = by_old.connect(&serving);
    let ask = |connection: &str| {
        format!("GET /healthz HTTP/1.1\r\nhost: t\r\nconnection: {connection}\r\n\r\n")
    };
    kept.write_all(ask("keep-alive").as_bytes()).unwrap();
    let mut status = [0; 12];
    kept.read_exact(&mut status).unwrap();
    assert_eq!(&status, b"HTTP/1.1 200");
    put_server(folder.path(), &identity(&new, SERVER));
    let replaced = r#"oauth_internal_tls_reloads_total{result="replaced"} 1"#;
    until_metrics_have(&by_new, &serving, replaced);
    assert!(by_old.get(&serving, "/healthz").is_err());
    kept.write_all(ask("close").as_bytes()).unwrap();
    assert!(read_answer(&mut kept).unwrap().contains("HTTP/1.1 200"));
    // A client CA that is replaced ends the old clients' access, without a restart.
    let others = authority();
    put(folder.path(), "client-ca.crt", &others.as_ref().pem());
    let by_other = Caller::new(&new, Some(&identity(&others, GATEWAY)));
    until_metrics_have(
        &by_other,
        &serving,
        r#"oauth_internal_tls_reloads_total{result="replaced"} 2"#,
    );
    assert!(by_new.get(&serving, "/healthz").is_err());
}

#[test]
fn a_stop_finishes_what_was_accepted_over_tls_and_waits_for_no_handshake() {
    let folder = tempfile::tempdir().unwrap();
    let (servers, clients) = (authority(), authority());
    let more = "server: { shutdown_seconds: 20, header_timeout_seconds: 2 }";
    let mut serving = start(&folder, &identity(&servers, SERVER), &clients, more);
    let gateway = Caller::new(&servers, Some(&identity(&clients, GATEWAY)));
    let told = gateway.get(&serving, "/revocations").unwrap();
    let head = told.split_once("\"as_of\":").unwrap().1.split_once(',').unwrap().0.to_owned();
    let mut waiting = gateway.connect(&serving);
    write!(
        waiting,
        "GET /revocations?after={head}&wait=30 HTTP/1.1\r\nhost: t\r\nconnection: close\r\n\
         authorization: Bearer {CREDENTIAL}\r\n\r\n"
    )
    .unwrap();
    until_metrics_have(&gateway, &serving, "oauth_revocation_feed_waiting 1");
    // Somebody who connects and says nothing.
    let silent = TcpStream::connect(serving.internal).unwrap();
    serving.signal("-TERM");
    let answer = read_answer(&mut waiting).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains(&head), "{answer}");
    assert!(serving.child.wait().unwrap().success());
    drop(silent);
}
