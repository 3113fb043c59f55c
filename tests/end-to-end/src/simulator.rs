//! The simulated IntelligenceBank, seen from outside: its control port, its pages, what it received.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};
use url::Url;

use crate::connection::Connection;
use crate::http::{Request, Response};
use crate::page::Page;
use crate::tls::tls_connection;

/// The demo tenant's platform.
pub const PLATFORM_HOST: &str = "company.intelligencebank.com";
/// The host of the demo tenant's `apiV3url`.
pub const API_HOST: &str = "apiv3.intelligencebank.com";
/// Another tenant's platform.
pub const FOREIGN_HOST: &str = "other.intelligencebank.com";

/// The simulator of a deployment.
#[derive(Debug, Clone)]
pub struct Simulator {
    control: SocketAddr,
    tls: SocketAddr,
    ca_pem: PathBuf,
}

/// A request as the simulator received it; also what an `echo` answers.
#[derive(Debug, Clone, Deserialize)]
pub struct LoggedRequest {
    /// Its place in the simulator's log; 0 in an echo.
    #[serde(default)]
    pub number: u64,
    /// The host that it was for.
    pub host: String,
    /// The method.
    pub method: String,
    /// The path, byte for byte.
    pub raw_path: String,
    /// The query, byte for byte, without its question mark.
    #[serde(default)]
    pub raw_query: Option<String>,
    /// The headers: one text or a list of texts a name.
    pub headers: BTreeMap<String, Value>,
    /// SHA-256 of the body, in hexadecimal; empty while the body is still coming.
    #[serde(deserialize_with = "null_as_empty")]
    pub body_sha256: String,
    /// Length of the body in bytes.
    pub body_length: u64,
}

impl LoggedRequest {
    /// What an `echo` answered.
    ///
    /// # Panics
    ///
    /// When the answer is no echo.
    #[must_use]
    #[track_caller]
    pub fn echoed(response: &Response) -> Self {
        assert_eq!(response.status, 200, "no echo: {response:?}");
        match serde_json::from_value(response.json()) {
            Ok(request) => request,
            Err(error) => panic!("no echo ({error}): {response:?}"),
        }
    }

    /// The values of a header.
    #[must_use]
    pub fn headers(&self, name: &str) -> Vec<String> {
        match self.headers.get(name) {
            None => Vec::new(),
            Some(Value::Array(values)) => {
                values.iter().filter_map(Value::as_str).map(str::to_owned).collect()
            }
            Some(value) => value.as_str().map(str::to_owned).into_iter().collect(),
        }
    }

    /// The value of a header that must come once.
    ///
    /// # Panics
    ///
    /// When it is absent or came twice.
    #[must_use]
    #[track_caller]
    pub fn header(&self, name: &str) -> String {
        let mut values = self.headers(name);
        assert_eq!(values.len(), 1, "{name} should have come once: {self:?}");
        values.remove(0)
    }

    /// Path and query as one text, as they stood on the wire.
    #[must_use]
    pub fn path_and_query(&self) -> String {
        match self.raw_query.as_deref() {
            None | Some("") => self.raw_path.clone(),
            Some(query) => format!("{}?{query}", self.raw_path),
        }
    }

    /// True when `text` stands anywhere in the request but its body.
    #[must_use]
    pub fn mentions(&self, text: &str) -> bool {
        self.raw_path.contains(text)
            || self.raw_query.as_deref().is_some_and(|query| query.contains(text))
            || self.headers.values().any(|value| value.to_string().contains(text))
    }
}

impl Simulator {
    pub(crate) fn new(control: SocketAddr, tls: SocketAddr, ca_pem: PathBuf) -> Self {
        Self { control, tls, ca_pem }
    }

    /// The number of the last request received so far.
    ///
    /// # Panics
    ///
    /// When the control port does not answer.
    #[must_use]
    #[track_caller]
    pub fn last_number(&self) -> u64 {
        // Everything above the largest number is nothing: only `last` is asked for.
        let answer = self.control(&Request::get(format!("/requests?since={}", u64::MAX / 2)));
        answer.with_status(200).json()["last"].as_u64().expect("`last` is a number")
    }

    /// Everything received after request `number`.
    ///
    /// # Panics
    ///
    /// When the control port does not answer.
    #[must_use]
    #[track_caller]
    pub fn requests_since(&self, number: u64) -> Vec<LoggedRequest> {
        let answer =
            self.control(&Request::get(format!("/requests?since={number}"))).with_status(200);
        let mut answer = answer.json();
        serde_json::from_value(answer["requests"].take()).expect("a list of requests")
    }

    /// Everything received so far in whose target or headers `mark` stands.
    ///
    /// # Panics
    ///
    /// When the control port does not answer.
    #[must_use]
    #[track_caller]
    pub fn requests_marked(&self, mark: &str) -> Vec<LoggedRequest> {
        let mut requests = self.requests_since(0);
        requests.retain(|request| request.mentions(mark));
        requests
    }

    /// Asserts that nothing with `mark` in it arrived at any simulated host.
    ///
    /// # Panics
    ///
    /// When something did.
    #[track_caller]
    pub fn assert_nothing_marked(&self, mark: &str) {
        let arrived = self.requests_marked(mark);
        assert!(arrived.is_empty(), "this reached an upstream: {arrived:?}");
    }

    /// The settings as they are.
    ///
    /// # Panics
    ///
    /// When the control port does not answer.
    #[must_use]
    #[track_caller]
    pub fn settings(&self) -> Value {
        self.control(&Request::get("/settings")).with_status(200).json()
    }

    /// Changes settings. They are the whole stack's: a test that calls this has its own.
    ///
    /// # Panics
    ///
    /// When the simulator refuses them.
    #[track_caller]
    pub fn set(&self, settings: &Value) {
        let request = Request::new("PUT", "/settings")
            .header("content-type", "application/json")
            .body(settings.to_string());
        let answer = self.control(&request);
        assert!((200..300).contains(&answer.status), "settings refused: {answer:?}");
    }

    /// Sets the faults of upstream answers; an empty list ends them.
    ///
    /// # Panics
    ///
    /// When the simulator refuses them.
    #[track_caller]
    pub fn set_faults(&self, faults: &[Value]) {
        self.set(&json!({ "faults": faults }));
    }

    /// Ends a session: IntelligenceBank answers 401 to its sid from now on.
    ///
    /// # Panics
    ///
    /// When the simulator does not know it.
    #[track_caller]
    pub fn kill_session(&self, sid: &str) {
        let answer = self.control(&Request::new("POST", format!("/sessions/{sid}/kill")).body(""));
        assert!((200..300).contains(&answer.status), "not killed: {answer:?}");
    }

    /// Ends a token of REI API CCA before its time: 401 from now on.
    ///
    /// # Panics
    ///
    /// When the simulator does not know it.
    #[track_caller]
    pub fn kill_rei_token(&self, token: &str) {
        let request = Request::new("POST", format!("/rei-cca/tokens/{token}/kill")).body("");
        let answer = self.control(&request);
        assert!((200..300).contains(&answer.status), "not killed: {answer:?}");
    }

    /// Makes a login token expire before anybody has logged in with it.
    ///
    /// # Panics
    ///
    /// When the simulator does not know it.
    #[track_caller]
    pub fn expire_login(&self, content: &str) {
        let request = Request::new("POST", format!("/tokens/{content}/expire")).body("");
        let answer = self.control(&request);
        assert!((200..300).contains(&answer.status), "not expired: {answer:?}");
    }

    /// Opens IntelligenceBank's login page and sends its form for `user`, as a person's click does.
    ///
    /// # Panics
    ///
    /// When the page has no such form, or IntelligenceBank refuses.
    #[track_caller]
    pub fn log_in_as_browser(&self, login_url: &str, user: &str) {
        let url = Url::parse(login_url).expect("the login URL is a URL");
        assert_eq!(url.scheme(), "https", "a login page without TLS: {login_url}");
        let page = self.browse(&url, &Request::get(target_of(&url))).with_status(200);
        let form = Page::new(page.text())
            .forms()
            .into_iter()
            .find(|form| form.fields.iter().any(|(name, _)| name == "token"))
            .unwrap_or_else(|| panic!("no login form: {page:?}"))
            .with("user", user);
        assert_eq!(form.method, "POST");
        let target = form.target(&url);
        let fields: Vec<_> =
            form.fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let answer = self.browse(&target, &Request::post_form(target_of(&target), &fields));
        assert_eq!(answer.status, 200, "the login failed: {answer:?}");
    }

    /// A request to a simulated host itself, past the gateway.
    ///
    /// # Panics
    ///
    /// When there is no answer.
    #[track_caller]
    pub fn browse(&self, url: &Url, request: &Request) -> Response {
        let host = url.host_str().expect("a URL with a host");
        tls_connection(self.tls, host, &self.ca_pem)
            .exchange(request, host)
            .unwrap_or_else(|error| panic!("no answer from {host}: {error}"))
    }

    #[track_caller]
    fn control(&self, request: &Request) -> Response {
        Connection::open(self.control)
            .and_then(|mut connection| connection.exchange(request, &self.control.to_string()))
            .unwrap_or_else(|error| panic!("the simulator's control port: {error}"))
    }
}

fn null_as_empty<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.unwrap_or_default())
}

fn target_of(url: &Url) -> String {
    match url.query() {
        Some(query) => format!("{}?{query}", url.path()),
        None => url.path().to_owned(),
    }
}
