//! Who asks too often is told to wait, and how long.

use std::{net::SocketAddr, time::Duration};

use axum::{
    body::Body,
    extract::ConnectInfo,
    http::{Request, StatusCode, header},
};

use super::{
    Answer, CLIENT_SECRET, GENEROUS_LIMITS, Kit, PLATFORM, authorize_query, authorize_url, basic,
    exchange_form, post, refresh_form,
};

/// The limits of most tests with one line of them replaced.
fn with(line: &str) -> Kit {
    let (name, _) = line.split_once(':').unwrap();
    let lines = GENEROUS_LIMITS.lines().map(|own| {
        if own.trim_start().starts_with(&format!("{name}:")) {
            format!("  {line}")
        } else {
            own.to_owned()
        }
    });
    Kit::with(&lines.collect::<Vec<_>>().join("\n"))
}

/// A request as Envoy forwards it for a client at `address`.
fn from(address: &str, mut request: Request<Body>) -> Request<Body> {
    request.headers_mut().insert("x-forwarded-for", address.parse().unwrap());
    request
}

fn json_login(changes: &[(&str, &str)]) -> Request<Body> {
    let mut all = vec![("platform_url", PLATFORM)];
    all.extend(changes);
    let request = Request::get(authorize_url(&all)).header(header::ACCEPT, "application/json");
    request.body(Body::empty()).unwrap()
}

#[track_caller]
fn assert_limited(answer: &Answer, seconds: &str) {
    answer.expect(429, "rate_limit_exceeded");
    assert_eq!(answer.header("retry-after"), seconds);
}

fn limited(kit: &Kit, limit: &str, endpoint: &str) -> String {
    kit.metric(&format!(r#"oauth_limited_total{{limit="{limit}",endpoint="{endpoint}"}}"#))
}

#[tokio::test]
async fn one_address_cannot_begin_logins_without_end_and_the_others_still_can() {
    let kit = with("login: { address: { per_minute: 6, burst: 2 } }");
    for _ in 0..2 {
        let answer = kit.send(from("192.0.2.1", json_login(&[]))).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    }
    assert_limited(&kit.send(from("192.0.2.1", json_login(&[]))).await, "10");
    let answer = kit.send(from("192.0.2.2", json_login(&[]))).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    kit.clock.advance(Duration::from_millis(9_999));
    assert_limited(&kit.send(from("192.0.2.1", json_login(&[]))).await, "1");
    kit.clock.advance(Duration::from_millis(1));
    let answer = kit.send(from("192.0.2.1", json_login(&[]))).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    assert_eq!(limited(&kit, "address", "login"), "2");
    // The neighbours of an IPv6 address are one subscriber, and it may not choose its address.
    for address in ["2001:db8::1", "2001:db8::2"] {
        kit.send(from(address, json_login(&[]))).await;
    }
    assert_limited(&kit.send(from("2001:db8::3", json_login(&[]))).await, "10");
    let forged = kit.send(from("203.0.113.9, 2001:db8::4", json_login(&[]))).await;
    assert_limited(&forged, "10");
}

#[tokio::test]
async fn without_a_proxy_the_peer_is_the_client_whatever_header_it_sends() {
    let kit = Kit::with(&format!("{GENEROUS_LIMITS}\nserver: {{ trusted_hops: 0 }}").replace(
        "login: { address: { per_minute: 1000000 }",
        "login: { address: { per_minute: 6, burst: 1 }",
    ));
    let login = |peer: [u8; 4], forged: &str| {
        let mut request = from(forged, json_login(&[]));
        request.extensions_mut().insert(ConnectInfo(SocketAddr::from((peer, 4711))));
        request
    };
    let answer = kit.send(login([192, 0, 2, 1], "10.0.0.1")).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    assert_limited(&kit.send(login([192, 0, 2, 1], "10.0.0.2")).await, "10");
    let answer = kit.send(login([192, 0, 2, 2], "10.0.0.1")).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
}

#[tokio::test]
async fn a_person_who_begins_too_many_logins_gets_a_page_in_words() {
    let kit = with("login: { address: { per_minute: 6, burst: 1 } }");
    let query = authorize_query(&[]);
    let form = [("authorization_request", query.as_str()), ("platform_url", PLATFORM)];
    assert_eq!(kit.post("/authorize", &form).await.status, StatusCode::OK);
    let answer = kit.post("/authorize", &form).await;
    assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(answer.header("retry-after"), "10");
    assert!(answer.header("content-type").starts_with("text/html"));
    assert!(answer.text.contains("Too many requests"), "{}", answer.text);
    // Looking at the form begins nothing.
    assert_eq!(kit.get(&authorize_url(&[])).await.status, StatusCode::OK);
}

#[tokio::test]
async fn defect_27_a_client_and_a_platform_have_limits_of_their_own_from_whatever_address() {
    let kit = with("login: { client: { per_minute: 6, burst: 1 } }");
    let answer = kit.send(from("192.0.2.1", json_login(&[]))).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    assert_limited(&kit.send(from("192.0.2.2", json_login(&[]))).await, "10");
    let other = [("client_id", "other-public-client")];
    let answer = kit.send(from("192.0.2.3", json_login(&other))).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    assert_eq!(limited(&kit, "client", "login"), "1");

    let kit = with("login: { platform: { per_minute: 6, burst: 1 } }");
    let answer = kit.send(from("192.0.2.1", json_login(&[]))).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    assert_limited(&kit.send(from("192.0.2.2", json_login(&[]))).await, "10");
    let other = [("platform_url", "https://other.intelligencebank.com/")];
    let request = Request::get(authorize_url(&other)).header(header::ACCEPT, "application/json");
    let answer = kit.send(from("192.0.2.3", request.body(Body::empty()).unwrap())).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    assert_eq!(limited(&kit, "platform", "login"), "1");
}

#[tokio::test]
async fn polls_are_limited_by_address_and_so_is_the_continue_button() {
    let kit = with("poll: { address: { per_minute: 6, burst: 2 } }");
    let token = kit.begin().await;
    kit.poll(&token).await.expect(404, "authorization_pending");
    let answer = kit.post("/authorize", &[("poll_token", &token)]).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_limited(&kit.poll(&token).await, "10");
    let answer = kit.post("/authorize", &[("poll_token", &token)]).await;
    assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(limited(&kit, "address", "poll"), "2");
    // The limit cost no login.
    kit.clock.advance(Duration::from_secs(10));
    kit.upstream.log_in();
    assert_eq!(kit.poll(&token).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_limit_at_the_token_endpoint_spends_no_code_and_no_refresh_token() {
    let kit = with("token: { address: { per_minute: 6, burst: 1 } }");
    let code = kit.code().await;
    kit.post("/token", &[("grant_type", "nonsense")]).await.expect(400, "unsupported_grant_type");
    assert_limited(&kit.exchange(&code).await, "10");
    kit.clock.advance(Duration::from_secs(10));
    let tokens = kit.exchange(&code).await;
    assert_eq!(tokens.status, StatusCode::OK, "{}", tokens.text);
    let refresh_token = super::text(&tokens.json(), "refresh_token");
    assert_limited(&kit.refresh(&refresh_token).await, "10");
    kit.clock.advance(Duration::from_secs(10));
    assert_eq!(kit.refresh(&refresh_token).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_client_that_proves_itself_is_limited_from_whatever_address_and_nobody_else_spends_for_it()
 {
    let kit = with("token: { client: { per_minute: 6, burst: 1 } }");
    let ask = |address: &str| {
        let mut request =
            post("/token", &[("grant_type", "refresh_token"), ("refresh_token", "t")]);
        let credentials = basic("backend", CLIENT_SECRET).parse().unwrap();
        request.headers_mut().insert(header::AUTHORIZATION, credentials);
        from(address, request)
    };
    kit.send(ask("192.0.2.1")).await.expect(400, "invalid_grant");
    assert_limited(&kit.send(ask("192.0.2.2")).await, "10");
    // The name of a public client is known to all: whoever uses it takes nothing from its users.
    let form = refresh_form("no-such-token");
    for _ in 0..3 {
        kit.send(from("192.0.2.3", post("/token", &form))).await.expect(400, "invalid_grant");
    }
}

#[tokio::test]
async fn one_address_can_neither_use_up_the_days_registrations_nor_ask_userinfo_without_end() {
    let kit = Kit::with(
        "registration: { enabled: true, redirect_hosts: [ app.example.com ] }\n\
         limits: { register: { address: { per_minute: 6, burst: 1 } }, introspect: { address: { per_minute: 6, burst: 1 } } }",
    );
    let register = |address| from(address, post("/register", &[]));
    kit.send(register("192.0.2.1")).await.expect(400, "invalid_client_metadata");
    assert_limited(&kit.send(register("192.0.2.1")).await, "10");
    kit.send(register("192.0.2.2")).await.expect(400, "invalid_client_metadata");
    let ask = || Request::get("/userinfo").body(Body::empty()).unwrap();
    assert_eq!(kit.send(from("192.0.2.1", ask())).await.status, StatusCode::UNAUTHORIZED);
    assert_limited(&kit.send(from("192.0.2.1", ask())).await, "10");
}

#[tokio::test]
async fn the_audit_log_is_told_once_a_minute_that_a_limit_refuses() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("audit.jsonl");
    let kit = Kit::with(&format!(
        "audit: {{ to: file, file: {file:?} }}\nlimits: {{ poll: {{ address: {{ per_minute: 6, burst: 1 }} }} }}"
    ));
    let told = || std::fs::read_to_string(&file).unwrap().matches("\"limited\"").count();
    for seconds in [0, 0, 0, 61] {
        kit.clock.advance(Duration::from_secs(seconds));
        kit.poll("x").await;
        kit.poll("x").await;
    }
    kit.app.audit.close(Duration::from_secs(30));
    assert_eq!(told(), 2);
}

#[tokio::test]
async fn introspection_and_revocation_are_limited_too_and_the_gateways_own_is_not() {
    let kit = with("introspect: { address: { per_minute: 6, burst: 1 } }");
    let ask = |path: &str| {
        let mut request = post(path, &[("token", "t")]);
        let credentials = basic("backend", CLIENT_SECRET).parse().unwrap();
        request.headers_mut().insert(header::AUTHORIZATION, credentials);
        request
    };
    assert_eq!(kit.send(ask("/introspect")).await.status, StatusCode::OK);
    assert_limited(&kit.send(ask("/introspect")).await, "10");
    assert_eq!(limited(&kit, "address", "introspect"), "1");
    for _ in 0..5 {
        kit.introspect("t").await;
    }
    let kit = with("revoke: { client: { per_minute: 6, burst: 1 } }");
    assert_eq!(kit.send(ask("/revoke")).await.status, StatusCode::OK);
    assert_limited(&kit.send(ask("/revoke")).await, "10");
    assert_eq!(limited(&kit, "client", "revoke"), "1");
}

#[tokio::test]
async fn whoever_guesses_client_secrets_is_soon_not_even_listened_to() {
    let kit = with("failed_authentication: { address: { per_minute: 6, burst: 3 } }");
    let guess = |path: &str, address: &str, secret: &str| {
        let mut request = post(path, &[("token", "t"), ("grant_type", "refresh_token")]);
        let credentials = basic("backend", secret).parse().unwrap();
        request.headers_mut().insert(header::AUTHORIZATION, credentials);
        from(address, request)
    };
    for path in ["/token", "/introspect", "/revoke"] {
        kit.send(guess(path, "192.0.2.1", "wrong")).await.expect(401, "invalid_client");
    }
    // The right one too: the answer must not tell.
    for secret in ["wrong", CLIENT_SECRET] {
        for path in ["/token", "/introspect", "/revoke"] {
            assert_limited(&kit.send(guess(path, "192.0.2.1", secret)).await, "10");
        }
    }
    assert_eq!(limited(&kit, "failed_authentication", "introspect"), "2");
    // The client itself is not locked out, and success costs nothing.
    for _ in 0..5 {
        let answer = kit.send(guess("/introspect", "192.0.2.2", CLIENT_SECRET)).await;
        assert_eq!(answer.status, StatusCode::OK);
    }
    kit.clock.advance(Duration::from_secs(10));
    let answer = kit.send(guess("/introspect", "192.0.2.1", CLIENT_SECRET)).await;
    assert_eq!(answer.status, StatusCode::OK);
}

#[tokio::test]
async fn logins_that_wait_for_their_person_are_bounded_in_all_and_for_each_address() {
    let kit = with("pending_logins: { total: 3, address: 2, platform: 3 }");
    let begin = |address: &str| from(address, json_login(&[]));
    let first = kit.send(begin("192.0.2.1")).await.json()["token"].as_str().unwrap().to_owned();
    kit.clock.advance(Duration::from_secs(100));
    kit.send(begin("192.0.2.1")).await;
    let asked = kit.upstream.begun.load(std::sync::atomic::Ordering::SeqCst);
    assert_limited(&kit.send(begin("192.0.2.1")).await, "201");
    assert_eq!(kit.send(begin("192.0.2.2")).await.status, StatusCode::OK);
    let answer = kit.send(begin("192.0.2.3")).await;
    answer.expect(503, "temporarily_unavailable");
    assert_eq!(answer.header("retry-after"), "2");
    let now_asked = kit.upstream.begun.load(std::sync::atomic::Ordering::SeqCst);
    assert_eq!(now_asked, asked + 1, "IntelligenceBank does not hear of the refused");
    assert_eq!(limited(&kit, "pending_logins", "login"), "2");
    // A login that is done makes place.
    kit.upstream.log_in();
    assert_eq!(kit.poll(&first).await.status, StatusCode::OK);
    assert_eq!(kit.send(begin("192.0.2.1")).await.status, StatusCode::OK);
    kit.send(begin("192.0.2.3")).await.expect(503, "temporarily_unavailable");
    // And so does one whose deadline has passed.
    kit.clock.advance(Duration::from_millis(299_999));
    kit.send(begin("192.0.2.3")).await.expect(503, "temporarily_unavailable");
    kit.clock.advance(Duration::from_millis(1));
    assert_eq!(kit.send(begin("192.0.2.3")).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_login_that_the_platform_refuses_takes_no_place() {
    let kit = with("pending_logins: { total: 1, address: 1, platform: 1 }");
    kit.upstream.begins_with(Err(crate::upstreams::UpstreamError::Unreachable("test")));
    for _ in 0..3 {
        kit.send(json_login(&[])).await.expect(400, "temporarily_unavailable");
    }
    kit.upstream.begins_with(Ok(()));
    assert_eq!(kit.send(json_login(&[])).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_limit_that_is_turned_off_is_none() {
    let kit = with(
        "login: { address: { per_minute: 0 }, client: { per_minute: 0 }, platform: { per_minute: 0 } }",
    );
    for _ in 0..500 {
        assert_eq!(kit.send(json_login(&[])).await.status, StatusCode::OK);
    }
    let warned =
        kit.app.settings.warnings().iter().any(|warning| {
            warning.field == "limits.login.address" && warning.reason.contains("off")
        });
    assert!(warned);
}

#[tokio::test]
async fn the_sizes_that_an_operator_gets_let_a_person_log_in_and_a_flood_not() {
    // Nothing is set: these are the defaults.
    let kit = Kit::with("limits: {}");
    let token = kit.begin().await;
    for _ in 0..120 {
        kit.poll(&token).await.expect(404, "authorization_pending");
        kit.clock.advance(Duration::from_secs(1));
    }
    kit.upstream.log_in();
    let url = kit.poll(&token).await.json()["redirect_url"].as_str().unwrap().to_owned();
    let code = super::parameter(&url, "code");
    let answer = kit.post("/token", &exchange_form(&code)).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    let mut passed = 0;
    while kit.send(json_login(&[])).await.status == StatusCode::OK {
        passed += 1;
    }
    assert_eq!(passed, 30);
}
