use std::{collections::BTreeSet, path::Path};

use axum::{
    Router,
    body::Body,
    http::{Request, StatusCode},
};
use tower::ServiceExt as _;
use utoipa::openapi::OpenApi as Document;

use super::{Internal, OpenApi as _, public_document};
use crate::{
    endpoints::{internal_routes, public_routes},
    settings::Issuer,
    tests::Kit,
};

const METHODS: [&str; 7] = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"];

fn issuer(stage: &str) -> Issuer {
    Issuer {
        url: format!("https://gateway.example.com{stage}"),
        path: stage.to_owned(),
        origin: "https://gateway.example.com".to_owned(),
    }
}

/// The operations of a document, as `GET /path`.
fn described(document: &Document) -> BTreeSet<String> {
    let mut operations = BTreeSet::new();
    for (path, item) in &document.paths.paths {
        let item = serde_json::to_value(item).unwrap();
        for method in METHODS {
            if item.get(method.to_lowercase()).is_some() {
                operations.insert(format!("{method} {path}"));
            }
        }
    }
    operations
}

/// The operations that a router really has: its paths, with every method that is not refused.
async fn served(router: &Router, paths: &[String], stage: &str) -> BTreeSet<String> {
    let mut operations = BTreeSet::new();
    for path in paths {
        let written = path.strip_prefix(stage).unwrap_or(path).replace("{*", "{");
        for method in METHODS {
            let uri = path.replace("{*path}", "proxy");
            assert!(!uri.contains('{'), "this test cannot fill in {uri}");
            let request = Request::builder().method(method).uri(uri).body(Body::empty()).unwrap();
            let status = router.clone().oneshot(request).await.unwrap().status();
            if status != StatusCode::METHOD_NOT_ALLOWED {
                operations.insert(format!("{method} {written}"));
            }
        }
    }
    operations
}

#[tokio::test]
async fn a_client_finds_every_public_operation_in_the_document_and_no_other() {
    for stage in ["", "/dev"] {
        // What settings switch on is in the document whether or not they do.
        let registration = "registration: { enabled: true, redirect_hosts: [ app.example.com ] }";
        let console = "console: { enabled: true }";
        let kit = Kit::with(&format!(
            "issuer: https://gateway.example.com{stage}\n{registration}\n{console}"
        ));
        let paths = public_routes(&kit.app).paths;
        let served = served(&kit.public, &paths, stage).await;
        assert_eq!(described(&public_document(&issuer(stage))), served, "stage {stage:?}");
    }
}

#[tokio::test]
async fn an_operator_finds_every_internal_operation_in_the_document_and_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let credential = folder.path().join("operator");
    std::fs::write(&credential, "operator-credential-for-tests-0123456789").unwrap();
    let kit = Kit::with(&format!("admin: {{ credentials: [ {{ file: {credential:?} }} ] }}"));
    let (routes, waiting) = internal_routes(&kit.app);
    let served = served(&kit.internal, &[routes.paths, waiting.paths].concat(), "").await;
    assert_eq!(described(&Internal::openapi()), served);
}

#[tokio::test]
async fn both_ports_serve_their_own_document() {
    let kit = Kit::with("issuer: https://gateway.example.com/dev");
    let public = kit.get("/dev/openapi.json").await;
    assert_eq!(public.status, StatusCode::OK);
    let expected = serde_json::to_value(public_document(&issuer("/dev"))).unwrap();
    assert_eq!(public.json(), expected);
    assert!(!public.text.contains("/metrics"), "the internal port is nobody's business");
    let request = Request::get("/openapi.json").body(Body::empty()).unwrap();
    let internal = kit.send_internal(request).await;
    assert_eq!(internal.json(), serde_json::to_value(Internal::openapi()).unwrap());
}

#[test]
fn with_a_stage_well_known_paths_count_from_the_origin() {
    let document = serde_json::to_value(public_document(&issuer("/dev"))).unwrap();
    assert_eq!(document["servers"][0]["url"], "https://gateway.example.com/dev");
    let inserted = &document["paths"]["/.well-known/oauth-authorization-server/dev"];
    assert_eq!(inserted["servers"][0]["url"], "https://gateway.example.com");
    let ids: Vec<_> = document["paths"]
        .as_object()
        .unwrap()
        .values()
        .flat_map(|item| {
            let operations = ["get", "post"].into_iter().filter_map(|method| item.get(method));
            operations.map(|operation| operation["operationId"].to_string())
        })
        .collect();
    let different: BTreeSet<_> = ids.iter().collect();
    assert_eq!(ids.len(), different.len(), "{ids:?}");
}

#[test]
fn every_error_of_the_documents_has_the_error_form() {
    for document in [public_document(&issuer("")), Internal::openapi()] {
        let document = serde_json::to_value(document).unwrap();
        for (path, item) in document["paths"].as_object().unwrap() {
            for operation in ["get", "post"].into_iter().filter_map(|method| item.get(method)) {
                for (status, answer) in operation["responses"].as_object().unwrap() {
                    let schema = &answer["content"]["application/json"]["schema"]["$ref"];
                    let is_error = status.starts_with(['4', '5']);
                    let has_form = schema == "#/components/schemas/ErrorBody";
                    assert_eq!(is_error, has_form, "{path} {status}: {answer}");
                }
            }
        }
    }
}

/// The documents in docs/ are what the code says; `make schema` writes them.
#[test]
fn generated_documents_are_current() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
    for (name, document) in [
        ("openapi.json", public_document(&issuer(""))),
        ("openapi-internal.json", Internal::openapi()),
    ] {
        let value = serde_json::to_value(document).unwrap();
        let text = serde_json::to_string_pretty(&value).unwrap() + "\n";
        let path = folder.join(name);
        if std::env::var_os("IB_GATEWAY_WRITE_GENERATED").is_some() {
            std::fs::write(&path, &text).unwrap();
        }
        let written = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(written == text, "docs/{name} differs from the code: run `make schema`");
    }
}
