//! Clients that act for themselves: their tokens by `client_credentials`, and what those are good for.

use axum::http::{StatusCode, header};
use ib_contract::{Revoked, token_sha256};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Answer, CLIENT_SECRET, Kit, NOW, basic, post, text};
use crate::clients::{ASSERTION_TYPE, PrivateKey};

pub(super) const AZURA: &str = "upstream:remax-azura";
pub(super) const BLUE_OCEAN: &str = "upstream:remax-blue-ocean";
/// The keys of both brands, which nobody may ever see.
pub(super) const KEYS: [&str; 3] =
    ["4p1k3y-f0r-tests", "1nt3gr4t0r-f0r-tests", "s3cr3tk3y-f0r-tests"];
const OPERATOR: &str = "operator-credential-for-tests-0123456789";

/// A service with two brands and clients for them, with `more` settings.
pub(super) fn kit_with(more: &str) -> Kit {
    kit_in(&tempfile::tempdir().unwrap(), &PrivateKey::p256(), more)
}

/// The same with its secrets in `folder`, where a restart finds them; the client `signer` has `key`.
pub(super) fn kit_in(folder: &TempDir, key: &PrivateKey, more: &str) -> Kit {
    Kit::with(&settings_in(folder, key, more))
}

/// What the settings of such a service have more than those of others.
pub(super) fn settings_in(folder: &TempDir, key: &PrivateKey, more: &str) -> String {
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let jwks = file("jwks", &json!({ "keys": [key.jwk("k1")] }).to_string());
    let (secret, operator) = (file("secret", CLIENT_SECRET), file("operator", OPERATOR));
    let [api_key, integrator, secret_key] =
        [file("api", KEYS[0]), file("integrator", KEYS[1]), file("key", KEYS[2])];
    let brand = |name: &str| {
        format!(
            "{{ name: {name}, api_url: 'https://remax-cca.com/api/v1', api_key_file: '{api_key}', \
             integrator_id_file: '{integrator}', secret_key_file: '{secret_key}' }}"
        )
    };
    let (azura, blue_ocean) = (brand("remax-azura"), brand("remax-blue-ocean"));
    format!(
        r#"
  - id: sync
    type: confidential
    grant_types: [client_credentials]
    secret_file: "{secret}"
    scopes: ["{AZURA}", "{BLUE_OCEAN}"]
  - id: azura-only
    type: confidential
    grant_types: [client_credentials]
    secret_file: "{secret}"
    scopes: ["{AZURA}"]
  - id: signer
    type: confidential
    grant_types: [client_credentials]
    jwks_file: "{jwks}"
    scopes: ["{AZURA}"]
admin: {{ credentials: [ {{ file: "{operator}" }} ] }}
machine_credentials:
  credentials: [ {azura}, {blue_ocean} ]
{more}
"#
    )
}

pub(super) fn kit() -> Kit {
    kit_with("")
}

impl Kit {
    /// Asks for a token as a client with a secret does.
    pub(super) async fn ask_as(&self, id: &str, form: &[(&str, &str)]) -> Answer {
        let mut request = post("/token", form);
        let credentials = basic(id, CLIENT_SECRET).parse().unwrap();
        request.headers_mut().insert(header::AUTHORIZATION, credentials);
        self.send(request).await
    }

    /// A token of the client `sync` for this scope.
    pub(super) async fn machine_token(&self, scope: &str) -> String {
        let form = [("grant_type", "client_credentials"), ("scope", scope)];
        let answer = self.ask_as("sync", &form).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
        text(&answer.json(), "access_token")
    }

    /// What an operator gets.
    pub(super) async fn operator(
        &self,
        mut request: axum::http::Request<axum::body::Body>,
    ) -> Answer {
        let credential = format!("Bearer {OPERATOR}").parse().unwrap();
        request.headers_mut().insert(header::AUTHORIZATION, credential);
        self.send_internal(request).await
    }
}

#[tokio::test]
async fn rfc_6749_4_4_a_client_that_acts_for_itself_gets_an_access_token_and_no_refresh_token() {
    let kit = kit();
    let answer = kit.ask_as("azura-only", &[("grant_type", "client_credentials")]).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    let reply = answer.json();
    assert_eq!((&reply["token_type"], &reply["scope"]), (&json!("Bearer"), &json!(AZURA)));
    assert_eq!(reply["expires_in"], 3_600);
    let names: Vec<_> = reply.as_object().unwrap().keys().collect();
    assert_eq!(names, ["access_token", "client_id", "expires_in", "scope", "token_type"]);
    assert_eq!(answer.header("cache-control"), "no-store");
    let told = kit.introspect(&text(&reply, "access_token")).await;
    assert_eq!((&told["sub"], &told["client_id"]), (&json!("azura-only"), &json!("azura-only")));
    assert_eq!(kit.metric(r#"oauth_tokens_issued_total{grant_type="client_credentials"}"#), "1");
}

#[tokio::test]
async fn rfc_7523_2_2_a_client_with_a_key_gets_one_too_and_no_assertion_counts_twice() {
    let key = PrivateKey::p256();
    let kit = kit_in(&tempfile::tempdir().unwrap(), &key, "");
    let claims = json!({
        "iss": "signer", "sub": "signer", "aud": "http://127.0.0.1:8080",
        "exp": NOW + 60, "iat": NOW, "jti": "1",
    });
    let assertion = key.sign(&json!({ "alg": "ES256", "kid": "k1", "typ": "JWT" }), &claims);
    let form = [
        ("grant_type", "client_credentials"),
        ("client_assertion_type", ASSERTION_TYPE),
        ("client_assertion", assertion.as_str()),
    ];
    let first = kit.post("/token", &form).await;
    assert_eq!(first.status, StatusCode::OK, "{}", first.text);
    kit.post("/token", &form).await.expect(401, "invalid_client");
}

#[tokio::test]
async fn nobody_reads_in_the_metadata_which_upstreams_there_are_keys_for() {
    let kit = kit();
    for path in ["oauth-authorization-server", "oauth-protected-resource/proxy"] {
        let answer = kit.get(&format!("/.well-known/{path}")).await;
        assert_eq!(answer.json()["scopes_supported"], json!(["assets", "profile"]), "{path}");
        assert!(!answer.text.contains("remax"), "{path}");
    }
}

#[tokio::test]
async fn who_may_not_have_a_machine_token_gets_none() {
    let kit = kit();
    let machine = |scope| [("grant_type", "client_credentials"), ("scope", scope)];
    // Two credentials of one host: which is meant is not guessed.
    let both = format!("{AZURA} {BLUE_OCEAN}");
    kit.ask_as("sync", &machine(&both)).await.expect(400, "invalid_scope");
    kit.ask_as("sync", &[("grant_type", "client_credentials")]).await.expect(400, "invalid_scope");
    kit.ask_as("azura-only", &machine(BLUE_OCEAN)).await.expect(400, "invalid_scope");
    kit.ask_as("backend", &machine("profile")).await.expect(400, "unauthorized_client");
    let public = [("grant_type", "client_credentials"), ("client_id", "mcp-public-client")];
    kit.post("/token", &public).await.expect(400, "unauthorized_client");
    let unproved = [("grant_type", "client_credentials"), ("client_id", "sync")];
    kit.post("/token", &unproved).await.expect(401, "invalid_client");
    for grant_type in ["authorization_code", "refresh_token"] {
        let form = [("grant_type", grant_type), ("code", "x"), ("refresh_token", "x")];
        kit.ask_as("sync", &form).await.expect(400, "unauthorized_client");
    }
    assert_eq!(kit.tokens.times_asked(), 0);
}

#[tokio::test]
async fn a_machine_token_is_good_for_its_upstream_and_speaks_for_no_person() {
    let kit = kit();
    let token = kit.machine_token(BLUE_OCEAN).await;
    let told = kit.introspect(&token).await;
    let upstreams = told["upstreams"].as_array().unwrap();
    assert_eq!(upstreams.len(), 1, "{told}");
    assert_eq!(upstreams[0]["hosts"], json!(["remax-cca.com"]));
    let expected = json!({ "authorization": "bearer upstr3amt0ken-remax-blue-ocean-1" });
    assert_eq!(upstreams[0]["headers"], expected);
    assert_eq!(
        (&upstreams[0]["refresh_in"], &upstreams[0]["expires_in"]),
        (&json!(84_599), &json!(86_399))
    );
    let mut request =
        axum::http::Request::get("/userinfo").body(axum::body::Body::empty()).unwrap();
    request.headers_mut().insert(header::AUTHORIZATION, format!("Bearer {token}").parse().unwrap());
    let refused = kit.send(request).await;
    assert_eq!((refused.status.as_u16(), refused.error().as_str()), (403, "insufficient_scope"));
    // To another client it is a token like any other, without a word of IntelligenceBank.
    let mut request = post("/introspect", &[("token", &token)]);
    let credentials = basic("backend", CLIENT_SECRET).parse().unwrap();
    request.headers_mut().insert(header::AUTHORIZATION, credentials);
    let seen = kit.send(request).await.json();
    assert_eq!((&seen["active"], &seen["sub"]), (&json!(true), &json!("sync")));
    assert_eq!(seen.get("upstreams"), None);
    assert_eq!(seen.get("ib_platform_url"), None);
}

#[tokio::test]
async fn rfc_8707_2_a_machine_token_for_another_resource_opens_nothing_here() {
    let kit = kit_with("additional_resources: [ 'https://other.example/api/' ]");
    let form = [
        ("grant_type", "client_credentials"),
        ("scope", AZURA),
        ("resource", "https://other.example/api/"),
    ];
    let token = text(&kit.ask_as("sync", &form).await.json(), "access_token");
    let told = kit.introspect(&token).await;
    assert_eq!(
        (&told["aud"], &told["upstreams"]),
        (&json!("https://other.example/api/"), &json!([]))
    );
    assert_eq!(kit.tokens.times_asked(), 0);
}

#[tokio::test]
async fn a_machine_token_ends_by_revocation_logout_and_operator_and_the_gateways_hear_which() {
    let kit = kit();
    for way in ["/revoke", "/logout", "operator"] {
        let token = kit.machine_token(AZURA).await;
        let other = kit.machine_token(AZURA).await;
        assert_eq!(kit.introspect(&token).await["active"], true);
        let head = kit.head().await;
        if way == "operator" {
            let listed = axum::http::Request::get("/admin/grants?client_id=sync");
            let listed = kit.operator(listed.body(axum::body::Body::empty()).unwrap()).await.json();
            assert_eq!(listed["grants"].as_array().unwrap().len(), 4, "those before, and two");
            let form = [("client_id", "sync")];
            let revoked = kit.operator(post("/admin/grants/revoke", &form)).await.json();
            assert_eq!(revoked["revoked"], 4);
            assert_eq!(kit.introspect(&other).await["active"], false);
            let events = kit.ended(head).await;
            assert!(events.contains(&Revoked::TokenSha256(token_sha256(&token))), "{events:?}");
        } else {
            let mut request = post(way, &[("token", &token)]);
            let credentials = basic("sync", CLIENT_SECRET).parse().unwrap();
            request.headers_mut().insert(header::AUTHORIZATION, credentials);
            assert_eq!(kit.send(request).await.status, StatusCode::OK);
            let events = kit.ended(head).await;
            assert_eq!(events, [Revoked::TokenSha256(token_sha256(&token))], "{way}");
            assert_eq!(kit.introspect(&other).await["active"], true, "{way}");
        }
        assert_eq!(kit.introspect(&token).await["reason"], "invalid_token", "{way}");
    }
}

#[tokio::test]
async fn a_machine_token_may_be_a_jwt() {
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("signing");
    crate::generate_key(Some(crate::StoredKind::Signing), &key).unwrap();
    let kit = kit_with(&format!(
        "signing: {{ keys: [ {{ id: s1, file: '{}' }} ] }}\ntokens: {{ access_token_format: jwt }}",
        key.display()
    ));
    let token = kit.machine_token(AZURA).await;
    assert_eq!(token.split('.').count(), 3);
    let told = kit.introspect(&token).await;
    assert_eq!((&told["sub"], &told["scope"]), (&json!("sync"), &json!(AZURA)));
}

#[tokio::test]
async fn the_metadata_names_the_grant_type_where_some_client_may_use_it() {
    let types = async |kit: &Kit| -> Value {
        let answer = kit.get("/.well-known/oauth-authorization-server").await;
        answer.json()["grant_types_supported"].clone()
    };
    assert_eq!(types(&Kit::new()).await, json!(["authorization_code", "refresh_token"]));
    let expected = json!(["authorization_code", "refresh_token", "client_credentials"]);
    assert_eq!(types(&kit()).await, expected);
}
