//! The simulated hosts: each request is noted, meets its fault or set answer, and then its site.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Router};
use http::{HeaderMap, Method, StatusCode};
use serde_json::json;
use tracing::debug;

use crate::connection::ConnectionHandle;
use crate::received::{self, BodyError, Incoming};
use crate::request_log::Head;
use crate::shared::Shared;
use crate::tampering::{self, Outcome};
use crate::tenants::{self, Site};
use crate::{api, echo, login, query, rei_cca, reply};

/// Everything that the TLS listener serves.
pub(crate) fn router(shared: Arc<Shared>) -> Router {
    Router::new().fallback(serve).with_state(shared)
}

/// A request at a simulated host, with its body still on its way.
pub(crate) struct Call {
    pub(crate) shared: Arc<Shared>,
    pub(crate) head: Head,
    pub(crate) headers: HeaderMap,
    pub(crate) method: Method,
    pub(crate) body: Incoming,
}

async fn serve(
    State(shared): State<Arc<Shared>>,
    Extension(connection): Extension<ConnectionHandle>,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let head = received::head_of(&parts);
    let number = shared.requests().begin(head.clone());
    let body = Incoming { shared: Arc::clone(&shared), number, body };
    let site = Site::of_host(&head.host);
    let call = Call { shared, head, headers: parts.headers, method: parts.method, body };
    let response = answer(call, site, &connection).await.unwrap_or_else(body_failed);
    // Neither the path nor the query: both may hold a session id or a token.
    debug!(number, status = response.status().as_u16(), known_host = site.is_some(), "answered");
    response
}

async fn answer(
    call: Call,
    site: Option<Site>,
    connection: &ConnectionHandle,
) -> Result<Response, BodyError> {
    let Some(site) = site else {
        call.body.drain(0, |_| ()).await?;
        let error = json!({"message": "This host is not simulated here"});
        return Ok(reply::json(StatusCode::MISDIRECTED_REQUEST, &error));
    };
    let host = tenants::host_name(&call.head.host);
    let fault = call.shared.settings().take_fault(&host, &call.head.raw_path);
    if let Some(fault) = fault {
        match tampering::suffer(&fault, connection).await {
            Outcome::Continue => {}
            Outcome::Aborted => return Ok(StatusCode::SERVICE_UNAVAILABLE.into_response()),
            Outcome::Status(status) => {
                call.body.drain(0, |_| ()).await?;
                return Ok(tampering::faulty_answer(status));
            }
        }
    }
    let set = call.shared.settings().take_answer(&host, &call.head.raw_path);
    if let Some(set) = set {
        call.body.drain(0, |_| ()).await?;
        return Ok(tampering::set_answer(&set, &call.head));
    }
    if call.method == Method::TRACE {
        call.body.drain(0, |_| ()).await?;
        return Ok(echo::trace(&call.head));
    }
    at_site(call, site).await
}

async fn at_site(call: Call, site: Site) -> Result<Response, BodyError> {
    if call.head.raw_path.starts_with("/api/") {
        return match site {
            Site::ReiCca => rei_cca::answer(call).await,
            Site::Platform(_) | Site::Api => api::answer(call, site).await,
        };
    }
    if query::has(&call.head.raw_query, "echo") {
        let body = call.body.drain(0, |_| ()).await?;
        return Ok(echo::answer(&call.head, &body.facts));
    }
    if let Site::Platform(tenant) = site {
        return login::answer(call, tenant).await;
    }
    call.body.drain(0, |_| ()).await?;
    Ok(reply::json(StatusCode::NOT_FOUND, &json!({"message": "Not Found"})))
}

/// Mostly unheard, since the client has gone.
fn body_failed(error: BodyError) -> Response {
    reply::json(StatusCode::BAD_REQUEST, &json!({"message": error.to_string()}))
}
