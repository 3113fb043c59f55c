//! One trace and one request id, from the client over Envoy, the filter's question, the service and its audit
//! log to IntelligenceBank: followed through each part's own records, also where the client began no trace.
//! With `envoy/tracing.yaml` and a collector that takes OTLP over HTTP.
#![cfg(test)]

use std::fs;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::{Router, body::Bytes, routing::post};
use ib_end_to_end::{
    Deployment, LOOPBACK_REDIRECT, LoggedRequest, PATIENCE, PUBLIC_CLIENT, Part, Recorder, Snippet,
    StackOptions, envoy_program, envoys_at_hand, eventually, forged_token, free_port,
    minor_version, production_bootstrap, production_folder, unique, unique_hex, validate_with,
};
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest, common::v1::any_value::Value as Known,
    trace::v1::Span,
};
use prost::Message as _;
use serde_json::{Value, json};

/// A span, and the name of who sent it.
#[derive(Clone)]
struct Sent {
    by: String,
    span: Span,
}

impl Sent {
    fn trace(&self) -> String {
        hexadecimal(&self.span.trace_id)
    }

    fn id(&self) -> String {
        hexadecimal(&self.span.span_id)
    }

    fn parent(&self) -> String {
        hexadecimal(&self.span.parent_span_id)
    }
}

/// A collector on loopback.
struct Collector {
    address: SocketAddr,
    spans: Arc<Mutex<Vec<Sent>>>,
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
                for resource in request.resource_spans {
                    let attributes = resource.resource.unwrap_or_default().attributes;
                    let name = attributes.into_iter().find(|each| each.key == "service.name");
                    let by = match name.and_then(|each| each.value?.value) {
                        Some(Known::StringValue(name)) => name,
                        _ => String::new(),
                    };
                    let spans = resource.scope_spans.into_iter().flat_map(|scope| scope.spans);
                    let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                    kept.extend(spans.map(|span| Sent { by: by.clone(), span }));
                }
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

    fn of_trace(&self, trace: &str) -> Vec<Sent> {
        let spans = self.spans.lock().unwrap_or_else(PoisonError::into_inner);
        spans.iter().filter(|sent| sent.trace() == trace).cloned().collect()
    }

    fn everything(&self) -> String {
        let spans = self.spans.lock().unwrap_or_else(PoisonError::into_inner);
        spans.iter().map(|sent| format!("{:?}", sent.span)).collect()
    }
}

/// The first Envoy 1.x that can say its span's id, which the overlay wants.
const SAYS_SPANS_SINCE: u32 = 38;

/// Whether the Envoy under test cannot take the overlay.
fn is_too_old() -> bool {
    let is_too_old = minor_version(&envoy_program()) < SAYS_SPANS_SINCE;
    if is_too_old {
        eprintln!("skipped: this Envoy does not take envoy/tracing.yaml");
    }
    is_too_old
}

/// The overlay as it stands, with the collector's address; and the service's settings that go with it.
fn traced(collector: SocketAddr, audit: &std::path::Path) -> StackOptions {
    let mut operations = Value::Array(Snippet::read("tracing.yaml").bootstrap).to_string();
    let shipped = (r#""address":"127.0.0.1","port_value":4318"#, "http://127.0.0.1:4318/");
    assert!(operations.contains(shipped.0) && operations.contains(shipped.1), "{operations}");
    let port = collector.port();
    operations = operations
        .replace(shipped.0, &format!(r#""address":"127.0.0.1","port_value":{port}"#))
        .replace(shipped.1, &format!("http://{collector}/"));
    StackOptions {
        envoy_patch: serde_json::from_str(&operations).unwrap(),
        service_settings: json!({
            "telemetry": { "otlp_endpoint": format!("http://{collector}") },
            "intelligencebank": { "propagate_trace": true },
            "audit": { "to": "file", "file": audit },
        }),
        ..StackOptions::default()
    }
}

#[test]
fn one_trace_and_one_request_id_lead_through_every_part_also_where_the_client_began_none() {
    if is_too_old() {
        return;
    }
    let (collector, recorder) = (Collector::start(), Recorder::listen());
    let folder = tempfile::tempdir().unwrap();
    let audit = folder.path().join("audit.jsonl");
    let mut options = traced(collector.address, &audit);
    options.envoy_patch.extend(recorder.envoy_patch());
    let Some(gateway) = Deployment::own(options) else { return };
    recorder.forward_to(gateway.reach().service_internal);
    gateway.await_feeds();

    let mut secrets = vec![];
    for client_began in [true, false] {
        let grant = gateway.log_in();
        secrets.extend([grant.access_token.clone(), grant.refresh_token.clone()]);
        let mark = unique("followed");
        let client = (unique_hex(16), unique_hex(8));
        let mut request = gateway
            .proxied("GET", &format!("/{mark}?echo&poll=secret-of-the-query"))
            .bearer(&grant.access_token);
        if client_began {
            request = request.header("traceparent", format!("00-{}-{}-01", client.0, client.1));
        }
        let answer = gateway.send(&request).with_status(200);
        let request_id = answer.header("x-request-id").expect("a request id");

        // Envoy's access log, found by the request id that the client was told.
        let access = record(&gateway.stack().access_log(), "/request_id", &request_id);
        assert!(access["path"].as_str().unwrap().contains(&mark), "{access}");
        let trace = trace_of(access["traceparent"].as_str().unwrap_or_default());
        assert_eq!(trace == client.0, client_began, "{access}");

        // The filter's question.
        let asked = recorder.requests_with(&request_id);
        assert_eq!(asked.len(), 1, "{asked:?}");
        assert!(asked[0].starts_with("POST /introspect"), "{asked:?}");
        assert!(asked[0].contains(&trace), "{trace} is not in {asked:?}");

        // The service's own record of that question.
        let log = gateway.stack().log_file(Part::Service);
        let answered = record(&log, "/span/request_id", &request_id);
        assert_eq!(answered["span"]["trace_id"], json!(trace), "{answered}");
        assert_eq!(answered["span"]["endpoint"], json!("/introspect"), "{answered}");

        // IntelligenceBank.
        let arrived = gateway.simulator().requests_marked(&mark);
        assert_eq!(arrived.len(), 1);
        assert_eq!(arrived[0].header("x-request-id"), request_id);
        assert_eq!(trace_of(&arrived[0].header("traceparent")), trace);

        // Envoy's and the service's spans: each is the child of the one before it.
        let spans = eventually("the spans of both", PATIENCE, || {
            let spans = collector.of_trace(&trace);
            let is_there = |by: &str, name: &str| {
                spans.iter().any(|sent| sent.by == by && sent.span.name.contains(name))
            };
            let all = is_there("ib-oauth", "POST /introspect")
                && is_there("ib-oauth", "store get")
                && spans.iter().filter(|sent| sent.by == "ib-gateway").count() >= 2;
            all.then_some(spans)
        });
        let told = |span: &Span| format!("{:?}", span.attributes).contains(&request_id);
        let server = spans.iter().find(|sent| sent.by == "ib-gateway" && told(&sent.span));
        let server = server.expect("Envoy's span names the request");
        let below = |sent: &&Sent| sent.by == "ib-gateway" && sent.parent() == server.id();
        let upstream = spans.iter().find(below).expect("Envoy's span of what went upstream");
        let parent_upstream = arrived[0].header("traceparent");
        assert_eq!(parent_upstream.split('-').nth(2), Some(upstream.id().as_str()));
        let question = spans.iter().find(|sent| sent.span.name == "POST /introspect").unwrap();
        assert!(told(&question.span), "{:?}", question.span);
        if client_began {
            assert_eq!(server.parent(), client.1);
            assert_eq!(question.parent(), client.1);
        } else {
            assert_eq!(server.parent(), "");
            assert_eq!(question.parent(), server.id());
        }
    }
    let spans = collector.everything();
    secrets.extend(["secret-of-the-query", "followed", "poll="].map(str::to_owned));
    for hidden in secrets {
        assert!(!spans.contains(&hidden), "{hidden} is in a span");
    }
}

#[test]
fn a_line_of_the_audit_log_leads_to_the_access_log_and_to_what_intelligencebank_was_asked() {
    if is_too_old() {
        return;
    }
    let collector = Collector::start();
    let folder = tempfile::tempdir().unwrap();
    let audit = folder.path().join("audit.jsonl");
    let Some(gateway) = Deployment::own(traced(collector.address, &audit)) else { return };
    let client = gateway.client(PUBLIC_CLIENT, LOOPBACK_REDIRECT);
    let grant = client.log_in("ada");
    client.refresh(&grant.refresh_token).with_status(200);

    for (event, path) in [("login_begun", "/authorize"), ("token_refreshed", "/token")] {
        let line = record(&audit, "/event", event);
        let request_id = line["request_id"].as_str().unwrap_or_else(|| panic!("{line}"));
        let trace = line["trace_id"].as_str().unwrap_or_else(|| panic!("{line}"));
        let access = record(&gateway.stack().access_log(), "/request_id", request_id);
        assert_eq!(access["path"], json!(path), "{access}");
        assert_eq!(trace_of(access["traceparent"].as_str().unwrap_or_default()), trace);
        // The service's own span of that request has the same id.
        eventually("the service's span", PATIENCE, || {
            let spans = collector.of_trace(trace);
            let told = |span: &Span| format!("{:?}", span.attributes).contains(request_id);
            spans.iter().any(|sent| sent.by == "ib-oauth" && told(&sent.span)).then_some(())
        });
    }
    // IntelligenceBank was asked for the login within the trace of the request that wanted it.
    let begun = record(&audit, "/event", "login_begun");
    let trace = begun["trace_id"].as_str().unwrap();
    let asked: Vec<LoggedRequest> = gateway
        .simulator()
        .requests_marked(trace)
        .into_iter()
        .filter(|request| request.raw_path == "/v1/auth/app/token")
        .collect();
    assert_eq!(asked.len(), 1, "{asked:?}");
}

#[test]
fn the_overlay_is_taken_by_the_envoys_that_can_say_a_spans_id_and_refused_by_the_others() {
    let folder = production_folder();
    let mut bootstrap = production_bootstrap();
    let operations = Value::Array(Snippet::read("tracing.yaml").bootstrap);
    let patch: json_patch::Patch = serde_json::from_value(operations).unwrap();
    json_patch::patch(&mut bootstrap, &patch).unwrap();
    fs::write(folder.path().join("tracing.json"), bootstrap.to_string()).unwrap();
    for envoy in &envoys_at_hand() {
        let minor = minor_version(envoy);
        let output = validate_with(envoy, folder.path(), "tracing.json");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.success(), minor >= SAYS_SPANS_SINCE, "1.{minor}: {said}");
        assert!(output.status.success() || said.contains("SPAN_ID"), "1.{minor}: {said}");
    }
}

#[test]
fn without_the_settings_for_it_nobody_gets_a_trace_that_no_client_began() {
    let Some(gateway) = Deployment::own(StackOptions::default()) else { return };
    let grant = gateway.log_in();
    let mark = unique("untraced");
    let request = gateway.proxied("GET", &format!("/{mark}?echo")).bearer(&grant.access_token);
    gateway.send(&request).with_status(200);
    for request in gateway.simulator().requests_since(0) {
        assert!(request.headers("traceparent").is_empty(), "{request:?}");
    }
}

#[test]
fn a_collector_that_is_dead_costs_clients_nothing() {
    if is_too_old() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let nobody = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let options = traced(nobody, &folder.path().join("audit.jsonl"));
    let Some(gateway) = Deployment::own(options) else { return };
    let grant = gateway.log_in();
    let counts = gateway
        .send_many(4, 400, |_| gateway.proxied("GET", "/untold?echo").bearer(&grant.access_token));
    assert_eq!(counts, [(200, 400)]);
    gateway.send(&gateway.proxied("GET", "/x").bearer(&forged_token())).with_status(401);
}

/// The record of a file of JSON lines that has this value at this place (RFC 6901).
#[track_caller]
fn record(file: &std::path::Path, pointer: &str, value: &str) -> Value {
    eventually("the record", PATIENCE, || {
        let text = fs::read_to_string(file).ok()?;
        let mut records = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        records.find(|record| record.pointer(pointer) == Some(&json!(value)))
    })
}

/// The trace id of a `traceparent`.
fn trace_of(traceparent: &str) -> String {
    traceparent.split('-').nth(1).unwrap_or_default().to_owned()
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
