//! Whether a part is ready: asked again and again within a deadline, never assumed.

use std::path::Path;
use std::time::Duration;

use reqwest::{Certificate, Client};

use super::layout::tail;
use super::process::Process;
use crate::{Part, StackError};

/// How long a part may take to become ready.
pub const DEADLINE: Duration = Duration::from_secs(30);
const INTERVAL: Duration = Duration::from_millis(25);
const ONE_TRY: Duration = Duration::from_secs(2);

/// An HTTP client for loopback: no proxy, no redirects, and no trust in anything but `trusted`.
///
/// # Errors
///
/// When a certificate cannot be used.
pub fn loopback_client(trusted: &[Certificate]) -> Result<Client, StackError> {
    client_builder(trusted)
        .timeout(ONE_TRY)
        .build()
        .map_err(|error| StackError::configuration("HTTP client", error))
}

/// What every client of this crate begins with.
pub(crate) fn client_builder(trusted: &[Certificate]) -> reqwest::ClientBuilder {
    // Fails only when a provider is installed already, which then serves.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder()
        .no_proxy()
        .tls_info(true)
        .redirect(reqwest::redirect::Policy::none())
        .tls_certs_only(trusted.iter().cloned())
}

/// Reads a PEM certificate.
///
/// # Errors
///
/// When the file cannot be read or is no certificate.
pub fn certificate(path: &Path) -> Result<Certificate, StackError> {
    let pem = std::fs::read(path).map_err(StackError::io(path.display().to_string()))?;
    Certificate::from_pem(&pem)
        .map_err(|error| StackError::configuration(path.display().to_string(), error))
}

/// Waits until every URL answers 200. A process that ends meanwhile is noticed at once.
///
/// # Errors
///
/// When the process ended, or the deadline passed; both with the end of its log.
pub async fn wait(
    part: Part,
    process: &mut Process,
    client: &Client,
    urls: &[String],
    log: &Path,
) -> Result<(), StackError> {
    let mut last = "not asked yet".to_owned();
    let answered = async {
        for url in urls {
            while let Err(reason) = ask(client, url).await {
                last = reason;
                tokio::time::sleep(INTERVAL).await;
            }
        }
    };
    tokio::select! {
        done = tokio::time::timeout(DEADLINE, answered) => done.map_err(|_elapsed| {
            let (seconds, log) = (DEADLINE.as_secs(), log.to_owned());
            StackError::NotReady { part, seconds, last, tail: tail(&log), log }
        }),
        status = process.ended() => Err(StackError::Exited {
            part,
            status: status.unwrap_or_default(),
            log: log.to_owned(),
            tail: tail(log),
        }),
    }
}

async fn ask(client: &Client, url: &str) -> Result<(), String> {
    match client.get(url).send().await {
        Ok(response) if response.status() == 200 => Ok(()),
        Ok(response) => Err(format!("{url} answered {}", response.status())),
        Err(error) => {
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            Err(format!("{url} did not answer ({})", cause.unwrap_or_else(|| error.to_string())))
        }
    }
}
