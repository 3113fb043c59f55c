//! Answers that say that the session is dead: the session is renewed, and the request sent once again.
//!
//! The answer stays held in the proxy meanwhile, and the new one takes its place there, so that what
//! the proxy adds on its way to the client (CORS) is added to it too. The request is sent again by a
//! callout, so requests that need none of this pay nothing for it. A callout's answer is whole before
//! it is handed on: it has a bound (`replay.maximum_response_body_bytes`), past which the client is
//! asked to try again, which it can at once, since the session has been renewed.

use std::rc::Rc;

use ib_contract::{InactiveReason, RenewalCause};

use crate::{
    AnswerSize, BodyFlow, Callout, CalloutId, Counter, Gateway, HeaderMap, HeadersFlow, Histogram,
    Host, HostError, StreamId, Timestamp,
    cache::Decision,
    flight::{Flight, Purpose},
    head::Request,
    header_names::is_left_to_the_route,
    held_answer::{Rejected, set_callout},
    new_answer::NewAnswer,
    policy::BodyMode,
    refusal::Refusal,
    renewal::{Asked, Renewed},
    rewrite::{APPROVED, for_upstream},
    session::Standing,
    stream::{Answer, Approved, Stream},
};

/// How long a rejected request waits for its turn, in milliseconds. Then its client is asked to try
/// again, which needs no turn, since the session has been renewed.
const LONGEST_TURN_MILLISECONDS: u64 = 5_000;
/// Methods that may be sent again though the upstream may have acted on them (RFC 9110 section 9.2.2).
const IDEMPOTENT: [&[u8]; 5] = [b"GET", b"HEAD", b"PUT", b"DELETE", b"OPTIONS"];

impl Gateway {
    /// The upstream answered 401: it holds the session for dead, and has done nothing.
    pub(crate) fn reject<H: Host>(
        &self,
        host: &H,
        stream: StreamId,
        approved: &mut Approved,
        is_last: bool,
    ) -> HeadersFlow {
        let Some(place) = self.rejected.take() else {
            self.count(Counter::ReplayImpossible);
            return self.refuse(host, &Refusal::Unavailable);
        };
        let rejected = Rejected::new(place, !is_last, is_last, 0);
        approved.answer = Answer::Rejected(Box::new(rejected));
        self.begin(host, stream, approved);
        if self.conclude(host, approved) {
            HeadersFlow::Continue
        } else if is_last {
            // An answer without a body has no place where a body could be put: everything waits.
            HeadersFlow::Pause
        } else {
            HeadersFlow::Hold
        }
    }

    /// The upstream answered 404 and said that the session is gone; `length` bytes of it are held.
    /// `None`: the answer goes to the client as it is, since nobody knows whether the request was
    /// acted on; a newer session is asked for in the background, for the next ones.
    pub(crate) fn reject_after_404<H: Host>(
        &self,
        host: &H,
        stream: StreamId,
        approved: &mut Approved,
        length: usize,
    ) -> Option<BodyFlow> {
        let method = approved.head.first(b":method").unwrap_or_default();
        let is_idempotent = IDEMPOTENT.contains(&method);
        let place = if is_idempotent { self.rejected.take() } else { None };
        let Some(place) = place else {
            self.count(Counter::ReplayImpossible);
            self.replace_behind(host, approved);
            return None;
        };
        let rejected = Rejected::new(place, true, true, length);
        approved.answer = Answer::Rejected(Box::new(rejected));
        self.begin(host, stream, approved);
        let goes_on = self.conclude(host, approved);
        Some(if goes_on { BodyFlow::Continue } else { BodyFlow::Buffer })
    }

    /// Asks for a newer session for the requests to come. Where it cannot be asked for, the present one
    /// is not used again before the service was asked about it.
    fn replace_behind<H: Host>(&self, host: &H, approved: &Approved) {
        let (session, generation) = (&approved.session, approved.credentials.generation());
        if session.credentials().generation() > generation
            || self.flights.borrow().is_renewing(session)
        {
            return;
        }
        let is_asked = match Request::read(&approved.head, &self.policy) {
            Ok(Some(request)) => self.renew_after_rejection(
                host,
                session,
                request.token.into(),
                generation,
                &approved.head,
            ),
            _ => false,
        };
        if !is_asked {
            session.end();
        }
    }

    /// Asks for a newer session, or goes on with the one that is there.
    fn begin<H: Host>(&self, host: &H, stream: StreamId, approved: &mut Approved) {
        let now = host.now();
        let rejected = approved.credentials.generation();
        if approved.session.credentials().generation() > rejected {
            self.send_again(host, stream, approved, now);
            return;
        }
        let token = match Request::read(&approved.head, &self.policy) {
            Ok(Some(request)) => Some(Rc::from(request.token)),
            _ => None,
        };
        let Some(token) = token else {
            self.conclude_soon(approved, self.refused(&Refusal::Unavailable));
            return;
        };
        let asked = Asked {
            session: Rc::clone(&approved.session),
            token,
            generation: rejected,
            cause: RenewalCause::Rejected,
        };
        match self.await_renewal(host, asked, stream, &approved.head, now) {
            Some(callout) => set_callout(approved, Some(callout)),
            None => self.conclude_soon(approved, self.refused(&Refusal::Unavailable)),
        }
    }

    /// A stream waits for another callout than before.
    pub(crate) fn wait_on(&self, stream: StreamId, callout: CalloutId) {
        if let Some(mut state) = self.take_stream(stream) {
            if let Stream::Approved(approved) = &mut state {
                set_callout(approved, Some(callout));
            }
            self.put_stream(stream, state);
        }
    }

    /// The renewal that a stream waited for has ended. In no stream's name.
    pub(crate) fn after_renewal<H: Host>(
        &self,
        host: &H,
        stream: StreamId,
        renewed: Renewed,
        asked_with: &str,
        now: Timestamp,
    ) {
        self.with_rejected(host, stream, |approved| match renewed {
            Renewed::Newer => {
                let newest = approved.session.credentials().generation();
                if newest > approved.credentials.generation() {
                    self.send_again(host, stream, approved, now);
                    return None;
                }
                // Newer than what was asked with, though not than what this stream went with.
                Some(self.refused(&Refusal::Unavailable))
            }
            // The token that asked has ended, which says nothing of the session, nor of other tokens.
            Renewed::Over(InactiveReason::InvalidToken) => {
                let is_own = matches!(
                    Request::read(&approved.head, &self.policy),
                    Ok(Some(request)) if request.token == asked_with
                );
                let refusal = if is_own { Refusal::InvalidToken } else { Refusal::Unavailable };
                Some(self.refused(&refusal))
            }
            Renewed::Over(_) if approved.session.is_operators() => {
                Some(self.refused(&Refusal::Unavailable))
            }
            Renewed::Over(reason) => Some(self.refused(&reason.into())),
            Renewed::NoAnswer => Some(self.refused(&Refusal::Unavailable)),
        });
    }

    /// Sends a request again, with the newest credentials of its session; where as many are on their way
    /// as may be, it is sent when one of them is back.
    fn send_again<H: Host>(
        &self,
        host: &H,
        stream: StreamId,
        approved: &mut Approved,
        now: Timestamp,
    ) {
        if let Err(refusal) = self.may_go_again(approved, now) {
            self.conclude_soon(approved, self.refused(&refusal));
            return;
        }
        let Some(place) = self.replaying.take() else {
            if self.policy.replay.maximum_in_progress == 0 {
                self.count(Counter::ReplayImpossible);
                self.conclude_soon(approved, self.refused(&Refusal::Unavailable));
            } else {
                self.queue.borrow_mut().push_back((stream, now));
            }
            return;
        };
        approved.credentials = approved.session.credentials();
        match self.dispatch_again(host, approved) {
            Ok(callout) => {
                let flight = Flight::new(Purpose::Replay, vec![stream], now);
                let flight = Flight { sending: Some(place), ..flight };
                self.flights.borrow_mut().begin(callout, flight);
                set_callout(approved, Some(callout));
            }
            Err(refusal) => {
                self.count(Counter::ReplayImpossible);
                self.conclude_soon(approved, self.refused(&refusal));
            }
        }
    }

    /// Whether the request may still go upstream: since it went the first time, its token may have been
    /// revoked and its session ended.
    fn may_go_again(&self, approved: &Approved, now: Timestamp) -> Result<(), Refusal> {
        match approved.session.standing(now) {
            Standing::Good | Standing::Due => {}
            Standing::Over(_) if approved.session.is_operators() => {
                return Err(Refusal::Unavailable);
            }
            Standing::Over(reason) => return Err(reason.into()),
            Standing::Ended => return Err(approved.session.expired()),
        }
        let request = Request::read(&approved.head, &self.policy)?.ok_or(Refusal::Unavailable)?;
        match self.look_up(request.token, now) {
            Some(Decision::Granted(_)) => Ok(()),
            Some(Decision::Refused(reason)) => Err(reason.into()),
            // Revoked, or pushed out: the next try asks the service.
            None => Err(Refusal::Unavailable),
        }
    }

    fn dispatch_again<H: Host>(&self, host: &H, approved: &Approved) -> Result<CalloutId, Refusal> {
        let body = approved.body.whole().ok_or(Refusal::Unavailable)?;
        let request = Request::read(&approved.head, &self.policy)?.ok_or(Refusal::Unavailable)?;
        // The hosts of a session may change with its generation.
        if !approved.credentials.covers(request.target.host.as_bytes()) {
            return Err(request.host_refused());
        }
        let authority = request.target.authority();
        // No route asks for it in a callout.
        let asks = self.policy.bodies == BodyMode::Redact;
        let credentials = &approved.credentials;
        let (leaving, target) = (&request.leaving, &request.target);
        let rewritten =
            for_upstream(&approved.head, leaving, target, &authority, credentials, asks);
        // The proxy counts the body itself, and the route has no part in a callout.
        let again = |name: &[u8]| {
            !is_left_to_the_route(name) && !matches!(name, APPROVED | b"content-length" | b"expect")
        };
        let headers = rewritten.result().filter(|(name, _)| again(name)).collect();
        let callout = Callout {
            cluster: &self.policy.replay.cluster,
            headers,
            body,
            timeout: self.policy.replay.timeout,
        };
        Ok(host.dispatch(&callout)?)
    }

    /// The answer to a request that was sent again. In no stream's name.
    pub(crate) fn on_replay_answer<H: Host>(&self, host: &H, flight: Flight, size: AnswerSize) {
        let Flight { waiters, began_at, sending, .. } = flight;
        let now = host.now();
        host.observe(Histogram::ReplayMilliseconds, now.milliseconds_since(began_at));
        // What the host has of the answer must be read before another stream is entered.
        let read = self.read_replay(host, size);
        for stream in waiters {
            self.with_rejected(host, stream, |approved| {
                Some(match &read {
                    // Nobody can log in again to a credential that is the operator's.
                    Err(Refusal::SessionExpired) if approved.credentials.sets(b"authorization") => {
                        self.refused(&Refusal::Unavailable)
                    }
                    Err(refusal) => self.refused(refusal),
                    Ok((headers, body)) => {
                        NewAnswer::of_upstream(headers, body, approved, &self.policy)
                    }
                })
            });
        }
        drop(sending);
        self.send_queued(host, now);
    }

    /// Sends the next requests that wait for it. In no stream's name.
    fn send_queued<H: Host>(&self, host: &H, now: Timestamp) {
        while self.replaying.has_free() {
            // A stream that has gone meanwhile takes no place.
            let Some((stream, _)) = self.queue.borrow_mut().pop_front() else { return };
            self.with_rejected(host, stream, |approved| {
                self.send_again(host, stream, approved, now);
                None
            });
        }
    }

    /// Ends the waiting of requests whose turn has not come in time. In no stream's name.
    pub(crate) fn give_up_queued<H: Host>(&self, host: &H) {
        if self.queue.borrow().is_empty() {
            return;
        }
        let now = host.now();
        loop {
            let is_old = |(_, since): &mut (StreamId, Timestamp)| {
                now.milliseconds_since(*since) >= LONGEST_TURN_MILLISECONDS
            };
            let Some((stream, _)) = self.queue.borrow_mut().pop_front_if(is_old) else { return };
            self.with_rejected(host, stream, |_| {
                self.count(Counter::ReplayImpossible);
                Some(self.refused(&Refusal::Unavailable))
            });
        }
    }

    fn read_replay<H: Host>(
        &self,
        host: &H,
        size: AnswerSize,
    ) -> Result<(HeaderMap, Vec<u8>), Refusal> {
        let failed = |_: HostError| Refusal::Unavailable;
        if size.headers == 0 {
            self.count(Counter::ReplayFailed);
            return Err(Refusal::Unavailable);
        }
        if size.body > self.policy.replay.maximum_response_bytes {
            self.count(Counter::ReplayTooLarge);
            return Err(Refusal::Unavailable);
        }
        let headers = host.callout_headers().map_err(failed)?;
        let body = if size.body == 0 { Ok(Vec::new()) } else { host.callout_body(size.body) };
        let body = body.map_err(failed)?;
        self.count(Counter::ReplayAnswered);
        if headers.first(b":status") == Some(b"401") {
            // The newest session is dead as well.
            return Err(Refusal::SessionExpired);
        }
        Ok((headers, body))
    }

    /// Goes on with a stream whose answer is held, if it is there still; what `next` gives is the
    /// answer for the client.
    fn with_rejected<H: Host>(
        &self,
        host: &H,
        stream: StreamId,
        next: impl FnOnce(&mut Approved) -> Option<NewAnswer>,
    ) {
        let mut approved = match self.take_stream(stream) {
            Some(Stream::Approved(approved)) if matches!(approved.answer, Answer::Rejected(_)) => {
                approved
            }
            Some(other) => {
                self.put_stream(stream, other);
                return;
            }
            None => return,
        };
        if let Answer::Rejected(rejected) = &mut approved.answer {
            rejected.callout = None;
        }
        if let Some(answer) = next(&mut approved) {
            self.conclude_soon(&mut approved, answer);
        }
        if host.enter(stream).is_ok() && self.conclude(host, &mut approved) {
            // If the host refuses, the response stays held until the proxy's timeouts end it.
            let _held_for_good = host.resume_response().is_err();
        }
        // Where the new body was more than the proxy holds, it has ended the stream meanwhile.
        if host.enter(stream).is_ok() {
            self.put_stream(stream, Stream::Approved(approved));
        }
    }

    fn refused(&self, refusal: &Refusal) -> NewAnswer {
        NewAnswer::refusal(refusal, &self.policy)
    }

    /// The host of a stream's target, for error texts.
    pub(crate) fn target_host(&self, approved: &Approved) -> String {
        match Request::read(&approved.head, &self.policy) {
            Ok(Some(request)) => request.target.host.into_owned(),
            _ => String::new(),
        }
    }
}

#[cfg(test)]
mod tests;
