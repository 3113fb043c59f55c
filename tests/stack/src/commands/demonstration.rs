//! A login and a call without a person: a program posts what somebody would click.

use std::time::Duration;

use reqwest::{Client, StatusCode, Url};
use serde::Deserialize;

use super::oauth_client::{Call, Login, body, json, ok, parameter, send};
use crate::{Addresses, StackError};

const USER: &str = "ada";
/// Nobody listens there: the redirect is read from the poll's answer.
const REDIRECT_URI: &str = "http://127.0.0.1:8090/callback";
const LOGIN_DEADLINE: Duration = Duration::from_secs(15);
const POLL_INTERVAL: Duration = Duration::from_millis(100);

#[derive(Deserialize)]
struct LoginStart {
    #[serde(rename = "loginUrl")]
    login_url: String,
    token: String,
}

#[derive(Deserialize)]
struct LoginEnd {
    redirect_url: String,
}

/// Logs the demo user in with OAuth and makes one call through the gateway.
///
/// # Errors
///
/// When a step does not go as it must; the message names the step and what came instead.
pub async fn demonstrate(base_url: &str, addresses: &Addresses) -> Result<Call, StackError> {
    let login = Login::new(base_url, addresses, REDIRECT_URI.to_owned())?;
    let request = login.client().get(login.authorize_url()?);
    let start: LoginStart = json("GET /authorize", request).await?;
    log_in(login.client(), &parsed("loginUrl", &start.login_url)?).await?;
    let end = poll(&login, &start.token).await?;
    let tokens = login.redeem(&parsed("redirect_url", &end.redirect_url)?).await?;
    login.call(&tokens).await
}

/// What a person does in the browser: opens IntelligenceBank's login page and sends its form.
async fn log_in(client: &Client, login_url: &Url) -> Result<(), StackError> {
    const PAGE: &str = "the login page of IntelligenceBank";
    const FORM: &str = "the login form of IntelligenceBank";
    let token = parameter(login_url, "token")
        .ok_or_else(|| StackError::exchange(PAGE, "its URL holds no token"))?;
    ok(PAGE, send(PAGE, client.get(login_url.clone())).await?)?;
    let mut action = login_url.clone();
    action.set_query(None);
    let form = client.post(action).form(&[("token", token.as_str()), ("user", USER)]);
    ok(FORM, send(FORM, form).await?).map(|_response| ())
}

/// Polls until the login is seen: 404 means that it is still pending.
async fn poll(login: &Login, token: &str) -> Result<LoginEnd, StackError> {
    const STEP: &str = "GET /authorize/poll";
    let url = login.url("/authorize/poll", &[("token", token)])?;
    let polling = async {
        loop {
            let response = send(STEP, login.client().get(url.clone())).await?;
            if response.status() != StatusCode::NOT_FOUND {
                return body(STEP, ok(STEP, response)?).await;
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    };
    tokio::time::timeout(LOGIN_DEADLINE, polling)
        .await
        .unwrap_or_else(|_elapsed| Err(StackError::exchange(STEP, "the login stayed pending")))
}

fn parsed(what: &str, url: &str) -> Result<Url, StackError> {
    Url::parse(url).map_err(|error| StackError::exchange(what, error))
}
