//! The HTTPS client for every outbound request: verified certificates, public addresses alone, no
//! redirects, and bounds on time and length.

use std::{sync::Arc, time::Duration};

use reqwest::{Client, Response, redirect};

use super::resolver::GuardedResolver;
use crate::settings::IntelligenceBankSettings;

/// The client cannot be made.
#[derive(Debug, thiserror::Error)]
#[error("the HTTPS client cannot be made: {0}")]
pub(crate) struct ClientError(String);

/// An answer could not be read.
pub(super) enum ReadError {
    TooLong,
    Broken(reqwest::Error),
}

/// Makes a client. Certificates are always verified: against the system's roots and `extra_ca_file`.
pub(super) fn client(
    settings: &IntelligenceBankSettings,
    connect_timeout: Duration,
    timeout: Duration,
) -> Result<Client, ClientError> {
    let failed = |cause: reqwest::Error| ClientError(format!("{cause:?}"));
    let extra = match &settings.extra_ca_pem {
        Some(pem) => reqwest::Certificate::from_pem_bundle(pem).map_err(failed)?,
        None => Vec::new(),
    };
    Client::builder()
        .https_only(true)
        .tls_certs_merge(extra)
        // A proxy would resolve names itself, past the guard.
        .no_proxy()
        .redirect(redirect::Policy::none())
        .dns_resolver(Arc::new(GuardedResolver {
            allow_private: settings.allow_private_addresses,
            fixed: Arc::new(settings.resolve.clone()),
        }))
        .connect_timeout(connect_timeout)
        .timeout(timeout)
        .pool_max_idle_per_host(4)
        .user_agent(concat!("ib-gateway/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(failed)
}

/// Reads a body of at most `longest` bytes.
pub(super) async fn read(mut response: Response, longest: usize) -> Result<Vec<u8>, ReadError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(ReadError::Broken)? {
        if body.len().saturating_add(chunk.len()) > longest {
            return Err(ReadError::TooLong);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}
