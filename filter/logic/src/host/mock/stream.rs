//! One stream as the proxy has it: what the client sent, what went upstream, what came back, and which
//! phase each direction is in.

use serde_json::Value;

use super::values;
use crate::{HeaderMap, Note, Reply};

/// How far the request is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RequestPhase {
    /// In the callback of its headers.
    Headers,
    /// Waits to be resumed.
    Paused,
    /// On its way upstream, or to wherever the route leads.
    Gone,
}

/// How far the response is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ResponsePhase {
    /// There is none yet.
    None,
    /// In the callback of its headers.
    Headers,
    /// Its headers, and the body so far, wait.
    Held,
    /// Its headers have gone to the client.
    Gone,
}

/// What a client got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ClientAnswer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

/// One stream.
pub(super) struct MockStream {
    pub(super) received: HeaderMap,
    pub(super) request: HeaderMap,
    pub(super) request_phase: RequestPhase,
    pub(super) request_piece: Vec<u8>,
    pub(super) is_request_rewritten: bool,
    pub(super) are_request_trailers_dropped: bool,
    pub(super) notes: Vec<(Note, String)>,
    pub(super) response: HeaderMap,
    pub(super) response_phase: ResponsePhase,
    pub(super) is_response_rewritten: bool,
    /// What has arrived of the response's body and was not let go.
    pub(super) held_body: Vec<u8>,
    pub(super) client_body: Vec<u8>,
    pub(super) are_response_trailers_dropped: bool,
    pub(super) reply: Option<Reply>,
    /// Ended in the middle of its answer.
    pub(super) is_cut_off: bool,
    pub(super) has_ended: bool,
}

impl MockStream {
    pub(super) fn new(received: HeaderMap) -> Self {
        Self {
            request: received.clone(),
            received,
            request_phase: RequestPhase::Headers,
            request_piece: Vec::new(),
            is_request_rewritten: false,
            are_request_trailers_dropped: false,
            notes: Vec::new(),
            response: HeaderMap::default(),
            response_phase: ResponsePhase::None,
            is_response_rewritten: false,
            held_body: Vec::new(),
            client_body: Vec::new(),
            are_response_trailers_dropped: false,
            reply: None,
            is_cut_off: false,
            has_ended: false,
        }
    }

    /// Whether the proxy's gate lets the request pass to an upstream.
    pub(super) fn is_approved(&self) -> bool {
        let is_marked = |name| !values(&self.request, name).is_empty();
        self.is_request_rewritten && (is_marked("sid") || is_marked("x-ib-gateway"))
    }

    /// Lets go what is held.
    pub(super) fn release_response(&mut self) {
        self.response_phase = ResponsePhase::Gone;
        let held = std::mem::take(&mut self.held_body);
        self.client_body.extend(held);
    }

    pub(super) fn client_answer(&self) -> Option<ClientAnswer> {
        if let Some(Reply { status, headers, body }) = &self.reply {
            let headers = headers.iter().map(|(name, value)| (name.to_string(), value.clone()));
            let (headers, body) = (headers.collect(), body.clone());
            return Some(ClientAnswer { status: *status, headers, body });
        }
        (self.response_phase == ResponsePhase::Gone).then(|| ClientAnswer {
            status: values(&self.response, ":status")[0].parse().unwrap(),
            headers: super::text(&self.response),
            body: self.client_body.clone(),
        })
    }
}

impl ClientAnswer {
    /// The first value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(other, _)| other == name);
        found.map(|(_, value)| value.as_str())
    }

    /// The body, read as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The error's description.
    pub(crate) fn description(&self) -> String {
        self.json()["error_description"].as_str().unwrap().to_owned()
    }
}
