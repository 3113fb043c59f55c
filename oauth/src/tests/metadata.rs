//! What the service says about itself, and the paths that it does not have.

use axum::{
    body::Body,
    http::{Request, StatusCode},
};
use serde_json::json;

use super::Kit;

#[tokio::test]
async fn row_15_rfc_8414_the_metadata_names_what_exists_and_nothing_else() {
    let kit = Kit::new();
    let answer = kit.get("/.well-known/oauth-authorization-server").await;
    assert_eq!(answer.status, StatusCode::OK);
    let base = "http://127.0.0.1:8080";
    assert_eq!(
        answer.json(),
        json!({
            "issuer": base,
            "authorization_endpoint": format!("{base}/authorize"),
            "token_endpoint": format!("{base}/token"),
            "introspection_endpoint": format!("{base}/introspect"),
            "revocation_endpoint": format!("{base}/revoke"),
            "userinfo_endpoint": format!("{base}/userinfo"),
            "scopes_supported": ["assets", "profile"],
            "response_types_supported": ["code"],
            "response_modes_supported": ["query"],
            "grant_types_supported": ["authorization_code", "refresh_token"],
            "token_endpoint_auth_methods_supported":
                ["none", "client_secret_basic", "private_key_jwt"],
            "token_endpoint_auth_signing_alg_values_supported": ["ES256", "PS256", "RS256"],
            "introspection_endpoint_auth_methods_supported":
                ["client_secret_basic", "private_key_jwt"],
            "introspection_endpoint_auth_signing_alg_values_supported":
                ["ES256", "PS256", "RS256"],
            "revocation_endpoint_auth_methods_supported":
                ["none", "client_secret_basic", "private_key_jwt"],
            "revocation_endpoint_auth_signing_alg_values_supported": ["ES256", "PS256", "RS256"],
            "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": true,
            "protected_resources": [format!("{base}/proxy/")],
        }),
    );
}

#[tokio::test]
async fn row_15_defect_20_with_a_stage_the_issuers_path_is_inserted() {
    let kit = Kit::with("issuer: http://127.0.0.1:8080/dev");
    for path in [
        "/.well-known/oauth-authorization-server/dev",
        "/dev/.well-known/oauth-authorization-server",
    ] {
        let answer = kit.get(path).await;
        assert_eq!(answer.json()["issuer"], "http://127.0.0.1:8080/dev", "{path}");
        assert_eq!(answer.json()["token_endpoint"], "http://127.0.0.1:8080/dev/token");
    }
    for path in
        ["/.well-known/oauth-authorization-server", "/.well-known/oauth-authorization-server/main"]
    {
        kit.get(path).await.expect(404, "not_found");
    }
}

#[tokio::test]
async fn row_16_rfc_9728_3_3_the_resource_is_the_one_that_was_asked_for() {
    let kit = Kit::new();
    for path in ["", "/proxy", "/proxy/", "/proxy/company.intelligencebank.com/api"] {
        let answer = kit.get(&format!("/.well-known/oauth-protected-resource{path}")).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}");
        let metadata = answer.json();
        assert_eq!(metadata["resource"], format!("http://127.0.0.1:8080{path}"));
        assert_eq!(metadata["authorization_servers"], json!(["http://127.0.0.1:8080"]));
        assert_eq!(metadata["bearer_methods_supported"], json!(["header"]));
    }
    for path in ["/token", "/proxyx", "/other/proxy"] {
        let answer = kit.get(&format!("/.well-known/oauth-protected-resource{path}")).await;
        answer.expect(404, "not_found");
    }
    let kit = Kit::with("issuer: http://127.0.0.1:8080/dev");
    let answer = kit.get("/.well-known/oauth-protected-resource/dev/proxy/").await;
    assert_eq!(answer.json()["resource"], "http://127.0.0.1:8080/dev/proxy/");
    assert_eq!(answer.json()["authorization_servers"], json!(["http://127.0.0.1:8080/dev"]));
    let other = kit.get("/.well-known/oauth-protected-resource/proxy/").await;
    other.expect(404, "not_found");
}

#[tokio::test]
async fn unknown_paths_and_methods_are_json_errors_and_later_endpoints_are_not_there_yet() {
    let kit = Kit::new();
    for path in ["/", "/register", "/metrics", "/readyz", "/sessions/renew", "/revocations"] {
        kit.get(path).await.expect(404, "not_found");
    }
    for (method, path, allow) in [
        ("GET", "/token", "POST"),
        ("PUT", "/token", "POST"),
        ("GET", "/introspect", "POST"),
        ("GET", "/revoke", "POST"),
        ("GET", "/logout", "POST"),
        ("HEAD", "/token", "POST"),
        ("OPTIONS", "/token", "POST"),
        ("OPTIONS", "/authorize", "GET,POST"),
        ("HEAD", "/authorize", "GET,POST"),
        ("DELETE", "/authorize", "GET,POST"),
        ("POST", "/authorize/poll", "GET"),
        ("POST", "/userinfo", "GET,HEAD"),
        ("POST", "/jwks.json", "GET,HEAD"),
        ("TRACE", "/token", "POST"),
    ] {
        let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
        let answer = kit.send(request).await;
        match method {
            "HEAD" => assert_eq!((answer.status.as_u16(), answer.text.as_str()), (405, "")),
            _ => answer.expect(405, "invalid_request"),
        }
        assert_eq!(answer.header("allow"), allow, "{method} {path}");
    }
}

#[tokio::test]
async fn health_and_readiness_tell_the_process_and_the_store() {
    let kit = Kit::new();
    assert_eq!(kit.get("/healthz").await.status, StatusCode::OK);
    for path in ["/healthz", "/readyz"] {
        let request = Request::get(path).body(Body::empty()).unwrap();
        assert_eq!(kit.send_internal(request).await.status, StatusCode::OK, "{path}");
    }
    for path in ["/authorize", "/token", "/userinfo"] {
        let request = Request::get(path).body(Body::empty()).unwrap();
        assert_eq!(kit.send_internal(request).await.status, StatusCode::NOT_FOUND, "{path}");
    }
}
