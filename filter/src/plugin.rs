//! One VM: its start, its configurations, and which gateway each callback goes to.
//!
//! A callback whose gateway is not there fails closed. The proxy never makes one: it serves nothing by
//! a configuration that was refused, and keeps a configuration for as long as it has streams.

use std::{cell::RefCell, panic::PanicHookInfo, rc::Rc};

use ib_gateway_logic::{
    AnswerSize, BodyFlow, CalloutId, Gateway, HeadersFlow, Host, HostError, StreamId, TICK,
    TrailersFlow,
};
use proxy_wasm::{hostcalls, types::LogLevel};

use crate::{
    contexts::{ContextId, Contexts},
    wasm_host::{WasmHost, plugin_configuration, refuse_stream},
};

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Info);
    // The SDK's own hook would log the panic's message, which may quote what a client sent.
    std::panic::set_hook(Box::new(log_panic));
}}

/// What serves the streams of one configuration.
struct Served {
    gateway: Gateway,
    host: WasmHost,
}

thread_local! {
    /// A VM has one thread. The borrow ends before anything that could come back here.
    static CONTEXTS: RefCell<Contexts<Rc<Served>>> = const { RefCell::new(Contexts::new()) };
}

pub(crate) fn on_vm_start() -> bool {
    log::info!("ib-gateway filter {} started", env!("CARGO_PKG_VERSION"));
    true
}

pub(crate) fn on_context_create(context: ContextId, root: ContextId) {
    CONTEXTS.with_borrow_mut(|contexts| match root {
        0 => contexts.add_root(context),
        _ => contexts.add_stream(context, root),
    });
}

pub(crate) fn on_configure(root: ContextId, configuration_size: usize) -> bool {
    match configured(root, configuration_size) {
        Ok(served) => {
            CONTEXTS.with_borrow_mut(|contexts| contexts.configure(root, Rc::new(served)));
            true
        }
        Err(reason) => {
            log::error!("ib-gateway filter: configuration refused: {reason}");
            false
        }
    }
}

fn configured(root: ContextId, configuration_size: usize) -> Result<Served, String> {
    let as_text = |error: HostError| error.to_string();
    let json = plugin_configuration(configuration_size).map_err(as_text)?;
    let host = WasmHost::new(root).map_err(as_text)?;
    let gateway =
        Gateway::from_configuration(&json, host.now()).map_err(|error| error.to_string())?;
    hostcalls::set_tick_period(TICK)
        .map_err(|_| HostError { call: "set_tick_period" }.to_string())?;
    Ok(Served { gateway, host })
}

pub(crate) fn on_tick(root: ContextId) {
    for_root(root, |Served { gateway, host }| gateway.on_tick(host));
}

pub(crate) fn on_callout_answer(root: ContextId, token: u32, headers: usize, body: usize) {
    for_root(root, |Served { gateway, host }| {
        gateway.on_callout_answer(host, CalloutId(token), AnswerSize { headers, body });
    });
}

pub(crate) fn on_request_headers(stream: ContextId, end_of_stream: bool) -> u32 {
    headers_status(for_stream(
        stream,
        |Served { gateway, host }| {
            let flow = gateway.on_request_headers(host, StreamId(stream), end_of_stream);
            #[cfg(feature = "crash-on-demand")]
            crate::crash::on_request_headers(host, &flow);
            flow
        },
        || {
            refuse_stream();
            HeadersFlow::Pause
        },
    ))
}

pub(crate) fn on_request_body(stream: ContextId, length: usize, end_of_stream: bool) -> u32 {
    body_status(for_stream(
        stream,
        |Served { gateway, host }| {
            gateway.on_request_body(host, StreamId(stream), length, end_of_stream)
        },
        || BodyFlow::Buffer,
    ))
}

pub(crate) fn on_request_trailers(stream: ContextId) -> u32 {
    trailers_status(for_stream(
        stream,
        |Served { gateway, host }| gateway.on_request_trailers(host, StreamId(stream)),
        || TrailersFlow::Pause,
    ))
}

pub(crate) fn on_response_headers(stream: ContextId, end_of_stream: bool) -> u32 {
    headers_status(for_stream(
        stream,
        |Served { gateway, host }| {
            gateway.on_response_headers(host, StreamId(stream), end_of_stream)
        },
        || {
            refuse_stream();
            HeadersFlow::Pause
        },
    ))
}

pub(crate) fn on_response_body(stream: ContextId, length: usize, end_of_stream: bool) -> u32 {
    body_status(for_stream(
        stream,
        |Served { gateway, host }| {
            gateway.on_response_body(host, StreamId(stream), length, end_of_stream)
        },
        || BodyFlow::Buffer,
    ))
}

pub(crate) fn on_response_trailers(stream: ContextId) -> u32 {
    trailers_status(for_stream(
        stream,
        |Served { gateway, host }| gateway.on_response_trailers(host, StreamId(stream)),
        || TrailersFlow::Pause,
    ))
}

pub(crate) fn on_delete(context: ContextId) {
    // What is given back is dropped when the borrow has ended.
    let root = CONTEXTS.with_borrow_mut(|contexts| contexts.remove_root(context));
    if let Some(served) = root {
        if let Some(served) = served {
            served.host.root_ended();
        }
        return;
    }
    let served = CONTEXTS.with_borrow_mut(|contexts| {
        let served = contexts.of_stream(context).map(Rc::clone);
        contexts.remove_stream(context);
        served
    });
    if let Some(served) = served {
        served.host.stream_ended(context);
        served.gateway.on_stream_end(StreamId(context));
    }
}

fn for_root(root: ContextId, act: impl FnOnce(&Served)) {
    #[cfg(feature = "crash-on-demand")]
    crate::crash::on_root_callback();
    let served = CONTEXTS.with_borrow(|contexts| contexts.of_root(root).map(Rc::clone));
    if let Some(served) = served {
        served.host.in_no_stream();
        act(&served);
    }
}

fn for_stream<T>(
    stream: ContextId,
    act: impl FnOnce(&Served) -> T,
    unserved: impl FnOnce() -> T,
) -> T {
    let served = CONTEXTS.with_borrow(|contexts| contexts.of_stream(stream).map(Rc::clone));
    match served {
        Some(served) => {
            served.host.in_stream(stream);
            act(&served)
        }
        None => unserved(),
    }
}

// The numbers are Envoy's own: the host of the ABI passes them on, more than the SDK has names for.

fn headers_status(flow: HeadersFlow) -> u32 {
    match flow {
        HeadersFlow::Continue => 0,
        // StopIteration: the body's callbacks come. By `allow_on_headers_stop_iteration` only.
        HeadersFlow::Hold => 1,
        // StopAllIterationAndWatermark: everything waits, by flow control.
        HeadersFlow::Pause => 4,
    }
}

fn body_status(flow: BodyFlow) -> u32 {
    match flow {
        BodyFlow::Continue => 0,
        // StopIterationAndBuffer. (Of what StopIterationAndWatermark holds, Envoy gives nothing back.)
        BodyFlow::Buffer => 1,
    }
}

fn trailers_status(flow: TrailersFlow) -> u32 {
    match flow {
        TrailersFlow::Continue => 0,
        // StopIteration.
        TrailersFlow::Pause => 1,
    }
}

/// Logs where a panic happened, and nothing of what it says.
fn log_panic(panic: &PanicHookInfo<'_>) {
    match panic.location() {
        Some(location) => log::error!("ib-gateway filter: panic at {location}"),
        None => log::error!("ib-gateway filter: panic"),
    }
}
