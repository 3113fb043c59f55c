//! Spans for a collector of OpenTelemetry traces (OTLP over HTTP), where the settings name one.
//!
//! Everything here happens on the exporter's own thread. Its queue is bounded: what a collector that is
//! dead or slow does not take is dropped, and nobody waits for it.

use std::{fmt, future::Future, pin::Pin, time::Duration};

use axum::http::HeaderMap;
use opentelemetry::{KeyValue, propagation::TextMapPropagator as _, trace::TracerProvider as _};
use opentelemetry_http::{
    Bytes, HeaderExtractor, HeaderInjector, HttpClient, HttpError, Request, Response,
};
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::{
    Resource,
    propagation::TraceContextPropagator,
    trace::{
        BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracer, SdkTracerProvider, SpanLimits,
    },
};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use crate::settings::TelemetrySettings;

/// The target of the spans that are exported, and of nothing else.
pub(crate) const TRACES: &str = "ib_oauth::traces";
/// Most spans that wait for the collector.
const QUEUE: usize = 2_048;
const BATCH: usize = 512;
/// How long spans are gathered.
const GATHER: Duration = Duration::from_secs(2);
/// For one export.
const LONGEST_EXPORT: Duration = Duration::from_secs(5);
/// For what is left at the end.
const LONGEST_END: Duration = Duration::from_secs(3);

/// The exporter. What it still has goes out when it is ended.
pub(super) struct Exporter(SdkTracerProvider);

impl Exporter {
    /// Starts the exporter's thread. Nothing is sent before there are spans.
    pub(super) fn start(settings: &TelemetrySettings, endpoint: &str) -> Result<Self, String> {
        let exporter = SpanExporter::builder()
            .with_http()
            .with_endpoint(format!("{endpoint}/v1/traces"))
            .with_timeout(LONGEST_EXPORT)
            .with_http_client(Client::new().map_err(|cause| cause.to_string())?)
            .build()
            .map_err(|cause| cause.to_string())?;
        let batches = BatchConfigBuilder::default()
            .with_max_queue_size(QUEUE)
            .with_max_export_batch_size(BATCH)
            .with_scheduled_delay(GATHER)
            .build();
        let processor = BatchSpanProcessor::builder(exporter).with_batch_config(batches).build();
        let resource = Resource::builder_empty()
            .with_service_name("ib-oauth")
            .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
            .build();
        // Who began the trace has decided; only for those that begin here there is something to decide.
        let roots = Sampler::TraceIdRatioBased(settings.sample);
        let provider = SdkTracerProvider::builder()
            .with_span_processor(processor)
            .with_sampler(Sampler::ParentBased(Box::new(roots)))
            .with_resource(resource)
            .with_span_limits(SpanLimits::default())
            .build();
        Ok(Self(provider))
    }

    pub(super) fn tracer(&self) -> SdkTracer {
        self.0.tracer("ib-oauth")
    }

    /// Sends what is left, within some seconds.
    pub(super) fn end(self) {
        if self.0.shutdown_with_timeout(LONGEST_END).is_err() {
            tracing::warn!("some spans did not reach the collector");
        }
    }
}

/// Makes a request's span the child of Envoy's (W3C Trace Context).
pub(crate) fn carry_on(span: &Span, headers: &HeaderMap) {
    if span.is_disabled() {
        return;
    }
    let parent = TraceContextPropagator::new().extract(&HeaderExtractor(headers));
    // Without an exporter there is nothing to carry on.
    span.set_parent(parent).ok();
}

/// The headers that carry the present span on to whoever is asked now (W3C Trace Context); none where
/// nothing is traced.
pub(crate) fn trace_headers() -> HeaderMap {
    let mut headers = HeaderMap::new();
    let context = Span::current().context();
    TraceContextPropagator::new().inject_context(&context, &mut HeaderInjector(&mut headers));
    headers
}

/// The exporter's way to the collector: the HTTP client that the service has anyway, on a runtime of the
/// exporter's thread.
struct Client {
    http: reqwest::Client,
    runtime: tokio::runtime::Runtime,
}

impl Client {
    fn new() -> Result<Self, HttpError> {
        // Another provider may have been installed in this process already; either is fine.
        rustls::crypto::ring::default_provider().install_default().ok();
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(LONGEST_EXPORT)
            .timeout(LONGEST_EXPORT)
            .build()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(Self { http, runtime })
    }

    fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (parts, body) = request.into_parts();
        self.runtime.block_on(async {
            let request = self.http.request(parts.method, parts.uri.to_string());
            let answer = request.headers(parts.headers).body(body).send().await?;
            // What a collector says beside its status is of no use here, and may be long.
            Ok(Response::builder().status(answer.status()).body(Bytes::new())?)
        })
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Client")
    }
}

impl HttpClient for Client {
    fn send_bytes<'a, 'r>(
        &'a self,
        request: Request<Bytes>,
    ) -> Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'r>>
    where
        'a: 'r,
    {
        // The exporter's thread waits for this and does nothing else.
        let answer = self.send(request);
        Box::pin(std::future::ready(answer))
    }
}
