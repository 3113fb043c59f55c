//! The v3 API: IB-shaped answers for whoever has a live session.

mod content;
mod download;
mod error;
mod library;
mod multipart;
mod range;
mod table_path;
mod tables;
mod tunnel;

use axum::response::Response;
use http::{HeaderMap, Method};
use serde_json::Value;

use crate::accounts::Identity;
use crate::front::Call;
use crate::received::BodyError;
use crate::request_log::Head;
use crate::shared::Shared;
use crate::tenants::Site;
use crate::{echo, query};
use error::{ApiError, Failure};
use multipart::{FilePart, FileScanner};
use table_path::TablePath;

/// Every path of the API proper begins so; a client id follows.
const VERSION_PREFIX: &str = "/api/3.0.0/";
const TUNNEL_PATH: &str = "/api/json";
/// JSON bodies above this are not looked into.
const MAXIMUM_JSON_BYTES: usize = 1024 * 1024;

/// One call of the API, whether it came by its own method and path or through the tunnel.
struct ApiCall<'a> {
    method: Method,
    client_id: &'a str,
    path: TablePath<'a>,
    raw_query: &'a str,
    /// The request's headers, for ranges.
    headers: &'a HeaderMap,
    body: ApiBody,
    identity: Identity,
    sid: &'a str,
}

/// What a call brought along.
enum ApiBody {
    /// `{"data":{..}}`, or anything else, or nothing.
    Json(Option<Value>),
    /// A multipart form; its field `file`, if it has one.
    File(Option<FilePart>),
}

/// Answers for everything under `/api/`.
pub(crate) async fn answer(call: Call, site: Site) -> Result<Response, BodyError> {
    let Call { shared, head, headers, method, body } = call;
    let mut scanner = FileScanner::for_headers(&headers);
    let body = body
        .drain(MAXIMUM_JSON_BYTES, |piece| {
            if let Some(scanner) = &mut scanner {
                scanner.push(piece);
            }
        })
        .await?;
    let verbose = query::has(&head.raw_query, "verbose");
    let (identity, sid) = match authenticate(&shared, site, &head, &headers) {
        Ok(found) => found,
        Err(error) => return Ok(error.answer(verbose)),
    };
    if query::has(&head.raw_query, "echo") {
        return Ok(echo::answer(&head, &body.facts));
    }
    let json = body.bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    if head.raw_path == TUNNEL_PATH {
        return Ok(tunnel::answer(&method, json, &headers, identity, &sid));
    }
    let body = match scanner {
        Some(scanner) => ApiBody::File(scanner.finish()),
        None => ApiBody::Json(json),
    };
    let Some((client_id, table_path)) = head
        .raw_path
        .strip_prefix(VERSION_PREFIX)
        .and_then(|rest| rest.split_once('/'))
        .filter(|(client_id, _)| !client_id.is_empty())
    else {
        return Ok(ApiError::NotFound.answer(verbose));
    };
    let call = ApiCall {
        method,
        client_id,
        path: TablePath::parse(table_path),
        raw_query: &head.raw_query,
        headers: &headers,
        body,
        identity,
        sid: &sid,
    };
    Ok(dispatch(call))
}

/// Answers a call of somebody who may call.
fn dispatch(call: ApiCall<'_>) -> Response {
    let verbose = query::has(call.raw_query, "verbose");
    if call.path.is_forbidden() {
        return ApiError::NoPermission.answer(verbose);
    }
    tables::answer(call).unwrap_or_else(|failure: Failure| failure.answer(verbose))
}

/// Whose live session the request carries, and its id.
fn authenticate(
    shared: &Shared,
    site: Site,
    head: &Head,
    headers: &HeaderMap,
) -> Result<(Identity, String), ApiError> {
    let sid = session_id(head, headers).ok_or(ApiError::AuthenticationRequired)?;
    let now = shared.clock.now();
    let identity = shared.accounts().identity(&sid, now).ok_or(ApiError::AuthenticationRequired)?;
    if let Site::Platform(tenant) = site
        && tenant.host != identity.tenant.host
    {
        return Err(ApiError::AuthenticationRequired);
    }
    let limit = shared.settings().rate_limit_per_minute;
    shared
        .rate_limit()
        .count(identity.user.uuid, limit, now)
        .map_err(|reached| ApiError::TooManyCalls { retry_after: reached.retry_after })?;
    Ok((identity, sid))
}

/// The one `sid` header; downloads and previews may carry it in the query.
fn session_id(head: &Head, headers: &HeaderMap) -> Option<String> {
    let mut values = headers.get_all("sid").iter();
    match (values.next(), values.next()) {
        (Some(only), None) => only.to_str().ok().map(str::to_owned),
        (Some(_), Some(_)) => None,
        (None, _) => {
            download::is_download(&head.raw_query).then(|| query::value(&head.raw_query, "sid"))?
        }
    }
}
