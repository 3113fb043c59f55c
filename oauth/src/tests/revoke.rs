//! `POST /revoke`, and what else ends a grant: the tokens, and the events.

use std::time::Duration;

use axum::http::{Request, StatusCode, header};
use ib_contract::{Revoked, token_sha256};

use super::{Answer, CLIENT_SECRET, Kit, PLATFORM, authorize_url, basic, parameter, post, text};

async fn revoke(kit: &Kit, token: &str) -> Answer {
    kit.post("/revoke", &[("token", token), ("client_id", "mcp-public-client")]).await
}

#[tokio::test]
async fn row_13_rfc_7009_a_revoked_access_token_ends_alone_and_the_gateways_hear_of_it() {
    let kit = Kit::new();
    let first = kit.tokens().await;
    let second = kit.refresh(&text(&first, "refresh_token")).await.json();
    let token = text(&second, "access_token");
    let head = kit.head().await;
    let answer = revoke(&kit, &token).await;
    assert_eq!((answer.status, answer.text.as_str()), (StatusCode::OK, ""));
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!(kit.ended(head).await, [Revoked::TokenSha256(token_sha256(&token))]);
    assert_eq!(kit.introspect(&token).await["reason"], "invalid_token");
    assert_eq!(kit.introspect(&text(&first, "access_token")).await["active"], true);
    let refreshed = kit.refresh(&text(&second, "refresh_token")).await;
    assert_eq!(refreshed.status, StatusCode::OK);
    assert_eq!(kit.metric(r#"oauth_revocations_total{what="access_token"}"#), "1");
}

#[tokio::test]
async fn row_13_rfc_7009_2_1_a_revoked_refresh_token_ends_the_whole_grant() {
    for spent in [false, true] {
        let kit = Kit::new();
        let (first, _, session) = kit.session().await;
        let second = kit.refresh(&text(&first, "refresh_token")).await.json();
        let head = kit.head().await;
        let presented = if spent { &first } else { &second };
        let answer = revoke(&kit, &text(presented, "refresh_token")).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(kit.ended(head).await, [Revoked::Session(session)]);
        for tokens in [&first, &second] {
            let told = kit.introspect(&text(tokens, "access_token")).await;
            assert_eq!(told["reason"], "invalid_token");
            kit.refresh(&text(tokens, "refresh_token")).await.expect(400, "invalid_grant");
        }
    }
}

#[tokio::test]
async fn row_13_what_is_not_known_is_answered_as_what_is_and_makes_no_event() {
    let kit = Kit::new();
    let tokens = kit.tokens().await;
    let head = kit.head().await;
    let refresh_token = text(&tokens, "refresh_token");
    let unknown = refresh_token.chars().rev().collect::<String>();
    for token in ["nonsense", "ibg_at_", &unknown, &format!("ibg_rt_{}", "A".repeat(43))] {
        let answer = revoke(&kit, token).await;
        assert_eq!((answer.status, answer.text.as_str()), (StatusCode::OK, ""), "{token}");
    }
    assert_eq!(kit.head().await, head);
    for _ in 0..2 {
        assert_eq!(revoke(&kit, &refresh_token).await.status, StatusCode::OK);
    }
    assert_eq!(kit.head().await, head + 1, "the second time there is nothing left to end");
}

#[tokio::test]
async fn row_13_nobody_revokes_another_clients_token() {
    let kit = Kit::new();
    let tokens = kit.tokens().await;
    let head = kit.head().await;
    for name in ["access_token", "refresh_token"] {
        let token = text(&tokens, name);
        let form = [("token", token.as_str()), ("client_id", "other-public-client")];
        let answer = kit.post("/revoke", &form).await;
        assert_eq!((answer.status, answer.text.as_str()), (StatusCode::OK, ""), "as if unknown");
        let mut other = post("/revoke", &[("token", token.as_str())]);
        let backend = basic("backend", CLIENT_SECRET).parse().unwrap();
        other.headers_mut().insert(header::AUTHORIZATION, backend);
        assert_eq!(kit.send(other).await.status, StatusCode::OK);
    }
    assert_eq!(kit.head().await, head);
    assert_eq!(kit.introspect(&text(&tokens, "access_token")).await["active"], true);
    assert_eq!(kit.refresh(&text(&tokens, "refresh_token")).await.status, StatusCode::OK);
}

#[tokio::test]
async fn row_13_a_caller_proves_who_it_is_as_at_the_token_endpoint() {
    let kit = Kit::new();
    let token = text(&kit.tokens().await, "access_token");
    let public = "mcp-public-client";
    kit.post("/revoke", &[("token", &token)]).await.expect(401, "invalid_client");
    let unknown = [("token", token.as_str()), ("client_id", "unknown")];
    kit.post("/revoke", &unknown).await.expect(401, "invalid_client");
    let bare = [("token", token.as_str()), ("client_id", "backend")];
    kit.post("/revoke", &bare).await.expect(401, "invalid_client");
    let mut wrong = post("/revoke", &[("token", token.as_str())]);
    wrong.headers_mut().insert(header::AUTHORIZATION, basic("backend", "wrong").parse().unwrap());
    kit.send(wrong).await.expect(401, "invalid_client");
    kit.post("/revoke", &[("client_id", public)]).await.expect(400, "invalid_request");
    let twice = [("token", token.as_str()), ("token", "x"), ("client_id", public)];
    kit.post("/revoke", &twice).await.expect(400, "invalid_request");
    let in_query = Request::post(format!("/revoke?token={token}")).body(axum::body::Body::empty());
    kit.send(in_query.unwrap()).await.expect(400, "invalid_request");
    assert_eq!(kit.introspect(&token).await["active"], true);
    // A hint may be wrong: it changes nothing (RFC 7009 section 2.1).
    let hinted =
        [("token", token.as_str()), ("token_type_hint", "refresh_token"), ("client_id", public)];
    assert_eq!(kit.post("/revoke", &hinted).await.status, StatusCode::OK);
    assert_eq!(kit.introspect(&token).await["active"], false);
}

#[tokio::test]
async fn row_13_a_confidential_client_revokes_by_http_basic() {
    let kit = Kit::new();
    let redirect = "https://backend.example.com/callback";
    let url = authorize_url(&[
        ("client_id", "backend"),
        ("redirect_uri", redirect),
        ("platform_url", PLATFORM),
    ]);
    let begun = kit.get_json(&url).await;
    kit.upstream.log_in();
    let poll = kit.poll(&text(&begun.json(), "token")).await;
    let code = parameter(&text(&poll.json(), "redirect_url"), "code");
    let with_basic = |path: &str, form: &[(&str, &str)]| {
        let mut request = post(path, form);
        let caller = basic("backend", CLIENT_SECRET).parse().unwrap();
        request.headers_mut().insert(header::AUTHORIZATION, caller);
        request
    };
    let exchange = with_basic(
        "/token",
        &[
            ("grant_type", "authorization_code"),
            ("code", &code),
            ("redirect_uri", redirect),
            ("code_verifier", super::VERIFIER),
        ],
    );
    let token = text(&kit.send(exchange).await.json(), "access_token");
    let revoked = kit.send(with_basic("/revoke", &[("token", &token)])).await;
    assert_eq!(revoked.status, StatusCode::OK);
    assert_eq!(kit.introspect(&token).await["active"], false);
}

#[tokio::test]
async fn a_replayed_code_or_refresh_token_is_one_event_however_often_it_comes() {
    let kit = Kit::new();
    let code = kit.code().await;
    let tokens = kit.exchange(&code).await.json();
    let session =
        text(&kit.introspect(&text(&tokens, "access_token")).await["upstreams"][0], "session");
    let head = kit.head().await;
    for _ in 0..3 {
        kit.exchange(&code).await.expect(400, "invalid_grant");
    }
    assert_eq!(kit.ended(head).await, [Revoked::Session(session)]);
    let (first, _, session) = kit.session().await;
    kit.refresh(&text(&first, "refresh_token")).await;
    kit.clock.advance(Duration::from_secs(5));
    let head = kit.head().await;
    for _ in 0..3 {
        kit.refresh(&text(&first, "refresh_token")).await.expect(400, "invalid_grant");
    }
    assert_eq!(kit.ended(head).await, [Revoked::Session(session)]);
    assert_eq!(kit.metric(r#"oauth_revocations_total{what="session"}"#), "2");
}

#[tokio::test]
async fn a_revocation_goes_on_and_is_told_to_the_gateways_when_whoever_asked_for_it_goes_away() {
    use std::task::{Context, Waker};
    let kit = Kit::new();
    let (tokens, token, _) = kit.session().await;
    let refresh_token = text(&tokens, "refresh_token");
    let mut asking = Box::pin(revoke(&kit, &refresh_token));
    let mut context = Context::from_waker(Waker::noop());
    assert!(asking.as_mut().poll(&mut context).is_pending());
    drop(asking);
    kit.until_metric(r#"oauth_revocations_total{what="session"}"#, "1").await;
    assert_eq!(kit.introspect(&token).await["active"], false);
}
