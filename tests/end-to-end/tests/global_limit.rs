//! Limits over several Envoys (`envoy/global-rate-limit.yaml`): a rate-limit service is asked about each
//! approved request, and the gateway goes on without it. The service here is a stand-in that speaks the
//! protocol of the real one; the reference service itself is not run by the tests.
#![cfg(test)]

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;

use ib_end_to_end::{
    Deployment, LOOPBACK_REDIRECT, PUBLIC_CLIENT, Snippet, assert_refusal, envoys_at_hand,
    minor_version, production_bootstrap, production_folder, validate_with,
};
use ib_stack::StackOptions;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

const SNIPPET: &str = "global-rate-limit.yaml";

#[test]
fn every_supported_envoy_takes_the_snippet() {
    let folder = production_folder();
    let mut bootstrap = production_bootstrap();
    let operations = Value::Array(Snippet::read(SNIPPET).bootstrap);
    let patch: json_patch::Patch = serde_json::from_value(operations).unwrap();
    json_patch::patch(&mut bootstrap, &patch).unwrap();
    fs::write(folder.path().join("limited.json"), bootstrap.to_string()).unwrap();
    for envoy in envoys_at_hand() {
        let output = validate_with(&envoy, folder.path(), "limited.json");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "1.{}: {said}", minor_version(&envoy));
    }
}

#[test]
fn a_user_whom_the_service_refuses_is_limited_another_is_not_and_without_the_service_nobody_is() {
    let limiter = Limiter::start(3);
    // Every question is to be answered here, however slow the machine is.
    let mut options = limited_by(limiter.address);
    for path in [
        "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config/http_filters/7/typed_config/timeout",
        &format!("{}/connect_timeout", cluster_of_the_service()),
    ] {
        options.envoy_patch.push(json!({ "op": "replace", "path": path, "value": "30s" }));
    }
    let Some(gateway) = Deployment::own(options) else { return };
    let [ada, grace] =
        ["ada", "grace"].map(|user| gateway.client(PUBLIC_CLIENT, LOOPBACK_REDIRECT).log_in(user));
    let send =
        |token: &str| gateway.send(&gateway.proxied("GET", "/api/3.0.0/c/resource").bearer(token));
    for _ in 0..3 {
        send(&ada.access_token).with_status(200);
    }
    let limited = send(&ada.access_token);
    let words = "Too many requests; try again later";
    assert_refusal(&limited, 429, "rate_limit_exceeded", words);
    assert_eq!(limited.header("retry-after").as_deref(), Some("60"));
    assert_eq!(limited.header("x-envoy-ratelimited"), None);
    let sid = gateway.sid_of(&grace.access_token);
    // It learns the client's name and no person's; nothing that is not approved is asked about.
    send("no-such-token").with_status(401);
    let asked = limiter.asked();
    assert_eq!(asked.len(), 2, "ada and grace");
    for question in asked.keys().map(|bytes| String::from_utf8_lossy(bytes).into_owned()) {
        for part in ["ib_gateway", "user", "client", PUBLIC_CLIENT] {
            assert!(question.contains(part), "{question}");
        }
        for secret in ["ada", "grace", &grace.access_token, &sid] {
            assert!(!question.contains(secret), "{question}");
        }
    }

    limiter.stop();
    send(&ada.access_token).with_status(200);
    for (what, times) in [("over_limit", 1), ("failure_mode_allowed", 1)] {
        let name = format!("cluster.intelligencebank.ratelimit.{what}");
        assert_eq!(gateway.envoy_stats(&name), [(name.clone(), times)]);
    }
}

#[test]
fn a_service_that_takes_questions_and_never_answers_fails_no_request() {
    // The kernel takes the connection; nobody reads.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let Some(gateway) = Deployment::own(limited_by(silent.local_addr().unwrap())) else { return };
    let ada = gateway.client(PUBLIC_CLIENT, LOOPBACK_REDIRECT).log_in("ada");
    gateway
        .send(&gateway.proxied("GET", "/api/3.0.0/c/resource").bearer(&ada.access_token))
        .with_status(200);
    let name = "cluster.intelligencebank.ratelimit.failure_mode_allowed";
    assert_eq!(gateway.envoy_stats(name), [(name.to_owned(), 1)]);
}

/// The snippet as it is shipped, with this service.
fn limited_by(service: SocketAddr) -> StackOptions {
    let mut options = Snippet::read(SNIPPET).options();
    options.envoy_patch.push(json!({
        "op": "replace",
        "path": format!("{}/load_assignment/endpoints/0/lb_endpoints/0/endpoint/address/socket_address/port_value",
                        cluster_of_the_service()),
        "value": service.port(),
    }));
    options
}

/// Where the snippet adds the service's cluster to the bootstrap: at the end.
fn cluster_of_the_service() -> String {
    let clusters = &production_bootstrap()["static_resources"]["clusters"];
    format!("/static_resources/clusters/{}", clusters.as_array().unwrap().len())
}

/// A rate-limit service that allows each question so many times.
struct Limiter {
    address: SocketAddr,
    asked: Arc<Mutex<BTreeMap<Vec<u8>, u32>>>,
    stop: oneshot::Sender<()>,
    thread: thread::JoinHandle<()>,
}

impl Limiter {
    fn start(allowed: u32) -> Self {
        let asked = Arc::<Mutex<BTreeMap<Vec<u8>, u32>>>::default();
        let (stop, stopped) = oneshot::channel();
        let (tell, told) = mpsc::channel();
        let questions = Arc::clone(&asked);
        let thread = thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let tasks = tokio::task::LocalSet::new();
            tasks.block_on(&runtime, async move {
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                tell.send(listener.local_addr().unwrap()).unwrap();
                let serving = async {
                    loop {
                        let (stream, _) = listener.accept().await.unwrap();
                        tokio::task::spawn_local(serve(stream, Arc::clone(&questions), allowed));
                    }
                };
                tokio::select! { () = serving => {}, _ = stopped => {} }
            });
        });
        Self { address: told.recv().unwrap(), asked, stop, thread }
    }

    fn asked(&self) -> BTreeMap<Vec<u8>, u32> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Closes all of its connections.
    fn stop(self) {
        self.stop.send(()).unwrap();
        self.thread.join().unwrap();
    }
}

/// Answers the calls of one connection: `ShouldRateLimit` of envoy.service.ratelimit.v3, over gRPC.
async fn serve(stream: TcpStream, asked: Arc<Mutex<BTreeMap<Vec<u8>, u32>>>, allowed: u32) {
    let mut connection = h2::server::handshake(stream).await.unwrap();
    while let Some(Ok((request, mut respond))) = connection.accept().await {
        let asked = Arc::clone(&asked);
        tokio::task::spawn_local(async move {
            assert_eq!(
                request.uri().path(),
                "/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit"
            );
            let mut body = request.into_body();
            let mut question = Vec::new();
            while let Some(Ok(piece)) = body.data().await {
                body.flow_control().release_capacity(piece.len()).unwrap();
                question.extend_from_slice(&piece);
            }
            let times = {
                let mut asked = asked.lock().unwrap_or_else(PoisonError::into_inner);
                let times = asked.entry(question).or_default();
                *times += 1;
                *times
            };
            // RateLimitResponse.overall_code (field 1): OK is 1, OVER_LIMIT 2; before it gRPC's five bytes.
            let code = if times <= allowed { 1 } else { 2 };
            let head =
                http::Response::builder().header("content-type", "application/grpc").body(());
            let mut answer = respond.send_response(head.unwrap(), false).unwrap();
            answer.send_data(vec![0, 0, 0, 0, 2, 0x08, code].into(), false).unwrap();
            let trailers = [("grpc-status", "0")].map(|(name, value)| {
                (http::HeaderName::from_static(name), http::HeaderValue::from_static(value))
            });
            answer.send_trailers(trailers.into_iter().collect()).unwrap();
        });
    }
}
