//! `POST /logout`.

use std::time::Duration;

use axum::{
    body::Body,
    http::{Request, StatusCode, header},
};
use ib_contract::Revoked;

use super::{Answer, CLIENT_SECRET, Kit, PLATFORM, basic, post, scripted::SID, text};
use crate::upstreams::{Ended, UpstreamError};

async fn by_bearer(kit: &Kit, token: &str) -> Answer {
    let request = Request::post("/logout")
        .header(header::AUTHORIZATION, format!("Bearer {token}"))
        .body(Body::empty());
    kit.send(request.unwrap()).await
}

async fn by_client(kit: &Kit, client: &str, token: &str) -> Answer {
    kit.post("/logout", &[("token", token), ("client_id", client)]).await
}

#[track_caller]
fn done(answer: &Answer) {
    assert_eq!((answer.status, answer.text.as_str()), (StatusCode::OK, ""), "{}", answer.text);
    assert_eq!(answer.header("cache-control"), "no-store");
}

#[tokio::test]
async fn row_25_a_logout_ends_the_whole_grant_and_tells_the_gateways_and_the_platform() {
    for how in ["bearer", "access_token", "refresh_token"] {
        let kit = Kit::new();
        *kit.upstream.end.lock().unwrap() = Ok(Ended::Yes);
        let (first, _, session) = kit.session().await;
        let second = kit.refresh(&text(&first, "refresh_token")).await.json();
        let head = kit.head().await;
        let answer = match how {
            "bearer" => by_bearer(&kit, &text(&second, "access_token")).await,
            name => by_client(&kit, "mcp-public-client", &text(&second, name)).await,
        };
        done(&answer);
        assert_eq!(kit.ended(head).await, [Revoked::Session(session)], "{how}");
        for tokens in [&first, &second] {
            let told = kit.introspect(&text(tokens, "access_token")).await;
            assert_eq!(told["reason"], "invalid_token");
            kit.refresh(&text(tokens, "refresh_token")).await.expect(400, "invalid_grant");
        }
        kit.until_metric(r#"oauth_logouts_total{upstream="ended"}"#, "1").await;
        let ended = kit.upstream.ended.lock().unwrap().clone();
        assert_eq!(ended, [(PLATFORM.to_owned(), SID.to_owned())]);
    }
}

#[tokio::test]
async fn row_25_a_platform_that_does_not_end_its_session_keeps_nobody_logged_in_here() {
    for (answer, label) in [
        (Ok(Ended::NoWay), "no_way"),
        (Ok(Ended::Refused { status: 500 }), "refused"),
        (Err(UpstreamError::Unreachable("test")), "unreachable"),
    ] {
        let kit = Kit::new();
        *kit.upstream.end.lock().unwrap() = answer;
        let token = text(&kit.tokens().await, "access_token");
        done(&by_bearer(&kit, &token).await);
        assert_eq!(kit.introspect(&token).await["active"], false);
        let metric = format!("oauth_logouts_total{{upstream=\"{label}\"}}");
        kit.until_metric(&metric, "1").await;
    }
}

#[tokio::test]
async fn row_25_logging_out_again_or_with_an_unknown_token_is_answered_alike_and_ends_nothing() {
    let kit = Kit::new();
    let token = text(&kit.tokens().await, "access_token");
    done(&by_bearer(&kit, &token).await);
    let head = kit.head().await;
    done(&by_bearer(&kit, &token).await);
    done(&by_bearer(&kit, "nonsense").await);
    done(&by_client(&kit, "mcp-public-client", &format!("ibg_rt_{}", "A".repeat(43))).await);
    assert_eq!(kit.head().await, head);
    assert_eq!(kit.upstream.ended.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn row_25_nobody_logs_another_clients_people_out() {
    let kit = Kit::new();
    let tokens = kit.tokens().await;
    let head = kit.head().await;
    for name in ["access_token", "refresh_token"] {
        let token = text(&tokens, name);
        done(&by_client(&kit, "other-public-client", &token).await);
        let mut other = post("/logout", &[("token", token.as_str())]);
        let backend = basic("backend", CLIENT_SECRET).parse().unwrap();
        other.headers_mut().insert(header::AUTHORIZATION, backend);
        done(&kit.send(other).await);
    }
    // A refresh token is no Bearer token: it takes its client.
    done(&by_bearer(&kit, &text(&tokens, "refresh_token")).await);
    assert_eq!(kit.head().await, head);
    assert_eq!(kit.introspect(&text(&tokens, "access_token")).await["active"], true);
}

#[tokio::test]
async fn row_25_a_resource_that_got_a_token_of_its_own_cannot_log_its_bearer_out() {
    let kit = Kit::with("additional_resources: [ \"https://other.example/api\" ]");
    let begun = kit
        .get_json(&super::authorize_url(&[
            ("platform_url", PLATFORM),
            ("resource", "https://other.example/api"),
        ]))
        .await;
    kit.upstream.log_in();
    let poll = kit.poll(&text(&begun.json(), "token")).await;
    let code = super::parameter(&text(&poll.json(), "redirect_url"), "code");
    let tokens = kit.exchange(&code).await.json();
    let head = kit.head().await;
    by_bearer(&kit, &text(&tokens, "access_token")).await.expect(401, "invalid_token");
    assert_eq!(kit.head().await, head);
    done(&by_client(&kit, "mcp-public-client", &text(&tokens, "access_token")).await);
    assert_eq!(kit.head().await, head + 1);
}

#[tokio::test]
async fn row_25_no_link_and_no_form_of_another_site_logs_anybody_out() {
    let kit = Kit::new();
    let token = text(&kit.tokens().await, "access_token");
    let head = kit.head().await;
    let get = kit.get("/logout").await;
    get.expect(405, "invalid_request");
    assert_eq!(get.header("allow"), "POST");
    // A form of another site brings no token.
    kit.post("/logout", &[]).await.expect(401, "invalid_client");
    kit.post("/logout", &[("client_id", "mcp-public-client")]).await.expect(400, "invalid_request");
    let none = kit.send(Request::post("/logout").body(Body::empty()).unwrap()).await;
    assert_eq!(none.status, StatusCode::UNAUTHORIZED);
    assert!(none.header("www-authenticate").starts_with("Bearer resource_metadata="));
    for target in [format!("/logout?token={token}"), format!("/logout?access_token={token}")] {
        let request = Request::post(&target).body(Body::empty()).unwrap();
        assert_ne!(kit.send(request).await.status, StatusCode::OK);
        let mut request = Request::post(&target).body(Body::empty()).unwrap();
        let value = format!("Bearer {token}").parse().unwrap();
        request.headers_mut().insert(header::AUTHORIZATION, value);
        kit.send(request).await.expect(400, "invalid_request");
    }
    let mut both = post("/logout", &[("token", &token)]);
    both.headers_mut().insert(header::AUTHORIZATION, format!("Bearer {token}").parse().unwrap());
    kit.send(both).await.expect(400, "invalid_request");
    assert_eq!(kit.head().await, head);
}

#[tokio::test]
async fn a_session_that_is_over_is_logged_out_without_asking_the_platform() {
    let kit = Kit::new();
    let tokens = kit.tokens().await;
    kit.clock.advance(Duration::from_secs(25 * 3_600));
    let head = kit.head().await;
    done(&by_client(&kit, "mcp-public-client", &text(&tokens, "refresh_token")).await);
    assert_eq!(kit.head().await, head + 1);
    assert!(kit.upstream.ended.lock().unwrap().is_empty());
}

#[tokio::test]
async fn while_many_sessions_are_ended_further_grants_end_all_the_same() {
    let kit = Kit::new();
    let places = kit.app.logouts.take_all_places();
    let token = text(&kit.tokens().await, "access_token");
    done(&by_bearer(&kit, &token).await);
    assert_eq!(kit.introspect(&token).await["active"], false);
    kit.until_metric(r#"oauth_logouts_total{upstream="not_asked"}"#, "1").await;
    drop(places);
}

#[tokio::test]
async fn row_25_a_logout_reaches_the_platform_also_when_whoever_asked_for_it_goes_away() {
    use std::task::{Context, Waker};
    let kit = Kit::new();
    let token = text(&kit.tokens().await, "access_token");
    let mut asking = Box::pin(by_bearer(&kit, &token));
    assert!(asking.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    drop(asking);
    kit.until_metric(r#"oauth_logouts_total{upstream="no_way"}"#, "1").await;
    assert_eq!(kit.introspect(&token).await["active"], false);
    assert_eq!(kit.upstream.ended.lock().unwrap().len(), 1);
}
