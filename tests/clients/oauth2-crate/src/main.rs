//! The `oauth2` crate, whose types hold a client to RFC 6749, 7636, 7009 and 7662.

use std::borrow::Cow;
use std::env;
use std::error::Error;
use std::process::{Command, Stdio, exit};

use oauth2::basic::{BasicClient, BasicErrorResponseType, BasicTokenResponse};
use oauth2::{
    AuthUrl, AuthorizationCode, ClientId, ClientSecret, CsrfToken, EndpointNotSet, EndpointSet,
    IntrospectionUrl, PkceCodeChallenge, RedirectUrl, RequestTokenError, RevocationUrl, Scope,
    StandardRevocableToken, TokenIntrospectionResponse as _, TokenResponse as _, TokenUrl, reqwest,
};

type Http = reqwest::blocking::Client;
type Outcome<T> = Result<T, Box<dyn Error>>;
type Ready = BasicClient<EndpointSet, EndpointNotSet, EndpointSet, EndpointSet, EndpointSet>;

/// Runs one step. The runner counts the lines that begin with `ok` and `not ok`.
fn step<T>(what: &str, work: impl FnOnce() -> Outcome<T>) -> T {
    match work() {
        Ok(value) => {
            println!("ok - {what}");
            value
        }
        Err(error) => {
            println!("not ok - {what}");
            eprintln!("{error}: {error:?}");
            // What follows builds on it.
            exit(1)
        }
    }
}

fn check(holds: bool, what: &str) -> Outcome<()> {
    if holds { Ok(()) } else { Err(what.into()) }
}

/// An HTTP client that trusts the gateway's CA alone and follows no redirect.
fn http(authority: &str) -> Outcome<Http> {
    let authority = reqwest::Certificate::from_pem(&std::fs::read(authority)?)?;
    Ok(Http::builder()
        .tls_built_in_root_certs(false)
        .add_root_certificate(authority)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .build()?)
}

fn client(gateway: &str, id: &str, secret: Option<String>) -> Outcome<Ready> {
    let client = BasicClient::new(ClientId::new(id.to_owned()))
        .set_auth_uri(AuthUrl::new(format!("{gateway}/authorize"))?)
        .set_token_uri(TokenUrl::new(format!("{gateway}/token"))?)
        .set_revocation_url(RevocationUrl::new(format!("{gateway}/revoke"))?)
        .set_introspection_url(IntrospectionUrl::new(format!("{gateway}/introspect"))?)
        .set_redirect_uri(RedirectUrl::new("http://127.0.0.1:49152/callback".to_owned())?);
    Ok(match secret {
        Some(secret) => client.set_client_secret(ClientSecret::new(secret)),
        None => client,
    })
}

/// Sends a person to the authorization endpoint and gives a parameter of the URL that they return with.
fn person(url: &str) -> Outcome<impl Fn(&str) -> Option<String>> {
    // Not from where this was compiled: clones share their target folders.
    let program = std::env::var("IB_GATEWAY_PERSON")?;
    let done = Command::new("python3").args([program.as_str(), url]).stderr(Stdio::inherit()).output()?;
    check(done.status.success(), "the person did not get through")?;
    let back = oauth2::url::Url::parse(String::from_utf8(done.stdout)?.trim())?;
    Ok(move |name: &str| {
        let found = back.query_pairs().find(|(key, _)| key == name);
        found.map(|(_, value)| Cow::into_owned(value))
    })
}

fn log_in(client: &Ready, http: &Http) -> Outcome<BasicTokenResponse> {
    let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
    let (url, state) = client
        .authorize_url(CsrfToken::new_random)
        .add_scope(Scope::new("profile".to_owned()))
        .set_pkce_challenge(challenge)
        .url();
    let back = person(url.as_str())?;
    check(back("state").as_ref() == Some(state.secret()), "another state came back")?;
    let code = back("code").ok_or("no code came back")?;
    let request = client.exchange_code(AuthorizationCode::new(code));
    Ok(request.set_pkce_verifier(verifier).request(http)?)
}

fn is_invalid_grant(answer: Outcome<BasicTokenResponse>) -> Outcome<()> {
    type Refused<E> = RequestTokenError<E, oauth2::basic::BasicErrorResponse>;
    let error = answer.err().ok_or("it was good")?;
    let refused = error.downcast_ref::<Refused<oauth2::HttpClientError<reqwest::Error>>>();
    match refused {
        Some(RequestTokenError::ServerResponse(answer)) => {
            check(*answer.error() == BasicErrorResponseType::InvalidGrant, "another error")
        }
        _ => Err(error),
    }
}

fn main() -> Outcome<()> {
    let gateway = env::var("GATEWAY_URL")?;
    let http = http(&env::var("GATEWAY_CA")?)?;
    let public = client(&gateway, "mcp-public-client", None)?;
    let backend = client(&gateway, "test-backend", Some(env::var("BACKEND_SECRET")?))?;

    let first = step("a public client gets tokens for a code with PKCE and state", || {
        let tokens = log_in(&public, &http)?;
        check(tokens.expires_in().is_some(), "no expires_in")?;
        check(tokens.scopes().is_some_and(|scopes| scopes.len() == 1), "another scope")?;
        Ok(tokens)
    });
    let second = step("a refresh token is traded for a new pair", || {
        let token = first.refresh_token().ok_or("no refresh token")?;
        let tokens = public.exchange_refresh_token(token).request(&http)?;
        check(tokens.access_token().secret() != first.access_token().secret(), "the same token")?;
        Ok(tokens)
    });
    step("a confidential client introspects the access token", || {
        let answer = backend.introspect(second.access_token()).request(&http)?;
        check(answer.active(), "it is not active")?;
        check(answer.client_id().is_some_and(|id| id.as_str() == "mcp-public-client"), "whose?")
    });
    step("a revoked refresh token ends its access tokens, too", || {
        let token = second.refresh_token().ok_or("no refresh token")?;
        public.revoke_token(StandardRevocableToken::from(token.clone()))?.request(&http)?;
        let answer = backend.introspect(second.access_token()).request(&http)?;
        check(!answer.active(), "it is still active")?;
        let refused = public.exchange_refresh_token(token).request(&http);
        is_invalid_grant(refused.map_err(Into::into))
    });
    step("a confidential client logs in by HTTP Basic and refreshes", || {
        let tokens = log_in(&backend, &http)?;
        let token = tokens.refresh_token().ok_or("no refresh token")?;
        backend.exchange_refresh_token(token).request(&http)?;
        Ok(())
    });
    Ok(())
}
