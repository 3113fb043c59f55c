//! An OAuth client that knows nothing but the gateway's base URL.

use serde_json::Value;
use url::Url;

use crate::deadline::{PATIENCE, eventually};
use crate::deployment::Deployment;
use crate::http::{Request, Response};
use crate::pkce::Verifier;
use crate::random::unique;
use crate::simulator::PLATFORM_HOST;

/// The public client that every installation knows.
pub const PUBLIC_CLIENT: &str = "mcp-public-client";
/// The client for development.
pub const TEST_CLIENT: &str = "test-client";
/// A redirect URI that both clients may use: loopback, on any port (RFC 8252 section 7.3).
pub const LOOPBACK_REDIRECT: &str = "http://127.0.0.1:49152/callback";

/// A client with what it learned from the server's metadata (RFC 8414).
pub struct OAuthClient<'a> {
    gateway: &'a Deployment,
    client_id: String,
    redirect_uri: String,
    metadata: Value,
    /// Parameters of the authorization request in place of the ordinary ones, or beside them.
    asked: Vec<(String, String)>,
}

/// An authorization request that has begun.
#[derive(Debug, Clone)]
pub struct Authorization {
    /// The secret behind the challenge.
    pub verifier: Verifier,
    /// The `state` that was sent.
    pub state: String,
    /// Where the person logs in.
    pub login_url: String,
    /// What the client polls with.
    pub poll_token: String,
}

/// What a token request gave.
#[derive(Debug, Clone)]
pub struct Grant {
    /// The access token.
    pub access_token: String,
    /// The refresh token.
    pub refresh_token: String,
    /// The whole answer.
    pub body: Value,
}

impl<'a> OAuthClient<'a> {
    /// A client that reads the metadata of the gateway's issuer.
    ///
    /// # Panics
    ///
    /// When the metadata cannot be read.
    #[must_use]
    #[track_caller]
    pub fn discover(gateway: &'a Deployment, client_id: &str, redirect_uri: &str) -> Self {
        let issuer = Url::parse(&gateway.base_url()).expect("the base URL is a URL");
        let path = issuer.path().trim_end_matches('/');
        let target = format!("/.well-known/oauth-authorization-server{path}");
        let metadata = gateway.send(&Request::get(target)).with_status(200).json();
        Self {
            gateway,
            client_id: client_id.to_owned(),
            redirect_uri: redirect_uri.to_owned(),
            metadata,
            asked: Vec::new(),
        }
    }

    /// The same client, whose authorization requests have this parameter, such as another `scope`.
    #[must_use]
    pub fn asking(mut self, name: &str, value: &str) -> Self {
        self.asked.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The server's metadata.
    #[must_use]
    pub fn metadata(&self) -> &Value {
        &self.metadata
    }

    /// The path of an endpoint of the metadata, which has to be on the gateway's own origin.
    ///
    /// # Panics
    ///
    /// When the metadata does not have it, or it is elsewhere.
    #[must_use]
    #[track_caller]
    pub fn endpoint(&self, name: &str) -> String {
        let url = self.metadata[name].as_str().unwrap_or_else(|| panic!("no {name}"));
        let origin = format!("http://{}", self.gateway.host());
        let path = url.strip_prefix(&origin);
        path.unwrap_or_else(|| panic!("{name} is not on the gateway: {url}")).to_owned()
    }

    /// The target of an authorization request for the demo platform.
    #[must_use]
    #[track_caller]
    pub fn authorize_target(&self, challenge: &str, state: &str) -> String {
        let platform = format!("https://{PLATFORM_HOST}");
        let mut parameters = vec![
            ("response_type", "code"),
            ("client_id", &self.client_id),
            ("redirect_uri", &self.redirect_uri),
            ("scope", "profile"),
            ("state", state),
            ("code_challenge", challenge),
            ("code_challenge_method", "S256"),
            ("platform_url", &platform),
        ];
        for (name, value) in &self.asked {
            parameters.retain(|(given, _)| given != name);
            parameters.push((name, value));
        }
        self.authorize_target_with(&parameters)
    }

    /// The target of an authorization request with exactly these parameters.
    #[must_use]
    #[track_caller]
    pub fn authorize_target_with(&self, parameters: &[(&str, &str)]) -> String {
        let query = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(parameters.iter())
            .finish();
        format!("{}?{query}", self.endpoint("authorization_endpoint"))
    }

    /// Begins a login by the JSON face of `/authorize`.
    ///
    /// # Panics
    ///
    /// When the gateway refuses.
    #[must_use]
    #[track_caller]
    pub fn begin(&self) -> Authorization {
        let verifier = Verifier::generate();
        let state = unique("state");
        let target = self.authorize_target(&verifier.challenge(), &state);
        let answer = self
            .gateway
            .send(&Request::get(target).header("accept", "application/json"))
            .with_status(200)
            .json();
        let text = |name: &str| {
            answer[name].as_str().unwrap_or_else(|| panic!("no {name} in {answer}")).to_owned()
        };
        Authorization { verifier, state, login_url: text("loginUrl"), poll_token: text("token") }
    }

    /// Polls once.
    #[track_caller]
    pub fn poll(&self, authorization: &Authorization) -> Response {
        let query = form_urlencoded::Serializer::new(String::new())
            .append_pair("token", &authorization.poll_token)
            .finish();
        let target = format!("{}/poll?{query}", self.endpoint("authorization_endpoint"));
        self.gateway.send(&Request::get(target))
    }

    /// Polls until the login is through and gives where the browser is sent.
    ///
    /// # Panics
    ///
    /// When it is not through in time, or a poll is refused.
    #[must_use]
    #[track_caller]
    pub fn await_redirect(&self, authorization: &Authorization) -> Url {
        let url = eventually("the login to be seen", PATIENCE, || {
            let answer = self.poll(authorization);
            match answer.status {
                404 => None,
                _ => Some(answer.with_status(200).json()["redirect_url"].as_str()?.to_owned()),
            }
        });
        Url::parse(&url).expect("the redirect is a URL")
    }

    /// Reads the code from a redirect, once its `state` and `iss` (RFC 9207) have been checked.
    ///
    /// # Panics
    ///
    /// When one of them is wrong, or the redirect goes elsewhere.
    #[must_use]
    #[track_caller]
    pub fn code_of(&self, redirect: &Url, state: &str) -> String {
        let mut place = redirect.clone();
        place.set_query(None);
        assert_eq!(place.as_str(), self.redirect_uri, "sent elsewhere: {redirect}");
        let only = |name: &str| {
            let mut values = redirect.query_pairs().filter(|(key, _)| key == name);
            match (values.next(), values.next()) {
                (Some((_, value)), None) => value.into_owned(),
                _ => panic!("{name} should come once: {redirect}"),
            }
        };
        assert_eq!(only("state"), state);
        assert_eq!(Some(only("iss").as_str()), self.metadata["issuer"].as_str());
        only("code")
    }

    /// Brings a begun login to its code, the person being `user`.
    ///
    /// # Panics
    ///
    /// When any step of it fails.
    #[must_use]
    #[track_caller]
    pub fn finish(&self, authorization: &Authorization, user: &str) -> String {
        self.gateway.simulator().log_in_as_browser(&authorization.login_url, user);
        let redirect = self.await_redirect(authorization);
        self.code_of(&redirect, &authorization.state)
    }

    /// Exchanges a code.
    #[track_caller]
    pub fn exchange(&self, code: &str, verifier: &str) -> Response {
        self.token(&[
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", &self.redirect_uri),
            ("client_id", &self.client_id),
            ("code_verifier", verifier),
        ])
    }

    /// Uses a refresh token.
    #[track_caller]
    pub fn refresh(&self, refresh_token: &str) -> Response {
        self.token(&[
            ("grant_type", "refresh_token"),
            ("refresh_token", refresh_token),
            ("client_id", &self.client_id),
        ])
    }

    /// Revokes a token of this client (RFC 7009).
    #[track_caller]
    pub fn revoke(&self, token: &str) -> Response {
        let fields = [("token", token), ("client_id", self.client_id.as_str())];
        self.gateway.send(&Request::post_form(self.endpoint("revocation_endpoint"), &fields))
    }

    /// Logs the bearer of an access token out.
    #[must_use]
    pub fn log_out(&self, access_token: &str) -> Response {
        let logout = Request::post_form(self.gateway.path("/logout"), &[]);
        self.gateway.send(&logout.bearer(access_token))
    }

    /// A token request with exactly these fields.
    #[track_caller]
    pub fn token(&self, fields: &[(&str, &str)]) -> Response {
        self.gateway.send(&Request::post_form(self.endpoint("token_endpoint"), fields))
    }

    /// A whole login.
    ///
    /// # Panics
    ///
    /// When any step of it fails.
    #[must_use]
    #[track_caller]
    pub fn log_in(&self, user: &str) -> Grant {
        let authorization = self.begin();
        let code = self.finish(&authorization, user);
        Grant::of(&self.exchange(&code, authorization.verifier.secret()))
    }
}

impl Grant {
    /// Reads a successful answer of the token endpoint.
    ///
    /// # Panics
    ///
    /// When it is a refusal, or lacks a token.
    #[must_use]
    #[track_caller]
    pub fn of(response: &Response) -> Self {
        assert_eq!(response.status, 200, "no tokens: {response:?}");
        let body = response.json();
        let text = |name: &str| {
            body[name].as_str().unwrap_or_else(|| panic!("no {name} in {response:?}")).to_owned()
        };
        Self { access_token: text("access_token"), refresh_token: text("refresh_token"), body }
    }
}
