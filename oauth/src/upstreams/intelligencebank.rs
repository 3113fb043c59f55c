//! IntelligenceBank's Browser Login: a token is asked for, a person logs in with it in a browser, and
//! the session is then read with the same token.

use ib_contract::Secret;
use reqwest::{
    Client, Method, RequestBuilder,
    header::{self, HeaderValue},
};

use super::{
    Answer, BegunLogin, ClientError, Ended, LoginProgress, LoginUpstream, UpstreamError,
    https::{self, ReadError},
};
use crate::{settings::IntelligenceBankSettings, telemetry};

mod wire;

/// The HTTPS client for all platforms.
pub(crate) struct IntelligenceBank {
    http: Client,
    maximum_response_bytes: usize,
    logout_path: Option<String>,
    propagate_trace: bool,
}

impl IntelligenceBank {
    pub(crate) fn new(settings: &IntelligenceBankSettings) -> Result<Self, ClientError> {
        Ok(Self {
            http: https::client(settings, settings.connect_timeout, settings.request_timeout)?,
            maximum_response_bytes: settings.maximum_response_bytes,
            logout_path: settings.logout_path.clone(),
            propagate_trace: settings.propagate_trace,
        })
    }

    /// A request, in the trace that it belongs to where the settings want that to be told.
    fn request(&self, method: Method, url: &str) -> RequestBuilder {
        let request = self.http.request(method, url);
        if self.propagate_trace { request.headers(telemetry::trace_headers()) } else { request }
    }

    async fn ask(&self, method: Method, url: &str) -> Result<(u16, Vec<u8>), UpstreamError> {
        let response = self
            .request(method, url)
            .header(header::ACCEPT, "application/json")
            .header(header::CONTENT_TYPE, "application/json")
            .send()
            .await
            .map_err(unreachable)?;
        let status = response.status().as_u16();
        if status == 429 {
            return Err(UpstreamError::Limited { retry_after: retry_after(&response) });
        }
        let body = https::read(response, self.maximum_response_bytes).await;
        let body = body.map_err(|cause| match cause {
            ReadError::TooLong => UpstreamError::TooLong,
            ReadError::Broken(cause) => unreachable(cause),
        })?;
        Ok((status, body))
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

    fn end<'a>(&'a self, host: &'a str, sid: &'a Secret) -> Answer<'a, Ended> {
        Box::pin(async move {
            let Some(path) = &self.logout_path else { return Ok(Ended::NoWay) };
            let mut value =
                HeaderValue::from_str(sid.expose()).map_err(|_| UpstreamError::Unusable("sid"))?;
            value.set_sensitive(true);
            let asked =
                self.request(Method::POST, &format!("https://{host}{path}")).header("sid", value);
            let response = asked.send().await.map_err(unreachable)?;
            match response.status().as_u16() {
                200..=299 => Ok(Ended::Yes),
                429 => Err(UpstreamError::Limited { retry_after: retry_after(&response) }),
                500.. => Err(UpstreamError::Unreachable("it failed")),
                status => Ok(Ended::Refused { status }),
            }
        })
    }
}

/// Seconds. A date in their place is as good as nothing: its clock may not be this one.
pub(super) fn retry_after(response: &reqwest::Response) -> Option<u64> {
    response.headers().get(header::RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()
}

fn encode(secret: &Secret) -> String {
    form_urlencoded::byte_serialize(secret.expose().as_bytes()).collect()
}

/// The cause without its text, which would quote the URL and the token in it.
pub(super) fn unreachable(cause: reqwest::Error) -> UpstreamError {
    UpstreamError::Unreachable(if cause.is_timeout() {
        "it took too long"
    } else if cause.is_connect() {
        "no connection, or its certificate or address is not trusted"
    } else {
        "the exchange broke off"
    })
}

#[cfg(test)]
pub(super) mod tests;
