//! The gateway as the `oauth2` crate sees it, and calls through it.

use oauth2::basic::{
    BasicErrorResponse, BasicErrorResponseType, BasicRevocationErrorResponse,
    BasicTokenIntrospectionResponse, BasicTokenType,
};
use oauth2::{
    AuthUrl, AuthorizationCode, ClientId, CsrfToken, EndpointNotSet, EndpointSet, ExtraTokenFields,
    PkceCodeChallenge, RedirectUrl, RefreshToken, RequestTokenError, Scope, StandardRevocableToken,
    StandardTokenResponse, TokenResponse as _, TokenUrl,
};
use reqwest::StatusCode;
use reqwest::blocking::Client as Http;
use serde::{Deserialize, Serialize};

use crate::Outcome;
use crate::callback::Callback;

/// What the gateway's token reply has besides RFC 6749.
#[derive(Clone, Debug, Deserialize, Serialize)]
struct Facts {
    platform_url: String,
    #[serde(rename = "apiV3url")]
    api_v3_url: String,
    clientid: String,
}
impl ExtraTokenFields for Facts {}

type TokenReply = StandardTokenResponse<Facts, BasicTokenType>;
type Client = oauth2::Client<
    BasicErrorResponse,
    TokenReply,
    BasicTokenIntrospectionResponse,
    StandardRevocableToken,
    BasicRevocationErrorResponse,
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointSet,
>;

/// What is kept of a login.
#[derive(Deserialize, Serialize)]
pub struct Tokens {
    pub access_token: String,
    refresh_token: String,
    pub platform_url: String,
    api_v3_url: String,
    clientid: String,
}

/// An answer, and whose it is.
pub struct Answer {
    pub status: StatusCode,
    pub body: String,
}

impl Answer {
    /// Whether the access token has ended. A session that is over says something else, and no refresh helps.
    pub fn is_refused_token(&self) -> bool {
        self.status == StatusCode::UNAUTHORIZED
            && self.body.contains("Invalid or expired access token")
    }
}

pub struct Gateway {
    base: String,
    client_id: String,
    client: Client,
    http: Http,
}

impl Gateway {
    pub fn from_environment() -> Outcome<Self> {
        let variable =
            |name: &str, default: &str| std::env::var(name).unwrap_or_else(|_| default.to_owned());
        let base = variable("IB_GATEWAY", "http://127.0.0.1:8080");
        let client_id = variable("CLIENT_ID", "mcp-public-client");
        Ok(Self {
            client: oauth2::Client::new(ClientId::new(client_id.clone()))
                .set_auth_uri(AuthUrl::new(format!("{base}/authorize"))?)
                .set_token_uri(TokenUrl::new(format!("{base}/token"))?),
            // A token is for the gateway, and for no address that an answer names.
            http: Http::builder().redirect(reqwest::redirect::Policy::none()).build()?,
            base,
            client_id,
        })
    }

    /// Has the person log in in a browser.
    pub fn log_in(&self) -> Outcome<Tokens> {
        let callback = Callback::listen()?;
        let redirect = RedirectUrl::new(callback.uri.clone())?;
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let client = self.client.clone().set_redirect_uri(redirect);
        let (page, state) = client
            .authorize_url(CsrfToken::new_random)
            .add_scope(Scope::new("profile".to_owned()))
            .set_pkce_challenge(challenge)
            .url();
        println!("Open this page in a browser: {page}");
        let back = callback.wait()?;
        let parameter = |name: &str| {
            let found = back.query_pairs().find(|(key, _)| key == name);
            found.map(|(_, value)| value.into_owned())
        };
        // Somebody else's answer, or another server's (RFC 9207).
        if parameter("state").as_ref() != Some(state.secret())
            || parameter("iss").as_ref() != Some(&self.base)
        {
            return Err("the answer does not belong to this login".into());
        }
        let Some(code) = parameter("code") else {
            return Err(format!(
                "the login came to nothing: {}",
                parameter("error").unwrap_or_default()
            )
            .into());
        };
        let reply = client
            .exchange_code(AuthorizationCode::new(code))
            .set_pkce_verifier(verifier)
            .request(&self.http)
            .map_err(explain)?;
        tokens(&reply)
    }

    /// Trades the refresh token for a new pair.
    pub fn refresh(&self, old: &Tokens) -> Outcome<Tokens> {
        let token = RefreshToken::new(old.refresh_token.clone());
        tokens(&self.client.exchange_refresh_token(&token).request(&self.http).map_err(explain)?)
    }

    /// Reads below the customer's API.
    pub fn get(&self, tokens: &Tokens, path: &str) -> Outcome<Answer> {
        let host = tokens.api_v3_url.trim_start_matches("https://");
        let url = format!("{}/proxy/{host}/api/3.0.0/{}/{path}", self.base, tokens.clientid);
        let answer = self.http.get(url).bearer_auth(&tokens.access_token).send()?;
        Ok(Answer { status: answer.status(), body: answer.text()? })
    }

    /// Ends the grant.
    pub fn log_out(&self, tokens: &Tokens) -> Outcome<()> {
        let form = [("token", &tokens.refresh_token), ("client_id", &self.client_id)];
        self.http.post(format!("{}/logout", self.base)).form(&form).send()?.error_for_status()?;
        Ok(())
    }
}

fn tokens(reply: &TokenReply) -> Outcome<Tokens> {
    let Facts { platform_url, api_v3_url, clientid } = reply.extra_fields().clone();
    let refresh_token =
        reply.refresh_token().ok_or("the gateway gave no refresh token")?.secret().clone();
    Ok(Tokens {
        access_token: reply.access_token().secret().clone(),
        refresh_token,
        platform_url,
        api_v3_url,
        clientid,
    })
}

type TokenError = RequestTokenError<oauth2::HttpClientError<reqwest::Error>, BasicErrorResponse>;

/// What a person can do about it.
fn explain(error: TokenError) -> Box<dyn std::error::Error> {
    match error {
        RequestTokenError::ServerResponse(answer)
            if *answer.error() == BasicErrorResponseType::InvalidGrant =>
        {
            "the grant is over; log in again: ib-cli login".into()
        }
        // Words of the server, with no token in them.
        RequestTokenError::ServerResponse(answer) => answer.to_string().into(),
        other => other.into(),
    }
}
