//! Crashes the VM when a request asks for it, so that a test can show that the proxy recovers. Not in
//! the plugin that `make plugin` builds.

use std::cell::Cell;

use ib_gateway_logic::{HeadersFlow, Host};

use crate::wasm_host::WasmHost;

/// `headers`: crash in this callback. `waiting`: while the request waits, before anything resumes it.
const HEADER: &[u8] = b"x-ib-gateway-crash";

thread_local! {
    /// A request that asked for it waits.
    static WAITS: Cell<bool> = const { Cell::new(false) };
}

pub(crate) fn on_request_headers(host: &WasmHost, flow: &HeadersFlow) {
    let Ok(headers) = host.request_headers(Vec::new()) else { return };
    let Some((_, when)) = headers.iter().find(|(name, _)| *name == HEADER) else { return };
    match when {
        b"headers" => crash(),
        b"waiting" => WAITS.set(matches!(flow, HeadersFlow::Pause)),
        _ => {}
    }
}

/// The root context's callbacks begin, by which whatever waits would be resumed.
pub(crate) fn on_root_callback() {
    if WAITS.get() {
        crash();
    }
}

#[allow(clippy::panic, reason = "this is what the feature is for")]
fn crash() -> ! {
    panic!("a request asked for this crash");
}
