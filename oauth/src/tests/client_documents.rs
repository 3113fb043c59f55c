//! Clients whose id is the URL of a document of theirs.

use std::{
    collections::HashMap,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::{
    Answer, CHALLENGE, Kit, PLATFORM, authorize_url, changed, exchange_form, pages::code_by_page,
    text,
};
use crate::clients::{ClientDocumentSource, DocumentError, Fetched, Fetching};

/// Hosts that serve what a test says.
#[derive(Default)]
pub(crate) struct ScriptedDocuments {
    documents: Mutex<HashMap<String, Result<Fetched, DocumentError>>>,
    pub(super) fetched: AtomicUsize,
}

impl ScriptedDocuments {
    pub(super) fn serve(&self, url: &str, document: &Value, max_age: Option<u64>) {
        let max_age = max_age.map(Duration::from_secs);
        let fetched = Fetched { body: document.to_string().into_bytes(), max_age };
        self.documents.lock().unwrap().insert(url.to_owned(), Ok(fetched));
    }

    fn fail(&self, url: &str, cause: DocumentError) {
        self.documents.lock().unwrap().insert(url.to_owned(), Err(cause));
    }

    fn fetches(&self) -> usize {
        self.fetched.load(Ordering::SeqCst)
    }
}

impl ClientDocumentSource for ScriptedDocuments {
    fn fetch<'a>(&'a self, url: &'a str) -> Fetching<'a> {
        Box::pin(async move {
            self.fetched.fetch_add(1, Ordering::SeqCst);
            // Others get a turn, as they do while a network answers.
            tokio::task::yield_now().await;
            let documents = self.documents.lock().unwrap();
            documents.get(url).cloned().unwrap_or(Err(DocumentError::NoDocument))
        })
    }
}

const ON: &str = r#"
client_documents: { enabled: true, allowed_hosts: [ "app.example.com", "*.clients.example" ] }
"#;
const ID: &str = "https://app.example.com/oauth/client.json";
const REDIRECT: &str = "https://app.example.com/callback";

fn document() -> Value {
    json!({
        "client_id": ID,
        "client_name": "Example <App>",
        "redirect_uris": [REDIRECT, "http://127.0.0.1/callback"],
        "token_endpoint_auth_method": "none",
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
    })
}

fn kit() -> Kit {
    let kit = Kit::with(ON);
    kit.documents.serve(ID, &document(), None);
    kit
}

fn url(changes: &[(&str, &str)]) -> String {
    let mut all = vec![("client_id", ID), ("redirect_uri", REDIRECT)];
    all.extend(changes);
    authorize_url(&all)
}

async fn tokens(kit: &Kit) -> Value {
    let code = code_by_page(kit, &[("client_id", ID), ("redirect_uri", REDIRECT)]).await;
    let form = changed(changed(exchange_form(&code), "client_id", ID), "redirect_uri", REDIRECT);
    let answer = kit.post("/token", &form).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    answer.json()
}

async fn refresh(kit: &Kit, tokens: &Value) -> Answer {
    let token = text(tokens, "refresh_token");
    let form = [("grant_type", "refresh_token"), ("refresh_token", &token), ("client_id", ID)];
    kit.post("/token", &form).await
}

#[tokio::test]
async fn nobody_logs_in_for_a_client_that_describes_itself_without_having_seen_its_page() {
    let kit = kit();
    let answer = kit.get_json(&url(&[("platform_url", PLATFORM)])).await;
    answer.expect(400, "access_denied");
}

#[tokio::test]
async fn row_23_a_client_with_a_document_logs_in_refreshes_and_is_known_to_the_gateway() {
    let kit = kit();
    let first = tokens(&kit).await;
    let second = refresh(&kit, &first).await.json();
    let told = kit.introspect(&text(&second, "access_token")).await;
    assert_eq!((&told["active"], &told["client_id"]), (&json!(true), &json!(ID)));
    assert_eq!(told["scope"], "profile");
    assert_eq!(kit.documents.fetches(), 1, "the document is kept");
    let metadata = kit.get("/.well-known/oauth-authorization-server").await.json();
    assert_eq!(metadata["client_id_metadata_document_supported"], true);
}

#[tokio::test]
async fn row_23_while_documents_are_off_a_url_is_no_client_and_nothing_is_fetched() {
    let kit = Kit::new();
    kit.documents.serve(ID, &document(), None);
    let answer = kit.get(&url(&[])).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert_eq!(answer.header("location"), "");
    assert_eq!(kit.documents.fetches(), 0);
    let metadata = kit.get("/.well-known/oauth-authorization-server").await.json();
    assert_eq!(metadata.get("client_id_metadata_document_supported"), None);
}

#[tokio::test]
async fn row_23_a_person_sees_which_host_describes_the_client_and_where_they_return() {
    let kit = kit();
    let page = kit.get(&url(&[("redirect_uri", "http://127.0.0.1:5000/callback")])).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.text);
    assert!(page.text.contains("Example &#60;App&#62;"), "{}", page.text);
    assert!(page.text.contains("described by app.example.com"), "{}", page.text);
    assert!(page.text.contains("an application on this device (127.0.0.1)"), "{}", page.text);
    let other = kit.get(&authorize_url(&[])).await;
    assert!(!other.text.contains("described by"), "an operator vouches for this one");
}

#[tokio::test]
async fn row_23_a_document_on_a_host_that_is_not_allowed_is_never_fetched() {
    let kit = kit();
    for id in [
        "https://evil.example/client.json",
        "https://a.b.clients.example/client.json",
        "https://169.254.169.254/latest/meta-data",
        "https://app.example.com",
        "https://app.example.com/",
        "https://app.example.com:8443/client.json",
        "https://user@app.example.com/client.json",
        "https://app.example.com/client.json?x=1",
        "https://app.example.com/client.json#x",
        "https://app.example.com/a/../client.json",
        "https://app.example.com/%2e%2e/client.json",
        "https://APP.example.com/client.json",
        "https://app.example.com\\@evil.example/client.json",
        "http://app.example.com/client.json",
    ] {
        let answer = kit.get_json(&url(&[("client_id", id)])).await;
        answer.expect(400, "invalid_client");
    }
    assert_eq!(kit.documents.fetches(), 0);
}

#[tokio::test]
async fn row_23_a_document_that_speaks_for_another_or_asks_for_too_much_is_refused() {
    for (name, value) in [
        ("client_id", json!("https://app.example.com/other.json")),
        ("client_id", Value::Null),
        ("redirect_uris", json!(["https://evil.example/callback"])),
        ("redirect_uris", json!(["https://*.clients.example/callback"])),
        ("redirect_uris", json!([])),
        ("redirect_uris", json!("https://app.example.com/callback")),
        ("token_endpoint_auth_method", json!("client_secret_basic")),
        ("token_endpoint_auth_method", json!("private_key_jwt")),
        ("client_secret", json!("x")),
        ("scope", json!("admin")),
    ] {
        let kit = kit();
        let mut document = document();
        document[name] = value.clone();
        kit.documents.serve(ID, &document, None);
        let answer = kit.get_json(&url(&[("platform_url", PLATFORM)])).await;
        answer.expect(400, "invalid_client");
        let page = kit.get(&url(&[])).await;
        assert_eq!(
            (page.status, page.header("location")),
            (StatusCode::BAD_REQUEST, ""),
            "{value}"
        );
        assert_eq!(kit.documents.fetches(), 1, "the refusal is kept for a while");
        kit.clock.advance(Duration::from_secs(30));
        kit.documents.serve(ID, &self::document(), None);
        assert_eq!(kit.get(&url(&[])).await.status, StatusCode::OK);
    }
}

#[tokio::test]
async fn a_redirect_that_the_document_does_not_name_gets_a_page() {
    let kit = kit();
    for redirect in ["https://app.example.com/other", "https://a.clients.example/callback"] {
        let answer = kit.get(&url(&[("redirect_uri", redirect)])).await;
        assert_eq!((answer.status, answer.header("location")), (StatusCode::BAD_REQUEST, ""));
    }
}

#[tokio::test]
async fn a_document_is_read_again_as_its_cache_control_asks_within_bounds() {
    for (max_age, kept) in
        [(None, 300), (Some(0), 300), (Some(1_000), 1_000), (Some(1 << 40), 86_400)]
    {
        let kit = kit();
        kit.documents.serve(ID, &document(), max_age);
        kit.get(&url(&[])).await;
        kit.clock.advance(Duration::from_secs(kept - 1));
        kit.get(&url(&[])).await;
        assert_eq!(kit.documents.fetches(), 1, "{max_age:?}");
        kit.clock.advance(Duration::from_secs(1));
        kit.get(&url(&[])).await;
        assert_eq!(kit.documents.fetches(), 2, "{max_age:?}");
    }
}

#[tokio::test]
async fn while_the_clients_host_is_down_nobody_loses_a_token() {
    let kit = kit();
    let tokens = tokens(&kit).await;
    kit.clock.advance(Duration::from_secs(300));
    kit.documents.fail(ID, DocumentError::Unreachable);
    let answer = refresh(&kit, &tokens).await;
    answer.expect(503, "temporarily_unavailable");
    assert_eq!(answer.header("retry-after"), "2");
    let fetches = kit.documents.fetches();
    // What the gateway asks needs no document.
    assert_eq!(kit.introspect(&text(&tokens, "access_token")).await["active"], true);
    assert_eq!(kit.documents.fetches(), fetches);
    kit.clock.advance(Duration::from_secs(30));
    kit.documents.serve(ID, &document(), None);
    assert_eq!(refresh(&kit, &tokens).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_document_is_read_once_however_many_ask_at_the_same_time() {
    let kit = kit();
    let target = url(&[]);
    let mut set = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let (router, target) = (kit.public.clone(), target.clone());
        set.spawn(async move {
            let request = axum::http::Request::get(target).body(axum::body::Body::empty()).unwrap();
            tower::ServiceExt::oneshot(router, request).await.unwrap().status()
        });
    }
    while let Some(status) = set.join_next().await {
        assert_eq!(status.unwrap(), StatusCode::OK);
    }
    assert_eq!(kit.documents.fetches(), 1);
}

#[tokio::test]
async fn tokens_of_document_clients_end_when_documents_or_the_host_are_switched_off() {
    let kit = kit();
    let token = text(&tokens(&kit).await, "access_token");
    let settings = kit.settings.clone();
    let kit = kit.restarted();
    assert_eq!(kit.introspect(&token).await["active"], true, "no document is needed");
    let kit = kit.restarted_with(settings.replace("app.example.com\", ", "other.example.com\", "));
    assert_eq!(kit.introspect(&token).await["reason"], "invalid_token");
    let kit = kit.restarted_with(settings.replace("enabled: true", "enabled: false"));
    assert_eq!(kit.introspect(&token).await["reason"], "invalid_token");
    let kit = kit.restarted_with(settings);
    assert_eq!(kit.introspect(&token).await["active"], true);
}

#[tokio::test]
async fn a_client_with_a_document_needs_pkce_as_every_public_client_does() {
    let kit = kit();
    assert!(!CHALLENGE.is_empty());
    let answer = kit.get(&url(&[("code_challenge", ""), ("code_challenge_method", "")])).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
    assert!(answer.header("location").contains("error=invalid_request"));
}
