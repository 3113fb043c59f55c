//! The browser login of a tenant's platform: the login API and the pages.

mod information;
mod pages;

use std::sync::Arc;

use axum::response::{IntoResponse as _, Response};
use http::header::ALLOW;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use serde_json::{Value, json};

use crate::accounts::{CompleteError, LoginPhase, ReadError};
use crate::front::Call;
use crate::received::BodyError;
use crate::settings::Renewal;
use crate::shared::Shared;
use crate::tenants::Tenant;
use crate::{query, reply};

/// A login form is far shorter.
const MAXIMUM_FORM_BYTES: usize = 16 * 1024;

/// Answers for everything on a platform that is not its API.
pub(crate) async fn answer(call: Call, tenant: &'static Tenant) -> Result<Response, BodyError> {
    let Call { shared, head, headers, method, body } = call;
    let body = body.drain(MAXIMUM_FORM_BYTES, |_| ()).await?;
    let query = head.raw_query.as_str();
    let response = match (head.raw_path.as_str(), method) {
        ("/v1/auth/app/token", Method::POST | Method::GET) => begin(&shared, tenant),
        ("/v1/auth/app/token", _) => method_not_allowed("GET, POST"),
        ("/v1/auth/app/info", Method::GET | Method::HEAD) => read_session(&shared, tenant, query),
        ("/v1/auth/app/info", _) => method_not_allowed("GET, HEAD"),
        ("/auth/" | "/auth", Method::GET | Method::HEAD) => show_form(&shared, tenant, query),
        ("/auth/" | "/auth", Method::POST) => post_form(&shared, tenant, body.bytes.as_deref()),
        ("/auth/" | "/auth", _) => method_not_allowed("GET, HEAD, POST"),
        ("/auth/login.css", Method::GET | Method::HEAD) => pages::style(),
        ("/auth/complete.js", Method::GET | Method::HEAD) => pages::complete_script(),
        ("/simulator/session", Method::DELETE) => end_session(&shared, &headers, query),
        _ => message(StatusCode::NOT_FOUND, "Not Found"),
    };
    Ok(response)
}

fn begin(shared: &Arc<Shared>, tenant: &'static Tenant) -> Response {
    match shared.accounts().begin(tenant) {
        Ok(login) => {
            let answer = json!({"SID": login.pre_login_id, "content": login.content});
            reply::json(StatusCode::OK, &answer)
        }
        Err(error) => message(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    }
}

fn read_session(shared: &Arc<Shared>, tenant: &Tenant, raw_query: &str) -> Response {
    let content = query::value(raw_query, "token").unwrap_or_default();
    let renewal = shared.settings().renewal;
    let now = shared.clock.now();
    let session = shared.accounts().read(&content, tenant, renewal, now);
    match session {
        Ok(session) => information::answer(&session),
        Err(ReadError::Pending) => message(StatusCode::NOT_FOUND, "Nobody has logged in yet"),
        Err(ReadError::Expired) => message(StatusCode::NOT_FOUND, "The resource has expired"),
        Err(ReadError::NoRandomness) => message(StatusCode::INTERNAL_SERVER_ERROR, "No randomness"),
    }
}

/// No path of IntelligenceBank's: ends the session of the request, for those who do not know its id.
/// `then` changes what reading it again gives from now on.
fn end_session(shared: &Arc<Shared>, headers: &HeaderMap, raw_query: &str) -> Response {
    let sid = headers.get("sid").and_then(|sid| sid.to_str().ok()).unwrap_or_default();
    let then = query::value(raw_query, "then").map(Value::String);
    let Ok(renewal) = then.map(serde_json::from_value::<Renewal>).transpose() else {
        return message(StatusCode::BAD_REQUEST, "then: is no way of renewal");
    };
    if !shared.accounts().kill(sid) {
        return message(StatusCode::UNAUTHORIZED, "There is no such session");
    }
    if let Some(renewal) = renewal {
        shared.settings().renewal = renewal;
    }
    StatusCode::NO_CONTENT.into_response()
}

fn show_form(shared: &Arc<Shared>, tenant: &Tenant, raw_query: &str) -> Response {
    let content = query::value(raw_query, "token").unwrap_or_default();
    let display = Display::of(&query::value(raw_query, "display").unwrap_or_default());
    let phase = shared.accounts().phase(&content, tenant);
    match phase {
        LoginPhase::Pending => pages::form(tenant, &content, display),
        LoginPhase::Over => pages::expired(tenant, display),
    }
}

fn post_form(shared: &Arc<Shared>, tenant: &'static Tenant, form: Option<&[u8]>) -> Response {
    let form = form.and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or_default();
    let content = query::value(form, "token").unwrap_or_default();
    let user = query::value(form, "user").unwrap_or_default();
    let display = Display::of(&query::value(form, "display").unwrap_or_default());
    let settings = shared.settings().clone();
    let now = shared.clock.now();
    let done = shared.accounts().complete(&content, &user, Some(tenant), &settings, now);
    match done {
        Ok(_sid) => pages::success(tenant, display),
        Err(CompleteError::UnknownUser) => pages::unknown_user(tenant, &content, display),
        Err(CompleteError::Expired | CompleteError::Spent) => pages::expired(tenant, display),
        Err(CompleteError::NoRandomness(_)) => {
            message(StatusCode::INTERNAL_SERVER_ERROR, "No randomness")
        }
    }
}

/// How the page is shown.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Display {
    /// In a window of its own, opened by the client's page.
    Window,
    /// With `display=iframe`: perhaps inside the client's page.
    Frame,
}

impl Display {
    fn of(parameter: &str) -> Self {
        if parameter == "iframe" { Self::Frame } else { Self::Window }
    }
}

fn message(status: StatusCode, text: &str) -> Response {
    reply::json(status, &json!({"message": text}))
}

fn method_not_allowed(allowed: &'static str) -> Response {
    let mut response = message(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed");
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    response
}
