//! `/authorize` (RFC 6749 section 3.1) in its two faces: a page for people, and JSON for clients that
//! show the login themselves.

use std::{borrow::Cow, sync::Arc};

use axum::{
    extract::{Request, State},
    http::{HeaderMap, Uri, header},
    response::{IntoResponse as _, Response},
};
use serde_json::json;

use super::{
    caller::Caller,
    cookie,
    openapi::{
        answers::Failures,
        forms::{AuthorizationForm, AuthorizationRequest},
        schemas::BegunLogin,
    },
    parameters,
    parameters::Parameters,
    reply,
    reply::ErrorBody,
};
use crate::{
    app::App,
    clients::Source,
    error::Error,
    hosts::platform_host,
    limits::Endpoint,
    logins::{Begun, Poll},
    tokens::{BrowserSecret, PollToken},
};

mod page;
mod request;

/// The field of the page's form that holds the client's request, byte for byte.
const INNER: &str = "authorization_request";

pub(super) use page::{__path_script, __path_stylesheet, script, stylesheet};
use request::Refused;

/// The page that asks for the platform, or at once a login as JSON.
#[utoipa::path(
    get,
    path = "/authorize",
    operation_id = "authorize",
    params(AuthorizationRequest),
    responses(
        (
            status = 200, description = "The page, or with `Accept: application/json` a login.",
            content((String = "text/html"), (BegunLogin = "application/json")),
        ),
        (
            status = 303, description = "An error for the client (RFC 6749 section 4.1.2.1).",
            headers(("Location" = String, description = "The client's `redirect_uri`.")),
        ),
        (
            status = 400, description = "The request is refused.",
            content((String = "text/html"), (ErrorBody<'static> = "application/json")),
        ),
        (
            status = 429, description = "`rate_limit_exceeded`.",
            content((String = "text/html"), (ErrorBody<'static> = "application/json")),
            headers(("Retry-After" = u64, description = "Seconds.")),
        ),
        Failures,
    ),
)]
pub(super) async fn get(
    State(app): State<Arc<App>>,
    caller: Caller,
    headers: HeaderMap,
    uri: Uri,
) -> Response {
    let parameters = match Parameters::of_query(uri.query()) {
        Ok(parameters) => parameters,
        Err(error) if reply::wants_json(&headers) => return reply::authorize_error(error),
        Err(error) => return page::error(&app.settings, &error),
    };
    if reply::wants_json(&headers) {
        return json_face(&app, caller, &parameters, &parameters).await;
    }
    let query = uri.query().unwrap_or_default();
    // To show the page for a client that describes itself, another host may have to be asked.
    if parameters.bytes("client_id").is_some_and(|id| id.starts_with(b"https:"))
        && let Err(error) = app.limits.address(Endpoint::Login, caller.0)
    {
        return page::error_and_again(&app.settings, &error, query);
    }
    match request::read(&app, &parameters).await {
        Ok((request, client)) => {
            let remembered = cookie::platform(&app.settings, &headers);
            let asked = parameters.text("platform_url").ok().flatten();
            let entered = asked.or(remembered.as_deref());
            page::form(&app.settings, &client, &request, query, entered, None)
        }
        Err(refused) => page_refused(&app, refused),
    }
}

/// What the pages send: the platform that was entered, or the question whether the login is done.
/// A client may also send its authorization request here (RFC 6749 section 3.1).
#[utoipa::path(
    post,
    path = "/authorize",
    operation_id = "authorize_by_form",
    request_body(
        content = AuthorizationForm, content_type = "application/x-www-form-urlencoded",
    ),
    responses(
        (
            status = 200, description = "The page, or with `Accept: application/json` a login.",
            content((String = "text/html"), (BegunLogin = "application/json")),
        ),
        (
            status = 303, description = "The login is done, or an error for the client.",
            headers(("Location" = String, description = "The client's `redirect_uri`.")),
        ),
        (
            status = 400, description = "The request is refused.",
            content((String = "text/html"), (ErrorBody<'static> = "application/json")),
        ),
        (
            status = 408, description = "The body came too slowly.",
            content((String = "text/html"), (ErrorBody<'static> = "application/json")),
        ),
        (
            status = 413, description = "The body is longer than `server.maximum_body_bytes`.",
            content((String = "text/html"), (ErrorBody<'static> = "application/json")),
        ),
        (
            status = 429, description = "`rate_limit_exceeded`.",
            content((String = "text/html"), (ErrorBody<'static> = "application/json")),
            headers(("Retry-After" = u64, description = "Seconds.")),
        ),
        Failures,
    ),
)]
pub(super) async fn post(
    State(app): State<Arc<App>>,
    caller: Caller,
    request: Request,
) -> Response {
    let wants_json = reply::wants_json(request.headers());
    let form = match parameters::plain_form(request, app.settings.server).await {
        Ok(form) => form,
        Err(error) if wants_json => return reply::authorize_error(error),
        Err(error) => return page::error(&app.settings, &error),
    };
    let asked = Parameters::parse(form.parameters.bytes(INNER).unwrap_or(&form.body));
    if wants_json {
        return json_face(&app, caller, &asked, &form.parameters).await;
    }
    let limited = |error| page::error_and_again(&app.settings, &error, &again(&form));
    if let Some(token) = form.parameters.bytes("poll_token") {
        return match app.limits.address(Endpoint::Poll, caller.0) {
            Ok(()) => go_on(&app, &form, token).await,
            Err(error) => limited(error),
        };
    }
    match app.limits.address(Endpoint::Login, caller.0) {
        Ok(()) => begin(&app, caller, &form, &asked).await,
        Err(error) => limited(error),
    }
}

/// The JSON face: `{"loginUrl","token"}`, and 400 for whatever the caller got wrong.
async fn json_face(
    app: &App,
    caller: Caller,
    asked: &Parameters,
    entered: &Parameters,
) -> Response {
    match json_login(app, caller, asked, entered).await {
        Ok(begun) => reply::json(&json!({
            "loginUrl": begun.login_url.expose(),
            "token": begun.poll_token.expose(),
        })),
        Err(error) => reply::authorize_error(error),
    }
}

async fn json_login(
    app: &App,
    caller: Caller,
    asked: &Parameters,
    entered: &Parameters,
) -> Result<Begun, Error> {
    app.limits.address(Endpoint::Login, caller.0)?;
    let (request, client) = request::read(app, asked).await.map_err(Refused::error)?;
    // Of whoever registered or described itself a person must have seen the page that says so.
    if client.source != Source::Settings {
        return Err(Error::AccessDenied("A client of this kind must show people the login page"));
    }
    let platform = entered.required("platform_url")?;
    let host = platform_host(platform, &app.settings.intelligencebank.platform_hosts)
        .map_err(|problem| Error::InvalidRequest(problem.to_string().into()))?;
    within_limits(app, &client.id, &host)?;
    app.logins.begin(caller.0, request, host, None).await
}

/// Counts a login of a client on a platform.
fn within_limits(app: &App, client_id: &str, host: &str) -> Result<(), Error> {
    app.limits.client(Endpoint::Login, client_id)?;
    app.limits.platform(host)
}

/// The client's request, byte for byte, to begin again with: what the page's form holds, or a whole form that
/// the client sent itself. Next to a poll token nothing else is the client's.
fn again(form: &parameters::Form) -> Cow<'_, str> {
    let parameters = &form.parameters;
    match parameters.bytes(INNER) {
        Some(inner) => String::from_utf8_lossy(inner),
        None if parameters.bytes("poll_token").is_some() => Cow::Borrowed(""),
        None => String::from_utf8_lossy(&form.body),
    }
}

/// Whether a page of another origin sent the form, by the browser's own word (Fetch Metadata). Programs and
/// old browsers say nothing, and a person's own doing is `none`.
fn is_sent_from_elsewhere(headers: &HeaderMap) -> bool {
    let site = headers.get("sec-fetch-site");
    site.is_some_and(|site| site != "same-origin" && site != "none")
}

/// Begins a login from the page and shows where to go through it.
async fn begin(app: &App, caller: Caller, form: &parameters::Form, asked: &Parameters) -> Response {
    let settings = &app.settings;
    let (request, client) = match request::read(app, asked).await {
        Ok(read) => read,
        Err(refused) => return page_refused(app, refused),
    };
    let inner = form.parameters.bytes(INNER);
    let query = again(form);
    let entered = match form.parameters.text("platform_url") {
        // The client's own request: the person has not been asked yet.
        Ok(None) if inner.is_none() => {
            let remembered = cookie::platform(settings, &form.headers);
            return page::form(settings, &client, &request, &query, remembered.as_deref(), None);
        }
        // Another site may fill in the form and no more: were a login begun for it, this browser would get a new
        // login cookie, since the one that another tab waits with (`SameSite=Strict`) does not come along.
        Ok(entered) if is_sent_from_elsewhere(&form.headers) => {
            return page::form(settings, &client, &request, &query, entered, None);
        }
        Ok(entered) => entered.unwrap_or_default(),
        Err(error) => return page::error(settings, &error),
    };
    let refuse = |error: &Error| page::error_and_again(settings, error, &query);
    let correct = |problem: &str| {
        page::form(settings, &client, &request, &query, Some(entered), Some(problem))
    };
    let host = match platform_host(entered, &settings.intelligencebank.platform_hosts) {
        Ok(host) => host,
        Err(problem) => return correct(&problem.to_string()),
    };
    if let Err(error) = within_limits(app, &client.id, &host) {
        return refuse(&error);
    }
    // A browser keeps its secret over several logins, so that two tabs do not disturb each other.
    let browser = match cookie::browser(settings, &form.headers) {
        Some(browser) => browser,
        None => match BrowserSecret::generate() {
            Ok(browser) => browser,
            Err(cause) => return refuse(&cause.into()),
        },
    };
    let begun = app.logins.begin(caller.0, request.clone(), host.clone(), Some(&browser)).await;
    let begun = match begun {
        Ok(begun) => begun,
        Err(error @ Error::Platform(_)) => return correct(error.description()),
        Err(error) => return refuse(&error),
    };
    let waiting = page::Waiting {
        client: &client,
        request: &request,
        query: &query,
        platform_host: &host,
        login_url: begun.login_url.expose(),
        poll_token: &begun.poll_token,
        not_yet: false,
    };
    let mut response = page::waiting(settings, &waiting);
    let cookies = [cookie::set(settings, &browser), cookie::remember(settings, &host)];
    for cookie in cookies.into_iter().flatten() {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response
}

/// The Continue button: to the client when the login is done, else the same page again.
async fn go_on(app: &App, form: &parameters::Form, token: &[u8]) -> Response {
    let settings = &app.settings;
    let query = again(form);
    let refuse = |error: &Error| page::error_and_again(settings, error, &query);
    let token = std::str::from_utf8(token).ok().and_then(PollToken::parse);
    let Some(token) = token else { return refuse(&Error::ExpiredToken) };
    let browser = cookie::browser(settings, &form.headers);
    match app.logins.poll(&token, browser.as_ref()).await {
        Ok(Poll::Complete(url)) => reply::see_other(url.expose()),
        Ok(Poll::Pending(login)) => match app.clients.find(&login.request.client_id).await {
            Ok(Some(client)) => page::waiting(
                settings,
                &page::Waiting {
                    client: &client,
                    request: &login.request,
                    query: &query,
                    platform_host: &login.platform_host,
                    login_url: login.login_url.expose(),
                    poll_token: &token,
                    not_yet: true,
                },
            ),
            Ok(None) => refuse(&Error::ExpiredToken),
            Err(error) => refuse(&error),
        },
        Ok(Poll::Failed(error, request)) => {
            redirect_error(app, &request.way_back, &Error::AccessDenied(denied(&error)))
        }
        Err(error) => refuse(&error),
    }
}

/// Why nobody logged in, for the client.
fn denied(error: &Error) -> &'static str {
    match error {
        Error::ExpiredToken => "The login expired before anyone logged in",
        Error::AccessDenied(description) => description,
        _ => "The login failed",
    }
}

fn page_refused(app: &App, refused: Refused) -> Response {
    match refused {
        Refused::Here(error) => page::error(&app.settings, &error),
        Refused::AtTheClient(way_back, error) => redirect_error(app, &way_back, &error),
    }
}

/// Tells the client what went wrong, with state and issuer (RFC 6749 section 4.1.2.1, RFC 9207).
fn redirect_error(app: &App, way_back: &crate::authorization::WayBack, error: &Error) -> Response {
    let parameters = [("error", error.code()), ("error_description", error.description())];
    let url = way_back.url(&app.settings.issuer.url, &parameters);
    let mut response = reply::see_other(&url).into_response();
    reply::refused(&mut response, error);
    response
}
