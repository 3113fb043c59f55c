//! One HTTP stream: each callback of the proxy is handed to the logic, and its answer handed back.

use ib_gateway_logic::{AnswerSize, Flow, Stream};
use proxy_wasm::{
    traits::{Context, HttpContext},
    types::Action,
};

use crate::wasm_host::WasmHost;

/// The context of one HTTP stream. Dropping it gives back whatever the stream held.
pub(crate) struct HttpStream {
    stream: Stream,
    host: WasmHost,
}

impl HttpStream {
    pub(crate) fn new(stream: Stream, host: WasmHost) -> Self {
        Self { stream, host }
    }
}

impl Context for HttpStream {
    fn on_http_call_response(
        &mut self,
        _token_id: u32,
        headers: usize,
        body: usize,
        _trailers: usize,
    ) {
        self.stream.on_callout_answer(&self.host, AnswerSize { headers, body });
    }
}

// Bodies are none of the filter's business: a paused stream holds them back by the proxy's own
// flow control, since the plugin does not set `allow_on_headers_stop_iteration`.
impl HttpContext for HttpStream {
    fn on_http_request_headers(&mut self, _headers: usize, _end_of_stream: bool) -> Action {
        action(self.stream.on_request_headers(&self.host))
    }

    fn on_http_request_trailers(&mut self, _trailers: usize) -> Action {
        action(self.stream.on_request_trailers(&self.host))
    }

    fn on_http_response_headers(&mut self, _headers: usize, _end_of_stream: bool) -> Action {
        action(self.stream.on_response_headers(&self.host))
    }

    fn on_http_response_trailers(&mut self, _trailers: usize) -> Action {
        action(self.stream.on_response_trailers(&self.host))
    }
}

fn action(flow: Flow) -> Action {
    match flow {
        Flow::Continue => Action::Continue,
        Flow::Pause => Action::Pause,
    }
}
