//! Every call to the proxy, and what its statuses mean.
//!
//! The SDK panics on statuses that it does not expect: where a call comes outside its phase, and for
//! headers of an answer that has none. The logic keeps to the phases and looks at the number of
//! headers first; a panic that comes all the same ends the VM, and the proxy answers 503 (fail
//! closed). Of what peers send, only the calls for bytes are used: those for text panic on any byte
//! that is not UTF-8. Header names are text there too, but the proxy lets only ASCII names pass.

use std::{rc::Rc, time::Instant};

use ib_gateway_logic::{
    Answer, AnswerSize, Callout, Counter, HeaderMap, HeaderReferences, Host, HostError, Reply,
    Timestamp,
};
use proxy_wasm::{
    hostcalls,
    types::{BufferType, MapType, MetricType, Status},
};

/// The property that marks an approved stream. Envoy shows it as `wasm.ib_gateway_approved`.
const APPROVED_PROPERTY: &str = "ib_gateway_approved";
/// The value of [`APPROVED_PROPERTY`].
const APPROVED: &[u8] = b"yes";

/// The plugin's configuration, as the proxy has it.
pub(crate) fn plugin_configuration() -> Result<Vec<u8>, HostError> {
    let buffer = hostcalls::get_buffer(BufferType::PluginConfiguration, 0, usize::MAX);
    buffer.map(Option::unwrap_or_default).map_err(refused("plugin_configuration"))
}

/// The proxy's monotonic clock.
#[derive(Clone, Copy)]
pub(crate) struct Clock(Instant);

impl Clock {
    /// Takes the present as the clock's fixed moment.
    #[allow(
        clippy::disallowed_methods,
        reason = "this is the filter's one clock: in a VM the call goes to the proxy, which is the \
                  only way to its monotonic time"
    )]
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    fn now(self) -> Timestamp {
        Timestamp::from_milliseconds(
            u64::try_from(self.0.elapsed().as_millis()).unwrap_or(u64::MAX),
        )
    }
}

/// The proxy's ids of all counters.
#[derive(Clone)]
pub(crate) struct Metrics(Rc<[u32]>);

impl Metrics {
    /// Defines the counters.
    pub(crate) fn define() -> Result<Self, HostError> {
        let ids = Counter::ALL
            .into_iter()
            .map(|counter| hostcalls::define_metric(MetricType::Counter, counter.name()));
        ids.collect::<Result<_, _>>().map(Self).map_err(refused("define_metric"))
    }
}

/// The proxy, as one HTTP stream sees it.
#[derive(Clone)]
pub(crate) struct WasmHost {
    clock: Clock,
    metrics: Metrics,
}

impl WasmHost {
    pub(crate) fn new(clock: Clock, metrics: Metrics) -> Self {
        Self { clock, metrics }
    }
}

impl Host for WasmHost {
    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn request_headers(&self) -> Result<HeaderMap, HostError> {
        hostcalls::get_map_bytes(MapType::HttpRequestHeaders).map_err(refused("request_headers"))
    }

    fn set_request_headers(&self, headers: HeaderReferences<'_>) -> Result<(), HostError> {
        hostcalls::set_map_bytes(MapType::HttpRequestHeaders, headers)
            .map_err(refused("set_request_headers"))
    }

    fn mark_approved(&self) -> Result<(), HostError> {
        hostcalls::set_property(vec![APPROVED_PROPERTY], Some(APPROVED))
            .map_err(refused("mark_approved"))
    }

    fn resume_request(&self) -> Result<(), HostError> {
        hostcalls::resume_http_request().map_err(refused("resume_request"))
    }

    fn reply(&self, reply: &Reply) -> Result<(), HostError> {
        let headers = reply.headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let body = Some(reply.body.as_bytes());
        hostcalls::send_http_response(u32::from(reply.status), headers, body)
            .map_err(refused("reply"))
    }

    fn dispatch(&self, callout: &Callout<'_>) -> Result<(), HostError> {
        hostcalls::dispatch_http_call(
            callout.cluster,
            callout.headers.clone(),
            Some(callout.body),
            Vec::new(),
            callout.timeout,
        )
        .map(drop)
        .map_err(refused("dispatch"))
    }

    fn callout_answer(&self, size: AnswerSize) -> Result<Answer, HostError> {
        let status = hostcalls::get_map_value_bytes(MapType::HttpCallResponseHeaders, ":status")
            .map_err(refused("callout_answer"))?
            .unwrap_or_default();
        if size.body == 0 {
            return Ok(Answer { status, body: Vec::new() });
        }
        let body = hostcalls::get_buffer(BufferType::HttpCallResponseBody, 0, size.body)
            .map_err(refused("callout_answer"))?
            .unwrap_or_default();
        Ok(Answer { status, body })
    }

    fn response_headers(&self) -> Result<HeaderMap, HostError> {
        hostcalls::get_map_bytes(MapType::HttpResponseHeaders).map_err(refused("response_headers"))
    }

    fn set_response_headers(&self, headers: HeaderReferences<'_>) -> Result<(), HostError> {
        hostcalls::set_map_bytes(MapType::HttpResponseHeaders, headers)
            .map_err(refused("set_response_headers"))
    }

    fn drop_request_trailers(&self) -> Result<(), HostError> {
        hostcalls::set_map_bytes(MapType::HttpRequestTrailers, Vec::new())
            .map_err(refused("drop_request_trailers"))
    }

    fn drop_response_trailers(&self) -> Result<(), HostError> {
        hostcalls::set_map_bytes(MapType::HttpResponseTrailers, Vec::new())
            .map_err(refused("drop_response_trailers"))
    }

    fn count(&self, counter: Counter) {
        if let Some(id) = self.metrics.0.get(counter.index()) {
            // An uncounted event is no reason to fail a request.
            let _uncounted = hostcalls::increment_metric(*id, 1).is_err();
        }
    }
}

fn refused(call: &'static str) -> impl Fn(Status) -> HostError {
    move |_| HostError { call }
}
