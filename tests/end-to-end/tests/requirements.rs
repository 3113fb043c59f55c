//! Requirements of docs/conformance.md that no other file is about, seen by a client of the gateway.
#![cfg(test)]

use std::sync::LazyLock;

use base64::{Engine as _, engine::general_purpose::STANDARD, engine::general_purpose::URL_SAFE};
use ib_end_to_end::{
    Connection, Deployment, Grant, LOOPBACK_REDIRECT, OAuthClient, PUBLIC_CLIENT, Request,
    Response, StackOptions, Verifier, assert_error_body, unique,
};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use url::Url;

static GATEWAY: LazyLock<Deployment> = LazyLock::new(Deployment::shared);

fn client() -> OAuthClient<'static> {
    GATEWAY.client(PUBLIC_CLIENT, LOOPBACK_REDIRECT)
}

fn userinfo(token: &str) -> Response {
    GATEWAY.send(&Request::get(GATEWAY.path("/userinfo")).bearer(token))
}

#[track_caller]
fn assert_never_kept(what: &str, answer: &Response) {
    assert!(answer.list("cache-control").contains(&"no-store".to_owned()), "{what}: {answer:?}");
    assert_eq!(answer.header("pragma").as_deref(), Some("no-cache"), "{what}: {answer:?}");
}

#[test]
fn defect_12_row_9_rfc_6749_5_1_no_cache_may_keep_tokens_or_refusals() {
    let client = client();
    let authorization = client.begin();
    let code = client.finish(&authorization, "ada");
    let exchanged = client.exchange(&code, authorization.verifier.secret());
    assert_never_kept("an exchange", &exchanged);
    let refreshed = client.refresh(&Grant::of(&exchanged).refresh_token);
    assert_never_kept("a refresh", &refreshed);
    let _ = Grant::of(&refreshed);
    assert_never_kept("a refusal", &client.refresh("no-such-token").with_status(400));
}

#[test]
fn row_5_rfc_9207_2_an_error_returns_with_the_state_and_the_issuer() {
    let (client, state) = (client().asking("scope", "everything"), unique("state"));
    let target = client.authorize_target(&Verifier::generate().challenge(), &state);
    let answer = GATEWAY.send(&Request::get(target).header("accept", "text/html"));
    assert!(matches!(answer.status, 302 | 303), "{answer:?}");
    let url = Url::parse(&answer.header("location").expect("a redirect")).unwrap();
    let parameter = |name: &str| {
        let mut values = url.query_pairs().filter(|(key, _)| key == name);
        let value = values.next().map(|(_, value)| value.into_owned());
        assert!(values.next().is_none(), "{name} came twice: {url}");
        value
    };
    assert!(url.as_str().starts_with(LOOPBACK_REDIRECT), "{url}");
    assert_eq!(parameter("error").as_deref(), Some("invalid_scope"), "{url}");
    assert_eq!(parameter("state"), Some(state), "{url}");
    assert_eq!(parameter("iss"), Some(GATEWAY.base_url()), "{url}");
    assert_eq!(parameter("code"), None, "{url}");
}

#[test]
fn row_14_rfc_7662_2_2_an_ordinary_caller_learns_of_an_inactive_token_that_and_nothing_else() {
    const SECRET: &str = "a secret of a backend that is long enough";
    let hash: String = Sha256::digest(SECRET).iter().map(|byte| format!("{byte:02x}")).collect();
    let loopback = json!(["http://127.0.0.1/callback"]);
    let options = StackOptions {
        service_settings: json!({ "clients": [
            { "id": PUBLIC_CLIENT, "type": "public", "redirect_uris": loopback, "scopes": ["profile"] },
            { "id": "backend", "type": "confidential", "secret_sha256": hash,
              "redirect_uris": loopback, "scopes": ["profile"] },
        ] }),
        ..StackOptions::default()
    };
    let Some(gateway) = Deployment::own(options) else { return };
    let grant = gateway.log_in();
    let sid = gateway.sid_of(&grant.access_token);
    let encoded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let basic =
        |secret: &str| format!("Basic {}", STANDARD.encode(format!("backend:{}", encoded(secret))));
    let ask = |token: &str, authorization: Option<String>| {
        let request = Request::post_form("/introspect", &[("token", token)]);
        gateway.send(&match authorization {
            Some(value) => request.header("authorization", value),
            None => request,
        })
    };
    let active = ask(&grant.access_token, Some(basic(SECRET))).with_status(200);
    assert_eq!(active.json()["active"], json!(true));
    assert_eq!(active.json()["client_id"], json!(PUBLIC_CLIENT));
    assert!(active.json().get("upstreams").is_none(), "{active:?}");
    assert!(!active.text().contains(&sid), "the session id is disclosed");

    // Revoked, spent, forged, and no access token at all: nobody can tell them apart.
    gateway.client(PUBLIC_CLIENT, LOOPBACK_REDIRECT).revoke(&grant.access_token).with_status(200);
    let inactive = [
        grant.access_token.as_str(),
        &gateway.unknown_token(),
        &ib_end_to_end::forged_token(),
        "nonsense",
    ];
    for token in inactive {
        let answer = ask(token, Some(basic(SECRET))).with_status(200);
        assert_eq!(answer.json(), json!({ "active": false }), "{answer:?}");
    }
    for authorization in [None, Some(basic("another secret that is long enough too"))] {
        let answer = ask(&grant.access_token, authorization);
        assert_error_body(&answer, 401, "invalid_client");
        let challenge = answer.header("www-authenticate").expect("a challenge");
        assert!(challenge.starts_with("Basic "), "{challenge}");
    }
}

#[test]
fn row_17_rfc_8707_2_a_resource_that_is_relative_or_has_a_fragment_is_invalid_target() {
    let authorization = client().begin();
    let code = client().finish(&authorization, "ada");
    let verifier = authorization.verifier.secret();
    let own = format!("{}/proxy/#part", GATEWAY.base_url());
    for resource in ["/proxy/", "proxy", &own, "https://a.example/#part", "https://a.example/"] {
        let asking = client().asking("resource", resource);
        let target = asking.authorize_target(&Verifier::generate().challenge(), "s");
        let answer = GATEWAY.send(&Request::get(target).header("accept", "application/json"));
        assert_error_body(&answer, 400, "invalid_target");
        let fields = [
            ("grant_type", "authorization_code"),
            ("code", code.as_str()),
            ("redirect_uri", LOOPBACK_REDIRECT),
            ("client_id", PUBLIC_CLIENT),
            ("code_verifier", verifier),
            ("resource", resource),
        ];
        assert_error_body(&client().token(&fields), 400, "invalid_target");
    }
    // None of them has spent the code.
    let _ = Grant::of(&client().exchange(&code, verifier));
}

#[test]
fn defect_8_an_access_token_says_nothing_to_who_decodes_it() {
    let grant = GATEWAY.log_in();
    let sid = GATEWAY.sid_of(&grant.access_token);
    for token in [&grant.access_token, &grant.refresh_token] {
        assert!(!token.contains(&sid), "the session id is in a token");
        // Wherever base64 may begin in it, as a whole or in parts.
        for part in token.split(['.', '_', '-']).chain([token.as_str()]) {
            for start in 0..part.len().min(4) {
                let part = part.get(start..).unwrap_or_default();
                let whole = part.get(..part.len() / 4 * 4).unwrap_or_default();
                let decoded = URL_SAFE.decode(whole).unwrap_or_default();
                let json = serde_json::from_slice::<serde_json::Map<String, Value>>(&decoded);
                assert!(json.is_err(), "a token holds JSON: {json:?}");
                let decoded = String::from_utf8_lossy(&decoded);
                assert!(!decoded.contains(&sid), "the session id is in a token");
            }
        }
    }
}

#[test]
fn defect_9_no_answer_to_a_client_holds_the_session_id() {
    let grant = GATEWAY.log_in();
    let sid = GATEWAY.sid_of(&grant.access_token);
    let person = userinfo(&grant.access_token).with_status(200);
    assert_ne!(person.json()["sub"], json!(sid));
    let refreshed = Grant::of(&client().refresh(&grant.refresh_token));
    for answer in [&grant.body, &person.json(), &refreshed.body] {
        assert!(!answer.to_string().contains(&sid), "the session id is disclosed");
    }
}

#[test]
fn defect_25_the_time_of_a_person_is_in_seconds_and_of_today() {
    let grant = GATEWAY.log_in();
    let person = userinfo(&grant.access_token).with_status(200).json();
    let seconds = |value: &Value| value.as_u64().expect("a time in seconds");
    // The same moment that the token reply names, which other tests hold against the clock.
    assert_eq!(seconds(&person["updated_at"]), seconds(&grant.body["sidCreatedAt"]));
    assert!((1_700_000_000..10_000_000_000).contains(&seconds(&person["updated_at"])));
}

#[test]
fn defect_20_row_17_rfc_8707_2_a_token_is_for_the_gateways_proxy_url_and_names_its_issuer() {
    let (base, reach) = (GATEWAY.base_url(), GATEWAY.reach());
    let credential = std::fs::read_to_string(&reach.gateway_credential_file).expect("a credential");
    let named = client().asking("resource", &format!("{base}/proxy/"));
    for grant in [GATEWAY.log_in(), named.log_in("ada")] {
        let request = Request::post_form("/introspect", &[("token", &grant.access_token)]);
        let answer = Connection::open(reach.service_internal)
            .and_then(|mut connection| {
                let host = reach.service_internal.to_string();
                connection.exchange(&request.bearer(credential.trim()), &host)
            })
            .expect("an answer")
            .with_status(200)
            .json();
        assert_eq!(answer["aud"], json!(format!("{base}/proxy/")), "{answer}");
        assert_eq!(answer["iss"], json!(base), "{answer}");
    }
}
