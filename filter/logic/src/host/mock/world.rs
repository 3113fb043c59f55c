//! The world around one gateway: clients that send, upstreams and a token service that answer.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
};

use serde_json::{Value, json};

use super::{
    get_request, map, policy_with,
    stream::{MockStream, RequestPhase, ResponsePhase},
};
use crate::{
    AnswerSize, BodyFlow, CalloutId, Gateway, HeaderMap, HeadersFlow, Histogram, StreamId,
    Timestamp, TrailersFlow,
    policy::{BodyMode, Policy, RevocationFeed, TokenFormat},
};

/// Headers and body of a callout's answer.
type Answer = (Vec<(String, String)>, Vec<u8>);

/// Which callback of the gateway is running.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Callback {
    None,
    RequestHeaders,
    RequestBody,
    RequestTrailers,
    ResponseHeaders,
    ResponseBody,
    ResponseTrailers,
    Answer,
    Tick,
    /// None: the logic looks at what the host has lent it.
    Look,
}

/// A callout as it was sent.
#[derive(Debug, Clone)]
pub(crate) struct SentCallout {
    pub(crate) id: CalloutId,
    pub(crate) cluster: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) path: String,
    pub(crate) body: String,
    pub(crate) timeout_milliseconds: u128,
    pub(crate) is_under_way: bool,
}

impl SentCallout {
    /// What is asked about, where it may be asked about only once at a time: a token or a session.
    pub(super) fn subject(&self) -> Option<String> {
        match self.path.split('?').next() {
            Some("/introspect") => Some(self.body.clone()),
            Some("/sessions/renew") => self.field("session").map(str::to_owned),
            Some("/revocations") => Some(String::new()),
            _ => None,
        }
    }

    /// A field of the form that was sent.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let mut fields = self.body.split('&').filter_map(|field| field.split_once('='));
        fields.find(|(other, _)| *other == name).map(|(_, value)| value)
    }

    /// A header of the callout.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(other, _)| other == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// The world.
pub(crate) struct World {
    pub(crate) gateway: Gateway,
    /// The name of a call that fails.
    pub(crate) failing: Cell<&'static str>,
    pub(super) milliseconds: Cell<u64>,
    pub(super) callback: Cell<Callback>,
    pub(super) current: Cell<Option<StreamId>>,
    pub(super) streams: RefCell<BTreeMap<StreamId, MockStream>>,
    pub(super) callouts: RefCell<Vec<SentCallout>>,
    /// The answer that is being handed over.
    pub(super) answer: RefCell<Option<Answer>>,
    pub(super) counted: RefCell<BTreeMap<&'static str, u64>>,
    pub(super) gauges: RefCell<BTreeMap<&'static str, i64>>,
    pub(super) observed: RefCell<Vec<(Histogram, u64)>>,
}

impl World {
    /// A gateway without a revocation feed, which searches bodies.
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    /// The same, with some of its policy changed.
    pub(crate) fn with(change: impl FnOnce(&mut Policy)) -> Self {
        let mut policy = policy_with(json!({}));
        policy.token_format = TokenFormat::Opaque;
        policy.revocations = None;
        policy.bodies = BodyMode::Redact;
        (policy.cache.maximum_seconds, policy.cache.refused_seconds) = (60, 5);
        policy.replay.maximum_in_progress = 16;
        policy.replay.maximum_request_bytes = 64;
        policy.replay.maximum_response_bytes = 1 << 16;
        change(&mut policy);
        // The clock stands a while after its beginning.
        let milliseconds = 1_000_000;
        Self {
            gateway: Gateway::new(policy, Timestamp::from_milliseconds(milliseconds)),
            failing: Cell::new(""),
            milliseconds: Cell::new(milliseconds),
            callback: Cell::new(Callback::None),
            current: Cell::new(None),
            streams: RefCell::default(),
            callouts: RefCell::default(),
            answer: RefCell::default(),
            counted: RefCell::default(),
            gauges: RefCell::default(),
            observed: RefCell::default(),
        }
    }

    /// A gateway with a revocation feed that has not answered yet: waits of 25 s, stale after 60 s.
    pub(crate) fn with_feed() -> Self {
        Self::with_feed_and(|_| {})
    }

    /// The same, with some of its policy changed.
    pub(crate) fn with_feed_and(change: impl FnOnce(&mut Policy)) -> Self {
        Self::with(|policy| {
            policy.revocations =
                Some(RevocationFeed { maximum_stale_milliseconds: 60_000, wait_seconds: 25 });
            change(policy);
        })
    }

    /// A gateway that has seen the token of a name answered.
    pub(crate) fn knowing(name: &str, answer: &Value) -> Self {
        let world = Self::new();
        world.learn(name, answer);
        world
    }

    /// Lets the token of a name be answered. The stream that asked ends.
    pub(crate) fn learn(&self, name: &str, answer: &Value) {
        let stream = self.get(name);
        self.answer(self.last_callout().id, answer);
        self.end(stream);
    }

    /// Lets time pass.
    pub(crate) fn pass_milliseconds(&self, milliseconds: u64) {
        self.milliseconds.set(self.milliseconds.get() + milliseconds);
    }

    /// Lets time pass.
    pub(crate) fn pass(&self, seconds: u64) {
        self.pass_milliseconds(seconds * 1000);
    }

    fn during<T>(
        &self,
        callback: Callback,
        stream: Option<StreamId>,
        act: impl FnOnce(&Gateway) -> T,
    ) -> T {
        self.callback.set(callback);
        self.current.set(stream);
        let result = act(&self.gateway);
        self.callback.set(Callback::None);
        self.current.set(None);
        result
    }

    pub(super) fn edit<T>(&self, stream: StreamId, act: impl FnOnce(&mut MockStream) -> T) -> T {
        act(self.streams.borrow_mut().get_mut(&stream).expect("a stream of this world"))
    }

    /// A client sends a GET request for the session's host, with the token of a name.
    pub(crate) fn get(&self, name: &str) -> StreamId {
        self.open(get_request(super::PATH, name), true)
    }

    /// A client sends the headers of a request. `is_last`: no body follows.
    pub(crate) fn open(&self, headers: HeaderMap, is_last: bool) -> StreamId {
        let last = self.streams.borrow().last_key_value().map_or(0, |(id, _)| id.0);
        let id = StreamId(last + 1);
        self.streams.borrow_mut().insert(id, MockStream::new(headers));
        let flow = self.during(Callback::RequestHeaders, Some(id), |gateway| {
            gateway.on_request_headers(self, id, is_last)
        });
        self.edit(id, |stream| match flow {
            HeadersFlow::Continue => {
                assert!(stream.reply.is_none(), "goes on after a reply");
                stream.request_phase = RequestPhase::Gone;
            }
            HeadersFlow::Pause => stream.request_phase = RequestPhase::Paused,
            HeadersFlow::Hold => panic!("a request is not held for its body"),
        });
        id
    }

    /// A piece of the request's body comes.
    pub(crate) fn send_body(&self, id: StreamId, piece: &[u8], is_last: bool) {
        self.edit(id, |stream| stream.request_piece = piece.to_vec());
        let flow = self.during(Callback::RequestBody, Some(id), |gateway| {
            gateway.on_request_body(self, id, piece.len(), is_last)
        });
        assert_eq!(flow, BodyFlow::Continue, "the body of a request is not held back");
    }

    /// The request ends with trailers.
    pub(crate) fn send_trailers(&self, id: StreamId) -> TrailersFlow {
        self.during(Callback::RequestTrailers, Some(id), |gateway| {
            gateway.on_request_trailers(self, id)
        })
    }

    /// The upstream, or the proxy in its place, answers with headers.
    pub(crate) fn respond(
        &self,
        id: StreamId,
        headers: &[(&str, &[u8])],
        is_last: bool,
    ) -> HeadersFlow {
        self.edit(id, |stream| {
            stream.response = map(headers);
            stream.response_phase = ResponsePhase::Headers;
        });
        let flow = self.during(Callback::ResponseHeaders, Some(id), |gateway| {
            gateway.on_response_headers(self, id, is_last)
        });
        self.edit(id, |stream| match flow {
            HeadersFlow::Continue => {
                assert!(stream.reply.is_none(), "goes on after a reply");
                stream.release_response();
            }
            HeadersFlow::Hold | HeadersFlow::Pause => stream.response_phase = ResponsePhase::Held,
        });
        flow
    }

    /// A piece of the response's body comes.
    pub(crate) fn respond_body(&self, id: StreamId, piece: &[u8], is_last: bool) -> BodyFlow {
        let length = self.edit(id, |stream| {
            stream.held_body.extend_from_slice(piece);
            stream.held_body.len()
        });
        let flow = self.during(Callback::ResponseBody, Some(id), |gateway| {
            gateway.on_response_body(self, id, length, is_last)
        });
        self.release_if(id, flow == BodyFlow::Continue);
        flow
    }

    /// The response ends with trailers.
    pub(crate) fn respond_trailers(&self, id: StreamId) -> TrailersFlow {
        let flow = self.during(Callback::ResponseTrailers, Some(id), |gateway| {
            gateway.on_response_trailers(self, id)
        });
        self.release_if(id, flow == TrailersFlow::Continue);
        flow
    }

    fn release_if(&self, id: StreamId, goes_on: bool) {
        self.edit(id, |stream| {
            if goes_on {
                assert!(stream.reply.is_none() && !stream.is_cut_off, "goes on after a reply");
                stream.release_response();
            }
        });
    }

    /// An upstream answers as a whole.
    pub(crate) fn respond_whole(&self, id: StreamId, status: &str, body: &[u8]) {
        let json = ("content-type", b"application/json".as_slice());
        let flow = self.respond(id, &[(":status", status.as_bytes()), json], body.is_empty());
        if flow != HeadersFlow::Pause && !body.is_empty() {
            let _flow = self.respond_body(id, body, true);
        }
    }

    /// The stream ends, whichever way.
    pub(crate) fn end(&self, id: StreamId) {
        self.edit(id, |stream| stream.has_ended = true);
        self.gateway.on_stream_end(id);
    }

    /// The stream ends, and the world forgets it too.
    pub(crate) fn forget(&self, id: StreamId) {
        self.end(id);
        self.streams.borrow_mut().remove(&id);
    }

    /// A callout is answered with 200 and JSON.
    pub(crate) fn answer(&self, id: CalloutId, body: &Value) {
        self.answer_with(id, &[(":status", "200")], body.to_string().as_bytes());
    }

    /// A callout is answered.
    pub(crate) fn answer_with(&self, id: CalloutId, headers: &[(&str, &str)], body: &[u8]) {
        let size = AnswerSize { headers: headers.len(), body: body.len() };
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let headers = headers.iter().map(owned).collect();
        self.hand_over(id, Some((headers, body.to_vec())), size);
    }

    /// A callout ends without an answer: a timeout, or a reset.
    pub(crate) fn no_answer(&self, id: CalloutId) {
        self.hand_over(id, None, AnswerSize { headers: 0, body: 0 });
    }

    fn hand_over(&self, id: CalloutId, answer: Option<Answer>, size: AnswerSize) {
        self.answer.replace(answer);
        for callout in self.callouts.borrow_mut().iter_mut().filter(|callout| callout.id == id) {
            assert!(std::mem::take(&mut callout.is_under_way), "answered twice");
        }
        self.during(Callback::Answer, None, |gateway| gateway.on_callout_answer(self, id, size));
        self.answer.take();
    }

    /// The feed's poll that is under way answers.
    pub(crate) fn feed_says(&self, answer: &Value) {
        self.answer(self.poll().expect("a poll").id, answer);
    }

    /// Does something as if the host's timer had gone off.
    pub(crate) fn in_tick<T>(&self, act: impl FnOnce(&Self) -> T) -> T {
        self.during(Callback::Tick, None, |_| act(self))
    }

    /// Does something as if a callout's answer were handed over.
    pub(crate) fn in_answer<T>(
        &self,
        status: &str,
        body: &[u8],
        act: impl FnOnce(&Self, AnswerSize) -> T,
    ) -> T {
        let headers = vec![(":status".to_owned(), status.to_owned())];
        self.answer.replace(Some((headers, body.to_vec())));
        let size = AnswerSize { headers: 1, body: body.len() };
        self.during(Callback::Answer, None, |_| act(self, size))
    }

    /// The host's timer goes off.
    pub(crate) fn tick(&self) {
        self.during(Callback::Tick, None, |gateway| gateway.on_tick(self));
    }
}
