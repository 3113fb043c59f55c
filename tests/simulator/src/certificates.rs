//! A certification authority made at start, and the server certificate that it signs.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose,
    GeneralSubtree, IsCa, KeyPair, KeyUsagePurpose, NameConstraints, PKCS_ECDSA_P256_SHA256,
};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use time::{Duration, OffsetDateTime};

use crate::clock::Clock;
use crate::tenants;

/// Days for which the certificates are valid. They live as long as the process, in truth.
const VALID_DAYS: i64 = 90;

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// A key or a certificate could not be made.
    #[error("cannot make the certificates: {0}")]
    Generation(#[from] rcgen::Error),
    /// The clock of the machine is outside the years that a certificate can name.
    #[error("cannot make the certificates: the clock is out of range")]
    Time(#[from] time::error::ComponentRange),
    /// The TLS library refuses what was made.
    #[error("cannot serve TLS: {0}")]
    Tls(#[from] rustls::Error),
    /// The certificate of the authority could not be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file that was to be written.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
}

/// A certificate for every simulated host, and the authority that vouches for it. The keys stay in
/// memory and go with the process.
pub(crate) struct Certificates {
    pub(crate) authority_pem: String,
    pub(crate) server: Arc<ServerConfig>,
}

impl Certificates {
    /// Makes the authority and the server's certificate (ECDSA P-256).
    pub(crate) fn generate(clock: &Clock) -> Result<Self, CertificateError> {
        let authority_key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let authority = CertifiedIssuer::self_signed(authority_params(clock)?, authority_key)?;
        let server_key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let certificate = server_params(clock)?.signed_by(&server_key, &authority)?;

        let private_key = PrivatePkcs8KeyDer::from(server_key.serialize_der());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut server = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], PrivateKeyDer::Pkcs8(private_key))?;
        server.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self { authority_pem: authority.pem(), server: Arc::new(server) })
    }

    /// Writes the authority's certificate to `path`: whoever reads the file sees all of it.
    pub(crate) fn write_authority(&self, path: &Path) -> Result<(), CertificateError> {
        write_atomically(path, self.authority_pem.as_bytes())
            .map_err(|source| CertificateError::Write { path: path.to_owned(), source })
    }
}

fn authority_params(clock: &Clock) -> Result<CertificateParams, CertificateError> {
    let mut params = dated(CertificateParams::new(Vec::new())?, clock)?;
    params.distinguished_name.push(DnType::CommonName, "IB simulator test authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    // A browser that trusts this authority trusts it for the simulated names and for no other.
    params.name_constraints = Some(NameConstraints {
        permitted_subtrees: tenants::HOSTS
            .iter()
            .map(|host| GeneralSubtree::DnsName((*host).to_owned()))
            .collect(),
        excluded_subtrees: Vec::new(),
    });
    Ok(params)
}

fn server_params(clock: &Clock) -> Result<CertificateParams, CertificateError> {
    let hosts: Vec<String> = tenants::HOSTS.iter().map(|host| (*host).to_owned()).collect();
    let mut params = dated(CertificateParams::new(hosts)?, clock)?;
    params.distinguished_name.push(DnType::CommonName, "IB simulator");
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

/// Valid from a day ago, since the clocks of test machines and containers may differ.
fn dated(
    mut params: CertificateParams,
    clock: &Clock,
) -> Result<CertificateParams, CertificateError> {
    let now = OffsetDateTime::from_unix_timestamp(clock.now())?;
    params.not_before = now.saturating_sub(Duration::days(1));
    params.not_after = now.saturating_add(Duration::days(VALID_DAYS));
    params.distinguished_name = rcgen::DistinguishedName::new();
    Ok(params)
}

/// Writes beside the file first and then renames, so that nobody reads half of it.
fn write_atomically(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut beside = path.as_os_str().to_owned();
    beside.push(format!(".{}.part", std::process::id()));
    let beside = PathBuf::from(beside);
    let mut file = fs::File::create(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&beside, path)
}
