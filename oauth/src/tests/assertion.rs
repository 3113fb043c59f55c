//! Clients that prove who they are by an assertion that they have signed (RFC 7523).

use axum::http::{StatusCode, header};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{
    Answer, CLIENT_SECRET, Kit, NOW, PLATFORM, VERIFIER, authorize_url, basic, parameter, post,
    text,
};
use crate::clients::{ASSERTION_TYPE, PrivateKey};

const REDIRECT: &str = "https://signer.example.com/callback";

/// A service that knows the public key of the client `signer`, which is in a file in `folder`.
fn kit(folder: &TempDir, key: &PrivateKey) -> Kit {
    let path = folder.path().join("jwks.json");
    std::fs::write(&path, json!({ "keys": [key.jwk("k1")] }).to_string()).unwrap();
    let client = format!(
        r#"
  - id: signer
    type: confidential
    jwks_file: "{}"
    redirect_uris: [ "{REDIRECT}" ]
"#,
        path.display()
    );
    Kit::with(&client)
}

fn claims(id: &str) -> Value {
    json!({
        "iss": "signer",
        "sub": "signer",
        "aud": "http://127.0.0.1:8080",
        "exp": NOW + 60,
        "iat": NOW,
        "jti": id,
    })
}

fn sign(key: &PrivateKey, claims: &Value) -> String {
    key.sign(&json!({ "alg": key.algorithm(), "kid": "k1", "typ": "JWT" }), claims)
}

async fn introspect(kit: &Kit, assertion: &str, more: &[(&str, &str)]) -> Answer {
    let mut form = vec![
        ("token", "nonsense"),
        ("client_assertion_type", ASSERTION_TYPE),
        ("client_assertion", assertion),
    ];
    form.extend(more);
    kit.post("/introspect", &form).await
}

#[tokio::test]
async fn rfc_7523_2_2_a_client_with_a_key_logs_in_introspects_and_revokes() {
    for key in [PrivateKey::p256(), PrivateKey::rsa("RS256"), PrivateKey::rsa("PS256")] {
        let folder = tempfile::tempdir().unwrap();
        let kit = kit(&folder, &key);
        let target = authorize_url(&[
            ("client_id", "signer"),
            ("redirect_uri", REDIRECT),
            ("platform_url", PLATFORM),
        ]);
        let begun = kit.get_json(&target).await;
        kit.upstream.log_in();
        let poll = kit.poll(&text(&begun.json(), "token")).await;
        let code = parameter(&text(&poll.json(), "redirect_url"), "code");
        let assertion = |id: &str| sign(&key, &claims(id));
        let with_assertion = async |path: &str, id: &str, form: &[(&str, &str)]| {
            let assertion = assertion(id);
            let mut all = vec![
                ("client_assertion_type", ASSERTION_TYPE),
                ("client_assertion", assertion.as_str()),
            ];
            all.extend(form);
            kit.post(path, &all).await
        };
        let exchange = [
            ("grant_type", "authorization_code"),
            ("code", code.as_str()),
            ("redirect_uri", REDIRECT),
            ("code_verifier", VERIFIER),
        ];
        let tokens = with_assertion("/token", "1", &exchange).await;
        assert_eq!(tokens.status, StatusCode::OK, "{}", tokens.text);
        let refresh_token = text(&tokens.json(), "refresh_token");
        let refresh = [("grant_type", "refresh_token"), ("refresh_token", refresh_token.as_str())];
        let tokens = with_assertion("/token", "2", &refresh).await.json();
        let token = text(&tokens, "access_token");
        let told = with_assertion("/introspect", "3", &[("token", &token)]).await;
        assert_eq!(told.json()["active"], true);
        let revoked = with_assertion("/revoke", "4", &[("token", &token)]).await;
        assert_eq!(revoked.status, StatusCode::OK);
        assert_eq!(kit.introspect(&token).await["active"], false);
    }
}

#[tokio::test]
async fn rfc_7523_3_an_assertion_is_good_once_also_after_a_restart() {
    let key = PrivateKey::p256();
    let folder = tempfile::tempdir().unwrap();
    let kit = kit(&folder, &key);
    let assertion = sign(&key, &claims("once"));
    assert_eq!(introspect(&kit, &assertion, &[]).await.status, StatusCode::OK);
    introspect(&kit, &assertion, &[]).await.expect(401, "invalid_client");
    let kit = kit.restarted();
    introspect(&kit, &assertion, &[]).await.expect(401, "invalid_client");
    assert_eq!(kit.metric(r#"oauth_replays_total{what="client_assertion"}"#), "1");
    // The same id in a token that was signed anew is the same id.
    let mut again = claims("once");
    again["exp"] = json!(NOW + 61);
    introspect(&kit, &sign(&key, &again), &[]).await.expect(401, "invalid_client");
    let other = sign(&key, &claims("twice"));
    assert_eq!(introspect(&kit, &other, &[]).await.status, StatusCode::OK);
}

#[tokio::test]
async fn of_a_hundred_uses_of_one_assertion_at_the_same_time_one_counts() {
    let key = PrivateKey::p256();
    let folder = tempfile::tempdir().unwrap();
    let kit = kit(&folder, &key);
    let assertion = sign(&key, &claims("once"));
    let mut set = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let router = kit.public.clone();
        let form = [
            ("token", "nonsense"),
            ("client_assertion_type", ASSERTION_TYPE),
            ("client_assertion", assertion.as_str()),
        ];
        let request = post("/introspect", &form);
        set.spawn(
            async move { tower::ServiceExt::oneshot(router, request).await.unwrap().status() },
        );
    }
    let mut good = 0;
    while let Some(status) = set.join_next().await {
        good += usize::from(status.unwrap() == StatusCode::OK);
    }
    assert_eq!(good, 1);
}

#[tokio::test]
async fn rfc_7523_3_what_an_assertion_claims_is_checked() {
    let key = PrivateKey::p256();
    let folder = tempfile::tempdir().unwrap();
    let kit = kit(&folder, &key);
    let mut number = 0;
    let mut answer = async |name: &str, value: Value| {
        number += 1;
        let mut claims = claims(&format!("id-{number}"));
        match value {
            Value::Null => drop(claims.as_object_mut().unwrap().remove(name)),
            value => claims[name] = value,
        }
        introspect(&kit, &sign(&key, &claims), &[]).await
    };
    let token_endpoint = "http://127.0.0.1:8080/token";
    for (name, value) in [
        ("aud", json!(token_endpoint)),
        ("aud", json!(["http://127.0.0.1:8080"])),
        ("aud", json!(["http://127.0.0.1:8080", token_endpoint])),
        ("exp", json!(NOW + 1)),
        ("exp", json!(NOW + 600)),
        ("exp", json!(NOW as f64 + 59.5)),
        ("nbf", json!(NOW + 30)),
        ("iat", json!(NOW + 30)),
        ("iat", Value::Null),
        ("other", json!({ "a": 1 })),
    ] {
        let good = answer(name, value.clone()).await;
        assert_eq!(good.status, StatusCode::OK, "{name} {value}: {}", good.text);
    }
    for (name, value) in [
        ("aud", Value::Null),
        ("aud", json!([])),
        ("aud", json!("http://127.0.0.1:8080/")),
        ("aud", json!("http://127.0.0.1:8080/introspect")),
        ("aud", json!("https://other.example")),
        ("aud", json!(["http://127.0.0.1:8080", "https://other.example"])),
        ("exp", Value::Null),
        ("exp", json!(NOW)),
        ("exp", json!(NOW + 601)),
        ("exp", json!(-1)),
        ("exp", json!(1e300)),
        ("exp", json!("soon")),
        ("nbf", json!(NOW + 31)),
        ("iat", json!(NOW + 31)),
        ("jti", Value::Null),
        ("jti", json!("")),
        ("jti", json!("x".repeat(257))),
        ("iss", json!("backend")),
        ("sub", json!("backend")),
        ("sub", Value::Null),
    ] {
        let bad = answer(name, value.clone()).await;
        assert_eq!(bad.status, StatusCode::UNAUTHORIZED, "{name} {value}");
        bad.expect(401, "invalid_client");
    }
}

#[tokio::test]
async fn an_assertion_of_an_unknown_client_a_public_one_or_one_with_a_secret_proves_nothing() {
    let key = PrivateKey::p256();
    let folder = tempfile::tempdir().unwrap();
    let kit = kit(&folder, &key);
    for id in ["nobody", "mcp-public-client", "backend", "https://app.example.com/client.json"] {
        let mut claims = claims("x");
        (claims["iss"], claims["sub"]) = (json!(id), json!(id));
        introspect(&kit, &sign(&key, &claims), &[]).await.expect(401, "invalid_client");
    }
    // And without one, its client proves nothing either.
    let bare = kit.post("/revoke", &[("token", "x"), ("client_id", "signer")]).await;
    bare.expect(401, "invalid_client");
    let mut secret = post("/introspect", &[("token", "x")]);
    secret.headers_mut().insert(header::AUTHORIZATION, basic("signer", "").parse().unwrap());
    kit.send(secret).await.expect(401, "invalid_client");
}

#[tokio::test]
async fn row_8_rfc_6749_2_3_a_client_uses_one_way_to_prove_who_it_is() {
    let key = PrivateKey::p256();
    let folder = tempfile::tempdir().unwrap();
    let kit = kit(&folder, &key);
    let assertion = sign(&key, &claims("x"));
    introspect(&kit, &assertion, &[("client_secret", "x")]).await.expect(400, "invalid_request");
    let form = [
        ("token", "x"),
        ("client_assertion_type", ASSERTION_TYPE),
        ("client_assertion", assertion.as_str()),
    ];
    let mut both = post("/introspect", &form);
    let backend = basic("backend", CLIENT_SECRET).parse().unwrap();
    both.headers_mut().insert(header::AUTHORIZATION, backend);
    kit.send(both).await.expect(400, "invalid_request");
    let named = introspect(&kit, &assertion, &[("client_id", "backend")]).await;
    named.expect(401, "invalid_client");
    let untyped = [("token", "x"), ("client_assertion", assertion.as_str())];
    kit.post("/introspect", &untyped).await.expect(400, "invalid_request");
    let other = "urn:ietf:params:oauth:client-assertion-type:saml2-bearer";
    let saml = [("token", "x"), ("client_assertion_type", other), ("client_assertion", &assertion)];
    kit.post("/introspect", &saml).await.expect(401, "invalid_client");
    let long = "x".repeat(9_000);
    introspect(&kit, &long, &[]).await.expect(401, "invalid_client");
    let in_query = format!("/introspect?client_assertion={assertion}");
    kit.send(post(&in_query, &[("token", "x")])).await.expect(400, "invalid_request");
    // Nothing of that has used it up.
    let good = introspect(&kit, &assertion, &[("client_id", "signer")]).await;
    assert_eq!(good.status, StatusCode::OK, "{}", good.text);
}
