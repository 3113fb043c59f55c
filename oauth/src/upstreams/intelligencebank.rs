//! IntelligenceBank's Browser Login: a token is asked for, a person logs in with it in a browser, and
//! the session is then read with the same token.

use std::sync::Arc;

use ib_contract::Secret;
use reqwest::{Client, Method, Response, header, redirect};

use super::{
    Answer, BegunLogin, LoginProgress, LoginUpstream, UpstreamError, resolver::GuardedResolver,
};
use crate::settings::IntelligenceBankSettings;

mod wire;

/// The HTTPS client for all platforms.
pub(crate) struct IntelligenceBank {
    http: Client,
    maximum_response_bytes: usize,
}

/// The client cannot be made.
#[derive(Debug, thiserror::Error)]
#[error("the HTTPS client cannot be made: {0}")]
pub(crate) struct ClientError(String);

impl IntelligenceBank {
    /// Certificates are always verified: against the system's roots and `extra_ca_file`.
    pub(crate) fn new(settings: &IntelligenceBankSettings) -> Result<Self, ClientError> {
        let failed = |cause: reqwest::Error| ClientError(format!("{cause:?}"));
        let extra = match &settings.extra_ca_pem {
            Some(pem) => reqwest::Certificate::from_pem_bundle(pem).map_err(failed)?,
            None => Vec::new(),
        };
        let http = Client::builder()
            .https_only(true)
            .tls_certs_merge(extra)
            // A proxy would resolve names itself, past the guard.
            .no_proxy()
            .redirect(redirect::Policy::none())
            .dns_resolver(Arc::new(GuardedResolver {
                allow_private: settings.allow_private_addresses,
                fixed: Arc::new(settings.resolve.clone()),
            }))
            .connect_timeout(settings.connect_timeout)
            .timeout(settings.request_timeout)
            .pool_max_idle_per_host(4)
            .user_agent(concat!("ib-gateway/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(failed)?;
        Ok(Self { http, maximum_response_bytes: settings.maximum_response_bytes })
    }

    async fn ask(&self, method: Method, url: &str) -> Result<(u16, Vec<u8>), UpstreamError> {
        let response = self
            .http
            .request(method, url)
            .header(header::ACCEPT, "application/json")
            .header(header::CONTENT_TYPE, "application/json")
            .send()
            .await
            .map_err(unreachable)?;
        let status = response.status().as_u16();
        if status == 429 {
            // A date in its place is as good as nothing: its clock may not be this one.
            let seconds = response.headers().get(header::RETRY_AFTER);
            let seconds = seconds.and_then(|value| value.to_str().ok()?.trim().parse().ok());
            return Err(UpstreamError::Limited { retry_after: seconds });
        }
        Ok((status, self.read(response).await?))
    }

    async fn read(&self, mut response: Response) -> Result<Vec<u8>, UpstreamError> {
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
            if body.len().saturating_add(chunk.len()) > self.maximum_response_bytes {
                return Err(UpstreamError::TooLong);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }
}

impl LoginUpstream for IntelligenceBank {
    fn begin<'a>(&'a self, host: &'a str) -> Answer<'a, BegunLogin> {
        Box::pin(async move {
            let url = format!("https://{host}/v1/auth/app/token");
            let (status, body) = self.ask(Method::POST, &url).await?;
            let login = wire::login_token(status, &body)?;
            let token = encode(&login);
            let url = Secret::new(format!("https://{host}/auth/?login=0&token={token}"));
            Ok(BegunLogin { url, login })
        })
    }

    fn progress<'a>(&'a self, host: &'a str, login: &'a Secret) -> Answer<'a, LoginProgress> {
        Box::pin(async move {
            let url = format!("https://{host}/v1/auth/app/info?token={}", encode(login));
            let (status, body) = self.ask(Method::GET, &url).await?;
            wire::progress(status, &body)
        })
    }
}

fn encode(secret: &Secret) -> String {
    form_urlencoded::byte_serialize(secret.expose().as_bytes()).collect()
}

/// The cause without its text, which would quote the URL and the token in it.
fn unreachable(cause: reqwest::Error) -> UpstreamError {
    UpstreamError::Unreachable(if cause.is_timeout() {
        "it took too long"
    } else if cause.is_connect() {
        "no connection, or its certificate or address is not trusted"
    } else {
        "the exchange broke off"
    })
}

#[cfg(test)]
mod tests;
