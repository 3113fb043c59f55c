//! The login as clients and people go through it, by the gateway's public paths alone.
#![cfg(test)]

use std::sync::LazyLock;

use ib_end_to_end::{
    Deployment, Grant, LOOPBACK_REDIRECT, OAuthClient, PATIENCE, PLATFORM_HOST, PUBLIC_CLIENT,
    Request, Response, TEST_CLIENT, Verifier, assert_error_body, assert_refusal, eventually,
    unique,
};
use serde_json::json;

static GATEWAY: LazyLock<Deployment> = LazyLock::new(Deployment::shared);

fn client() -> OAuthClient<'static> {
    GATEWAY.client(PUBLIC_CLIENT, LOOPBACK_REDIRECT)
}

#[test]
fn a_client_that_knows_only_the_base_url_logs_in_and_calls_intelligencebank() {
    for (client_id, user) in [(PUBLIC_CLIENT, "ada"), (TEST_CLIENT, "grace")] {
        let client = GATEWAY.client(client_id, LOOPBACK_REDIRECT);
        let authorization = client.begin();
        let code = client.finish(&authorization, user);
        let answer = client.exchange(&code, authorization.verifier.secret());
        assert_never_stored(&answer);
        let grant = Grant::of(&answer);
        assert_eq!(grant.body["token_type"], json!("Bearer"));
        assert_eq!(grant.body["expires_in"], json!(3600));
        assert_eq!(grant.body["scope"], json!("profile"));
        assert_eq!(grant.body["client_id"], json!(client_id));

        let sid = GATEWAY.sid_of(&grant.access_token);
        assert!(!answer.text().contains(&sid), "the token reply holds the live sid");
        assert!(!grant.access_token.contains(&sid));
    }
}

#[test]
fn the_token_reply_keeps_the_fields_that_todays_clients_read() {
    let body = GATEWAY.log_in().body;
    let api = body["apiV3url"].as_str().expect("apiV3url");
    assert!(api.contains("apiv3.intelligencebank.com"), "{api}");
    assert!(body["clientid"].is_string(), "{body}");
    let period = body["logintimeoutperiod"].as_u64().expect("logintimeoutperiod, in hours");
    let created = body["sidCreatedAt"].as_u64().expect("sidCreatedAt, in Unix seconds");
    let expiry = body["sidExpiry"].as_u64().expect("sidExpiry, in Unix seconds");
    assert_eq!(expiry - created, period * 3600);
    assert!((1_600_000_000..10_000_000_000).contains(&created), "not in seconds: {created}");
    let platform = body["platform_url"].as_str().expect("platform_url");
    assert_eq!(platform.trim_end_matches('/'), format!("https://{PLATFORM_HOST}"));
    assert!(body.get("sid").is_none(), "the live sid is withheld");
}

#[test]
fn row_15_rfc_8414_2_the_metadata_tells_a_client_all_that_it_needs() {
    let client = client();
    let metadata = client.metadata();
    assert_eq!(metadata["issuer"], json!(GATEWAY.base_url()));
    assert_eq!(metadata["response_types_supported"], json!(["code"]));
    assert_eq!(metadata["code_challenge_methods_supported"], json!(["S256"]));
    assert_eq!(metadata["authorization_response_iss_parameter_supported"], json!(true));
    let grants = metadata["grant_types_supported"].as_array().expect("grant types");
    assert!(grants.contains(&json!("authorization_code")), "{metadata}");
    assert!(grants.contains(&json!("refresh_token")), "{metadata}");
    assert!(metadata["scopes_supported"].as_array().unwrap().contains(&json!("profile")));
    let methods = metadata["token_endpoint_auth_methods_supported"].as_array().expect("methods");
    assert!(methods.contains(&json!("none")), "public clients are not told that they may come");
    assert_eq!(client.endpoint("authorization_endpoint"), GATEWAY.path("/authorize"));
    assert_eq!(client.endpoint("token_endpoint"), GATEWAY.path("/token"));
}

#[test]
fn row_6_rfc_6749_6_a_refresh_gives_new_tokens_for_the_same_session() {
    let client = client();
    let first = client.log_in("ada");
    let answer = client.refresh(&first.refresh_token);
    assert_never_stored(&answer);
    let second = Grant::of(&answer);
    assert_ne!(second.access_token, first.access_token);
    assert_ne!(second.refresh_token, first.refresh_token);
    for field in ["sidCreatedAt", "sidExpiry", "scope", "clientid", "apiV3url"] {
        assert_eq!(second.body[field], first.body[field], "a refresh changed {field}");
    }
    let sids = [&first, &second].map(|grant| GATEWAY.sid_of(&grant.access_token));
    assert_eq!(sids[0], sids[1]);
}

#[test]
fn row_6_rfc_6749_10_4_a_refresh_token_serves_its_own_client_only() {
    let grant = client().log_in("ada");
    let other = GATEWAY.client(TEST_CLIENT, LOOPBACK_REDIRECT);
    assert_error_body(&other.refresh(&grant.refresh_token), 400, "invalid_grant");
    assert_error_body(&client().refresh(&grant.access_token), 400, "invalid_grant");
    assert_error_body(&client().refresh("no-such-token"), 400, "invalid_grant");
    let _ = Grant::of(&client().refresh(&grant.refresh_token));
}

#[test]
fn row_5_rfc_9207_2_the_state_comes_back_byte_for_byte_and_the_issuer_with_it() {
    let client = client();
    let state = "a b+c&d=e%41é\"<script>'/?#";
    let verifier = Verifier::generate();
    let target = client.authorize_target(&verifier.challenge(), state);
    let answer = GATEWAY.send(&Request::get(target).header("accept", "application/json"));
    let body = answer.with_status(200).json();
    let authorization = ib_end_to_end::Authorization {
        verifier,
        state: state.to_owned(),
        login_url: body["loginUrl"].as_str().unwrap().to_owned(),
        poll_token: body["token"].as_str().unwrap().to_owned(),
    };
    let code = client.finish(&authorization, "ada");
    let _ = Grant::of(&client.exchange(&code, authorization.verifier.secret()));
}

#[test]
fn a_poll_before_the_login_says_pending_and_one_without_a_token_says_so() {
    let client = client();
    let authorization = client.begin();
    assert_refusal(
        &client.poll(&authorization),
        404,
        "authorization_pending",
        "The authorization request is still pending",
    );
    for path in ["/authorize/poll", "/authorize/poll?token=", "/authorize/poll?other=x"] {
        let answer = GATEWAY.send(&Request::get(GATEWAY.path(path)));
        assert_refusal(&answer, 400, "invalid_request", "Missing token parameter");
    }
    let answer = GATEWAY.send(&Request::get(GATEWAY.path("/authorize/poll?token=no-such-token")));
    assert_eq!(answer.status, 400, "an unknown poll token waits for ever: {answer:?}");
}

#[test]
fn a_login_that_expires_at_intelligencebank_ends_the_wait() {
    let client = client();
    let authorization = client.begin();
    let login = url::Url::parse(&authorization.login_url).unwrap();
    let (_, content) = login.query_pairs().find(|(name, _)| name == "token").unwrap();
    GATEWAY.simulator().expire_login(&content);
    let answer = eventually("the end of the wait", PATIENCE, || {
        let answer = client.poll(&authorization);
        (answer.status != 404).then_some(answer)
    });
    assert_eq!(answer.status, 400, "{answer:?}");
    assert!(answer.json()["error"].is_string(), "{answer:?}");
}

#[test]
fn row_4_rfc_7636_4_6_a_code_without_its_verifier_is_worthless() {
    let client = client();
    for wrong in [Verifier::generate().secret(), "short", "", &"x".repeat(129)] {
        let authorization = client.begin();
        let code = client.finish(&authorization, "ada");
        let answer = client.exchange(&code, wrong);
        assert_eq!(answer.status, 400, "{wrong:?}: {answer:?}");
        let error = answer.json()["error"].as_str().unwrap().to_owned();
        assert!(matches!(error.as_str(), "invalid_grant" | "invalid_request"), "{answer:?}");
        assert!(!answer.text().contains("access_token"), "{answer:?}");
    }
}

#[test]
fn defect_14_row_1_rfc_6749_4_1_2_a_code_is_used_once_and_its_second_use_ends_the_grant() {
    let client = client();
    let authorization = client.begin();
    let code = client.finish(&authorization, "ada");
    let grant = Grant::of(&client.exchange(&code, authorization.verifier.secret()));
    let again = client.exchange(&code, authorization.verifier.secret());
    assert_error_body(&again, 400, "invalid_grant");
    assert_never_stored(&again);
    assert_error_body(&client.refresh(&grant.refresh_token), 400, "invalid_grant");
}

#[test]
fn row_2_rfc_6749_4_1_3_a_code_is_bound_to_its_client_and_its_redirect() {
    let authorization = client().begin();
    let code = client().finish(&authorization, "ada");
    let other = GATEWAY.client(TEST_CLIENT, LOOPBACK_REDIRECT);
    let answer = other.exchange(&code, authorization.verifier.secret());
    assert_error_body(&answer, 400, "invalid_grant");

    let authorization = client().begin();
    let code = client().finish(&authorization, "ada");
    let elsewhere = GATEWAY.client(PUBLIC_CLIENT, "http://127.0.0.1:49153/callback");
    let answer = elsewhere.exchange(&code, authorization.verifier.secret());
    assert_error_body(&answer, 400, "invalid_grant");
}

#[test]
fn defect_1_a_poll_token_is_no_code_and_a_code_is_no_poll_token() {
    let client = client();
    let authorization = client.begin();
    let code = client.finish(&authorization, "ada");
    let answer = client.exchange(&authorization.poll_token, authorization.verifier.secret());
    assert_error_body(&answer, 400, "invalid_grant");
    let answer =
        GATEWAY.send(&Request::get(GATEWAY.path(&format!("/authorize/poll?token={code}"))));
    assert_eq!(answer.status, 400, "{answer:?}");
    let call = GATEWAY.proxied("GET", "/api/3.0.0/x/user");
    for secret in [&code, &authorization.poll_token] {
        let answer = GATEWAY.send(&call.clone().bearer(secret));
        assert_refusal(&answer, 401, "invalid_token", "Invalid or expired access token");
    }
}

#[test]
fn defect_4_defect_5_defect_13_row_2_rfc_6749_4_1_2_1_a_person_with_a_bad_link_sees_a_page_and_is_sent_nowhere()
 {
    let verifier = Verifier::generate();
    for (client_id, redirect_uri) in [
        ("no-such-client", LOOPBACK_REDIRECT),
        ("constructor", LOOPBACK_REDIRECT),
        ("", LOOPBACK_REDIRECT),
        (PUBLIC_CLIENT, "https://evil.example/callback"),
        (PUBLIC_CLIENT, "https://evil.example/x.connectingib.com/callback"),
        (PUBLIC_CLIENT, "https://a.b.connectingib.com/callback"),
        (PUBLIC_CLIENT, "http://127.0.0.1:49152/elsewhere"),
        (PUBLIC_CLIENT, "http://127.0.0.1.evil.example:49152/callback"),
        (PUBLIC_CLIENT, "http://user@127.0.0.1:49152/callback"),
        (PUBLIC_CLIENT, "javascript:alert(1)"),
        (PUBLIC_CLIENT, ""),
    ] {
        let target = client().authorize_target_with(&[
            ("response_type", "code"),
            ("client_id", client_id),
            ("redirect_uri", redirect_uri),
            ("scope", "profile"),
            ("state", "s"),
            ("code_challenge", &verifier.challenge()),
            ("code_challenge_method", "S256"),
        ]);
        let page = GATEWAY.send(&Request::get(&target).header("accept", "text/html"));
        assert_eq!(page.status, 400, "{client_id} {redirect_uri}: {page:?}");
        assert!(page.header("location").is_none(), "{page:?}");
        assert!(page.header("content-type").unwrap().starts_with("text/html"), "{page:?}");
        let json = GATEWAY.send(&Request::get(&target).header("accept", "application/json"));
        assert_eq!(json.status, 400, "{json:?}");
        assert!(json.header("location").is_none(), "{json:?}");
        assert!(json.json()["error"].is_string(), "{json:?}");
    }
}

#[test]
fn defect_3_defect_5_the_json_face_answers_every_error_itself_and_never_redirects() {
    let challenge = Verifier::generate().challenge();
    let platform = format!("https://{PLATFORM_HOST}");
    let good = [
        ("response_type", "code"),
        ("client_id", PUBLIC_CLIENT),
        ("redirect_uri", LOOPBACK_REDIRECT),
        ("scope", "profile"),
        ("state", "s"),
        ("code_challenge", challenge.as_str()),
        ("code_challenge_method", "S256"),
        ("platform_url", platform.as_str()),
    ];
    for (name, value, error) in [
        ("response_type", Some("token"), "unsupported_response_type"),
        ("response_type", None, "invalid_request"),
        ("code_challenge", None, "invalid_request"),
        ("code_challenge", Some("short"), "invalid_request"),
        ("code_challenge_method", Some("plain"), "invalid_request"),
        ("code_challenge_method", None, "invalid_request"),
        ("scope", Some("profile everything"), "invalid_scope"),
        ("platform_url", Some("https://evil.example"), "invalid_request"),
        ("platform_url", Some("http://company.intelligencebank.com"), "invalid_request"),
        (
            "platform_url",
            Some("https://company.intelligencebank.com@evil.example"),
            "invalid_request",
        ),
        ("platform_url", Some("https://evil.example/.intelligencebank.com"), "invalid_request"),
        ("platform_url", Some("https://intelligencebank.com.evil.example"), "invalid_request"),
        ("platform_url", Some("https://a.b.intelligencebank.com"), "invalid_request"),
        ("platform_url", Some("https://127.0.0.2"), "invalid_request"),
        ("platform_url", Some("https://[::1]"), "invalid_request"),
        ("platform_url", Some("file:///etc/passwd"), "invalid_request"),
        ("platform_url", Some("not a url"), "invalid_request"),
    ] {
        let mut parameters = good.to_vec();
        parameters.retain(|(given, _)| *given != name);
        parameters.extend(value.map(|value| (name, value)));
        let target = client().authorize_target_with(&parameters);
        let answer = GATEWAY.send(&Request::get(target).header("accept", "application/json"));
        assert_eq!(answer.status, 400, "{name}={value:?}: {answer:?}");
        assert!(answer.header("location").is_none(), "{answer:?}");
        assert_eq!(answer.json()["error"], json!(error), "{name}={value:?}: {answer:?}");
    }
    let mut doubled = good.to_vec();
    doubled.push(("client_id", TEST_CLIENT));
    let target = client().authorize_target_with(&doubled);
    let answer = GATEWAY.send(&Request::get(target).header("accept", "application/json"));
    assert_error_body(&answer, 400, "invalid_request");
}

#[test]
fn defect_18_row_8_rfc_6749_5_2_the_token_endpoint_answers_in_the_words_of_the_rfc() {
    let client = client();
    for (fields, status, error) in [
        (
            vec![("grant_type", "password"), ("client_id", PUBLIC_CLIENT)],
            400,
            "unsupported_grant_type",
        ),
        (vec![("client_id", PUBLIC_CLIENT)], 400, "invalid_request"),
        (
            vec![("grant_type", "refresh_token"), ("client_id", PUBLIC_CLIENT)],
            400,
            "invalid_request",
        ),
        (
            vec![("grant_type", "refresh_token"), ("client_id", "nobody"), ("refresh_token", "x")],
            401,
            "invalid_client",
        ),
        (
            vec![
                ("grant_type", "refresh_token"),
                ("client_id", PUBLIC_CLIENT),
                ("refresh_token", "x"),
                ("refresh_token", "y"),
            ],
            400,
            "invalid_request",
        ),
    ] {
        let answer = client.token(&fields);
        assert_error_body(&answer, status, error);
        assert_never_stored(&answer);
    }
    assert_eq!(GATEWAY.send(&Request::get(GATEWAY.path("/token"))).status, 405);
    let in_query = "/token?grant_type=refresh_token&client_id=mcp-public-client&refresh_token=x";
    let request = Request::post_form(GATEWAY.path(in_query), &[]);
    assert_eq!(GATEWAY.send(&request).status, 400);
    let json = Request::new("POST", GATEWAY.path("/token"))
        .header("content-type", "application/json")
        .body(r#"{"grant_type":"refresh_token"}"#);
    let status = GATEWAY.send(&json).status;
    assert!(matches!(status, 400 | 415), "{status}");
}

#[test]
fn row_20_rfc_9700_4_16_the_login_page_cannot_be_framed_and_keeps_its_address_to_itself() {
    let mark = unique("page");
    let target = client().authorize_target(&Verifier::generate().challenge(), &mark);
    let page = GATEWAY.send(&Request::get(target).header("accept", "text/html")).with_status(200);
    assert!(page.header("content-type").unwrap().starts_with("text/html"));
    let policy = page.header("content-security-policy").expect("a policy");
    assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
    assert!(!policy.contains("unsafe-inline"), "{policy}");
    assert_eq!(page.header("referrer-policy").as_deref(), Some("no-referrer"));
    assert!(page.list("cache-control").contains(&"no-store".to_owned()), "{page:?}");
}

#[test]
fn defect_6_what_a_link_brings_into_the_page_is_text_and_no_markup() {
    let target = client().authorize_target_with(&[
        ("response_type", "code"),
        ("client_id", PUBLIC_CLIENT),
        ("redirect_uri", LOOPBACK_REDIRECT),
        ("scope", "profile"),
        ("state", "\"><script>alert(1)</script>"),
        ("code_challenge", &Verifier::generate().challenge()),
        ("code_challenge_method", "S256"),
        ("platform_url", "https://x\"><script>alert(2)</script>"),
    ]);
    let page = GATEWAY.send(&Request::get(target).header("accept", "text/html"));
    assert!(!page.text().contains("<script>alert"), "{page:?}");
}

#[track_caller]
fn assert_never_stored(answer: &Response) {
    assert!(answer.list("cache-control").contains(&"no-store".to_owned()), "{answer:?}");
    assert_eq!(answer.header("pragma").as_deref(), Some("no-cache"), "{answer:?}");
}
