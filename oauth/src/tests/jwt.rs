//! JWT access tokens (RFC 9068), through the whole service.

use std::time::Duration;

use axum::{
    body::Body,
    http::{Request, StatusCode},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::{CLIENT_SECRET, Kit, NOW, basic, post, refresh_form, scripted::SID, text};
use crate::keys::{KeyKind, generate};

/// A service that issues JWTs, signed by a key in a file.
fn kit() -> Kit {
    let kit = Kit::new();
    let settings = with_signing(&kit, &["k1"], "jwt");
    kit.restarted_with(settings)
}

/// The kit's settings with these signing keys, which are made where they are missing.
pub(super) fn with_signing(kit: &Kit, ids: &[&str], format: &str) -> String {
    let keys: Vec<_> = ids
        .iter()
        .map(|id| {
            let path = kit.folder.path().join(format!("signing-{id}"));
            if !path.exists() {
                generate(Some(KeyKind::Signing), &path).unwrap();
            }
            format!("{{ id: {id}, file: \"{}\" }}", path.display())
        })
        .collect();
    let without: Vec<_> = kit
        .settings
        .lines()
        .filter(|line| !line.starts_with("signing:") && !line.starts_with("tokens:"))
        .collect();
    format!(
        "{}\nsigning: {{ keys: [ {} ] }}\ntokens: {{ access_token_format: {format} }}\n",
        without.join("\n"),
        keys.join(", ")
    )
}

/// Header and claims.
fn parts(token: &str) -> [Value; 2] {
    let mut parts = token.split('.').map(|part| URL_SAFE_NO_PAD.decode(part).unwrap());
    std::array::from_fn(|_| serde_json::from_slice(&parts.next().unwrap()).unwrap())
}

async fn userinfo(kit: &Kit, token: &str) -> StatusCode {
    let request = Request::get("/userinfo").header("authorization", format!("Bearer {token}"));
    kit.send(request.body(Body::empty()).unwrap()).await.status
}

#[tokio::test]
async fn row_18_rfc_9068_section_2_2_a_token_has_the_claims_and_no_session_and_no_person() {
    let kit = kit();
    let tokens = kit.tokens().await;
    let token = text(&tokens, "access_token");
    let [header, mut claims] = parts(&token);
    assert_eq!(header, json!({ "typ": "at+jwt", "alg": "ES256", "kid": "k1" }));
    let jti = claims.as_object_mut().unwrap().remove("jti").unwrap();
    assert!(jti.as_str().unwrap().len() >= 22, "128 bits at least");
    let answer = kit.introspect(&token).await;
    let expected = json!({
        "iss": "http://127.0.0.1:8080",
        "aud": "http://127.0.0.1:8080/proxy/",
        "sub": answer["sub"],
        "client_id": "mcp-public-client",
        "scope": "profile",
        "iat": NOW,
        "exp": NOW + 3_600,
    });
    assert_eq!(claims, expected, "and nothing else");
    let decoded = token.split('.').filter_map(|part| URL_SAFE_NO_PAD.decode(part).ok());
    for part in decoded {
        assert!(!String::from_utf8_lossy(&part).contains(SID));
    }
    let [_, next] =
        parts(&text(&kit.refresh(&text(&tokens, "refresh_token")).await.json(), "access_token"));
    assert_ne!(next["jti"], jti, "no two tokens share one");
}

#[tokio::test]
async fn row_18_rfc_9068_section_4_the_metadata_leads_to_a_key_set_that_verifies_the_token() {
    let kit = kit();
    let token = text(&kit.tokens().await, "access_token");
    let metadata = kit.get("/.well-known/oauth-authorization-server").await.json();
    assert_eq!(metadata["jwks_uri"], "http://127.0.0.1:8080/jwks.json");
    let answer = kit.get("/jwks.json").await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.header("cache-control"), "public, max-age=300");
    let keys = answer.json();
    let key = &keys["keys"][0];
    assert_eq!(key["kid"], parts(&token)[0]["kid"]);
    // With nothing but the public set, as a resource server would.
    let coordinate = |name: &str| URL_SAFE_NO_PAD.decode(key[name].as_str().unwrap()).unwrap();
    let point = [vec![4], coordinate("x"), coordinate("y")].concat();
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let public =
        ring::signature::UnparsedPublicKey::new(&ring::signature::ECDSA_P256_SHA256_FIXED, point);
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    assert!(public.verify(signed.as_bytes(), &signature).is_ok());
}

#[tokio::test]
async fn without_signing_keys_nothing_is_named_and_the_set_is_empty() {
    let kit = Kit::new();
    let metadata = kit.get("/.well-known/oauth-authorization-server").await.json();
    assert_eq!(metadata.get("jwks_uri"), None);
    assert_eq!(kit.get("/jwks.json").await.json(), json!({ "keys": [] }));
}

#[tokio::test]
async fn with_a_stage_the_key_set_is_below_it() {
    let kit = Kit::with("issuer: http://127.0.0.1:8080/dev");
    let settings = with_signing(&kit, &["k1"], "jwt");
    let kit = kit.restarted_with(settings);
    let metadata = kit.get("/.well-known/oauth-authorization-server/dev").await.json();
    assert_eq!(metadata["jwks_uri"], "http://127.0.0.1:8080/dev/jwks.json");
    assert_eq!(kit.get("/dev/jwks.json").await.json()["keys"][0]["kid"], "k1");
}

#[tokio::test]
async fn a_jwt_is_introspected_used_and_revoked_as_an_opaque_token_is() {
    let kit = kit();
    let tokens = kit.tokens().await;
    let token = text(&tokens, "access_token");
    let answer = kit.introspect(&token).await;
    assert_eq!(answer["active"], true);
    assert_eq!(answer["upstreams"][0]["headers"]["sid"], SID);
    assert_eq!(userinfo(&kit, &token).await, StatusCode::OK);
    let mut ask = post("/introspect", &[("token", &token)]);
    let caller = basic("backend", CLIENT_SECRET).parse().unwrap();
    ask.headers_mut().insert("authorization", caller);
    let ordinary = kit.send(ask).await.json();
    assert_eq!((&ordinary["active"], ordinary.get("upstreams")), (&json!(true), None));

    let before = kit.feed("").await.as_of;
    let revoke = [("token", token.as_str()), ("client_id", "mcp-public-client")];
    assert_eq!(kit.post("/revoke", &revoke).await.status, StatusCode::OK);
    assert_eq!(kit.introspect(&token).await["active"], false);
    assert_eq!(userinfo(&kit, &token).await, StatusCode::UNAUTHORIZED);
    // The gateway finds the token by its hash, whatever kind it is.
    let events = kit.feed(&format!("?after={before}")).await.events;
    let hash = ib_contract::token_sha256(&token);
    assert_eq!(events[0].revoked, ib_contract::Revoked::TokenSha256(hash));
    // The grant goes on.
    let next = kit.refresh(&text(&tokens, "refresh_token")).await.json();
    assert_eq!(kit.introspect(&text(&next, "access_token")).await["active"], true);
}

#[tokio::test]
async fn a_jwt_ends_in_the_second_that_its_exp_names() {
    let kit = kit();
    let token = text(&kit.tokens().await, "access_token");
    let exp = parts(&token)[1]["exp"].as_u64().unwrap();
    kit.clock.advance(Duration::from_secs(exp - NOW - 1));
    assert_eq!(kit.introspect(&token).await["active"], true);
    kit.clock.advance(Duration::from_secs(1));
    assert_eq!(kit.introspect(&token).await["active"], false);
}

#[tokio::test]
async fn row_7_a_lost_answer_is_given_again_with_the_same_jwt() {
    let kit = kit();
    let first = text(&kit.tokens().await, "refresh_token");
    let second = kit.refresh(&first).await.json();
    let again = kit.refresh(&first).await.json();
    assert_eq!(again["access_token"], second["access_token"]);
}

#[tokio::test]
async fn when_the_format_changes_tokens_of_the_other_kind_stay_good_until_they_are_out() {
    let kit = Kit::new();
    let first = kit.tokens().await;
    let opaque = text(&first, "access_token");
    let settings = with_signing(&kit, &["k1"], "jwt");
    let kit = kit.restarted_with(settings);
    assert_eq!(kit.introspect(&opaque).await["active"], true);
    let second = kit.refresh(&text(&first, "refresh_token")).await.json();
    let jwt = text(&second, "access_token");
    assert!(opaque.starts_with("ibg_at_") && jwt.matches('.').count() == 2);
    // And back again.
    let settings = with_signing(&kit, &["k1"], "opaque");
    let kit = kit.restarted_with(settings);
    for token in [&opaque, &jwt] {
        assert_eq!(kit.introspect(token).await["active"], true);
        assert_eq!(userinfo(&kit, token).await, StatusCode::OK);
        let revoke = [("token", token.as_str()), ("client_id", "mcp-public-client")];
        assert_eq!(kit.post("/revoke", &revoke).await.status, StatusCode::OK);
        assert_eq!(kit.introspect(token).await["active"], false);
    }
    let third = kit.post("/token", &refresh_form(&text(&second, "refresh_token"))).await.json();
    assert!(text(&third, "access_token").starts_with("ibg_at_"));
}

#[tokio::test]
async fn a_jwt_of_another_installation_with_our_key_is_not_ours() {
    let (kit, other) = (kit(), Kit::new());
    let key = kit.folder.path().join("signing-k1");
    std::fs::copy(key, other.folder.path().join("signing-k1")).unwrap();
    let settings = with_signing(&other, &["k1"], "jwt");
    let other = other.restarted_with(settings);
    let token = text(&other.tokens().await, "access_token");
    assert_eq!(kit.introspect(&token).await["active"], false);
    assert_eq!(userinfo(&kit, &token).await, StatusCode::UNAUTHORIZED);
}
