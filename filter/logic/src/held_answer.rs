//! An answer that is held in the proxy because it says that the session is dead, until the one that
//! takes its place is there.

use crate::{
    BodyFlow, CalloutId, Counter, Gateway, HeaderMap, Host,
    new_answer::NewAnswer,
    refusal::Refusal,
    stream::{Answer, Approved, Place},
};

/// What IntelligenceBank's 404 says when the session is gone.
const GONE: &[u8] = b"resource has expired";

/// A held answer.
pub(crate) struct Rejected {
    /// What is waited for.
    pub(crate) callout: Option<CalloutId>,
    /// The answer has a body, or may have one.
    has_body: bool,
    /// All of that body is here.
    is_complete: bool,
    /// Bytes of it that are held.
    held: usize,
    /// What goes to the client, once the held body is complete.
    ready: Option<NewAnswer>,
    /// Among the streams that wait.
    _waiting: Place,
}

impl Rejected {
    pub(crate) fn new(waiting: Place, has_body: bool, is_complete: bool, held: usize) -> Self {
        Self { callout: None, has_body, is_complete, held, ready: None, _waiting: waiting }
    }
}

/// Whether the body of a 404 is worth reading: IntelligenceBank's errors are JSON.
pub(crate) fn may_say_that_the_session_is_gone(headers: &HeaderMap) -> bool {
    headers.first(b"content-type").is_none_or(|value| {
        let value = value.to_ascii_lowercase();
        value.windows(4).any(|part| part == b"json") || value.starts_with(b"text/plain")
    })
}

/// Whether the body of a 404 says that the session is gone.
pub(crate) fn says_that_the_session_is_gone(body: &[u8]) -> bool {
    body.windows(GONE.len()).any(|part| part.eq_ignore_ascii_case(GONE))
}

impl Gateway {
    /// A piece of the held answer's body is here. It goes nowhere.
    pub(crate) fn on_rejected_body<H: Host>(
        &self,
        host: &H,
        approved: &mut Approved,
        length: usize,
        is_last: bool,
    ) -> BodyFlow {
        let Answer::Rejected(rejected) = &mut approved.answer else { return BodyFlow::Continue };
        // Not a byte stays: with a next piece it could be more than the proxy holds.
        rejected.held = length;
        if length > 0 && host.replace_response_body(length, b"").is_ok() {
            rejected.held = 0;
        }
        rejected.is_complete |= is_last;
        if self.conclude(host, approved) { BodyFlow::Continue } else { BodyFlow::Buffer }
    }

    /// The held answer's body has ended with trailers. `true`: the stream goes on.
    pub(crate) fn on_rejected_end<H: Host>(&self, host: &H, approved: &mut Approved) -> bool {
        if let Answer::Rejected(rejected) = &mut approved.answer {
            rejected.is_complete = true;
        }
        self.conclude(host, approved)
    }

    /// Notes what goes to the client as soon as the held answer is complete.
    pub(crate) fn conclude_soon(&self, approved: &mut Approved, answer: NewAnswer) {
        if let Answer::Rejected(rejected) = &mut approved.answer {
            rejected.ready = Some(answer);
        }
    }

    /// Puts the new answer in the place of the held one, where both are there. The stream is current.
    /// `true`: the answer may go on to the client.
    pub(crate) fn conclude<H: Host>(&self, host: &H, approved: &mut Approved) -> bool {
        let Answer::Rejected(rejected) = &mut approved.answer else { return false };
        if !rejected.is_complete {
            return false;
        }
        let Some(answer) = rejected.ready.take() else { return false };
        let (has_place, held) = (rejected.has_body, rejected.held);
        let is_head = approved.head.first(b":method") == Some(b"HEAD");
        let is_from_page = approved.head.first(b"origin").is_some();
        approved.answer = Answer::Passing;
        let fits = answer.body.len() <= self.policy.replay.buffer_limit_bytes;
        if is_head || answer.body.is_empty() || (has_place && fits) {
            return self.place(host, answer, has_place.then_some(held), is_head);
        }
        if has_place && is_from_page {
            // A page of another origin could not read an answer without CORS headers; it can try again.
            self.count(Counter::ReplayTooLarge);
            let refused = NewAnswer::refusal(&Refusal::Unavailable, &self.policy);
            return self.place(host, refused, Some(held), false);
        }
        // There is no place for such a body: the proxy's own way to answer has one, though what it would
        // add on the way (CORS) is missing.
        self.count_answer(&answer);
        let _not_answered = host.reply(&answer.into_reply()).is_err();
        false
    }

    /// Puts headers, and a body where there is a place, of `held` bytes, for it. `true`: the answer may
    /// go on to the client.
    fn place<H: Host>(
        &self,
        host: &H,
        answer: NewAnswer,
        held: Option<usize>,
        is_head: bool,
    ) -> bool {
        self.count_answer(&answer);
        let body = if is_head { b"".as_slice() } else { &answer.body };
        let is_placed = answer.place_headers(host, is_head).is_ok()
            && held.is_none_or(|held| host.replace_response_body(held, body).is_ok());
        is_placed || {
            let _paused = self.refuse(host, &Refusal::Unavailable);
            false
        }
    }

    fn count_answer(&self, answer: &NewAnswer) {
        if let Some(counter) = answer.counter {
            self.count(counter);
        }
    }
}

/// Notes what a stream waits for.
pub(crate) fn set_callout(approved: &mut Approved, callout: Option<CalloutId>) {
    if let Answer::Rejected(rejected) = &mut approved.answer {
        rejected.callout = callout;
    }
}
