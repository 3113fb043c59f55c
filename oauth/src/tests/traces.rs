//! What a collector of traces gets, over the real protocol.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use axum::{Router, body::Bytes, http::Request, routing::post};
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest, trace::v1::Span as Exported,
};
use prost::Message as _;

use super::{Kit, PLATFORM, authorize_url};
use crate::{settings::TelemetrySettings, telemetry};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

/// A collector on loopback.
struct Collector {
    address: SocketAddr,
    spans: Arc<Mutex<Vec<Exported>>>,
}

impl Collector {
    fn start() -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let spans = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&spans);
        let collect = move |body: Bytes| {
            let kept = Arc::clone(&kept);
            async move {
                let request = ExportTraceServiceRequest::decode(body).unwrap();
                let scopes = request.resource_spans.into_iter().flat_map(|all| all.scope_spans);
                kept.lock().unwrap().extend(scopes.flat_map(|scope| scope.spans));
            }
        };
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                let router = Router::new().route("/v1/traces", post(collect));
                axum::serve(listener, router).await.unwrap();
            });
        });
        Self { address, spans }
    }
}

/// Runs `work` with spans going to `collector`, until all of them have arrived.
fn traced(collector: SocketAddr, sample: f64, work: impl AsyncFnOnce()) {
    let otlp_endpoint = Some(format!("http://{collector}"));
    let settings = TelemetrySettings { otlp_endpoint, sample };
    let filter = telemetry::parse_filter("error").unwrap();
    let (subscriber, telemetry) = telemetry::build(filter, &settings, std::io::sink).unwrap();
    // One thread, so that everything that is spawned is seen.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    tracing::subscriber::with_default(subscriber, || runtime.block_on(work()));
    telemetry.end();
}

async fn begin(traceparent: Option<&str>) {
    let kit = Kit::new();
    let mut request = Request::get(authorize_url(&[("platform_url", PLATFORM)]))
        .header("accept", "application/json")
        .header("x-request-id", "request-9");
    if let Some(traceparent) = traceparent {
        request = request.header("traceparent", traceparent);
    }
    let answer = kit.send(request.body(axum::body::Body::empty()).unwrap()).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn a_request_carries_on_the_gateways_trace_down_to_the_store_and_the_platform() {
    let collector = Collector::start();
    let traceparent = format!("00-{TRACE}-{PARENT}-01");
    traced(collector.address, 0.0, async || begin(Some(&traceparent)).await);
    let spans = collector.spans.lock().unwrap();
    let names: Vec<_> = spans.iter().map(|span| span.name.as_str()).collect();
    assert!(spans.iter().all(|span| hexadecimal(&span.trace_id) == TRACE), "{names:?}");
    let request = spans.iter().find(|span| span.name == "GET /authorize").unwrap();
    assert_eq!(hexadecimal(&request.parent_span_id), PARENT);
    for name in ["store apply", "upstream begin"] {
        let below = spans.iter().find(|span| span.name == name);
        let below = below.unwrap_or_else(|| panic!("no {name} in {names:?}"));
        assert_eq!(below.parent_span_id, request.span_id, "{name}");
    }
    let attribute = |name: &str| {
        let found = request.attributes.iter().find(|attribute| attribute.key == name);
        format!("{:?}", found.unwrap_or_else(|| panic!("no {name} in {request:?}")).value)
    };
    assert!(attribute("http.route").contains("/authorize"));
    assert!(attribute("http.response.status_code").contains("200"));
    assert!(attribute("request_id").contains("request-9"));
}

#[test]
fn no_query_code_or_token_is_in_a_span() {
    let collector = Collector::start();
    let mut secrets = Vec::new();
    traced(collector.address, 1.0, async || {
        let kit = Kit::new();
        let code = kit.code().await;
        let tokens = kit.exchange(&code).await.json();
        let access = super::text(&tokens, "access_token");
        kit.introspect(&access).await;
        secrets.extend([code, access, super::text(&tokens, "refresh_token")]);
    });
    let spans = format!("{:?}", collector.spans.lock().unwrap());
    assert!(spans.contains("POST /token"), "{spans}");
    secrets.extend(["code_challenge", "l0g1nt0ken", super::scripted::SID].map(str::to_owned));
    for secret in secrets {
        assert!(!spans.contains(&secret), "{secret} in {spans}");
    }
}

#[test]
fn whoever_began_the_trace_decides_whether_it_is_kept() {
    let collector = Collector::start();
    let traceparent = format!("00-{TRACE}-{PARENT}-00");
    traced(collector.address, 1.0, async || begin(Some(&traceparent)).await);
    traced(collector.address, 0.0, async || begin(None).await);
    assert_eq!(collector.spans.lock().unwrap().len(), 0);
    traced(collector.address, 1.0, async || begin(None).await);
    assert!(!collector.spans.lock().unwrap().is_empty());
}

#[test]
fn a_dead_collector_costs_a_request_nothing() {
    // Bound and dropped: nobody listens there.
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    traced(address, 1.0, async || {
        for _ in 0..20 {
            begin(None).await;
        }
    });
}
