//! The response phase: headers are cleaned, bodies searched for session ids, and answers that say that
//! the session is dead are held back (`replay` goes on with those).
//!
//! Only streams that the gateway sent upstream are looked at.

use crate::{
    BodyFlow, Counter, Gateway, HeaderMap, HeadersFlow, Host, StreamId, TrailersFlow, held_answer,
    policy::BodyMode,
    redact::{self, BodyPlan, Redacted, Redactor},
    refusal::Refusal,
    response_headers::for_client,
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
        let mut approved = match self.take_stream(stream) {
            Some(Stream::Approved(approved)) => approved,
            Some(Stream::Waiting(waiting)) => {
                // The proxy has answered while we waited: the callout's answer comes too late.
                self.flights.borrow_mut().leave(waiting.callout, stream);
                return HeadersFlow::Continue;
            }
            None => return HeadersFlow::Continue,
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

    /// A piece of the response's body is here: `length` bytes with what was held back before.
    /// `is_last`: no other follows.
    pub fn on_response_body<H: Host>(
        &self,
        host: &H,
        stream: StreamId,
        length: usize,
        is_last: bool,
    ) -> BodyFlow {
        let mut approved = match self.take_stream(stream) {
            Some(Stream::Approved(approved)) => approved,
            Some(other) => {
                self.put_stream(stream, other);
                return BodyFlow::Continue;
            }
            None => return BodyFlow::Continue,
        };
        let flow = match &mut approved.answer {
            Answer::Passing => BodyFlow::Continue,
            Answer::Redacting(redactor) => self.redact(host, redactor, length, is_last),
            Answer::Suspected { held } => {
                *held = length;
                self.read_suspected(host, stream, &mut approved, length, is_last)
            }
            Answer::Rejected(_) => self.on_rejected_body(host, &mut approved, length, is_last),
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

    /// Lets an answer through, cleaned.
    fn pass<H: Host>(
        &self,
        host: &H,
        headers: &HeaderMap,
        head: &Head<'_>,
        approved: &mut Approved,
        is_last: bool,
    ) -> Result<(), Refusal> {
        approved.answer = Answer::Passing;
        // It will not be sent again, and others may need the room.
        approved.body.lose();
        // An answer may show the newer session that came while it was under way.
        let newest = approved.session.credentials();
        if newest.generation() == approved.credentials.generation().saturating_add(1) {
            approved.credentials = newest;
        }
        if !is_last && self.policy.bodies == BodyMode::Redact {
            match head.body_plan(headers) {
                BodyPlan::Pass => {}
                BodyPlan::Redact => {
                    self.count(Counter::BodySearched);
                    let redactor = Redactor::new(approved.credentials.needles());
                    approved.answer = Answer::Redacting(redactor);
                }
                BodyPlan::Unreadable => {
                    return Err(Refusal::UnreadableAnswer { host: self.target_host(approved) });
                }
                BodyPlan::PartOfJson => return Err(Refusal::PartOfJson),
            }
        }
        if let Some(edited) = for_client(headers, approved, &self.policy) {
            host.set_response_headers(&edited)?;
        }
        Ok(())
    }

    fn redact<H: Host>(
        &self,
        host: &H,
        redactor: &mut Redactor,
        length: usize,
        is_last: bool,
    ) -> BodyFlow {
        let chunk = if length == 0 { Ok(Vec::new()) } else { host.response_body(length) };
        let Ok(chunk) = chunk else { return self.cut_off(host) };
        match redactor.push(chunk, is_last) {
            Redacted::Unchanged => BodyFlow::Continue,
            Redacted::Replaced(masked) => match host.replace_response_body(length, &masked) {
                Ok(()) => {
                    self.count(Counter::BodyMasked);
                    BodyFlow::Continue
                }
                Err(_) => self.cut_off(host),
            },
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
        match &mut approved.answer {
            Answer::Redacting(redactor) => self.redact(host, redactor, length, is_last),
            _ => BodyFlow::Continue,
        }
    }
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
        for (name, value) in headers.iter() {
            let place = match name {
                b":status" => {
                    head.status = value;
                    continue;
                }
                b"content-type" => &mut head.content_type,
                b"content-encoding" => &mut head.content_encoding,
                _ => continue,
            };
            head.has_more |= place.replace(value).is_some();
        }
        head
    }

    /// How the body is treated, where bodies are searched.
    fn body_plan(&self, headers: &HeaderMap) -> BodyPlan {
        let status = std::str::from_utf8(self.status).ok();
        let status = status.and_then(|status| status.parse().ok()).unwrap_or_default();
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
