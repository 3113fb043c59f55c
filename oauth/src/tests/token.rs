//! `POST /token` with a code.

use std::time::Duration;

use axum::{
    body::Body,
    http::{Request, StatusCode, header},
};

use super::{
    CLIENT_SECRET, Kit, NOW, PLATFORM, VERIFIER, basic, changed, encode, exchange_form, parameter,
    post, text,
};
use crate::upstreams::UpstreamSession;

#[tokio::test]
async fn row_1_rfc_6749_4_1_2_a_second_use_of_a_code_fails_and_revokes_what_the_first_issued() {
    let kit = Kit::new();
    let code = kit.code().await;
    let tokens = kit.exchange(&code).await.json();
    assert_eq!(kit.introspect(&text(&tokens, "access_token")).await["active"], true);
    kit.exchange(&code).await.expect(400, "invalid_grant");
    let told = kit.introspect(&text(&tokens, "access_token")).await;
    assert_eq!(told, serde_json::json!({"active": false, "reason": "invalid_token"}));
    kit.refresh(&text(&tokens, "refresh_token")).await.expect(400, "invalid_grant");
}

#[tokio::test]
async fn row_1_who_found_a_spent_code_in_a_log_cannot_log_its_client_out() {
    let kit = Kit::new();
    let code = kit.code().await;
    let tokens = kit.exchange(&code).await.json();
    let head = kit.head().await;
    let good = exchange_form(&code);
    let without_verifier: Vec<_> =
        good.iter().copied().filter(|(name, _)| *name != "code_verifier").collect();
    for form in [
        changed(good.clone(), "client_id", "other-public-client"),
        changed(without_verifier.clone(), "client_id", "other-public-client"),
        without_verifier,
        changed(good.clone(), "code_verifier", &"x".repeat(43)),
    ] {
        kit.post("/token", &form).await.expect(400, "invalid_grant");
    }
    assert_eq!(kit.head().await, head, "nothing has ended");
    assert_eq!(kit.introspect(&text(&tokens, "access_token")).await["active"], true);
    assert_eq!(kit.metric(r#"oauth_replays_total{what="code"}"#), "0");
    // Its client, with all that it takes, is another matter: somebody has a copy of everything.
    kit.exchange(&code).await.expect(400, "invalid_grant");
    assert_eq!(kit.introspect(&text(&tokens, "access_token")).await["active"], false);
    assert_eq!(kit.metric(r#"oauth_replays_total{what="code"}"#), "1");
}

#[tokio::test]
async fn row_1_a_replay_long_after_the_code_expired_still_revokes() {
    let kit = Kit::new();
    let code = kit.code().await;
    let tokens = kit.exchange(&code).await.json();
    kit.clock.advance(Duration::from_secs(3_000));
    kit.exchange(&code).await.expect(400, "invalid_grant");
    assert_eq!(kit.introspect(&text(&tokens, "access_token")).await["active"], false);
}

#[tokio::test]
async fn row_1_a_replay_after_the_first_access_token_still_ends_those_that_followed() {
    let kit = Kit::new();
    let code = kit.code().await;
    let first = kit.exchange(&code).await.json();
    kit.clock.advance(Duration::from_secs(4_000));
    let second = kit.refresh(&text(&first, "refresh_token")).await.json();
    kit.exchange(&code).await.expect(400, "invalid_grant");
    assert_eq!(kit.introspect(&text(&second, "access_token")).await["active"], false);
    kit.refresh(&text(&second, "refresh_token")).await.expect(400, "invalid_grant");
}

#[tokio::test]
async fn a_code_whose_session_ended_meanwhile_gives_no_tokens_and_says_so() {
    let kit = Kit::new();
    let token = kit.begin().await;
    kit.upstream.log_in_with(UpstreamSession {
        period_hours: Some(1),
        login_time: Some(NOW - 3_590),
        ..super::scripted::session()
    });
    let code = parameter(&text(&kit.poll(&token).await.json(), "redirect_url"), "code");
    kit.clock.advance(Duration::from_secs(10));
    let answer = kit.exchange(&code).await;
    answer.expect(400, "invalid_grant");
    assert_eq!(answer.json()["error_description"], "Session has expired");
}

#[tokio::test]
async fn row_1_defect_19_a_code_lives_for_a_minute_and_is_then_invalid_grant() {
    let kit = Kit::new();
    let (first, second) = (kit.code().await, kit.code().await);
    kit.clock.advance(Duration::from_secs(59));
    assert_eq!(kit.exchange(&first).await.status, StatusCode::OK);
    kit.clock.advance(Duration::from_secs(1));
    kit.exchange(&second).await.expect(400, "invalid_grant");
}

#[tokio::test]
async fn defect_1_a_poll_token_passed_as_a_code_is_refused() {
    let kit = Kit::new();
    let token = kit.begin().await;
    kit.upstream.log_in();
    kit.poll(&token).await;
    kit.exchange(&token).await.expect(400, "invalid_grant");
    kit.exchange(&token.replace("ibg_pt_", "ibg_ac_")).await.expect(400, "invalid_grant");
}

#[tokio::test]
async fn row_4_rfc_7636_4_6_the_verifier_must_fit_and_a_wrong_one_does_not_spend_the_code() {
    let kit = Kit::new();
    let code = kit.code().await;
    let wrong = "x".repeat(43);
    for verifier in [wrong.as_str(), "short", super::CHALLENGE, &"v".repeat(129)] {
        let form = changed(exchange_form(&code), "code_verifier", verifier);
        kit.post("/token", &form).await.expect(400, "invalid_grant");
    }
    let form = changed(exchange_form(&code), "code_verifier", "");
    kit.post("/token", &form).await.expect(400, "invalid_request");
    assert_eq!(kit.exchange(&code).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_code_is_bound_to_its_client_and_its_redirect() {
    let kit = Kit::new();
    let code = kit.code().await;
    for (name, value, error) in [
        ("client_id", "other-public-client", "invalid_grant"),
        ("redirect_uri", "http://127.0.0.1:9999/callback", "invalid_grant"),
        ("redirect_uri", "", "invalid_request"),
        ("code", "", "invalid_request"),
        ("code", "nonsense", "invalid_grant"),
    ] {
        let form = changed(exchange_form(&code), name, value);
        kit.post("/token", &form).await.expect(400, error);
    }
    assert_eq!(kit.exchange(&code).await.status, StatusCode::OK);
}

#[tokio::test]
async fn row_8_rfc_6749_5_2_each_fault_has_its_own_error() {
    let kit = Kit::new();
    let code = kit.code().await;
    for (name, value, status, error) in [
        ("grant_type", "", 400, "invalid_request"),
        ("grant_type", "password", 400, "unsupported_grant_type"),
        ("grant_type", "client_credentials", 400, "unauthorized_client"),
        ("client_id", "", 401, "invalid_client"),
        ("client_id", "unknown", 401, "invalid_client"),
        ("client_id", "constructor", 401, "invalid_client"),
        ("client_id", "backend", 401, "invalid_client"),
        ("client_secret", CLIENT_SECRET, 401, "invalid_client"),
        ("resource", "https://evil.example/", 400, "invalid_target"),
        ("resource", "http://127.0.0.1:8080/proxy/#f", 400, "invalid_target"),
    ] {
        let answer = kit.post("/token", &changed(exchange_form(&code), name, value)).await;
        answer.expect(status, error);
        assert_eq!(answer.header("pragma"), "no-cache");
        if status == 401 {
            assert_eq!(answer.header("www-authenticate"), super::BASIC);
        }
    }
    assert_eq!(kit.exchange(&code).await.status, StatusCode::OK);
}

#[tokio::test]
async fn row_10_rfc_6749_3_2_the_form_is_read_strictly() {
    let kit = Kit::new();
    let code = kit.code().await;
    let good = encode(&exchange_form(&code));
    let form = |path: &str, media_type: &str, body: String| {
        let request = Request::post(path).header(header::CONTENT_TYPE, media_type);
        request.body(Body::from(body)).unwrap()
    };
    let urlencoded = "application/x-www-form-urlencoded";
    for request in [
        form("/token", urlencoded, format!("{good}&code=again")),
        form("/token", urlencoded, format!("{good}&scope=profile&scope=profile")),
        form("/token", "application/json", good.clone()),
        form("/token", "text/plain", good.clone()),
        form(&format!("/token?code={code}"), urlencoded, good.clone()),
        form("/token?client_secret=x", urlencoded, good.clone()),
        form("/token", urlencoded, good.replace("code_verifier=", "code_verifier=%FF")),
        form("/token", urlencoded, String::new()),
    ] {
        kit.send(request).await.expect(400, "invalid_request");
    }
    let mut two = form("/token", urlencoded, good.clone());
    two.headers_mut().append(header::CONTENT_TYPE, "text/plain".parse().unwrap());
    kit.send(two).await.expect(400, "invalid_request");
    let bare = Request::post("/token").body(Body::from(good.clone())).unwrap();
    kit.send(bare).await.expect(400, "invalid_request");
    let large = form("/token", urlencoded, format!("{good}&x={}", "y".repeat(65 * 1024)));
    kit.send(large).await.expect(413, "invalid_request");
    let get = kit.get("/token").await;
    get.expect(405, "invalid_request");
    assert_eq!(get.header("allow"), "POST");
    let unknown = format!("{good}&unknown=1&unknown=2&scope=");
    let answer = kit.send(form(
        "/token?page=1",
        "application/x-www-form-urlencoded; charset=UTF-8",
        unknown,
    ));
    assert_eq!(answer.await.status, StatusCode::OK, "unknown and empty parameters are ignored");
}

#[tokio::test]
async fn row_17_rfc_8707_a_token_is_bound_to_the_resource_that_was_asked_for() {
    let kit = Kit::with("additional_resources: [ \"https://other.example/api\" ]");
    let url = super::authorize_url(&[
        ("platform_url", PLATFORM),
        ("resource", "https://other.example/api"),
    ]);
    let begun = kit.get_json(&url).await;
    kit.upstream.log_in();
    let poll = kit.poll(&text(&begun.json(), "token")).await;
    let code = parameter(&text(&poll.json(), "redirect_url"), "code");
    let form = changed(exchange_form(&code), "resource", "http://127.0.0.1:8080/proxy/");
    kit.post("/token", &form).await.expect(400, "invalid_target");
    let form = changed(exchange_form(&code), "resource", "https://other.example/api");
    let tokens = kit.post("/token", &form).await.json();
    let told = kit.introspect(&text(&tokens, "access_token")).await;
    assert_eq!(told["aud"], "https://other.example/api");
    assert_eq!(told["upstreams"], serde_json::json!([]), "it opens nothing here");
}

#[tokio::test]
async fn row_17_the_gateway_may_be_named_by_any_of_its_urls() {
    let kit = Kit::new();
    for resource in [
        "http://127.0.0.1:8080/proxy",
        "http://127.0.0.1:8080/proxy/company.intelligencebank.com/",
        "http://127.0.0.1:8080",
    ] {
        let url = super::authorize_url(&[("platform_url", PLATFORM), ("resource", resource)]);
        let begun = kit.get_json(&url).await;
        kit.upstream.log_in();
        let poll = kit.poll(&text(&begun.json(), "token")).await;
        let code = parameter(&text(&poll.json(), "redirect_url"), "code");
        let form = changed(exchange_form(&code), "resource", resource);
        let tokens = kit.post("/token", &form).await.json();
        let told = kit.introspect(&text(&tokens, "access_token")).await;
        assert_eq!(told["aud"], "http://127.0.0.1:8080/proxy/", "{resource}");
    }
}

#[tokio::test]
async fn a_confidential_client_proves_itself_by_http_basic() {
    let kit = Kit::new();
    let redirect = "https://backend.example.com/callback";
    let query = encode(&[
        ("response_type", "code"),
        ("client_id", "backend"),
        ("redirect_uri", redirect),
        ("platform_url", PLATFORM),
    ]);
    let begun = kit.get_json(&format!("/authorize?{query}")).await;
    kit.upstream.log_in();
    let poll = kit.poll(&text(&begun.json(), "token")).await;
    let code = parameter(&text(&poll.json(), "redirect_url"), "code");
    let form =
        [("grant_type", "authorization_code"), ("code", code.as_str()), ("redirect_uri", redirect)];
    let with = |authorization: &str, more: &[(&'static str, &'static str)]| {
        let mut request = post("/token", &[&form[..], more].concat());
        request.headers_mut().insert(header::AUTHORIZATION, authorization.parse().unwrap());
        request
    };
    let good = basic("backend", CLIENT_SECRET);
    for wrong in [
        basic("backend", "wrong"),
        basic("backend", ""),
        basic("unknown", CLIENT_SECRET),
        basic("mcp-public-client", ""),
        "Basic".to_owned(),
        "Basic !!!".to_owned(),
        format!("Bearer {CLIENT_SECRET}"),
    ] {
        kit.send(with(&wrong, &[])).await.expect(401, "invalid_client");
    }
    let other = ("client_id", "mcp-public-client");
    kit.send(with(&good, &[other])).await.expect(400, "invalid_request");
    let twice = ("client_secret", CLIENT_SECRET);
    kit.send(with(&good, &[twice])).await.expect(400, "invalid_request");
    let stray = ("code_verifier", VERIFIER);
    kit.send(with(&good, &[stray])).await.expect(400, "invalid_grant");
    let same = ("client_id", "backend");
    let answer = kit.send(with(&good.replace("Basic", "bASIC"), &[same])).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
}

#[tokio::test]
async fn the_session_id_is_disclosed_only_where_a_setting_says_so() {
    let kit = Kit::with("tokens: { include_sid: true }");
    let tokens = kit.tokens().await;
    assert_eq!(tokens["sid"], super::scripted::SID);
    let kit = Kit::new();
    assert!(kit.tokens().await.get("sid").is_none());
}
