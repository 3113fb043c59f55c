//! The whole service in this process: the real routers, the real store, a scripted IntelligenceBank,
//! and a clock that stands still.

use std::sync::Arc;

use axum::{
    Router,
    body::Body,
    http::{HeaderMap, Request, StatusCode, header},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::Value;
use tempfile::TempDir;
use tower::ServiceExt as _;

use crate::{
    app::App,
    authorization::percent_encode,
    clock::ManualClock,
    endpoints,
    metrics::Metrics,
    records::Records,
    settings::Settings,
    store::{Store, measured::Measured, redb::RedbStore},
};

mod administration;
mod assertion;
mod audit;
mod authorize;
mod client_documents;
mod concurrency;
mod conformance;
mod console;
mod expired;
mod feed;
mod feed_restart;
mod feed_together;
mod flow;
mod gateway;
mod introspection;
mod jwt;
mod key_reload;
mod key_store;
mod limits;
mod logout;
mod machine;
mod machine_credentials;
mod malformed;
mod metadata;
mod operations;
mod pages;
mod platform_outage;
mod race;
mod refresh;
mod registration;
mod renewal;
mod renewal_concurrency;
mod renewal_limits;
mod renewal_spacing;
mod revoke;
mod scripted;
mod scripted_tokens;
mod secrets;
mod stores;
mod tags;
mod taken_away;
mod token;
mod traces;

pub(crate) use client_documents::ScriptedDocuments;
use scripted::Scripted;
pub(crate) use scripted_tokens::ScriptedTokens;

const NOW: u64 = 1_800_000_000;
const GATEWAY_CREDENTIAL: &str = "gateway-credential-for-tests-0123456789";
const CLIENT_SECRET: &str = "confidential-secret-for-tests-0123456789";
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
const REDIRECT: &str = "http://127.0.0.1:8123/callback";
/// The challenge that clients get (RFC 7617 section 2).
const BASIC: &str = r#"Basic realm="ib-gateway", charset="UTF-8""#;
const PLATFORM: &str = "company.intelligencebank.com";

const GENEROUS_LIMITS: &str = r#"
limits:
  login: { address: { per_minute: 1000000 }, client: { per_minute: 1000000 }, platform: { per_minute: 1000000 } }
  poll: { address: { per_minute: 1000000 } }
  token: { address: { per_minute: 1000000 }, client: { per_minute: 1000000 } }
  introspect: { address: { per_minute: 1000000 }, client: { per_minute: 1000000 } }
  revoke: { address: { per_minute: 1000000 }, client: { per_minute: 1000000 } }
  register: { address: { per_minute: 1000000 } }
  failed_authentication: { address: { per_minute: 1000000 } }
  pending_logins: { total: 100000, address: 100000, platform: 100000 }
"#;

/// Settings as an operator would write them, with `more` behind them.
pub(crate) fn settings_text(folder: &TempDir, more: &str) -> String {
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let key = write("sealing-key", &STANDARD.encode([7; 32]));
    let tags = write("token-tag-key", &STANDARD.encode([9; 32]));
    let credential = write("gateway-credential", &format!("{GATEWAY_CREDENTIAL}\n"));
    let secret = write("client-secret", CLIENT_SECRET);
    let store = folder.path().join("store.redb").display().to_string();
    let issuer = if more.contains("issuer:") {
        String::new()
    } else {
        "issuer: http://127.0.0.1:8080".into()
    };
    // A test that is not about bounds meets none.
    let unless_told = |section: &str, text: &str| {
        if more.contains(section) { String::new() } else { text.to_owned() }
    };
    let limits = unless_told("limits:", GENEROUS_LIMITS);
    let upstream = unless_told("intelligencebank:", "intelligencebank: { circuit_failures: 1000 }");
    format!(
        r#"
{issuer}
{limits}
{upstream}
listen: {{ public: "127.0.0.1:0", internal: "127.0.0.1:0" }}
store: {{ engine: redb, path: "{store}", cache_megabytes: 4 }}
sealing: {{ keys: [ {{ id: k1, file: "{key}" }} ] }}
token_tags: {{ keys: [ {{ id: t1, file: "{tags}" }} ] }}
gateway: {{ credentials: [ {{ file: "{credential}" }} ] }}
clients:
  - id: mcp-public-client
    name: MCP client
    type: public
    redirect_uris:
      - "https://*.connectingib.com/callback"
      - "https://claude.ai/api/mcp/auth_callback"
      - "http://127.0.0.1/callback"
      - "https://app.example.com/callback?tenant=1"
    scopes: [profile]
  - id: other-public-client
    type: public
    redirect_uris: [ "http://127.0.0.1/callback" ]
    scopes: [profile, assets]
  - id: backend
    type: confidential
    secret_file: "{secret}"
    redirect_uris: [ "https://backend.example.com/callback" ]
    scopes: [profile]
{more}
"#
    )
}

/// One running service.
pub(crate) struct Kit {
    pub(crate) app: Arc<App>,
    pub(crate) public: Router,
    pub(crate) internal: Router,
    clock: Arc<ManualClock>,
    upstream: Arc<Scripted>,
    tokens: Arc<ScriptedTokens>,
    documents: Arc<ScriptedDocuments>,
    pub(crate) folder: TempDir,
    pub(crate) settings: String,
}

impl Kit {
    pub(crate) fn new() -> Self {
        Self::with("")
    }

    pub(crate) fn with(more: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let settings = settings_text(&folder, more);
        let clock = Arc::new(ManualClock::at(NOW));
        Self::open(folder, settings, clock, Arc::new(Scripted::default()))
    }

    fn open(
        folder: TempDir,
        text: String,
        clock: Arc<ManualClock>,
        upstream: Arc<Scripted>,
    ) -> Self {
        let settings = Settings::parse(&text, &[]).unwrap();
        let redb = settings.store.redb();
        let store = Arc::new(RedbStore::open(&redb.path, redb.cache_bytes).unwrap());
        Self::over(store, settings, folder, text, clock, upstream)
    }

    /// A service over any store.
    fn over(
        store: Arc<dyn Store>,
        settings: Settings,
        folder: TempDir,
        text: String,
        clock: Arc<ManualClock>,
        upstream: Arc<Scripted>,
    ) -> Self {
        let settings = Arc::new(settings);
        let (sealer, metrics) = (Arc::clone(&settings.sealer), Arc::new(Metrics::new()));
        metrics.started(NOW);
        let store = Measured::new(store, clock.clone(), Arc::clone(&metrics));
        let records = Arc::new(Records::new(Arc::new(store), sealer, metrics));
        let documents = Arc::new(ScriptedDocuments::default());
        let tokens = Arc::new(ScriptedTokens::default());
        let app = App::with_upstreams(
            settings,
            records,
            upstream.clone(),
            tokens.clone(),
            documents.clone(),
            clock.clone(),
        );
        let app = Arc::new(app);
        let (public, internal) = (endpoints::public(&app), endpoints::internal(&app));
        Self { app, public, internal, clock, upstream, tokens, documents, folder, settings: text }
    }

    /// The service has ended; what it was opened with is left.
    pub(crate) fn stopped(self) -> Stopped {
        let Self { app, public, internal, clock, upstream, folder, .. } = self;
        drop((app, public, internal));
        Stopped { clock, upstream, folder }
    }

    /// The same service after a restart: nothing but the file is kept.
    fn restarted(self) -> Self {
        let settings = self.settings.clone();
        self.restarted_with(settings)
    }

    /// The same with other settings.
    fn restarted_with(self, settings: String) -> Self {
        let Self { app, public, internal, clock, upstream, folder, .. } = self;
        drop((app, public, internal));
        Self::open(folder, settings, clock, upstream)
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(Request::get(path).body(Body::empty()).unwrap()).await
    }

    async fn get_json(&self, path: &str) -> Answer {
        let request = Request::get(path).header(header::ACCEPT, "application/json");
        self.send(request.body(Body::empty()).unwrap()).await
    }

    async fn post(&self, path: &str, form: &[(&str, &str)]) -> Answer {
        self.send(post(path, form)).await
    }

    async fn send(&self, request: Request<Body>) -> Answer {
        Answer::of(self.public.clone().oneshot(request).await.unwrap()).await
    }

    pub(crate) async fn send_internal(&self, request: Request<Body>) -> Answer {
        Answer::of(self.internal.clone().oneshot(request).await.unwrap()).await
    }

    /// What the gateway hears about a token.
    pub(crate) async fn introspect(&self, token: &str) -> Value {
        let mut request = post("/introspect", &[("token", token)]);
        let credential = format!("Bearer {GATEWAY_CREDENTIAL}").parse().unwrap();
        request.headers_mut().insert(header::AUTHORIZATION, credential);
        let answer = self.send_internal(request).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
        answer.json()
    }

    /// Begins a login by the JSON face; the poll token.
    async fn begin(&self) -> String {
        let answer = self.get_json(&authorize_url(&[("platform_url", PLATFORM)])).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
        answer.json()["token"].as_str().unwrap().to_owned()
    }

    async fn poll(&self, token: &str) -> Answer {
        self.get(&format!("/authorize/poll?token={token}")).await
    }

    /// A whole login up to the code.
    async fn code(&self) -> String {
        let token = self.begin().await;
        self.upstream.log_in();
        let answer = self.poll(&token).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
        let url = answer.json()["redirect_url"].as_str().unwrap().to_owned();
        parameter(&url, "code")
    }

    async fn exchange(&self, code: &str) -> Answer {
        self.post("/token", &exchange_form(code)).await
    }

    /// A whole login up to the tokens.
    pub(crate) async fn tokens(&self) -> Value {
        let answer = self.exchange(&self.code().await).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
        answer.json()
    }

    pub(crate) async fn refresh(&self, refresh_token: &str) -> Answer {
        self.post("/token", &refresh_form(refresh_token)).await
    }
}

/// A service that has ended.
pub(crate) struct Stopped {
    clock: Arc<ManualClock>,
    upstream: Arc<Scripted>,
    folder: TempDir,
}

impl Stopped {
    /// It starts again, with these settings.
    pub(crate) fn opened_with(&self, settings: String) -> Kit {
        let folder = tempfile::tempdir_in(self.folder.path()).unwrap();
        Kit::open(folder, settings, Arc::clone(&self.clock), Arc::clone(&self.upstream))
    }
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    async fn of(response: axum::response::Response) -> Self {
        let (parts, body) = response.into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        let text = String::from_utf8(body.to_vec()).unwrap();
        Self { status: parts.status, headers: parts.headers, text }
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("no JSON: {}", self.text))
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The `error` of a JSON answer.
    fn error(&self) -> String {
        self.json()["error"].as_str().unwrap_or_default().to_owned()
    }

    #[track_caller]
    fn expect(&self, status: u16, error: &str) {
        assert_eq!((self.status.as_u16(), self.error().as_str()), (status, error), "{}", self.text);
        let description = self.json()["error_description"].as_str().unwrap().to_owned();
        let printable = |byte: u8| (0x20..0x7f).contains(&byte) && byte != b'"' && byte != b'\\';
        assert!(description.bytes().all(printable), "{description}");
        assert_eq!(self.header("cache-control"), "no-store");
    }
}

fn post(path: &str, form: &[(&str, &str)]) -> Request<Body> {
    Request::post(path)
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(Body::from(encode(form)))
        .unwrap()
}

fn encode(pairs: &[(&str, &str)]) -> String {
    let encoded = |text: &str| percent_encode(text.as_bytes());
    let pairs: Vec<_> =
        pairs.iter().map(|(name, value)| format!("{}={}", encoded(name), encoded(value))).collect();
    pairs.join("&")
}

/// A good authorization request, with some parameters changed, added, or (empty) taken away.
fn authorize_query(changes: &[(&str, &str)]) -> String {
    let mut pairs = vec![
        ("response_type", "code"),
        ("client_id", "mcp-public-client"),
        ("redirect_uri", REDIRECT),
        ("scope", "profile"),
        ("state", "st"),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
    ];
    for (name, value) in changes {
        pairs.retain(|(own, _)| own != name);
        pairs.push((name, value));
    }
    encode(&pairs)
}

fn authorize_url(changes: &[(&str, &str)]) -> String {
    format!("/authorize?{}", authorize_query(changes))
}

fn exchange_form(code: &str) -> Vec<(&'static str, &str)> {
    vec![
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", REDIRECT),
        ("client_id", "mcp-public-client"),
        ("code_verifier", VERIFIER),
    ]
}

fn refresh_form(refresh_token: &str) -> Vec<(&'static str, &str)> {
    vec![
        ("grant_type", "refresh_token"),
        ("refresh_token", refresh_token),
        ("client_id", "mcp-public-client"),
    ]
}

/// `form` with one parameter changed, added, or (empty) made empty.
fn changed<'a>(
    mut form: Vec<(&'static str, &'a str)>,
    name: &'static str,
    value: &'a str,
) -> Vec<(&'static str, &'a str)> {
    form.retain(|(own, _)| *own != name);
    form.push((name, value));
    form
}

/// A parameter of a URL's query, decoded.
fn parameter(url: &str, name: &str) -> String {
    let url = url::Url::parse(url).unwrap();
    let found = url.query_pairs().find(|(own, _)| own == name);
    found.map(|(_, value)| value.into_owned()).unwrap_or_default()
}

pub(crate) fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_else(|| panic!("no {name} in {value}")).to_owned()
}

fn basic(id: &str, secret: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")))
}
