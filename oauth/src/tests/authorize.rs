//! `/authorize`: who may begin a login, and where its errors go.

use axum::{
    body::Body,
    http::{Request, StatusCode, header},
};

use super::{
    CHALLENGE, Kit, PLATFORM, REDIRECT, authorize_query, authorize_url, encode, parameter,
    scripted, text,
};
use crate::upstreams::UpstreamError;

#[tokio::test]
async fn row_2_rfc_6749_4_1_2_1_an_unknown_client_or_redirect_gets_a_page_and_never_a_redirect() {
    let kit = Kit::new();
    for changes in [
        ("client_id", "unknown"),
        ("client_id", ""),
        ("client_id", "constructor"),
        ("redirect_uri", "https://evil.example/callback"),
        ("redirect_uri", "https://evil.com/x.connectingib.com/callback"),
        ("redirect_uri", "http://localhost:8123/callback"),
        ("redirect_uri", "http://127.0.0.1:8123/callback#x"),
        ("redirect_uri", "javascript:alert(1)"),
        ("redirect_uri", ""),
    ] {
        let page = kit.get(&authorize_url(&[changes])).await;
        assert_eq!(page.status, StatusCode::BAD_REQUEST, "{changes:?}");
        assert!(page.header("content-type").starts_with("text/html"), "{changes:?}");
        assert!(page.headers.get(header::LOCATION).is_none(), "{changes:?}");
        let json = kit.get_json(&authorize_url(&[changes])).await;
        assert_eq!(json.status, StatusCode::BAD_REQUEST, "{changes:?}");
        assert!(json.headers.get(header::WWW_AUTHENTICATE).is_none(), "{changes:?}");
    }
    for name in ["client_id", "redirect_uri"] {
        let twice = format!("{}&{name}=again", authorize_url(&[]));
        let page = kit.get(&twice).await;
        assert_eq!(page.status, StatusCode::BAD_REQUEST);
        assert!(page.headers.get(header::LOCATION).is_none());
    }
}

#[tokio::test]
async fn defect_5_other_errors_go_to_the_verified_redirect_with_state_and_issuer() {
    let kit = Kit::new();
    let cases: [(&str, &str, &str); 13] = [
        ("response_type", "token", "unsupported_response_type"),
        ("response_type", "", "invalid_request"),
        ("response_mode", "fragment", "invalid_request"),
        ("scope", "profile admin", "invalid_scope"),
        ("scope", "profile  ", "invalid_scope"),
        ("code_challenge", "", "invalid_request"),
        ("code_challenge", "short", "invalid_request"),
        ("code_challenge_method", "plain", "invalid_request"),
        ("code_challenge_method", "", "invalid_request"),
        ("code_challenge_method", "s256", "invalid_request"),
        ("resource", "https://evil.example/", "invalid_target"),
        ("resource", "http://127.0.0.1:8080/proxy/#x", "invalid_target"),
        ("resource", "/proxy/", "invalid_target"),
    ];
    for (name, value, expected) in cases {
        let url = authorize_url(&[(name, value), ("state", "a b&c")]);
        let answer = kit.get(&url).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{name}={value}");
        let location = answer.header("location");
        assert!(location.starts_with(&format!("{REDIRECT}?error=")), "{location}");
        assert_eq!(parameter(location, "error"), expected, "{name}={value}");
        assert_eq!(parameter(location, "state"), "a b&c");
        assert_eq!(parameter(location, "iss"), "http://127.0.0.1:8080");
        assert_eq!(answer.header("referrer-policy"), "no-referrer");
        kit.get_json(&url).await.expect(400, expected);
    }
    let repeated = format!("{}&state=again", authorize_url(&[]));
    let location = kit.get(&repeated).await.header("location").to_owned();
    assert_eq!(parameter(&location, "error"), "invalid_request");
}

#[tokio::test]
async fn row_4_rfc_7636_a_public_client_cannot_log_in_without_pkce() {
    let kit = Kit::new();
    let url = authorize_url(&[
        ("code_challenge", ""),
        ("code_challenge_method", ""),
        ("platform_url", PLATFORM),
    ]);
    kit.get_json(&url).await.expect(400, "invalid_request");
    assert_eq!(kit.upstream.begun.load(std::sync::atomic::Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_head_request_begins_no_login_and_mints_no_code() {
    let kit = Kit::new();
    let token = kit.begin().await;
    kit.upstream.log_in();
    let poll = format!("/authorize/poll?token={token}");
    for (path, allow) in [
        (authorize_url(&[("platform_url", PLATFORM)]).as_str(), "GET,POST"),
        (poll.as_str(), "GET"),
    ] {
        let request = Request::head(path).header(header::ACCEPT, "application/json");
        let answer = kit.send(request.body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{path}");
        assert_eq!(answer.header("allow"), allow);
    }
    assert_eq!(kit.upstream.begun.load(std::sync::atomic::Ordering::SeqCst), 1);
    assert_eq!(kit.upstream.times_asked(), 0);
}

#[tokio::test]
async fn the_json_face_answers_every_error_with_400_json_and_contacts_no_other_platform() {
    let kit = Kit::new();
    for (platform, error) in [
        ("", "invalid_request"),
        ("http://company.intelligencebank.com", "invalid_request"),
        ("https://evil.example", "invalid_request"),
        ("169.254.169.254", "invalid_request"),
        ("company.intelligencebank.com:8443", "invalid_request"),
    ] {
        let answer = kit.get_json(&authorize_url(&[("platform_url", platform)])).await;
        answer.expect(400, error);
    }
    assert_eq!(kit.upstream.begun.load(std::sync::atomic::Ordering::SeqCst), 0);
    for cause in [
        UpstreamError::Unreachable("test"),
        UpstreamError::NotAPlatform { status: 404 },
        UpstreamError::TooLong,
        UpstreamError::Unusable("login token"),
    ] {
        kit.upstream.begins_with(Err(cause));
        let answer = kit.get_json(&authorize_url(&[("platform_url", PLATFORM)])).await;
        answer.expect(400, "temporarily_unavailable");
    }
}

#[tokio::test]
async fn the_json_face_is_chosen_by_the_accept_header_as_the_old_bridge_did() {
    let kit = Kit::new();
    let url = authorize_url(&[("platform_url", PLATFORM)]);
    for (accept, json) in [
        ("application/json", true),
        ("application/json, text/plain, */*", true),
        ("Application/JSON; q=0.9", true),
        ("text/html,application/xhtml+xml,application/json;q=0.9,*/*;q=0.8", false),
        ("*/*", false),
        ("", false),
    ] {
        let request = Request::get(&url).header(header::ACCEPT, accept);
        let answer = kit.send(request.body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status, StatusCode::OK);
        let media_type = answer.header("content-type");
        assert_eq!(media_type.starts_with("application/json"), json, "{accept}: {media_type}");
    }
}

#[tokio::test]
async fn row_5_rfc_6749_4_1_2_the_state_comes_back_byte_for_byte() {
    let kit = Kit::new();
    let every_byte: String = (0..=255_u8).map(|byte| format!("%{byte:02X}")).collect();
    for state in
        [every_byte.as_str(), "a+b", "%22%3E%3Cscript%3E", "%E2%82%AC", "a%2Bb%20c%26d%3De"]
    {
        let query = authorize_query(&[("state", ""), ("platform_url", PLATFORM)]);
        let begun = kit.get_json(&format!("/authorize?{query}")).await;
        assert_eq!(begun.status, StatusCode::OK, "an empty state is absent");
        let query = query.replace("state=", &format!("state={state}"));
        let begun = kit.get_json(&format!("/authorize?{query}")).await;
        kit.upstream.log_in();
        let poll = kit.poll(&text(&begun.json(), "token")).await;
        let redirect = text(&poll.json(), "redirect_url");
        let returned = redirect.split("&state=").nth(1).unwrap().split('&').next().unwrap();
        let decode = |text: &str| {
            url::form_urlencoded::parse(format!("s={text}").as_bytes())
                .next()
                .unwrap()
                .1
                .into_owned()
        };
        assert_eq!(decode(returned), decode(state));
        if state == every_byte {
            // Decoding above is lossy; these bytes are what a client will find.
            assert!(returned.contains("%00") && returned.contains("%FF"), "{returned}");
        }
    }
}

#[tokio::test]
async fn defect_21_a_redirect_with_a_query_keeps_it_and_gets_no_second_question_mark() {
    let kit = Kit::new();
    let redirect = "https://app.example.com/callback?tenant=1";
    let url = authorize_url(&[("redirect_uri", redirect), ("platform_url", PLATFORM)]);
    let begun = kit.get_json(&url).await;
    kit.upstream.log_in();
    let url = text(&kit.poll(&text(&begun.json(), "token")).await.json(), "redirect_url");
    assert!(url.starts_with("https://app.example.com/callback?tenant=1&code="), "{url}");
    assert_eq!(url.matches('?').count(), 1);
}

#[tokio::test]
async fn a_client_may_send_its_authorization_request_by_post() {
    let kit = Kit::new();
    let body = authorize_query(&[("platform_url", PLATFORM)]);
    let request = Request::post("/authorize")
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header(header::ACCEPT, "application/json")
        .body(Body::from(body))
        .unwrap();
    let answer = kit.send(request).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    kit.upstream.log_in_with(scripted::session());
    assert_eq!(kit.poll(&text(&answer.json(), "token")).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_confidential_client_may_leave_pkce_out_and_a_challenge_needs_its_method() {
    let kit = Kit::new();
    let backend = |extra: &[(&'static str, &'static str)]| {
        let mut pairs = vec![
            ("response_type", "code"),
            ("client_id", "backend"),
            ("redirect_uri", "https://backend.example.com/callback"),
            ("platform_url", PLATFORM),
        ];
        pairs.extend(extra);
        format!("/authorize?{}", encode(&pairs))
    };
    assert_eq!(kit.get_json(&backend(&[])).await.status, StatusCode::OK);
    kit.get_json(&backend(&[("code_challenge", CHALLENGE)])).await.expect(400, "invalid_request");
    kit.get_json(&backend(&[("code_challenge_method", "S256")]))
        .await
        .expect(400, "invalid_request");
}

#[tokio::test]
async fn a_query_beyond_all_measure_is_refused() {
    let kit = Kit::new();
    let long = "x".repeat(20_000);
    kit.get_json(&authorize_url(&[("state", &long)])).await.expect(414, "invalid_request");
    let long = "x".repeat(5_000);
    let answer = kit.get(&authorize_url(&[("state", &long)])).await;
    let location = answer.header("location");
    assert_eq!(parameter(location, "error"), "invalid_request");
    assert_eq!(parameter(location, "state"), "", "and is not carried on");
}
