//! `/introspect` in its two faces, and `/userinfo`.

use std::time::Duration;

use axum::{
    body::Body,
    http::{Request, StatusCode, header},
};
use serde_json::json;

use super::{CLIENT_SECRET, GATEWAY_CREDENTIAL, Kit, NOW, PLATFORM, basic, post, text};
use crate::upstreams::UpstreamSession;

fn with_authorization(mut request: Request<Body>, authorization: &str) -> Request<Body> {
    request.headers_mut().insert(header::AUTHORIZATION, authorization.parse().unwrap());
    request
}

fn ask(token: &str, authorization: &str) -> Request<Body> {
    with_authorization(post("/introspect", &[("token", token)]), authorization)
}

#[tokio::test]
async fn row_14_rfc_7662_only_the_gateway_gets_the_rich_answer() {
    let kit = Kit::new();
    let token = text(&kit.tokens().await, "access_token");
    for wrong in [
        "Bearer wrong".to_owned(),
        format!("Bearer {GATEWAY_CREDENTIAL}x"),
        format!("Basic {GATEWAY_CREDENTIAL}"),
        basic("backend", CLIENT_SECRET),
        "Bearer".to_owned(),
    ] {
        let answer = kit.send_internal(ask(&token, &wrong)).await;
        answer.expect(401, "invalid_client");
        assert_eq!(answer.header("www-authenticate"), "Bearer");
    }
    let bare = kit.send_internal(post("/introspect", &[("token", &token)])).await;
    bare.expect(401, "invalid_client");
    let good = kit.send_internal(ask(&token, &format!("bearer {GATEWAY_CREDENTIAL}"))).await;
    assert_eq!(good.json()["active"], true);
}

#[tokio::test]
async fn both_credentials_are_accepted_while_the_gateways_are_rotated() {
    let kit = Kit::new();
    let second = kit.folder.path().join("second");
    std::fs::write(&second, "second-credential-for-tests-0123456789").unwrap();
    let text = kit.settings.replace(
        "gateway: { credentials: [ ",
        &format!("gateway: {{ credentials: [ {{ file: \"{}\" }}, ", second.display()),
    );
    let kit = kit.restarted_with(text);
    for credential in [GATEWAY_CREDENTIAL, "second-credential-for-tests-0123456789"] {
        let answer = kit.send_internal(ask("x", &format!("Bearer {credential}"))).await;
        assert_eq!(answer.status, StatusCode::OK);
    }
}

#[tokio::test]
async fn row_14_rfc_7662_an_ordinary_caller_learns_neither_sessions_nor_reasons() {
    let kit = Kit::new();
    let token = text(&kit.tokens().await, "access_token");
    let caller = basic("backend", CLIENT_SECRET);
    let answer = kit.send(ask(&token, &caller)).await;
    assert_eq!(
        answer.json(),
        json!({
            "active": true,
            "token_type": "Bearer",
            "client_id": "mcp-public-client",
            "scope": "profile",
            "sub": "user-ada",
            "aud": "http://127.0.0.1:8080/proxy/",
            "iss": "http://127.0.0.1:8080",
            "iat": NOW,
            "exp": NOW + 3600,
            "ib_client_id": "AbC1",
            "ib_platform_url": "https://company.intelligencebank.com",
        }),
    );
    for inactive in ["nonsense", "", "ibg_at_", &token.replace("ibg_at_", "ibg_rt_")] {
        let answer = kit.send(ask(inactive, &caller)).await;
        match inactive {
            "" => answer.expect(400, "invalid_request"),
            _ => assert_eq!(answer.text, r#"{"active":false}"#, "{inactive}"),
        }
    }
    kit.clock.advance(Duration::from_secs(3600));
    assert_eq!(kit.send(ask(&token, &caller)).await.text, r#"{"active":false}"#);
}

#[tokio::test]
async fn row_14_an_ordinary_caller_must_prove_who_it_is() {
    let kit = Kit::new();
    let token = text(&kit.tokens().await, "access_token");
    let public = post("/introspect", &[("token", &token), ("client_id", "mcp-public-client")]);
    kit.send(public).await.expect(401, "invalid_client");
    for wrong in [
        basic("backend", "wrong"),
        basic("mcp-public-client", ""),
        format!("Bearer {GATEWAY_CREDENTIAL}"),
        format!("Bearer {token}"),
    ] {
        let answer = kit.send(ask(&token, &wrong)).await;
        answer.expect(401, "invalid_client");
        assert_eq!(answer.header("www-authenticate"), super::BASIC);
    }
}

#[tokio::test]
async fn a_token_whose_session_is_over_is_told_from_an_invalid_one() {
    let kit = Kit::new();
    kit.upstream.log_in_with(UpstreamSession {
        period_hours: Some(1),
        login_time: Some(NOW - 3_000),
        ..super::scripted::session()
    });
    let token = kit.begin().await;
    let redirect = text(&kit.poll(&token).await.json(), "redirect_url");
    let tokens = kit.exchange(&super::parameter(&redirect, "code")).await.json();
    let access_token = text(&tokens, "access_token");
    kit.clock.advance(Duration::from_secs(599));
    let told = kit.introspect(&access_token).await;
    assert_eq!((&told["active"], &told["upstreams"][0]["expires_in"]), (&json!(true), &json!(1)));
    assert_eq!(told["upstreams"][0]["refresh_in"], 0);
    kit.clock.advance(Duration::from_secs(1));
    let told = kit.introspect(&access_token).await;
    assert_eq!(told, json!({"active": false, "reason": "session_expired"}));
    kit.clock.advance(Duration::from_secs(3_000));
    let told = kit.introspect(&access_token).await;
    assert_eq!(told, json!({"active": false, "reason": "invalid_token"}), "the token is over too");
}

#[tokio::test]
async fn introspections_are_counted_by_caller_and_result() {
    let kit = Kit::new();
    let token = text(&kit.tokens().await, "access_token");
    kit.introspect(&token).await;
    kit.introspect(&token).await;
    kit.introspect("nonsense").await;
    kit.send_internal(ask(&token, "Bearer wrong")).await;
    kit.send(ask(&token, &basic("backend", CLIENT_SECRET))).await;
    kit.clock.advance(Duration::from_secs(25 * 3600));
    let metrics = kit.send_internal(Request::get("/metrics").body(Body::empty()).unwrap()).await;
    for line in [
        r#"oauth_introspections_total{caller="gateway",result="active"} 2"#,
        r#"oauth_introspections_total{caller="gateway",result="invalid_token"} 1"#,
        r#"oauth_introspections_total{caller="gateway",result="session_expired"} 0"#,
        r#"oauth_introspections_total{caller="gateway",result="unauthorized"} 1"#,
        r#"oauth_introspections_total{caller="client",result="active"} 1"#,
        r#"oauth_requests_total{endpoint="/token",status="200"} 1"#,
        r#"oauth_logins_total{event="completed"} 1"#,
        r#"oauth_tokens_issued_total{grant_type="authorization_code"} 1"#,
        r#"oauth_replays_total{what="code"} 0"#,
    ] {
        assert!(metrics.text.lines().any(|own| own == line), "{line} in\n{}", metrics.text);
    }
}

#[tokio::test]
async fn userinfo_says_who_logged_in_and_never_the_session_id() {
    let kit = Kit::new();
    let token = text(&kit.tokens().await, "access_token");
    let request = Request::get("/userinfo").body(Body::empty()).unwrap();
    let answer = kit.send(with_authorization(request, &format!("bearer {token}"))).await;
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!(
        answer.json(),
        json!({
            "sub": "user-ada",
            "name": "Ada Lovelace",
            "given_name": "Ada",
            "family_name": "Lovelace",
            "updated_at": NOW - 10,
            "ib_client_id": "AbC1",
            "ib_api_url": "https://apiv3.intelligencebank.com",
            "ib_user_uuid": "user-ada",
            "ib_platform_url": "https://company.intelligencebank.com",
        }),
        "updated_at is in seconds of this century (defect 25)",
    );
}

#[tokio::test]
async fn row_11_rfc_6750_3_1_userinfo_challenges_as_a_protected_resource_does() {
    let kit = Kit::new();
    let token = text(&kit.tokens().await, "access_token");
    let metadata =
        "resource_metadata=\"http://127.0.0.1:8080/.well-known/oauth-protected-resource/proxy\"";
    let ask = |path: &str, authorization: Option<String>| {
        let request = Request::get(path).body(Body::empty()).unwrap();
        match authorization {
            Some(authorization) => with_authorization(request, &authorization),
            None => request,
        }
    };
    for missing in [None, Some(basic("backend", CLIENT_SECRET)), Some("Bearer".to_owned())] {
        let answer = kit.send(ask("/userinfo", missing)).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
        assert_eq!(answer.header("www-authenticate"), format!("Bearer {metadata}"));
        assert_eq!(answer.json()["error_description"], "Missing or invalid Authorization header");
    }
    let bad = kit.send(ask("/userinfo", Some("Bearer nonsense".to_owned()))).await;
    bad.expect(401, "invalid_token");
    assert!(bad.header("www-authenticate").contains("error=\"invalid_token\""));
    assert!(bad.header("www-authenticate").contains(metadata));
    let query = format!("/userinfo?access_token={token}");
    kit.send(ask(&query, None)).await.expect(400, "invalid_request");
    kit.send(ask(&query, Some(format!("Bearer {token}")))).await.expect(400, "invalid_request");
    // Expired, it is the token's fault and not the server's (defect 19).
    kit.clock.advance(Duration::from_secs(3600));
    let expired = kit.send(ask("/userinfo", Some(format!("Bearer {token}")))).await;
    expired.expect(401, "invalid_token");
}

#[tokio::test]
async fn row_17_userinfo_refuses_a_token_for_another_resource_and_one_without_the_scope() {
    let kit = Kit::with("additional_resources: [ \"https://other.example/api\" ]");
    let log_in = async |changes: &[(&'static str, &'static str)]| {
        let mut all = vec![("platform_url", PLATFORM), ("client_id", "other-public-client")];
        all.extend(changes);
        let begun = kit.get_json(&super::authorize_url(&all)).await;
        kit.upstream.log_in();
        let poll = kit.poll(&text(&begun.json(), "token")).await;
        let code = super::parameter(&text(&poll.json(), "redirect_url"), "code");
        let form = super::exchange_form(&code);
        let form = super::changed(form, "client_id", "other-public-client");
        let token = text(&kit.post("/token", &form).await.json(), "access_token");
        let request = Request::get("/userinfo").body(Body::empty()).unwrap();
        kit.send(with_authorization(request, &format!("Bearer {token}"))).await
    };
    log_in(&[("resource", "https://other.example/api")]).await.expect(401, "invalid_token");
    let answer = log_in(&[("scope", "assets")]).await;
    answer.expect(403, "insufficient_scope");
    assert!(answer.header("www-authenticate").contains("scope=\"profile\""));
}
