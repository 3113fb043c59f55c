//! The proxy as the logic sees it. Every status other than success is a [`HostError`].

use std::{
    cell::{Cell, OnceCell},
    rc::Rc,
};

use ib_gateway_logic::{
    Callout, CalloutId, Counter, Gauge, HeaderEdits, HeaderMap, Histogram, Host, HostError, Note,
    RecentTime, Reply, StreamId, Timestamp, to_block,
};
use proxy_wasm::{
    hostcalls,
    types::{BufferType, MapType, MetricType, StreamType},
};

use crate::{
    abi::{self, Refused},
    contexts::ContextId,
};

/// Room for a usual answer's headers, or a usual piece of its body.
const USUAL_SPARE_BYTES: usize = 4 << 10;
/// Memory of more bytes is not kept.
const MOST_SPARE_BYTES: usize = 64 << 10;

/// The plugin's configuration, as the proxy has it. While a root context is being configured.
pub(crate) fn plugin_configuration(size: usize) -> Result<Vec<u8>, HostError> {
    abi::buffer(BufferType::PluginConfiguration, size, Vec::new())
        .map_err(refused("plugin_configuration"))
}

/// Answers a stream that no configuration serves. With details the proxy writes the body, as it does
/// for errors of its own.
pub(crate) fn refuse_stream() {
    // Where even this is refused, the stream stays where it is.
    let _unanswered = abi::reply(503, "ib_gateway_not_configured", &to_block(&[]), &[]).is_err();
}

/// The proxy, as one root context sees it.
pub(crate) struct WasmHost {
    root: ContextId,
    /// The current stream, none while the root context is current.
    current: Cell<Option<ContextId>>,
    /// Memory for what is looked at once and then forgotten.
    spare: Cell<Vec<u8>>,
    recent: RecentTime,
    metrics: Rc<Metrics>,
    /// How far this root context has moved each gauge.
    shares: [Cell<i64>; Gauge::ALL.len()],
}

/// The proxy's ids of everything that is measured.
struct Metrics {
    counters: [u32; Counter::ALL.len()],
    gauges: [u32; Gauge::ALL.len()],
    histograms: [u32; Histogram::ALL.len()],
}

thread_local! {
    /// The same for all configurations of a VM: the proxy keeps each definition for good.
    static METRICS: OnceCell<Rc<Metrics>> = const { OnceCell::new() };
}

impl Metrics {
    /// What this VM has defined, or defines now.
    fn of_this_vm() -> Result<Rc<Self>, HostError> {
        METRICS.with(|metrics| {
            if let Some(defined) = metrics.get() {
                return Ok(Rc::clone(defined));
            }
            let defined = Rc::new(Self {
                counters: define(MetricType::Counter, Counter::ALL.map(Counter::name))?,
                gauges: define(MetricType::Gauge, Gauge::ALL.map(Gauge::name))?,
                histograms: define(MetricType::Histogram, Histogram::ALL.map(Histogram::name))?,
            });
            Ok(Rc::clone(metrics.get_or_init(|| defined)))
        })
    }
}

fn define<const N: usize>(kind: MetricType, names: [&str; N]) -> Result<[u32; N], HostError> {
    let mut ids = [0; N];
    for (id, name) in ids.iter_mut().zip(names) {
        *id = hostcalls::define_metric(kind, name)
            .map_err(|_| HostError { call: "define_metric" })?;
    }
    Ok(ids)
}

impl WasmHost {
    /// The host of a root context that is being configured.
    pub(crate) fn new(root: ContextId) -> Result<Self, HostError> {
        let metrics = Metrics::of_this_vm()?;
        let shares = [const { Cell::new(0) }; Gauge::ALL.len()];
        let spare = Cell::new(Vec::with_capacity(USUAL_SPARE_BYTES));
        let recent = RecentTime::default();
        Ok(Self { root, current: Cell::new(None), spare, recent, metrics, shares })
    }

    /// A callback of a stream begins: the proxy has made it the current one.
    pub(crate) fn in_stream(&self, stream: ContextId) {
        self.current.set(Some(stream));
    }

    /// A callback of the root context begins, a tick for instance: the proxy has made that the current
    /// one.
    pub(crate) fn in_no_stream(&self) {
        self.current.set(None);
        self.recent.forget();
    }

    /// A stream has ended. That may come while another call about it is being made.
    pub(crate) fn stream_ended(&self, stream: ContextId) {
        if self.current.get() == Some(stream) {
            self.current.set(None);
        }
    }

    /// The root context ends: takes back its shares of the gauges.
    pub(crate) fn root_ended(&self) {
        for gauge in Gauge::ALL {
            let share = self.shares.get(gauge.index()).map_or(0, Cell::get);
            if share != 0 {
                self.move_gauge(gauge, share.saturating_neg());
            }
        }
    }

    /// Makes a call about the current stream. Without one it would be about the root context, which
    /// takes some calls and does nothing.
    fn on_stream<T>(
        &self,
        call: &'static str,
        act: impl FnOnce() -> Result<T, Refused>,
    ) -> Result<T, HostError> {
        let result = if self.current.get().is_some() { act() } else { Err(Refused) };
        result.map_err(|Refused| HostError { call })
    }

    /// All headers of a message of the current stream. A message has some: where the proxy has none to
    /// give, it gives an empty map.
    fn headers(
        &self,
        map: MapType,
        memory: Vec<u8>,
        call: &'static str,
    ) -> Result<HeaderMap, HostError> {
        let block = self.on_stream(call, || abi::header_block(map, memory))?;
        header_map(block).ok_or(HostError { call })
    }

    /// Keeps memory for what is looked at next.
    fn keep_spare(&self, memory: Vec<u8>) {
        if memory.capacity() <= MOST_SPARE_BYTES {
            self.spare.set(memory);
        }
    }

    fn set_headers(
        &self,
        map: MapType,
        headers: &HeaderMap,
        call: &'static str,
    ) -> Result<(), HostError> {
        self.on_stream(call, || abi::set_header_block(map, headers.as_block()))
    }

    /// Makes a call in the name of the root context, whichever stream is current.
    fn as_root<T>(&self, act: impl FnOnce() -> Result<T, Refused>) -> Result<T, Refused> {
        let Some(stream) = self.current.get() else { return act() };
        abi::set_effective_context(self.root)?;
        let result = act();
        // A stream that is no more cannot be made current again: then the root context is.
        if abi::set_effective_context(stream).is_err() {
            self.current.set(None);
        }
        result
    }
}

impl Host for WasmHost {
    fn now(&self) -> Timestamp {
        const NANOSECONDS_A_MILLISECOND: u64 = 1_000_000;
        match abi::monotonic_nanoseconds() {
            Ok(nanoseconds) => {
                let now = Timestamp::from_milliseconds(nanoseconds / NANOSECONDS_A_MILLISECOND);
                self.recent.keep(now);
                now
            }
            // No decision can be made, nor be dated, without the time. The proxy replaces the VM.
            Err(Refused) => std::process::abort(),
        }
    }

    fn recent(&self) -> Timestamp {
        self.recent.take().unwrap_or_else(|| self.now())
    }

    fn enter(&self, stream: StreamId) -> Result<(), HostError> {
        abi::set_effective_context(stream.0).map_err(refused("enter"))?;
        self.current.set(Some(stream.0));
        Ok(())
    }

    fn request_headers(&self, memory: Vec<u8>) -> Result<HeaderMap, HostError> {
        self.headers(MapType::HttpRequestHeaders, memory, "request_headers")
    }

    fn edit_request_headers(&self, edits: &HeaderEdits<'_>) -> Result<(), HostError> {
        let map = MapType::HttpRequestHeaders;
        self.on_stream("edit_request_headers", || {
            edits.removed().try_for_each(|name| abi::remove_header(map, name))?;
            edits.set_headers().try_for_each(|(name, value)| abi::set_header(map, name, value))
        })
    }

    fn set_note(&self, note: Note, value: &[u8]) -> Result<(), HostError> {
        self.on_stream("set_note", || abi::set_property(note.name(), value))
    }

    fn resume_request(&self) -> Result<(), HostError> {
        self.on_stream("resume_request", || abi::resume(StreamType::HttpRequest))
    }

    fn reply(&self, reply: &Reply) -> Result<(), HostError> {
        let headers: Vec<_> =
            reply.headers.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect();
        // Without details the proxy leaves the body as it is.
        self.on_stream("reply", || abi::reply(reply.status, "", &to_block(&headers), &reply.body))
    }

    fn request_body(&self, length: usize) -> Result<Vec<u8>, HostError> {
        self.on_stream("request_body", || {
            abi::buffer(BufferType::HttpRequestBody, length, Vec::new())
        })
    }

    fn response_headers(&self) -> Result<HeaderMap, HostError> {
        self.headers(MapType::HttpResponseHeaders, Vec::new(), "response_headers")
    }

    fn look_at_response_headers<T>(
        &self,
        look: impl FnOnce(&HeaderMap) -> T,
    ) -> Result<T, HostError> {
        let map = MapType::HttpResponseHeaders;
        let headers = self.headers(map, self.spare.take(), "look_at_response_headers")?;
        let seen = look(&headers);
        self.keep_spare(headers.into_block());
        Ok(seen)
    }

    fn set_response_headers(&self, headers: &HeaderMap) -> Result<(), HostError> {
        self.set_headers(MapType::HttpResponseHeaders, headers, "set_response_headers")
    }

    fn response_body(&self, length: usize) -> Result<Vec<u8>, HostError> {
        self.on_stream("response_body", || {
            abi::buffer(BufferType::HttpResponseBody, length, Vec::new())
        })
    }

    fn look_at_response_body<T>(
        &self,
        length: usize,
        look: impl FnOnce(&[u8]) -> T,
    ) -> Result<T, HostError> {
        let body = self.on_stream("look_at_response_body", || {
            abi::buffer(BufferType::HttpResponseBody, length, self.spare.take())
        })?;
        let seen = look(&body);
        self.keep_spare(body);
        Ok(seen)
    }

    fn replace_response_body(&self, length: usize, body: &[u8]) -> Result<(), HostError> {
        self.on_stream("replace_response_body", || {
            abi::replace_buffer(BufferType::HttpResponseBody, length, body)
        })
    }

    fn resume_response(&self) -> Result<(), HostError> {
        self.on_stream("resume_response", || abi::resume(StreamType::HttpResponse))
    }

    fn drop_request_trailers(&self) -> Result<(), HostError> {
        self.set_headers(
            MapType::HttpRequestTrailers,
            &HeaderMap::default(),
            "drop_request_trailers",
        )
    }

    fn drop_response_trailers(&self) -> Result<(), HostError> {
        self.set_headers(
            MapType::HttpResponseTrailers,
            &HeaderMap::default(),
            "drop_response_trailers",
        )
    }

    fn dispatch(&self, callout: &Callout<'_>) -> Result<CalloutId, HostError> {
        let headers = to_block(&callout.headers);
        self.as_root(|| abi::http_call(callout.cluster, &headers, callout.body, callout.timeout))
            .map(CalloutId)
            .map_err(refused("dispatch"))
    }

    fn callout_headers(&self) -> Result<HeaderMap, HostError> {
        // The answer belongs to the root context, also when a stream has been entered meanwhile.
        self.as_root(|| abi::header_block(MapType::HttpCallResponseHeaders, Vec::new()))
            .ok()
            .and_then(header_map)
            .ok_or(HostError { call: "callout_headers" })
    }

    fn callout_body(&self, length: usize) -> Result<Vec<u8>, HostError> {
        self.as_root(|| abi::buffer(BufferType::HttpCallResponseBody, length, Vec::new()))
            .map_err(refused("callout_body"))
    }

    fn count(&self, counter: Counter, by: u64) {
        if let Some(id) = self.metrics.counters.get(counter.index()) {
            unmeasured(abi::increment_metric(*id, i64::try_from(by).unwrap_or(i64::MAX)));
        }
    }

    fn move_gauge(&self, gauge: Gauge, by: i64) {
        let ids = &self.metrics.gauges;
        if let Some((id, share)) = ids.get(gauge.index()).zip(self.shares.get(gauge.index()))
            && abi::increment_metric(*id, by).is_ok()
        {
            share.set(share.get().saturating_add(by));
        }
    }

    fn observe(&self, histogram: Histogram, value: u64) {
        if let Some(id) = self.metrics.histograms.get(histogram.index()) {
            unmeasured(abi::record_metric(*id, value));
        }
    }
}

/// A block as a map with at least one header.
fn header_map(block: Vec<u8>) -> Option<HeaderMap> {
    HeaderMap::from_block(block).ok().filter(|map| !map.is_empty())
}

/// What cannot be measured is no reason to fail a request.
fn unmeasured(_result: Result<(), Refused>) {}

fn refused(call: &'static str) -> impl Fn(Refused) -> HostError {
    move |_| HostError { call }
}
