//! A simulator on free ports, a client that trusts it, and a clock to move by hand.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use reqwest::{Method, RequestBuilder};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::{Value, json};

use crate::{Clock, Options, Simulator, tenants};

pub(super) const COMPANY: &str = "company.intelligencebank.com";
pub(super) const OTHER: &str = "other.intelligencebank.com";
pub(super) const API: &str = "apiv3.intelligencebank.com";
pub(super) const NOW: i64 = 1_800_000_000;

pub(super) struct Fixture {
    pub(super) simulator: Simulator,
    pub(super) client: reqwest::Client,
    authority_pem: Vec<u8>,
    now: Arc<AtomicI64>,
    _directory: tempfile::TempDir,
}

impl Fixture {
    pub(super) fn start() -> Self {
        // The tests of one process share the provider; only the first installs it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let directory = tempfile::tempdir().unwrap();
        let ca_out = directory.path().join("run").join("ca.pem");
        let now = Arc::new(AtomicI64::new(NOW));
        let read = Arc::clone(&now);
        let any_port = SocketAddr::from(([127, 0, 0, 1], 0));
        let simulator = Simulator::start(Options {
            listen: any_port,
            control: any_port,
            ca_out: ca_out.clone(),
            clock: Clock::from_function(move || read.load(Ordering::Relaxed)),
        })
        .unwrap();
        let authority_pem = std::fs::read(ca_out).unwrap();
        let client = client(&authority_pem, simulator.listen_address(), |builder| builder);
        Self { simulator, client, authority_pem, now, _directory: directory }
    }

    pub(super) fn client_with(
        &self,
        change: impl FnOnce(reqwest::ClientBuilder) -> reqwest::ClientBuilder,
    ) -> reqwest::Client {
        client(&self.authority_pem, self.simulator.listen_address(), change)
    }

    pub(super) fn url(&self, host: &str, target: &str) -> String {
        format!("https://{host}:{}{target}", self.simulator.listen_address().port())
    }

    pub(super) fn request(&self, method: Method, host: &str, target: &str) -> RequestBuilder {
        self.client.request(method, self.url(host, target))
    }

    pub(super) fn get(&self, host: &str, target: &str) -> RequestBuilder {
        self.request(Method::GET, host, target)
    }

    pub(super) fn advance(&self, seconds: i64) {
        self.now.fetch_add(seconds, Ordering::Relaxed);
    }

    /// Calls the control API: its status, and its answer where there is one.
    pub(super) async fn control(&self, method: Method, target: &str, body: Value) -> (u16, Value) {
        let url = format!("http://{}{target}", self.simulator.control_address());
        let mut request = self.client.request(method, url);
        if !body.is_null() {
            request = request.json(&body);
        }
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        let body = response.bytes().await.unwrap();
        (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
    }

    pub(super) async fn set(&self, settings: Value) {
        let (status, answer) = self.control(Method::PUT, "/settings", settings).await;
        assert_eq!(status, 200, "{answer}");
    }

    pub(super) async fn received(&self) -> Vec<Value> {
        let (_, answer) = self.control(Method::GET, "/requests", Value::Null).await;
        answer["requests"].as_array().unwrap().clone()
    }

    pub(super) async fn begin_login(&self, host: &str) -> String {
        let response = self.request(Method::POST, host, "/v1/auth/app/token").send().await.unwrap();
        let answer: Value = response.json().await.unwrap();
        answer["content"].as_str().unwrap().to_owned()
    }

    pub(super) async fn information(&self, host: &str, content: &str) -> (u16, Value) {
        let target = format!("/v1/auth/app/info?token={content}");
        let response = self.get(host, &target).send().await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap())
    }

    /// A live session id of `user` at the tenant's `host`.
    pub(super) async fn log_in(&self, host: &str, user: &str) -> String {
        let content = self.begin_login(host).await;
        let target = format!("/logins/{content}/complete");
        let (status, answer) = self.control(Method::POST, &target, json!({"user": user})).await;
        assert_eq!(status, 200, "{answer}");
        answer["sid"].as_str().unwrap().to_owned()
    }

    /// Sends `bytes` over TLS as they are and reads until the connection closes.
    pub(super) async fn raw(&self, host: &str, bytes: impl Into<Vec<u8>>) -> String {
        let (bytes, host) = (bytes.into(), host.to_owned());
        let address = self.simulator.listen_address();
        let config = self.tls_config();
        tokio::task::spawn_blocking(move || {
            let name = ServerName::try_from(host).unwrap();
            let connection = ClientConnection::new(Arc::new(config), name).unwrap();
            let mut stream = StreamOwned::new(connection, TcpStream::connect(address).unwrap());
            stream.write_all(&bytes).unwrap();
            let mut answer = Vec::new();
            // An answer may end without TLS's own closing message.
            let _ = stream.read_to_end(&mut answer);
            String::from_utf8_lossy(&answer).into_owned()
        })
        .await
        .unwrap()
    }

    fn tls_config(&self) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(&self.authority_pem).unwrap()).unwrap();
        ClientConfig::builder().with_root_certificates(roots).with_no_client_auth()
    }
}

fn client(
    authority_pem: &[u8],
    address: SocketAddr,
    change: impl FnOnce(reqwest::ClientBuilder) -> reqwest::ClientBuilder,
) -> reqwest::Client {
    let authority = reqwest::Certificate::from_pem(authority_pem).unwrap();
    let builder = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .tls_certs_only([authority]);
    let builder =
        tenants::HOSTS.iter().fold(builder, |builder, host| builder.resolve(host, address));
    change(builder).build().unwrap()
}
