//! What single requirements and defects of the old bridge say, where no other file has them already.

use axum::{
    body::Body,
    http::{Request, StatusCode, header},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use super::{
    Answer, CLIENT_SECRET, Kit, PLATFORM, authorize_query, authorize_url, basic, exchange_form,
    parameter, post, refresh_form, scripted::SID, text,
};

async fn userinfo(kit: &Kit, authorization: &str) -> Answer {
    let request = Request::get("/userinfo").header(header::AUTHORIZATION, authorization);
    kit.send(request.body(Body::empty()).unwrap()).await
}

async fn introspected_by_a_client(kit: &Kit, token: &str) -> Answer {
    let mut request = post("/introspect", &[("token", token)]);
    let caller = basic("backend", CLIENT_SECRET).parse().unwrap();
    request.headers_mut().insert(header::AUTHORIZATION, caller);
    kit.send(request).await
}

#[tokio::test]
async fn row_1_rfc_6749_10_10_codes_and_tokens_hold_more_than_128_random_bits() {
    let kit = Kit::new();
    let code = kit.code().await;
    let tokens = kit.exchange(&code).await.json();
    for (prefix, secret) in [("ibg_ac_", code), ("ibg_rt_", text(&tokens, "refresh_token"))] {
        let random = secret.strip_prefix(prefix).unwrap();
        assert_eq!(URL_SAFE_NO_PAD.decode(random).unwrap().len(), 32, "{prefix}");
    }
}

#[tokio::test]
async fn row_5_rfc_9207_2_the_issuer_of_the_metadata_stands_in_every_authorization_response() {
    let kit = Kit::new();
    let metadata = kit.get("/.well-known/oauth-authorization-server").await.json();
    assert_eq!(metadata["authorization_response_iss_parameter_supported"], true);
    let issuer = text(&metadata, "issuer");
    let token = kit.begin().await;
    kit.upstream.log_in();
    let success = text(&kit.poll(&token).await.json(), "redirect_url");
    assert_eq!(parameter(&success, "iss"), issuer);
    for bad in [("scope", "admin"), ("response_type", "token"), ("resource", "https://x.example/")]
    {
        let answer = kit.get(&authorize_url(&[bad])).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{bad:?}");
        let location = answer.header("location");
        assert_eq!(parameter(location, "iss"), issuer, "{location}");
        assert!(!parameter(location, "error").is_empty());
    }
}

#[tokio::test]
async fn row_9_rfc_6749_5_1_no_cache_keeps_an_answer_with_a_secret_or_about_a_person() {
    let kit = Kit::new();
    let poll = kit.begin().await;
    kit.upstream.log_in();
    let polled = kit.poll(&poll).await;
    let code = parameter(&text(&polled.json(), "redirect_url"), "code");
    let exchanged = kit.exchange(&code).await;
    let refreshed = kit.refresh(&text(&exchanged.json(), "refresh_token")).await;
    let token = text(&refreshed.json(), "access_token");
    let person = userinfo(&kit, &format!("Bearer {token}")).await;
    let introspected = introspected_by_a_client(&kit, &token).await;
    let refused = kit.exchange("nonsense").await;
    let begun = kit.get_json(&authorize_url(&[("platform_url", PLATFORM)])).await;
    for answer in [&polled, &exchanged, &refreshed, &person, &introspected, &refused, &begun] {
        assert_eq!(answer.header("cache-control"), "no-store", "{}", answer.text);
        assert_eq!(answer.header("pragma"), "no-cache", "{}", answer.text);
        assert_eq!(answer.header("content-type"), "application/json");
    }
}

#[tokio::test]
async fn row_10_rfc_6749_3_1_the_authorization_request_is_read_strictly_too() {
    let kit = Kit::new();
    let query = authorize_query(&[]);
    for name in ["scope", "state", "response_type", "code_challenge", "code_challenge_method"] {
        let answer = kit.get(&format!("/authorize?{query}&{name}=x")).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{name}");
        assert_eq!(parameter(answer.header("location"), "error"), "invalid_request", "{name}");
    }
    for name in ["client_id", "redirect_uri"] {
        let answer = kit.get(&format!("/authorize?{query}&{name}=x")).await;
        assert_eq!((answer.status, answer.header("location")), (StatusCode::BAD_REQUEST, ""));
    }
    let unknown = format!("/authorize?{query}&unknown=1&unknown=2&response_mode=");
    assert_eq!(kit.get(&unknown).await.status, StatusCode::OK);
    let without_state = kit.get(&authorize_url(&[("state", ""), ("scope", "admin")])).await;
    assert!(!without_state.header("location").contains("state="), "empty is absent");
}

#[tokio::test]
async fn row_10_rfc_6749_3_2_an_empty_parameter_in_the_query_is_absent_and_a_credential_is_refused()
{
    let kit = Kit::new();
    let code = kit.code().await;
    let send = async |path: &str, form: &[(&str, &str)]| kit.send(post(path, form)).await;
    for name in ["code", "client_id", "client_secret", "client_assertion", "refresh_token", "token"]
    {
        let path = format!("/token?{name}=&{name}=x");
        send(&path, &exchange_form(&code)).await.expect(400, "invalid_request");
    }
    let good = send("/token?code=&client_secret", &exchange_form(&code)).await;
    assert_eq!(good.status, StatusCode::OK, "{}", good.text);
}

#[tokio::test]
async fn row_12_rfc_6750_2_1_the_scheme_is_read_in_any_case_and_no_token_in_the_query() {
    let kit = Kit::new();
    let token = text(&kit.tokens().await, "access_token");
    for scheme in ["Bearer", "bearer", "BEARER", "bEaReR"] {
        let answer = userinfo(&kit, &format!("{scheme} {token}")).await;
        assert_eq!(answer.status, StatusCode::OK, "{scheme}");
    }
    let query = format!("/userinfo?access_token={token}");
    kit.get(&query).await.expect(400, "invalid_request");
    for scheme in ["Basic", "DPoP", "Bear", "Bearer:"] {
        let answer = userinfo(&kit, &format!("{scheme} {token}")).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{scheme}");
    }
}

#[tokio::test]
async fn row_20_rfc_9700_4_12_after_a_form_the_browser_goes_on_by_get() {
    let kit = Kit::new();
    let form = [("authorization_request", &*authorize_query(&[])), ("platform_url", "company")];
    let page = kit.post("/authorize", &form).await;
    let cookie = page.header("set-cookie").split(';').next().unwrap().to_owned();
    let poll = page.text.split("name=\"poll_token\" value=\"").nth(1).unwrap();
    let poll = poll.split('"').next().unwrap().to_owned();
    kit.upstream.log_in();
    kit.clock.advance(std::time::Duration::from_secs(1));
    let mut request = post("/authorize", &[("poll_token", &poll)]);
    request.headers_mut().insert(header::COOKIE, cookie.parse().unwrap());
    let answer = kit.send(request).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.text);
    assert!(answer.header("location").starts_with(super::REDIRECT));
    assert_eq!(answer.header("referrer-policy"), "no-referrer");
    assert_eq!(answer.header("cache-control"), "no-store");
}

#[tokio::test]
async fn row_20_rfc_9700_4_16_pages_show_the_client_and_where_it_returns_and_stand_in_no_frame() {
    let kit = Kit::new();
    for redirect in
        ["https://claude.ai/api/mcp/auth_callback", "https://a.connectingib.com/callback"]
    {
        let page = kit.get(&authorize_url(&[("redirect_uri", redirect)])).await;
        let host = redirect.split('/').nth(2).unwrap();
        assert!(page.text.contains("<strong>MCP client</strong>"), "{}", page.text);
        assert!(page.text.contains(&format!("<strong>{host}</strong>")), "{}", page.text);
        assert!(page.header("content-security-policy").contains("frame-ancestors 'none'"));
        assert_eq!(page.header("referrer-policy"), "no-referrer");
    }
}

#[tokio::test]
async fn defect_8_an_access_token_holds_nothing_that_anybody_could_read() {
    let kit = Kit::new();
    let token = text(&kit.tokens().await, "access_token");
    let pieces = token.split(['_', '.', '-']).chain([token.as_str()]);
    for piece in pieces {
        let decoded = URL_SAFE_NO_PAD.decode(piece).unwrap_or_default();
        let readable = String::from_utf8_lossy(&decoded).into_owned() + piece;
        for secret in [SID, "user-ada", "Lovelace", "intelligencebank"] {
            assert!(!readable.contains(secret), "{secret} in {readable}");
        }
    }
}

#[tokio::test]
async fn defect_9_no_answer_to_a_client_holds_the_session_id() {
    let kit = Kit::new();
    let begun = kit.get_json(&authorize_url(&[("platform_url", PLATFORM)])).await;
    kit.upstream.log_in();
    let polled = kit.poll(&text(&begun.json(), "token")).await;
    let code = parameter(&text(&polled.json(), "redirect_url"), "code");
    let first = kit.exchange(&code).await;
    let second = kit.refresh(&text(&first.json(), "refresh_token")).await;
    let token = text(&second.json(), "access_token");
    let person = userinfo(&kit, &format!("Bearer {token}")).await;
    let introspected = introspected_by_a_client(&kit, &token).await;
    assert_eq!(person.json()["sub"], introspected.json()["sub"]);
    for answer in [&begun, &polled, &first, &second, &person, &introspected] {
        assert!(!answer.text.contains(SID), "{}", answer.text);
    }
}

#[tokio::test]
async fn defect_12_what_was_issued_can_be_asked_about_revoked_and_logged_out() {
    let kit = Kit::new();
    let metadata = kit.get("/.well-known/oauth-authorization-server").await.json();
    for name in ["introspection_endpoint", "revocation_endpoint"] {
        assert!(metadata[name].is_string(), "{name}");
    }
    for (path, form) in [
        ("/revoke", vec![("token", "x"), ("client_id", "mcp-public-client")]),
        ("/logout", vec![("token", "x"), ("client_id", "mcp-public-client")]),
    ] {
        let answer = kit.post(path, &form).await;
        assert_eq!((answer.status, answer.header("cache-control")), (StatusCode::OK, "no-store"));
    }
}

#[tokio::test]
async fn defect_17_a_refresh_token_is_found_however_many_others_there_are() {
    let kit = Kit::new();
    let mut tokens = Vec::new();
    for _ in 0..60 {
        tokens.push(text(&kit.tokens().await, "refresh_token"));
        kit.clock.advance(std::time::Duration::from_secs(1));
    }
    for token in [tokens.first(), tokens.get(30), tokens.last()] {
        assert_eq!(kit.refresh(token.unwrap()).await.status, StatusCode::OK);
    }
}

#[tokio::test]
async fn defect_18_each_fault_is_named_and_only_a_callers_lack_of_proof_is_401() {
    let kit = Kit::new();
    let unknown_client = super::changed(exchange_form("x"), "client_id", "nobody");
    let refused = kit.post("/token", &unknown_client).await;
    refused.expect(401, "invalid_client");
    assert_eq!(refused.header("www-authenticate"), super::BASIC);
    kit.post("/token", &exchange_form("x")).await.expect(400, "invalid_grant");
    kit.post("/token", &refresh_form("x")).await.expect(400, "invalid_grant");
    let password = [("grant_type", "password"), ("client_id", "mcp-public-client")];
    kit.post("/token", &password).await.expect(400, "unsupported_grant_type");
    // The platform's fault is no fault of the caller's proof.
    kit.upstream.begins_with(Err(crate::upstreams::UpstreamError::Unreachable("test")));
    let down = kit.get_json(&authorize_url(&[("platform_url", PLATFORM)])).await;
    down.expect(400, "temporarily_unavailable");
}

#[tokio::test]
async fn defect_25_the_time_in_userinfo_is_in_seconds_of_this_century() {
    let kit = Kit::new();
    let token = text(&kit.tokens().await, "access_token");
    let person = userinfo(&kit, &format!("Bearer {token}")).await.json();
    assert_eq!(person["updated_at"], super::NOW - 10);
}
