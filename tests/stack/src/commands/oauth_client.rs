//! An OAuth client as an application has it: begins a login, redeems the code, calls through the gateway.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::{Client, RequestBuilder, Response, StatusCode, Url};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use crate::configuration::secrets::random;
use crate::configuration::service::PUBLIC_CLIENT;
use crate::running::dns::SIMULATED_HOSTS;
use crate::running::readiness::{certificate, client_builder};
use crate::{Addresses, StackError};

/// The platform that the demonstration logs in at.
pub const PLATFORM: &str = "company.intelligencebank.com";

const ONE_REQUEST: Duration = Duration::from_secs(15);

/// One login of a client: its proof key (RFC 7636), its state, and where it wants the code.
pub struct Login {
    client: Client,
    base_url: String,
    redirect_uri: String,
    verifier: String,
    state: String,
}

/// What the client gets for its code, as far as it is used here.
#[derive(Deserialize)]
pub struct Tokens {
    access_token: String,
    clientid: String,
}

/// A proxied call, for showing. It holds no token.
#[derive(Debug)]
pub struct Call {
    /// Method and URL of the call.
    pub request: String,
    /// The answer's status.
    pub status: StatusCode,
    /// The answer's body, indented where it is JSON.
    pub body: String,
}

impl Login {
    /// Begins a login at the gateway under `base_url`.
    ///
    /// # Errors
    ///
    /// When the simulator's CA cannot be read or the system gives no randomness.
    pub fn new(
        base_url: &str,
        addresses: &Addresses,
        redirect_uri: String,
    ) -> Result<Self, StackError> {
        let mut builder = client_builder(&[certificate(&addresses.ca_pem)?]).timeout(ONE_REQUEST);
        for host in SIMULATED_HOSTS {
            builder = builder.resolve(host, addresses.simulator_tls);
        }
        Ok(Self {
            client: builder
                .build()
                .map_err(|error| StackError::configuration("HTTP client", error))?,
            base_url: base_url.to_owned(),
            redirect_uri,
            verifier: URL_SAFE_NO_PAD.encode(random::<32>()?),
            state: URL_SAFE_NO_PAD.encode(random::<16>()?),
        })
    }

    /// The client's HTTP connections; it knows the simulator's names and CA.
    #[must_use]
    pub const fn client(&self) -> &Client {
        &self.client
    }

    /// A URL of the gateway with a query.
    ///
    /// # Errors
    ///
    /// When the base URL is none.
    pub fn url(&self, path: &str, query: &[(&str, &str)]) -> Result<Url, StackError> {
        Url::parse_with_params(&format!("{}{path}", self.base_url), query)
            .map_err(|error| StackError::configuration("the gateway's URL", error))
    }

    /// Where the login begins, for a browser or, with `Accept: application/json`, a program.
    ///
    /// # Errors
    ///
    /// When the base URL is none.
    pub fn authorize_url(&self) -> Result<Url, StackError> {
        self.url(
            "/authorize",
            &[
                ("response_type", "code"),
                ("client_id", PUBLIC_CLIENT),
                ("redirect_uri", &self.redirect_uri),
                ("scope", "profile"),
                ("state", &self.state),
                ("code_challenge", &URL_SAFE_NO_PAD.encode(Sha256::digest(&self.verifier))),
                ("code_challenge_method", "S256"),
                ("platform_url", &format!("https://{PLATFORM}")),
            ],
        )
    }

    /// Redeems the code that the redirect brought.
    ///
    /// # Errors
    ///
    /// When the redirect is not for this login or the service refuses the code.
    pub async fn redeem(&self, redirect_url: &Url) -> Result<Tokens, StackError> {
        let code = code(redirect_url, &self.state)?;
        let request = self.client.post(self.url("/token", &[])?).form(&[
            ("grant_type", "authorization_code"),
            ("code", &code),
            ("redirect_uri", &self.redirect_uri),
            ("client_id", PUBLIC_CLIENT),
            ("code_verifier", &self.verifier),
        ]);
        json("POST /token", request).await
    }

    /// Reads folders from IntelligenceBank, through the gateway.
    ///
    /// # Errors
    ///
    /// When the answer is anything but 200.
    pub async fn call(&self, tokens: &Tokens) -> Result<Call, StackError> {
        const STEP: &str = "the proxied call";
        let Tokens { access_token, clientid } = tokens;
        let (base, host) = (&self.base_url, PLATFORM);
        let url = format!("{base}/proxy/{host}/api/3.0.0/{clientid}/folder.limit(0,2)?verbose");
        let response = send(STEP, self.client.get(&url).bearer_auth(access_token)).await?;
        let status = response.status();
        let text = response.text().await.map_err(|error| StackError::exchange(STEP, error))?;
        let body = serde_json::from_str::<serde_json::Value>(&text)
            .and_then(|value| serde_json::to_string_pretty(&value))
            .unwrap_or(text);
        if status != StatusCode::OK {
            let reason = format!("GET {url} answered {status}: {body}");
            return Err(StackError::exchange(STEP, reason));
        }
        Ok(Call { request: format!("GET {url}"), status, body })
    }
}

fn code(redirect_url: &Url, state: &str) -> Result<String, StackError> {
    const STEP: &str = "the redirect to the client";
    if parameter(redirect_url, "state").as_deref() != Some(state) {
        return Err(StackError::exchange(STEP, "it does not hold the client's state"));
    }
    parameter(redirect_url, "code").ok_or_else(|| StackError::exchange(STEP, "it holds no code"))
}

/// A query parameter of a URL.
pub(crate) fn parameter(url: &Url, wanted: &str) -> Option<String> {
    url.query_pairs().find_map(|(name, value)| (name == wanted).then(|| value.into_owned()))
}

// The errors below name a step and a status, never a URL with its query or a body: those hold tokens.

/// Sends a request that must answer with JSON.
pub(crate) async fn json<T: DeserializeOwned>(
    step: &str,
    request: RequestBuilder,
) -> Result<T, StackError> {
    let response = send(step, request.header("accept", "application/json")).await?;
    body(step, ok(step, response)?).await
}

/// Sends a request.
pub(crate) async fn send(step: &str, request: RequestBuilder) -> Result<Response, StackError> {
    request.send().await.map_err(|error| StackError::exchange(step, error.without_url()))
}

/// Lets an answer of success through.
pub(crate) fn ok(step: &str, response: Response) -> Result<Response, StackError> {
    if response.status().is_success() {
        Ok(response)
    } else {
        Err(StackError::exchange(step, format!("it answered {}", response.status())))
    }
}

/// Reads a JSON body.
pub(crate) async fn body<T: DeserializeOwned>(
    step: &str,
    response: Response,
) -> Result<T, StackError> {
    response.json().await.map_err(|error| StackError::exchange(step, error.without_url()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirect_with_another_clients_state_is_refused() {
        let url = Url::parse("http://127.0.0.1:8090/callback?code=c&state=other").unwrap();
        assert!(code(&url, "own").is_err());
        assert_eq!(code(&url, "other").unwrap(), "c");
        let denied =
            Url::parse("http://127.0.0.1:8090/callback?error=access_denied&state=own").unwrap();
        assert!(code(&denied, "own").is_err());
    }
}
