//! Clients that register themselves (RFC 7591).

use std::time::Duration;

use axum::{
    body::Body,
    http::{Request, StatusCode, header},
};
use serde_json::{Value, json};

use super::{Answer, Kit, NOW, authorize_url, changed, exchange_form, pages::code_by_page, text};

const ON: &str = r#"
registration: { enabled: true, redirect_hosts: [ "app.example.com" ] }
"#;
const REDIRECT: &str = "https://app.example.com/callback";

fn metadata() -> Value {
    json!({
        "client_name": "Example app",
        "redirect_uris": [REDIRECT, "http://localhost:3000/callback"],
        "token_endpoint_auth_method": "none",
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "logo_uri": "https://app.example.com/logo.png",
    })
}

fn request(metadata: &Value) -> Request<Body> {
    Request::post("/register")
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from(metadata.to_string()))
        .unwrap()
}

async fn register(kit: &Kit, metadata: &Value) -> Answer {
    kit.send(request(metadata)).await
}

async fn registered(kit: &Kit) -> String {
    let answer = register(kit, &metadata()).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text);
    text(&answer.json(), "client_id")
}

async fn code(kit: &Kit, id: &str) -> String {
    code_by_page(kit, &[("client_id", id), ("redirect_uri", REDIRECT)]).await
}

async fn exchange(kit: &Kit, id: &str, code: &str) -> Answer {
    let form = changed(changed(exchange_form(code), "client_id", id), "redirect_uri", REDIRECT);
    kit.post("/token", &form).await
}

#[tokio::test]
async fn row_23_rfc_7591_a_registered_client_goes_the_whole_way_and_survives_a_restart() {
    let kit = Kit::with(ON);
    let answer = register(&kit, &metadata()).await;
    assert_eq!(answer.status, StatusCode::CREATED);
    assert_eq!(answer.header("cache-control"), "no-store");
    let told = answer.json();
    let id = text(&told, "client_id");
    assert_eq!(
        told,
        json!({
            "client_id": id,
            "client_id_issued_at": NOW,
            "client_name": "Example app",
            "redirect_uris": [REDIRECT, "http://localhost:3000/callback"],
            "token_endpoint_auth_method": "none",
            "grant_types": ["authorization_code", "refresh_token"],
            "response_types": ["code"],
            "scope": "profile",
        }),
        "and no secret, which a public client has no use for",
    );
    let kit = kit.restarted();
    let code = code(&kit, &id).await;
    let tokens = exchange(&kit, &id, &code).await.json();
    let kit = kit.restarted();
    let refresh_token = text(&tokens, "refresh_token");
    let form =
        [("grant_type", "refresh_token"), ("refresh_token", &refresh_token), ("client_id", &id)];
    let tokens = kit.post("/token", &form).await.json();
    let told = kit.introspect(&text(&tokens, "access_token")).await;
    assert_eq!((&told["active"], &told["client_id"]), (&json!(true), &json!(id)));
    let metadata = kit.get("/.well-known/oauth-authorization-server").await.json();
    assert_eq!(metadata["registration_endpoint"], "http://127.0.0.1:8080/register");
    let page = kit.get(&authorize_url(&[("client_id", &id), ("redirect_uri", REDIRECT)])).await;
    assert!(page.text.contains("gave itself this name"), "{}", page.text);
    assert!(page.text.contains("app.example.com"), "{}", page.text);
}

#[tokio::test]
async fn row_23_while_registration_is_off_there_is_no_such_path_and_no_such_client() {
    let kit = Kit::with(ON);
    let id = registered(&kit).await;
    let code = code(&kit, &id).await;
    let token = text(&exchange(&kit, &id, &code).await.json(), "access_token");
    let off = kit.settings.replace("enabled: true", "enabled: false");
    let kit = kit.restarted_with(off);
    register(&kit, &metadata()).await.expect(404, "not_found");
    let metadata = kit.get("/.well-known/oauth-authorization-server").await.json();
    assert_eq!(metadata.get("registration_endpoint"), None);
    let answer = kit.get_json(&authorize_url(&[("client_id", &id)])).await;
    answer.expect(400, "invalid_client");
    assert_eq!(kit.introspect(&token).await["reason"], "invalid_token");
}

#[tokio::test]
async fn row_23_rfc_7591_3_2_2_what_cannot_be_registered_is_refused_by_its_name() {
    let kit = Kit::with(ON);
    for (name, value, error) in [
        ("redirect_uris", json!(["https://evil.example/cb"]), "invalid_redirect_uri"),
        ("redirect_uris", json!(["http://app.example.com/cb"]), "invalid_redirect_uri"),
        ("redirect_uris", json!(["https://*.example.com/cb"]), "invalid_redirect_uri"),
        ("redirect_uris", json!(["com.example:/cb"]), "invalid_redirect_uri"),
        ("redirect_uris", json!([]), "invalid_redirect_uri"),
        ("redirect_uris", Value::Null, "invalid_redirect_uri"),
        ("redirect_uris", json!([7]), "invalid_client_metadata"),
        ("token_endpoint_auth_method", json!("client_secret_basic"), "invalid_client_metadata"),
        ("token_endpoint_auth_method", json!("private_key_jwt"), "invalid_client_metadata"),
        ("grant_types", json!(["client_credentials"]), "invalid_client_metadata"),
        ("client_name", json!("\u{202e}ppA"), "invalid_client_metadata"),
        ("scope", json!("admin"), "invalid_client_metadata"),
    ] {
        let mut metadata = metadata();
        metadata[name] = value;
        register(&kit, &metadata).await.expect(400, error);
    }
    for body in ["", "[]", "7", "{", "client_name=x"] {
        let request = Request::post("/register").header(header::CONTENT_TYPE, "application/json");
        let answer = kit.send(request.body(Body::from(body)).unwrap()).await;
        answer.expect(400, "invalid_client_metadata");
    }
    let other = Request::post("/register").header(header::CONTENT_TYPE, "text/plain");
    let answer = kit.send(other.body(Body::from(metadata().to_string())).unwrap()).await;
    answer.expect(400, "invalid_client_metadata");
    let large = json!({ "client_name": "x".repeat(70_000) });
    register(&kit, &large).await.expect(413, "invalid_request");
    let get = Request::get("/register").body(Body::empty()).unwrap();
    kit.send(get).await.expect(405, "invalid_request");
}

#[tokio::test]
async fn rfc_7591_3_an_initial_access_token_is_needed_where_the_operator_has_set_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("initial");
    std::fs::write(&path, "initial-access-token-for-tests-0123456789").unwrap();
    let on = format!(
        "registration: {{ enabled: true, redirect_hosts: [ app.example.com ], initial_access_token_file: \"{}\" }}",
        path.display()
    );
    let kit = Kit::with(&on);
    let none = register(&kit, &metadata()).await;
    assert_eq!(none.status, StatusCode::UNAUTHORIZED);
    assert!(none.header("www-authenticate").starts_with("Bearer resource_metadata="));
    let with = |token: &str| {
        let mut request = request(&metadata());
        let value = format!("Bearer {token}").parse().unwrap();
        request.headers_mut().insert(header::AUTHORIZATION, value);
        kit.send(request)
    };
    with("wrong").await.expect(401, "invalid_token");
    let good = with("initial-access-token-for-tests-0123456789").await;
    assert_eq!(good.status, StatusCode::CREATED);
}

#[tokio::test]
async fn a_registration_ends_some_days_after_its_last_use() {
    let day = Duration::from_secs(24 * 3_600);
    let kit = Kit::with(ON);
    let id = registered(&kit).await;
    let known = async |id: &str| {
        let target = authorize_url(&[("client_id", id), ("redirect_uri", REDIRECT)]);
        kit.get(&target).await.status == StatusCode::OK
    };
    for _ in 0..3 {
        kit.clock.advance(89 * day);
        assert!(known(&id).await, "each use prolongs it");
    }
    kit.clock.advance(90 * day);
    assert!(!known(&id).await);
}

#[tokio::test]
async fn registrations_of_a_day_are_bounded_over_a_restart() {
    let on =
        "registration: { enabled: true, redirect_hosts: [ app.example.com ], maximum_per_day: 2 }";
    let kit = Kit::with(on);
    registered(&kit).await;
    let kit = kit.restarted();
    registered(&kit).await;
    let refused = register(&kit, &metadata()).await;
    refused.expect(503, "temporarily_unavailable");
    let until_midnight = 24 * 3_600 - NOW % (24 * 3_600);
    assert_eq!(refused.header("retry-after"), until_midnight.to_string());
    kit.clock.advance(Duration::from_secs(24 * 3_600));
    registered(&kit).await;
}

#[tokio::test]
async fn clients_that_register_at_the_same_time_all_get_ids_of_their_own() {
    let kit = Kit::with(ON);
    let mut set = tokio::task::JoinSet::new();
    for _ in 0..10 {
        let router = kit.public.clone();
        let request = request(&metadata());
        set.spawn(async move {
            Answer::of(tower::ServiceExt::oneshot(router, request).await.unwrap()).await
        });
    }
    let mut ids = std::collections::HashSet::new();
    while let Some(answer) = set.join_next().await {
        ids.insert(text(&answer.unwrap().json(), "client_id"));
    }
    assert_eq!(ids.len(), 10);
}

#[tokio::test]
async fn what_the_operator_has_taken_away_is_gone_for_those_who_registered_before() {
    let kit = Kit::with(ON);
    let id = registered(&kit).await;
    let settings = kit.settings.replace("app.example.com\" ]", "other.example.com\" ]");
    let kit = kit.restarted_with(settings);
    let answer = kit.get(&authorize_url(&[("client_id", &id), ("redirect_uri", REDIRECT)])).await;
    assert_eq!((answer.status, answer.header("location")), (StatusCode::BAD_REQUEST, ""));
    let local = [("client_id", id.as_str()), ("redirect_uri", "http://localhost:9/callback")];
    assert_eq!(kit.get(&authorize_url(&local)).await.status, StatusCode::OK);
}
