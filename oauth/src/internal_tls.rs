//! TLS with client certificates on the internal port. Certificates and keys are read again when their
//! files change; what cannot be used leaves the old ones in place.

use std::{
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
};

use rustls::{
    DigitallySignedStruct, DistinguishedName, RootCertStore, ServerConfig, SignatureScheme,
    client::danger::HandshakeSignatureValid,
    client::verify_server_name,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject as _},
    server::{
        ParsedCertificate, WebPkiClientVerifier,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
};
use tokio_rustls::TlsAcceptor;

use crate::{metrics::Metrics, settings::InternalTlsSettings};

/// Why the files cannot be used.
#[derive(Debug)]
pub(crate) struct Unusable {
    /// The setting that names the file at fault.
    pub(crate) field: &'static str,
    pub(crate) reason: String,
}

/// Reads the files into what a server speaks with.
pub(crate) fn load(settings: &InternalTlsSettings) -> Result<ServerConfig, Unusable> {
    let unusable = |field, path: &Path, cause: &dyn std::fmt::Display| Unusable {
        field,
        reason: format!("{} cannot be used: {cause}", path.display()),
    };
    let chain = certificates("certificate_file", &settings.certificate_file)?;
    let key = PrivateKeyDer::from_pem_file(&settings.key_file)
        // The cause could quote what the file holds.
        .map_err(|_| unusable("key_file", &settings.key_file, &"it holds no PEM private key"))?;
    let mut roots = RootCertStore::empty();
    for certificate in certificates("client_ca_file", &settings.client_ca_file)? {
        roots
            .add(certificate)
            .map_err(|cause| unusable("client_ca_file", &settings.client_ca_file, &cause))?;
    }
    let provider = Arc::new(ring::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider.clone())
        .build()
        .map_err(|cause| unusable("client_ca_file", &settings.client_ca_file, &cause))?;
    let verifier = Arc::new(Named { verifier, names: settings.client_names.clone() });
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|cause| unusable("certificate_file", &settings.certificate_file, &cause))?
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, key)
        .map_err(|cause| unusable("key_file", &settings.key_file, &cause))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

fn certificates(
    field: &'static str,
    path: &Path,
) -> Result<Vec<CertificateDer<'static>>, Unusable> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let reason = match read {
        Ok(certificates) if !certificates.is_empty() => return Ok(certificates),
        Ok(_) => format!("{} holds no PEM certificate", path.display()),
        Err(cause) => format!("{} cannot be used: {cause}", path.display()),
    };
    Err(Unusable { field, reason })
}

/// Accepts certificates of the client CA, and of those only the ones for one of `names`, if there are
/// any.
#[derive(Debug)]
struct Named {
    verifier: Arc<dyn ClientCertVerifier>,
    names: Vec<ServerName<'static>>,
}

impl ClientCertVerifier for Named {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.verifier.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        let verified = self.verifier.verify_client_cert(end_entity, intermediates, now)?;
        let certificate = ParsedCertificate::try_from(end_entity)?;
        let is_allowed = self.names.is_empty()
            || self.names.iter().any(|name| verify_server_name(&certificate, name).is_ok());
        if is_allowed {
            Ok(verified)
        } else {
            Err(rustls::CertificateError::ApplicationVerificationFailure.into())
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verifier.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verifier.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}

/// What tells one state of a file from the next: a link that leads elsewhere shows as another inode.
type Stamp = Option<(u64, i64, i64, u64)>;

fn stamp(path: &PathBuf) -> Stamp {
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.ino(), metadata.mtime(), metadata.mtime_nsec(), metadata.size()))
}

/// The current certificates.
pub(crate) struct InternalTls {
    settings: InternalTlsSettings,
    metrics: Arc<Metrics>,
    current: RwLock<(Arc<ServerConfig>, [Stamp; 3])>,
}

impl InternalTls {
    pub(crate) fn new(
        settings: InternalTlsSettings,
        metrics: Arc<Metrics>,
    ) -> Result<Self, Unusable> {
        // Before the files: what changes in between shows as a change.
        let stamps = stamps(&settings);
        let config = Arc::new(load(&settings)?);
        Ok(Self { settings, metrics, current: RwLock::new((config, stamps)) })
    }

    /// What accepts a new connection.
    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        TlsAcceptor::from(Arc::clone(&current.0))
    }

    /// A peer did not get through the handshake.
    pub(crate) fn refused(&self) {
        self.metrics.internal_tls_refused();
    }

    /// Reads the files again if one of them has changed. Connections keep what they began with.
    pub(crate) fn follow(&self) {
        let stamps = stamps(&self.settings);
        let known = self.current.read().unwrap_or_else(PoisonError::into_inner).1;
        if stamps == known {
            return;
        }
        let loaded = load(&self.settings);
        self.metrics.internal_tls_reloaded(loaded.is_ok());
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        current.1 = stamps;
        match loaded {
            Ok(config) => {
                tracing::info!("the certificates of the internal port are replaced");
                current.0 = Arc::new(config);
            }
            Err(Unusable { field, reason }) => {
                tracing::error!(field, reason, "the internal port keeps its certificates");
            }
        }
    }
}

fn stamps(settings: &InternalTlsSettings) -> [Stamp; 3] {
    [&settings.certificate_file, &settings.key_file, &settings.client_ca_file].map(stamp)
}
