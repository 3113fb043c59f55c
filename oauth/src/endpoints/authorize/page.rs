//! The pages for people. Everything that a client or a person chose is escaped by the templates;
//! styles and the script are files, so that the policy allows nothing inline.

use std::net::IpAddr;

use askama::Template;
use axum::{
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::Response,
};

use super::super::{
    html::{self, CSS, JAVASCRIPT},
    openapi::answers::Failures,
    reply,
};
use crate::{
    audit,
    authorization::{AuthorizationRequest, Place, WayBack},
    clients::{Client, Source},
    error::{Error, Fault},
    settings::Settings,
    tokens::PollToken,
};

const STYLESHEET: &str = include_str!("../../pages/login.css");
const SCRIPT: &str = include_str!("../../pages/login.js");

/// There is no `form-action`: browsers apply it to the redirects behind a form too, and the Continue
/// button leads to the client, and from there to wherever the client goes on to.
///
/// Scripts can make no markup of text (`require-trusted-types-for`), and the empty icon keeps browsers from
/// asking for one.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; \
                      img-src data:; base-uri 'none'; frame-ancestors 'none'; \
                      require-trusted-types-for 'script'; trusted-types 'none'";

#[derive(Template)]
#[template(path = "form.html")]
struct FormPage<'p> {
    stage: &'p str,
    client: &'p str,
    provenance: Option<String>,
    destination: &'p str,
    request: &'p str,
    entered: &'p str,
    problem: Option<&'p str>,
}

#[derive(Template)]
#[template(path = "waiting.html")]
struct WaitingPage<'p> {
    stage: &'p str,
    client: &'p str,
    provenance: Option<String>,
    destination: &'p str,
    request: &'p str,
    platform_host: &'p str,
    login_url: &'p str,
    poll_token: &'p str,
    deadline_seconds: u64,
    not_yet: bool,
}

#[derive(Template)]
#[template(path = "error.html")]
struct ErrorPage<'p> {
    stage: &'p str,
    code: &'p str,
    description: &'p str,
    wait_seconds: Option<u64>,
    again: Option<&'p str>,
    reference: Option<&'p str>,
}

/// What the waiting page shows.
pub(super) struct Waiting<'p> {
    pub(super) client: &'p Client,
    pub(super) request: &'p AuthorizationRequest,
    /// The client's request, byte for byte, to begin again with.
    pub(super) query: &'p str,
    pub(super) platform_host: &'p str,
    pub(super) login_url: &'p str,
    pub(super) poll_token: &'p PollToken,
    /// The person pressed Continue before the login was done.
    pub(super) not_yet: bool,
}

/// The page that asks for the platform. `query` is the client's request, byte for byte; `entered`
/// stands in the field, `problem` beside it.
pub(super) fn form(
    settings: &Settings,
    client: &Client,
    request: &AuthorizationRequest,
    query: &str,
    entered: Option<&str>,
    problem: Option<&str>,
) -> Response {
    let status = if problem.is_some() { StatusCode::BAD_REQUEST } else { StatusCode::OK };
    let page = FormPage {
        stage: &settings.issuer.path,
        client: &client.name,
        provenance: provenance(client),
        destination: &destination(&request.way_back),
        request: query,
        entered: entered.unwrap_or_default(),
        problem,
    };
    render(status, &page)
}

/// The page to wait on while the person logs in elsewhere.
pub(super) fn waiting(settings: &Settings, waiting: &Waiting<'_>) -> Response {
    let page = WaitingPage {
        stage: &settings.issuer.path,
        client: &waiting.client.name,
        provenance: provenance(waiting.client),
        destination: &destination(&waiting.request.way_back),
        request: waiting.query,
        platform_host: waiting.platform_host,
        login_url: waiting.login_url,
        poll_token: waiting.poll_token.expose(),
        deadline_seconds: settings.intelligencebank.login_deadline_seconds,
        not_yet: waiting.not_yet,
    };
    render(StatusCode::OK, &page)
}

/// A page that says what went wrong. It leads nowhere.
pub(super) fn error(settings: &Settings, error: &Error) -> Response {
    error_with(settings, error, None)
}

/// A page that says what went wrong with a login, and leads to a new one by the client's request `again`,
/// which need not have been checked: it goes nowhere but back to this service.
pub(super) fn error_and_again(settings: &Settings, error: &Error, again: &str) -> Response {
    error_with(settings, error, Some(again).filter(|again| !again.is_empty()))
}

fn error_with(settings: &Settings, error: &Error, again: Option<&str>) -> Response {
    let status = match error {
        Error::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Error::RateLimited { .. } => StatusCode::TOO_MANY_REQUESTS,
        Error::SlowBody => StatusCode::REQUEST_TIMEOUT,
        _ => match error.fault() {
            Fault::Client => StatusCode::BAD_REQUEST,
            Fault::Upstream => StatusCode::BAD_GATEWAY,
            Fault::Service => StatusCode::SERVICE_UNAVAILABLE,
        },
    };
    let reference = audit::request_id();
    let page = ErrorPage {
        stage: &settings.issuer.path,
        code: error.code(),
        description: error.description(),
        wait_seconds: match error {
            Error::RateLimited { retry_after } => Some(*retry_after),
            _ => None,
        },
        again,
        reference: reference.as_deref(),
    };
    let mut response = render(status, &page);
    reply::refused(&mut response, error);
    let headers = response.headers_mut();
    match error {
        Error::RateLimited { retry_after } => {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(*retry_after));
        }
        // What is left of the body would be taken for the next request.
        Error::SlowBody => {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        _ => {}
    }
    response
}

/// Who says that this is the client's name, where that is not the operator.
fn provenance(client: &Client) -> Option<String> {
    match &client.source {
        Source::Settings => None,
        Source::Registration => {
            Some("The application gave itself this name; nobody has checked it".to_owned())
        }
        Source::Document { host } => {
            Some(format!("The application is described by {host}, which also gave it this name"))
        }
    }
}

/// Where the person will be sent afterwards: a host, or an application on the person's own device.
fn destination(way_back: &WayBack) -> String {
    match way_back.place() {
        Some(Place::Host(host)) if is_loopback(&host) => {
            format!("an application on this device ({host})")
        }
        Some(Place::Host(host)) => host,
        Some(Place::Scheme(scheme)) => {
            format!(
                "an application on this device, which opens \u{201c}{scheme}:\u{201d} addresses"
            )
        }
        None => "an application on this device".to_owned(),
    }
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

fn render(status: StatusCode, page: &impl Template) -> Response {
    html::page(status, page, POLICY)
}

/// The stylesheet of the pages.
#[utoipa::path(
    get,
    path = "/assets/login.css",
    responses(
        (status = 200, description = "The file.", body = String, content_type = "text/css"),
        (status = 304, description = "`If-None-Match` names the file as it is."),
        Failures,
    ),
)]
pub(in crate::endpoints) async fn stylesheet(headers: HeaderMap) -> Response {
    html::file(&headers, CSS, STYLESHEET)
}

/// The script of the pages.
#[utoipa::path(
    get,
    path = "/assets/login.js",
    responses(
        (status = 200, description = "The file.", body = String, content_type = "text/javascript"),
        (status = 304, description = "`If-None-Match` names the file as it is."),
        Failures,
    ),
)]
pub(in crate::endpoints) async fn script(headers: HeaderMap) -> Response {
    html::file(&headers, JAVASCRIPT, SCRIPT)
}

#[cfg(test)]
mod tests {
    use super::destination;
    use crate::authorization::WayBack;

    #[test]
    fn a_private_use_uri_is_shown_by_its_scheme_and_never_by_a_host_of_the_clients_choice() {
        let way = |uri: &str| WayBack { redirect_uri: uri.to_owned(), state: None };
        let shown = destination(&way("com.evil.app://company.intelligencebank.com/cb"));
        assert!(shown.contains("com.evil.app") && !shown.contains("intelligencebank"), "{shown}");
        assert_eq!(destination(&way("https://claude.ai/cb")), "claude.ai");
    }
}
