//! Carries out the faults and answers that a test has set.

use std::time::Duration;

use axum::body::Body;
use axum::response::{IntoResponse as _, Response};
use http::header::RETRY_AFTER;
use http::{HeaderName, HeaderValue, StatusCode};
use serde_json::json;
use tokio::io::AsyncWriteExt as _;
use tokio_util::io::ReaderStream;

use crate::connection::ConnectionHandle;
use crate::reply;
use crate::request_log::Head;
use crate::settings::{Answer, Fault};

/// What a fault makes of a request.
pub(crate) enum Outcome {
    /// It goes on as if nothing had happened.
    Continue,
    /// The connection is gone; whatever is answered now reaches nobody.
    Aborted,
    /// This status is the answer, once the body has been read.
    Status(StatusCode),
}

/// Waits as long as `fault` says, and then does what it says.
pub(crate) async fn suffer(fault: &Fault, connection: &ConnectionHandle) -> Outcome {
    tokio::time::sleep(Duration::from_millis(fault.delay_ms)).await;
    if fault.reset {
        connection.abort();
        return Outcome::Aborted;
    }
    fault
        .status
        .and_then(|status| StatusCode::from_u16(status).ok())
        .map_or(Outcome::Continue, Outcome::Status)
}

/// The answer of a fault: nothing a client should read anything into.
pub(crate) fn faulty_answer(status: StatusCode) -> Response {
    let mut response = reply::json(status, &json!({"error": "error.simulated_fault"}));
    if matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

/// The answer that a test has set, with the request's session id where it wants it.
pub(crate) fn set_answer(answer: &Answer, head: &Head) -> Response {
    let sid = head.headers.get("sid").map_or("", String::as_str);
    let body = answer.body.replace("{sid}", sid);
    let body = match answer.piece_bytes {
        None => Body::from(body),
        Some(bytes) => in_pieces(body, bytes, Duration::from_millis(answer.pause_ms)),
    };
    let mut response = Response::new(body);
    let Ok(status) = StatusCode::from_u16(answer.status) else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    *response.status_mut() = status;
    for (name, value) in &answer.headers {
        let name = HeaderName::from_bytes(name.as_bytes());
        let value = HeaderValue::from_str(&value.replace("{sid}", sid));
        if let (Ok(name), Ok(value)) = (name, value) {
            response.headers_mut().append(name, value);
        }
    }
    response
}

/// A body that is sent piece by piece.
fn in_pieces(body: String, bytes: usize, pause: Duration) -> Body {
    let (mut near, far) = tokio::io::duplex(bytes);
    tokio::spawn(async move {
        for piece in body.as_bytes().chunks(bytes) {
            // An error means that the client has gone.
            if near.write_all(piece).await.is_err() {
                return;
            }
            tokio::time::sleep(pause).await;
        }
    });
    Body::from_stream(ReaderStream::with_capacity(far, bytes))
}
