//! The response phase: headers are cleaned, bodies searched for session ids, and answers that say that
//! the session is dead are held back (`replay` goes on with those).
//!
//! Only streams that the gateway sent upstream are looked at.

use crate::{
    BodyFlow, Counter, Gateway, HeaderMap, HeadersFlow, Host, StreamId, TrailersFlow,
    bytes::are_same,
    credentials::Credentials,
    held_answer,
    policy::BodyMode,
    redact::{self, BodyPlan, Redacted, Redactor},
    refusal::Refusal,
    response_headers::{for_client, stays},
    stream::{Answer, Approved, Stream},
};

/// The longest body of a 404 that is read for whether it says that the session is gone, in bytes.
/// IntelligenceBank's are much shorter.
const LONGEST_SUSPECTED_BODY: usize = 4_096;

impl Gateway {
    /// The response's headers are here: the upstream's, or those of an answer by the proxy itself.
    /// `is_last`: no body follows.
    pub fn on_response_headers<H: Host>(
        &self,
        host: &H,
        stream: StreamId,
        is_last: bool,
    ) -> HeadersFlow {
        match self.at_stream(stream, |state| matches!(state, Stream::Approved(_))) {
            None => return HeadersFlow::Continue,
            Some(false) => return self.is_answered_while_waiting(stream),
            Some(true) => {}
        }
        // Nothing here calls anything that could come back.
        let passes_as_it_is = host.look_at_response_headers(|headers| {
            self.at_stream(stream, |state| match state {
                Stream::Approved(approved) => self.passes_as_it_is(headers, approved, is_last),
                Stream::Waiting(_) => false,
            })
        });
        match passes_as_it_is {
            Ok(Some(true)) => HeadersFlow::Continue,
            _ => self.on_unusual_headers(host, stream, is_last),
        }
    }

    /// The headers of an answer that does not simply pass. (Apart, so that the usual way stays short.)
    #[inline(never)]
    fn on_unusual_headers<H: Host>(
        &self,
        host: &H,
        stream: StreamId,
        is_last: bool,
    ) -> HeadersFlow {
        let Some(Stream::Approved(mut approved)) = self.take_stream(stream) else {
            return HeadersFlow::Continue;
        };
        let Ok(headers) = host.response_headers() else {
            return self.refuse(host, &Refusal::Unavailable);
        };
        let head = Head::of(&headers);
        let flow = match head.status {
            b"401" => self.reject(host, stream, &mut approved, is_last),
            b"404" if !is_last && held_answer::may_say_that_the_session_is_gone(&headers) => {
                approved.answer = Answer::Suspected { held: 0 };
                HeadersFlow::Hold
            }
            _ => match self.pass(host, &headers, &head, &mut approved, is_last) {
                Ok(()) => HeadersFlow::Continue,
                Err(refusal) => return self.refuse(host, &refusal),
            },
        };
        self.put_stream(stream, Stream::Approved(approved));
        flow
    }

    /// The proxy has answered a request that waits: the callout's answer comes too late.
    #[inline(never)]
    fn is_answered_while_waiting(&self, stream: StreamId) -> HeadersFlow {
        if let Some(Stream::Waiting(waiting)) = self.take_stream(stream) {
            self.flights.borrow_mut().leave(waiting.callout, stream);
        }
        HeadersFlow::Continue
    }

    /// A piece of the response's body is here: `length` bytes with what was held back before.
    /// `is_last`: no other follows.
    pub fn on_response_body<H: Host>(
        &self,
        host: &H,
        stream: StreamId,
        length: usize,
        is_last: bool,
    ) -> BodyFlow {
        let next = self.at_stream(stream, |state| match state {
            Stream::Approved(approved) => match &mut approved.answer {
                Answer::Redacting(redactor) => self.search(host, redactor, length, is_last),
                Answer::Passing => Next::Pass,
                Answer::Suspected { .. } | Answer::Rejected(_) => Next::Held,
            },
            Stream::Waiting(_) => Next::Pass,
        });
        match next {
            None | Some(Next::Pass) => return BodyFlow::Continue,
            Some(Next::Replace(masked)) => return self.replace(host, length, &masked),
            Some(Next::CutOff) => return self.cut_off(host),
            Some(Next::Held) => {}
        }
        self.on_held_body(host, stream, length, is_last)
    }

    /// A piece of the body of an answer that is held. (Apart, so that the usual way stays short.)
    #[inline(never)]
    fn on_held_body<H: Host>(
        &self,
        host: &H,
        stream: StreamId,
        length: usize,
        is_last: bool,
    ) -> BodyFlow {
        let Some(Stream::Approved(mut approved)) = self.take_stream(stream) else {
            return BodyFlow::Continue;
        };
        let flow = if let Answer::Suspected { held } = &mut approved.answer {
            *held = length;
            self.read_suspected(host, stream, &mut approved, length, is_last)
        } else {
            self.on_rejected_body(host, &mut approved, length, is_last)
        };
        self.put_stream(stream, Stream::Approved(approved));
        flow
    }

    /// The response has trailers. None goes to the client: one could show the session id.
    pub fn on_response_trailers<H: Host>(&self, host: &H, stream: StreamId) -> TrailersFlow {
        let mut approved = match self.take_stream(stream) {
            Some(Stream::Approved(approved)) => approved,
            Some(other) => {
                self.put_stream(stream, other);
                return TrailersFlow::Continue;
            }
            None => return TrailersFlow::Continue,
        };
        let is_dropped = host.drop_response_trailers().is_ok();
        // The body has ended, which no callback for it has said.
        let is_over = match &mut approved.answer {
            Answer::Rejected(_) => self.on_rejected_end(host, &mut approved),
            Answer::Suspected { held } => {
                let held = *held;
                let flow = self.read_suspected(host, stream, &mut approved, held, true);
                flow == BodyFlow::Continue
            }
            // The end of the body is with us, and has no place to go any more: better cut off than
            // cut short.
            Answer::Redacting(redactor) if redactor.held() > 0 => {
                self.cut_off(host) == BodyFlow::Continue
            }
            Answer::Redacting(_) | Answer::Passing => true,
        };
        self.put_stream(stream, Stream::Approved(approved));
        if is_dropped && is_over { TrailersFlow::Continue } else { TrailersFlow::Pause }
    }

    /// Whether an answer goes to the client as nearly all do: with its headers as they are. `false` says
    /// nothing, and has changed nothing.
    fn passes_as_it_is(&self, headers: &HeaderMap, approved: &mut Approved, is_last: bool) -> bool {
        let credentials = &approved.credentials;
        let (head, stay) = Head::and_whether_they_stay(headers, credentials);
        let is_usual = stay
            && !matches!(head.status, b"401" | b"404")
            && approved.session.generation() == credentials.generation();
        if !is_usual || self.begin_body(headers, &head, approved, is_last).is_err() {
            return false;
        }
        #[cfg(test)]
        assert!(for_client(headers, approved, &self.policy).is_none(), "a header was overlooked");
        true
    }

    /// Lets an answer through, cleaned.
    fn pass<H: Host>(
        &self,
        host: &H,
        headers: &HeaderMap,
        head: &Head<'_>,
        approved: &mut Approved,
        is_last: bool,
    ) -> Result<(), Refusal> {
        // An answer may show the newer session that came while it was under way.
        let newest = approved.session.credentials();
        if newest.generation() == approved.credentials.generation().saturating_add(1) {
            approved.credentials = newest;
        }
        if let Err(unsearchable) = self.begin_body(headers, head, approved, is_last) {
            approved.answer = Answer::Passing;
            approved.body.lose();
            let host = self.target_host(approved);
            return Err(match unsearchable {
                Unsearchable::Encoded => Refusal::UnreadableAnswer { host },
                Unsearchable::PartOfJson => Refusal::PartOfJson,
            });
        }
        if let Some(edited) = for_client(headers, approved, &self.policy) {
            host.set_response_headers(&edited)?;
        }
        Ok(())
    }

    /// Decides how the body of an answer that goes through is treated.
    fn begin_body(
        &self,
        headers: &HeaderMap,
        head: &Head<'_>,
        approved: &mut Approved,
        is_last: bool,
    ) -> Result<(), Unsearchable> {
        let is_looked_at = !is_last && self.policy.bodies == BodyMode::Redact;
        let plan = if is_looked_at { head.body_plan(headers) } else { BodyPlan::Pass };
        approved.answer = match plan {
            BodyPlan::Pass => Answer::Passing,
            BodyPlan::Redact => {
                self.count(Counter::BodySearched);
                Answer::Redacting(Redactor::new(approved.credentials.needles()))
            }
            BodyPlan::Unreadable => return Err(Unsearchable::Encoded),
            BodyPlan::PartOfJson => return Err(Unsearchable::PartOfJson),
        };
        // It will not be sent again, and others may need the room.
        approved.body.lose();
        Ok(())
    }

    /// Searches a piece of a body. Calls nothing that could come back.
    fn search<H: Host>(
        &self,
        host: &H,
        redactor: &mut Redactor,
        length: usize,
        is_last: bool,
    ) -> Next {
        let redacted = if length == 0 {
            Ok(redactor.push(b"", is_last))
        } else {
            host.look_at_response_body(length, |chunk| redactor.push(chunk, is_last))
        };
        match redacted {
            Ok(Redacted::Unchanged) => Next::Pass,
            Ok(Redacted::Replaced(masked)) => Next::Replace(masked),
            Err(_) => Next::CutOff,
        }
    }

    /// Puts a masked piece in the place of the `length` bytes that it was.
    #[inline(never)]
    fn replace<H: Host>(&self, host: &H, length: usize, masked: &[u8]) -> BodyFlow {
        match host.replace_response_body(length, masked) {
            Ok(()) => {
                self.count(Counter::BodyMasked);
                BodyFlow::Continue
            }
            Err(_) => self.cut_off(host),
        }
    }

    /// A body that cannot be searched goes no further: the proxy's timeouts end the stream, or it
    /// ends now where the proxy takes an answer still.
    fn cut_off<H: Host>(&self, host: &H) -> BodyFlow {
        let _paused = self.refuse(host, &Refusal::Unavailable);
        BodyFlow::Buffer
    }

    /// Reads the body of a 404, all of it or too much, and says whether the session is gone.
    fn read_suspected<H: Host>(
        &self,
        host: &H,
        stream: StreamId,
        approved: &mut Approved,
        length: usize,
        is_last: bool,
    ) -> BodyFlow {
        let is_short = length <= LONGEST_SUSPECTED_BODY;
        if is_short && !is_last {
            return BodyFlow::Buffer;
        }
        let body = if length == 0 { Ok(Vec::new()) } else { host.response_body(length) };
        let Ok(body) = body else { return self.cut_off(host) };
        if is_short
            && held_answer::says_that_the_session_is_gone(&body)
            && let Some(flow) = self.reject_after_404(host, stream, approved, length)
        {
            return flow;
        }
        // A plain 404, which is the client's.
        let Ok(headers) = host.response_headers() else { return self.cut_off(host) };
        if let Err(refusal) = self.pass(host, &headers, &Head::of(&headers), approved, false) {
            let _paused = self.refuse(host, &refusal);
            return BodyFlow::Buffer;
        }
        let Answer::Redacting(redactor) = &mut approved.answer else { return BodyFlow::Continue };
        match self.search(host, redactor, length, is_last) {
            Next::Replace(masked) => self.replace(host, length, &masked),
            Next::CutOff => self.cut_off(host),
            Next::Pass | Next::Held => BodyFlow::Continue,
        }
    }
}

/// What becomes of a piece of a body.
enum Next {
    /// It goes on as it is.
    Pass,
    /// Other bytes go on in its place.
    Replace(Vec<u8>),
    /// It cannot be searched, so it goes no further.
    CutOff,
    /// It belongs to an answer that is held.
    Held,
}

/// Why a body that should be searched cannot be.
enum Unsearchable {
    Encoded,
    PartOfJson,
}

/// What of a response's headers decides how its body is treated, read in one pass.
#[derive(Default)]
struct Head<'a> {
    status: &'a [u8],
    content_type: Option<&'a [u8]>,
    content_encoding: Option<&'a [u8]>,
    /// One of them came twice.
    has_more: bool,
}

impl<'a> Head<'a> {
    fn of(headers: &'a HeaderMap) -> Self {
        let mut head = Self::default();
        headers.iter().for_each(|(name, value)| head.take(name, value));
        head
    }

    /// The same in one pass with whether all of the headers may stay as they are: `true` is sure.
    fn and_whether_they_stay(headers: &'a HeaderMap, credentials: &Credentials) -> (Self, bool) {
        let mut head = Self::default();
        let mut stay = true;
        for (name, value) in headers.iter() {
            head.take(name, value);
            stay &= stays(name, value, credentials);
        }
        (head, stay)
    }

    #[inline]
    fn take(&mut self, name: &'a [u8], value: &'a [u8]) {
        let place = match name.len() {
            7 if are_same(name, b":status") => {
                self.status = value;
                return;
            }
            12 if are_same(name, b"content-type") => &mut self.content_type,
            16 if are_same(name, b"content-encoding") => &mut self.content_encoding,
            _ => return,
        };
        self.has_more |= place.replace(value).is_some();
    }

    /// How the body is treated, where bodies are searched.
    fn body_plan(&self, headers: &HeaderMap) -> BodyPlan {
        let status = match self.status {
            b"200" => 200,
            other => std::str::from_utf8(other).ok().and_then(|it| it.parse().ok()).unwrap_or(0),
        };
        if !self.has_more {
            return redact::plan(status, self.content_type, self.content_encoding);
        }
        // A header that came twice is judged by all that it says.
        let content_type = headers.joined(b"content-type");
        let content_encoding = headers.joined(b"content-encoding");
        redact::plan(status, content_type.as_deref(), content_encoding.as_deref())
    }
}

#[cfg(test)]
mod tests;
