//! What the host does when it is called, and when it may be: a call outside its phase fails the test.

use super::{
    SentCallout, World, map,
    stream::{MockStream, RequestPhase, ResponsePhase},
    text, values,
    world::Callback,
};
use crate::{
    Callout, CalloutId, Counter, Gauge, HeaderEdits, HeaderMap, Histogram, Host, HostError, Note,
    Reply, StreamId, Timestamp,
};

impl World {
    fn fail_if_told(&self, call: &'static str) -> Result<(), HostError> {
        assert_ne!(self.callback.get(), Callback::Look, "{call} while something is looked at");
        if self.failing.get() == call { Err(HostError { call }) } else { Ok(()) }
    }

    /// Lets the logic look at something that the host lends it: a call meanwhile fails the test.
    fn without_calls<T>(&self, look: impl FnOnce() -> T) -> T {
        let (current, callback) = (self.current.take(), self.callback.replace(Callback::Look));
        let seen = look();
        self.current.set(current);
        self.callback.set(callback);
        seen
    }

    /// The current stream, for a call about it.
    fn current<T>(&self, call: &str, act: impl FnOnce(&mut MockStream) -> T) -> T {
        let current = self.current.get();
        let current = current.unwrap_or_else(|| panic!("{call} without a current stream"));
        let mut streams = self.streams.borrow_mut();
        let stream = streams.get_mut(&current).expect("a stream of this world");
        assert!(!stream.has_ended, "{call} in the name of a stream that has ended");
        act(stream)
    }
}

fn may_touch_request(stream: &MockStream) -> bool {
    matches!(stream.request_phase, RequestPhase::Headers | RequestPhase::Paused)
        && stream.response_phase == ResponsePhase::None
        && stream.reply.is_none()
}

fn may_touch_response(stream: &MockStream) -> bool {
    matches!(stream.response_phase, ResponsePhase::Headers | ResponsePhase::Held)
        && stream.reply.is_none()
}

/// The map as the proxy reads it, from its block.
fn reread(headers: &HeaderMap) -> HeaderMap {
    HeaderMap::from_block(headers.as_block().to_vec()).unwrap()
}

/// What the proxy does: it removes what is named, then replaces the first of a name, or adds.
fn edited(before: &HeaderMap, edits: &HeaderEdits<'_>) -> HeaderMap {
    let mut headers: Vec<(&[u8], &[u8])> = before.iter().collect();
    for name in edits.removed() {
        headers.retain(|(other, _)| *other != name);
    }
    for (name, value) in edits.set_headers() {
        match headers.iter_mut().find(|(other, _)| *other == name) {
            Some((_, old)) => *old = value,
            None => headers.push((name, value)),
        }
    }
    HeaderMap::from_pairs(&headers)
}

impl Host for World {
    fn now(&self) -> Timestamp {
        assert_ne!(self.callback.get(), Callback::Look, "the time while something is looked at");
        Timestamp::from_milliseconds(self.milliseconds.get())
    }

    fn enter(&self, stream: StreamId) -> Result<(), HostError> {
        let callback = self.callback.get();
        assert!(matches!(callback, Callback::Answer | Callback::Tick), "entered in {callback:?}");
        let has_ended = self.streams.borrow()[&stream].has_ended;
        assert!(!has_ended, "entered a stream that has ended");
        self.fail_if_told("enter")?;
        // From here on the answer that was handed over cannot be read any more.
        self.answer.take();
        self.current.set(Some(stream));
        Ok(())
    }

    fn request_headers(&self, mut memory: Vec<u8>) -> Result<HeaderMap, HostError> {
        self.fail_if_told("request_headers")?;
        memory.clear();
        self.current("request_headers", |stream| {
            assert!(may_touch_request(stream), "request_headers outside its phase");
            memory.extend_from_slice(stream.request.as_block());
        });
        Ok(HeaderMap::from_block(memory).unwrap())
    }

    fn edit_request_headers(&self, edits: &HeaderEdits<'_>) -> Result<(), HostError> {
        self.fail_if_told("edit_request_headers")?;
        self.current("edit_request_headers", |stream| {
            assert!(may_touch_request(stream), "edit_request_headers outside its phase");
            assert!(!stream.is_request_rewritten, "the request was rewritten twice");
            stream.is_request_rewritten = true;
            stream.request = edited(&stream.request, edits);
        });
        Ok(())
    }

    fn set_note(&self, note: Note, value: &[u8]) -> Result<(), HostError> {
        self.fail_if_told("set_note")?;
        let value = String::from_utf8(value.to_vec()).expect("a note is text");
        self.current("set_note", |stream| stream.notes.push((note, value)));
        Ok(())
    }

    fn resume_request(&self) -> Result<(), HostError> {
        self.fail_if_told("resume_request")?;
        self.current("resume_request", |stream| {
            assert_eq!(stream.request_phase, RequestPhase::Paused, "resumed and not paused");
            assert!(may_touch_request(stream), "resumed after an answer");
            assert!(stream.is_request_rewritten && stream.is_approved(), "resumed unapproved");
            stream.request_phase = RequestPhase::Gone;
        });
        Ok(())
    }

    fn reply(&self, reply: &Reply) -> Result<(), HostError> {
        self.fail_if_told("reply")?;
        self.current("reply", |stream| {
            assert!(stream.reply.is_none(), "replied twice");
            assert!(!stream.is_cut_off, "replied after the stream was cut off");
            if stream.response_phase == ResponsePhase::Gone {
                stream.is_cut_off = true;
                return;
            }
            assert!(may_touch_request(stream) || may_touch_response(stream), "replied too late");
            stream.reply = Some(reply.clone());
        });
        Ok(())
    }

    fn request_body(&self, length: usize) -> Result<Vec<u8>, HostError> {
        assert_eq!(self.callback.get(), Callback::RequestBody, "request_body outside its phase");
        self.fail_if_told("request_body")?;
        Ok(self.current("request_body", |stream| stream.request_piece[..length].to_vec()))
    }

    fn response_headers(&self) -> Result<HeaderMap, HostError> {
        self.fail_if_told("response_headers")?;
        Ok(self.current("response_headers", |stream| {
            assert!(may_touch_response(stream), "response_headers outside its phase");
            stream.response.clone()
        }))
    }

    fn look_at_response_headers<T>(
        &self,
        look: impl FnOnce(&HeaderMap) -> T,
    ) -> Result<T, HostError> {
        self.response_headers().map(|headers| self.without_calls(|| look(&headers)))
    }

    fn set_response_headers(&self, headers: &HeaderMap) -> Result<(), HostError> {
        self.fail_if_told("set_response_headers")?;
        self.current("set_response_headers", |stream| {
            assert!(may_touch_response(stream), "set_response_headers outside its phase");
            assert!(!stream.is_response_rewritten, "the response was rewritten twice");
            stream.is_response_rewritten = true;
            stream.response = reread(headers);
        });
        Ok(())
    }

    fn response_body(&self, length: usize) -> Result<Vec<u8>, HostError> {
        self.fail_if_told("response_body")?;
        let is_in_body = self.callback.get() == Callback::ResponseBody;
        Ok(self.current("response_body", |stream| {
            assert!(is_in_body || may_touch_response(stream), "response_body outside its phase");
            stream.held_body[..length].to_vec()
        }))
    }

    fn look_at_response_body<T>(
        &self,
        length: usize,
        look: impl FnOnce(&[u8]) -> T,
    ) -> Result<T, HostError> {
        self.response_body(length).map(|body| self.without_calls(|| look(&body)))
    }

    fn replace_response_body(&self, length: usize, body: &[u8]) -> Result<(), HostError> {
        self.fail_if_told("replace_response_body")?;
        let is_in_body = self.callback.get() == Callback::ResponseBody;
        self.current("replace_response_body", |stream| {
            assert!(is_in_body || may_touch_response(stream), "body replaced outside its phase");
            assert_eq!(
                length,
                stream.held_body.len(),
                "all of the body, or what stays is not seen"
            );
            stream.held_body = body.to_vec();
        });
        Ok(())
    }

    fn resume_response(&self) -> Result<(), HostError> {
        self.fail_if_told("resume_response")?;
        self.current("resume_response", |stream| {
            assert_eq!(stream.response_phase, ResponsePhase::Held, "resumed and not held");
            assert!(stream.reply.is_none(), "resumed after a reply");
            stream.release_response();
        });
        Ok(())
    }

    fn drop_request_trailers(&self) -> Result<(), HostError> {
        assert_eq!(self.callback.get(), Callback::RequestTrailers, "not in the request's trailers");
        self.fail_if_told("drop_request_trailers")?;
        self.current("drop_request_trailers", |stream| stream.are_request_trailers_dropped = true);
        Ok(())
    }

    fn drop_response_trailers(&self) -> Result<(), HostError> {
        assert_eq!(self.callback.get(), Callback::ResponseTrailers, "not in the answer's trailers");
        self.fail_if_told("drop_response_trailers")?;
        self.current("drop_response_trailers", |stream| {
            stream.are_response_trailers_dropped = true
        });
        Ok(())
    }

    fn dispatch(&self, callout: &Callout<'_>) -> Result<CalloutId, HostError> {
        assert_ne!(self.callback.get(), Callback::None, "a callout out of nothing");
        self.fail_if_told("dispatch")?;
        let headers = HeaderMap::from_pairs(&callout.headers);
        for name in [":method", ":authority", ":path"] {
            assert_eq!(
                values(&headers, name).len(),
                1,
                "the proxy refuses a callout without {name}"
            );
        }
        let body = String::from_utf8_lossy(callout.body).into_owned();
        let path = values(&headers, ":path").remove(0);
        let mut callouts = self.callouts.borrow_mut();
        let id = CalloutId(u32::try_from(callouts.len()).unwrap() + 1);
        let sent = SentCallout {
            id,
            cluster: callout.cluster.to_owned(),
            headers: text(&headers),
            path,
            body,
            timeout_milliseconds: callout.timeout.as_millis(),
            is_under_way: true,
        };
        let asks_the_same =
            |other: &&SentCallout| other.is_under_way && other.subject() == sent.subject();
        let twin = callouts.iter().find(asks_the_same);
        assert!(sent.subject().is_none() || twin.is_none(), "asked twice at once: {}", sent.path);
        callouts.push(sent);
        Ok(id)
    }

    fn callout_headers(&self) -> Result<HeaderMap, HostError> {
        self.fail_if_told("callout_headers")?;
        let answer = self.answer.borrow();
        let (headers, _) = answer.as_ref().expect("an answer that is handed over, with headers");
        let pairs: Vec<_> =
            headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
        Ok(map(&pairs))
    }

    fn callout_body(&self, length: usize) -> Result<Vec<u8>, HostError> {
        self.fail_if_told("callout_body")?;
        let answer = self.answer.borrow();
        let (_, body) = answer.as_ref().expect("an answer that is handed over");
        Ok(body[..length].to_vec())
    }

    fn count(&self, counter: Counter, by: u64) {
        *self.counted.borrow_mut().entry(counter.name()).or_default() += by;
    }

    fn move_gauge(&self, gauge: Gauge, by: i64) {
        *self.gauges.borrow_mut().entry(gauge.name()).or_default() += by;
    }

    fn observe(&self, histogram: Histogram, value: u64) {
        self.observed.borrow_mut().push((histogram, value));
    }
}
