use std::time::Duration;

use axum::{
    Router,
    http::{StatusCode, header},
    response::{IntoResponse as _, Redirect},
    routing::get,
};

use super::{HttpsDocuments, LONGEST_DOCUMENT};
use crate::{
    clients::{ClientDocumentSource as _, DocumentError, Fetched},
    upstreams::intelligencebank::tests::{HOST, platform, settings},
};

const JSON: [(&str, &str); 1] = [("content-type", "application/json; charset=utf-8")];

fn hosts() -> Router {
    Router::new()
        .route("/good", get(|| async { (JSON, "{}") }))
        .route(
            "/kept",
            get(|| async { (JSON, [(header::CACHE_CONTROL, "public, Max-Age=\"700\"")], "{}") }),
        )
        .route(
            "/not-kept",
            get(|| async { (JSON, [(header::CACHE_CONTROL, "max-age=700, no-cache")], "{}") }),
        )
        .route(
            "/other-json",
            get(|| async { ([(header::CONTENT_TYPE, "application/client+json")], "{}") }),
        )
        .route("/page", get(|| async { ([(header::CONTENT_TYPE, "text/html")], "{}") }))
        .route("/large", get(|| async { (JSON, "x".repeat(LONGEST_DOCUMENT + 1)) }))
        .route("/elsewhere", get(|| async { Redirect::temporary("/good") }))
        .route("/down", get(|| async { StatusCode::BAD_GATEWAY.into_response() }))
}

async fn fetch(allow_private: bool, path: &str) -> Result<Fetched, DocumentError> {
    let (address, ca) = platform(hosts()).await;
    let mut settings = settings(address, Some(ca));
    settings.allow_private_addresses = allow_private;
    let documents = HttpsDocuments::new(&settings).unwrap();
    documents.fetch(&format!("https://{HOST}{path}")).await
}

#[tokio::test]
async fn a_json_document_is_read_with_how_long_it_may_be_kept() {
    for (path, max_age) in
        [("/good", None), ("/kept", Some(700)), ("/not-kept", Some(0)), ("/other-json", None)]
    {
        let fetched = fetch(true, path).await.unwrap();
        assert_eq!(fetched.body, b"{}", "{path}");
        assert_eq!(fetched.max_age, max_age.map(Duration::from_secs), "{path}");
    }
}

#[tokio::test]
async fn what_is_no_json_document_of_an_acceptable_length_is_none() {
    for path in ["/page", "/large", "/elsewhere", "/nowhere"] {
        assert_eq!(fetch(true, path).await.unwrap_err(), DocumentError::NoDocument, "{path}");
    }
    assert_eq!(fetch(true, "/down").await.unwrap_err(), DocumentError::Unreachable);
}

#[tokio::test]
async fn defect_3_a_client_id_that_resolves_to_a_private_address_is_not_asked() {
    assert_eq!(fetch(false, "/good").await.unwrap_err(), DocumentError::Unreachable);
}
