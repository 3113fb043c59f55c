//! REI API CCA: a token endpoint, and lists of properties for who has a token.

pub(crate) mod tokens;

use std::sync::Arc;

use axum::response::Response;
use http::header::ALLOW;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use serde_json::{Value, json};

use crate::front::Call;
use crate::received::BodyError;
use crate::shared::Shared;
use crate::{echo, query, reply};
use tokens::Brand;

/// A token request is far shorter.
const MAXIMUM_FORM_BYTES: usize = 16 * 1024;
/// Properties of one answer at most.
const MAXIMUM_TAKE: u32 = 100;
const TOKEN_PATH: &str = "/api/v1/oauth/token";
const LIST_PATH: &str = "/api/v1/GetProperties/take/";

/// Answers for everything under `/api/`.
pub(crate) async fn answer(call: Call) -> Result<Response, BodyError> {
    let Call { shared, head, headers, method, body, .. } = call;
    let body = body.drain(MAXIMUM_FORM_BYTES, |_| ()).await?;
    if head.raw_path == TOKEN_PATH {
        if method != Method::POST {
            return Ok(method_not_allowed("POST"));
        }
        return Ok(token(&shared, &headers, body.bytes.as_deref()));
    }
    let Some(brand) = bearer(&headers).and_then(|token| {
        let now = shared.clock.now();
        shared.tokens().brand_of(token, now)
    }) else {
        let message = json!({"message": "Authorization has been denied for this request."});
        return Ok(reply::json(StatusCode::UNAUTHORIZED, &message));
    };
    if query::has(&head.raw_query, "echo") {
        return Ok(echo::answer(&head, &body.facts));
    }
    if method != Method::GET && method != Method::HEAD {
        return Ok(method_not_allowed("GET, HEAD"));
    }
    Ok(match range(&head.raw_path) {
        Some((take, skip)) => reply::json(StatusCode::OK, &properties(brand, take, skip)),
        None => reply::json(StatusCode::NOT_FOUND, &json!({"message": "Not Found"})),
    })
}

/// Trades keys for a token: a form, in which the grant type is `password` whatever RFC 6749 says of it.
fn token(shared: &Arc<Shared>, headers: &HeaderMap, form: Option<&[u8]>) -> Response {
    let is_form = headers
        .get(header::CONTENT_TYPE)
        .is_some_and(|value| value.as_bytes().starts_with(b"application/x-www-form-urlencoded"));
    let form = form.filter(|_| is_form).and_then(|form| std::str::from_utf8(form).ok());
    let value = |name| form.and_then(|form| query::value(form, name)).unwrap_or_default();
    if value("grant_type") != "password" {
        return refused("unsupported_grant_type");
    }
    let keys = Brand::of_keys(&value("apikey"), &value("integratorID"), &value("secretkey"));
    let Some(brand) = keys else { return refused("unauthorized_client") };
    let lifetime = shared.settings().rei_cca_token_seconds;
    let now = shared.clock.now();
    match shared.tokens().issue(brand, lifetime, now) {
        Ok(token) => {
            let answer =
                json!({"access_token": token, "token_type": "bearer", "expires_in": lifetime});
            reply::json(StatusCode::OK, &answer)
        }
        Err(error) => {
            reply::json(StatusCode::INTERNAL_SERVER_ERROR, &json!({"message": error.to_string()}))
        }
    }
}

fn refused(error: &str) -> Response {
    reply::json(StatusCode::BAD_REQUEST, &json!({"error": error}))
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token)
}

/// `take` and `skip` of a path.
fn range(path: &str) -> Option<(u32, u32)> {
    let (take, skip) = path.strip_prefix(LIST_PATH)?.split_once("/skip/")?;
    Some((take.parse().ok()?, skip.parse().ok()?))
}

fn properties(brand: &Brand, take: u32, skip: u32) -> Value {
    let numbers = (1..=brand.properties).skip(usize::try_from(skip).unwrap_or(usize::MAX));
    let numbers = numbers.take(usize::try_from(take.min(MAXIMUM_TAKE)).unwrap_or_default());
    let result: Vec<_> = numbers
        .map(|number| {
            json!({
                "id": number,
                "reference": format!("{}-{number:04}", brand.name),
                "title": format!("Property {number}"),
                "brand": brand.name,
            })
        })
        .collect();
    json!({ "result": result })
}

fn method_not_allowed(allow: &'static str) -> Response {
    let message = json!({"message": "The requested resource does not support this method."});
    let mut response = reply::json(StatusCode::METHOD_NOT_ALLOWED, &message);
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(allow));
    response
}
