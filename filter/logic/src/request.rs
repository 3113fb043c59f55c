//! The request phase: a request is approved and rewritten, refused, or waits for the token service.

use std::rc::Rc;

use ib_contract::AccessTokenShape;

use crate::{
    BodyFlow, Counter, Gateway, HeaderMap, HeadersFlow, Host, HostError, Note, StreamId, Timestamp,
    TrailersFlow,
    cache::{Decision, Known},
    credentials::Credentials,
    grant::Grant,
    head::{Head, Leaving, Request},
    policy::{Location, NoteMode, TokenFormat},
    refusal::Refusal,
    rewrite::{CLIENT, USER, for_upstream},
    session::{Session, Standing},
    stream::{Answer, Approved, Stream, Waiting},
    target::Target,
    usual::UsualHit,
};

impl Gateway {
    /// The request's headers are here. `is_last`: no body follows.
    pub fn on_request_headers<H: Host>(
        &self,
        host: &H,
        stream: StreamId,
        is_last: bool,
    ) -> HeadersFlow {
        self.stream_begins();
        let Ok(headers) = host.request_headers(self.memory_for_head()) else {
            return self.refuse(host, &Refusal::Unavailable);
        };
        match self.decide(host, stream, &headers, is_last) {
            Ok(admitted) => {
                self.approve(stream, admitted, headers, is_last);
                HeadersFlow::Continue
            }
            Err(flow) => flow,
        }
    }

    /// Finds out what becomes of a request. It may go upstream, and has been rewritten; or it has been
    /// refused, waits, or is none of the gateway's business.
    fn decide<H: Host>(
        &self,
        host: &H,
        stream: StreamId,
        headers: &HeaderMap,
        is_last: bool,
    ) -> Result<Admitted, HeadersFlow> {
        let head = Head::of(headers);
        let Location::Under { rest, .. } = self.policy.locate(head.path) else {
            return Err(HeadersFlow::Continue);
        };
        let recent = host.recent();
        if let Some(hit) = self.usual_hit(&head, rest, recent) {
            #[cfg(test)]
            self.check_by_the_long_way(headers, &hit, recent);
            return self.admit_usual(host, headers, &head, hit, recent);
        }
        self.decide_closely(host, stream, headers, is_last, host.now())
    }

    fn admit_usual<H: Host>(
        &self,
        host: &H,
        headers: &HeaderMap,
        head: &Head<'_>,
        hit: UsualHit<'_>,
        now: Timestamp,
    ) -> Result<Admitted, HeadersFlow> {
        self.count(Counter::CacheHit);
        let UsualHit { grant, session, credentials, target, is_due } = hit;
        self.rewrite(host, headers, &head.leaving, &target, &credentials, &grant)
            .map_err(|error| self.refuse(host, &error.into()))?;
        if is_due {
            self.renew_usual(host, headers, &session, now);
        }
        Ok(Admitted { session, credentials, is_due })
    }

    /// A piece of the request's body is here, `length` bytes. `is_last`: no other follows.
    pub fn on_request_body<H: Host>(
        &self,
        host: &H,
        stream: StreamId,
        length: usize,
        is_last: bool,
    ) -> BodyFlow {
        let Some(mut state) = self.take_stream(stream) else { return BodyFlow::Continue };
        if let Stream::Approved(approved) = &mut state {
            let has_room = self.bodies.has_room(&approved.body, length);
            match has_room
                .then(|| if length == 0 { Ok(Vec::new()) } else { host.request_body(length) })
            {
                Some(Ok(piece)) if piece.len() == length => approved.body.push(&piece, is_last),
                _ => approved.body.lose(),
            }
        }
        self.put_stream(stream, state);
        BodyFlow::Continue
    }

    /// The request has trailers. None goes upstream: a server may take one for a header, and no
    /// call of ours needs any (RFC 9110 section 6.5.1 allows to discard them).
    pub fn on_request_trailers<H: Host>(&self, host: &H, stream: StreamId) -> TrailersFlow {
        let Some(mut state) = self.take_stream(stream) else { return TrailersFlow::Continue };
        let is_approved = matches!(state, Stream::Approved(_));
        if let Stream::Approved(approved) = &mut state
            && self.bodies.has_room(&approved.body, 0)
        {
            // The body has ended, which no callback for it has said.
            approved.body.push(b"", true);
        }
        self.put_stream(stream, state);
        if is_approved && host.drop_request_trailers().is_err() {
            return TrailersFlow::Pause;
        }
        TrailersFlow::Continue
    }

    /// What is known about a token and may still be used.
    pub(crate) fn look_up(&self, token: &str, now: Timestamp) -> Option<Decision> {
        let Known { decision, kept_at } = self.decisions.borrow_mut().get(token, now)?;
        if matches!(decision, Decision::Granted(_)) && !self.vouches_for(kept_at, now) {
            self.count(Counter::CacheStale);
            return None;
        }
        Some(decision)
    }

    pub(crate) fn vouches_for(&self, kept_at: Timestamp, now: Timestamp) -> bool {
        self.feed.as_ref().is_none_or(|feed| feed.borrow().vouches_for(kept_at, now))
    }

    #[inline(never)]
    fn renew_usual<H: Host>(
        &self,
        host: &H,
        headers: &HeaderMap,
        session: &Rc<Session>,
        now: Timestamp,
    ) {
        if let Ok(Some(request)) = Request::read(headers, &self.policy) {
            self.renew_in_background(host, session, request.token, headers, now);
        }
    }

    /// Decides about a request that is not written as nearly all are, or whose token is not known.
    #[inline(never)]
    fn decide_closely<H: Host>(
        &self,
        host: &H,
        stream: StreamId,
        headers: &HeaderMap,
        is_last: bool,
        now: Timestamp,
    ) -> Result<Admitted, HeadersFlow> {
        let request = match Request::read(headers, &self.policy) {
            Ok(Some(request)) => request,
            Ok(None) => return Err(HeadersFlow::Continue),
            Err(refusal) => return Err(self.refuse(host, &refusal)),
        };
        let grant = match self.look_up(request.token, now) {
            Some(Decision::Granted(grant)) => grant,
            Some(Decision::Refused(reason)) => {
                self.count(Counter::CacheRefused);
                return Err(self.refuse(host, &reason.into()));
            }
            None => return Err(self.miss(host, stream, &request, headers, is_last)),
        };
        let admitted = match self.admit(host, headers, &request, &grant, now) {
            Ok(admitted) => admitted,
            Err(Denied::Ended(_)) => {
                self.decisions.borrow_mut().forget(request.token);
                return Err(self.miss(host, stream, &request, headers, is_last));
            }
            Err(Denied::Refused(refusal)) => {
                self.count(Counter::CacheHit);
                return Err(self.refuse(host, &refusal));
            }
        };
        self.count(Counter::CacheHit);
        if admitted.is_due {
            self.renew_in_background(host, &admitted.session, request.token, headers, now);
        }
        Ok(admitted)
    }

    /// Nothing can be said about the token yet: the stream waits for the token service, if the token
    /// can be one of its own at all.
    fn miss<H: Host>(
        &self,
        host: &H,
        stream: StreamId,
        request: &Request<'_>,
        headers: &HeaderMap,
        is_last: bool,
    ) -> HeadersFlow {
        if !self.could_be_issued(request.token) {
            self.count(Counter::CacheForeign);
            return self.refuse(host, &Refusal::InvalidToken);
        }
        let Some(place) = self.waiting.take() else {
            return self.refuse(host, &Refusal::Unavailable);
        };
        let joined = self.flights.borrow_mut().join_introspection(request.token, stream);
        let callout = match joined {
            Some(callout) => {
                self.count(Counter::CacheJoined);
                callout
            }
            None => {
                self.count(Counter::CacheMiss);
                match self.introspect(host, request.token.into(), 0, vec![stream], headers) {
                    Ok(callout) => callout,
                    Err(_) => return self.refuse(host, &Refusal::Unavailable),
                }
            }
        };
        self.put_stream(stream, Stream::Waiting(Waiting { callout, is_last, _place: place }));
        HeadersFlow::Pause
    }

    /// Whether the token service may know the token. Who says no saves a callout.
    fn could_be_issued(&self, token: &str) -> bool {
        if let Some(shape) = AccessTokenShape::of(token) {
            return self.feed.as_ref().is_none_or(|feed| feed.borrow().could_be_issued(&shape));
        }
        // A JWT's signature was checked before, by the proxy's own jwt_authn.
        let mut parts = token.split('.');
        self.policy.token_format == TokenFormat::Jwt
            && parts.by_ref().take(3).filter(|part| !part.is_empty()).count() == 3
            && parts.next().is_none()
    }

    /// Applies a grant: the request is rewritten and marked as approved, or denied.
    fn admit<H: Host>(
        &self,
        host: &H,
        headers: &HeaderMap,
        request: &Request<'_>,
        grant: &Grant,
        now: Timestamp,
    ) -> Result<Admitted, Denied> {
        let session =
            grant.session_for(&request.target.host).ok_or_else(|| request.host_refused())?;
        let is_due = match session.standing(now) {
            Standing::Good => false,
            Standing::Due => true,
            // Nobody can log in again, and the service may have another token by now.
            Standing::Over(_) if session.is_operators() => {
                return Err(Denied::Ended(Refusal::Unavailable));
            }
            Standing::Over(reason) => return Err(Refusal::from(reason).into()),
            Standing::Ended => return Err(Denied::Ended(session.expired())),
        };
        let target = &request.target;
        let missing =
            self.policy.missing_scope(&target.host, request.method, target.path(), grant.scope());
        if let Some(scope) = missing {
            return Err(Refusal::InsufficientScope { scope }.into());
        }
        let credentials = session.credentials();
        self.rewrite(host, headers, &request.leaving, target, &credentials, grant)?;
        Ok(Admitted { session: Rc::clone(session), credentials, is_due })
    }

    /// Makes the client's request the one for the upstream, and marks it as approved.
    fn rewrite<H: Host>(
        &self,
        host: &H,
        headers: &HeaderMap,
        leaving: &Leaving<'_>,
        target: &Target<'_>,
        credentials: &Credentials,
        grant: &Grant,
    ) -> Result<(), HostError> {
        if self.policy.notes == NoteMode::All {
            host.set_note(Note::Decision, grant.note())?;
        }
        let authority = target.authority();
        let asks = self.policy.asks_for_identity();
        let mut edits = for_upstream(headers, leaving, target, &authority, credentials, asks);
        if self.policy.names_callers {
            edits.set(CLIENT, grant.client_key());
            edits.set(USER, grant.user_key());
        }
        host.edit_request_headers(&edits)
    }

    /// Notes that a stream goes upstream.
    fn approve(&self, stream: StreamId, admitted: Admitted, head: HeaderMap, is_last: bool) {
        let Admitted { session, credentials, .. } = admitted;
        self.count(Counter::RequestApproved);
        let approved = Approved {
            session,
            credentials,
            head,
            body: self.bodies.begin(is_last),
            answer: Answer::Passing,
        };
        self.put_stream(stream, Stream::Approved(Box::new(approved)));
    }

    /// Goes on with a stream that has waited for a decision about `token`. The stream is current.
    pub(crate) fn settle<H: Host>(
        &self,
        host: &H,
        stream: StreamId,
        is_last: bool,
        token: &str,
        decision: &Decision,
    ) {
        let now = host.now();
        let settled = self.settle_or_refuse(host, token, decision, now);
        let (admitted, headers) = match settled {
            Ok(settled) => settled,
            Err(refusal) => {
                let _paused = self.refuse(host, &refusal);
                return;
            }
        };
        self.approve(stream, admitted, headers, is_last);
        // If the host refuses, the request stays paused until the proxy's timeouts end it.
        let _paused_for_good = host.resume_request().is_err();
    }

    fn settle_or_refuse<H: Host>(
        &self,
        host: &H,
        token: &str,
        decision: &Decision,
        now: Timestamp,
    ) -> Result<(Admitted, HeaderMap), Refusal> {
        let grant = match decision {
            Decision::Granted(grant) => grant,
            Decision::Refused(reason) => return Err((*reason).into()),
        };
        let headers = host.request_headers(Vec::new())?;
        // The decision is about `token`, and about no other that the headers might hold by now.
        let admitted = Request::read(&headers, &self.policy)?
            .filter(|request| request.token == token)
            .map(|request| self.admit(host, &headers, &request, grant, now))
            .ok_or(Refusal::Unavailable)?;
        match admitted {
            Ok(admitted) => Ok((admitted, headers)),
            // Ended between the answer and now: the answer is of this very moment.
            Err(Denied::Ended(refusal) | Denied::Refused(refusal)) => Err(refusal),
        }
    }

    /// Answers the client in place of the upstream, and ends the stream, which is current.
    ///
    /// Where the host takes no answer the stream stays paused, which is closed too: the proxy's
    /// timeouts end it.
    #[inline(never)]
    pub(crate) fn refuse<H: Host>(&self, host: &H, refusal: &Refusal) -> HeadersFlow {
        // For the access log alone: a host that refuses it is no reason to say nothing to the client.
        let note = format!("refused outcome={}", refusal.outcome());
        let _unnoted = host.set_note(Note::Decision, note.as_bytes()).is_err();
        if host.reply(&refusal.reply(&self.policy)).is_ok() {
            self.count(refusal.counter());
        }
        HeadersFlow::Pause
    }
}

/// A request that may go upstream, and has been rewritten.
struct Admitted {
    session: Rc<Session>,
    credentials: Rc<Credentials>,
    /// A renewal of the session is due.
    is_due: bool,
}

/// A request that may not.
enum Denied {
    /// The cached session has ended: the token service must be asked again. Where it has just been asked,
    /// this is said.
    Ended(Refusal),
    Refused(Refusal),
}

impl From<Refusal> for Denied {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<HostError> for Denied {
    fn from(error: HostError) -> Self {
        Self::Refused(error.into())
    }
}

impl From<HostError> for Refusal {
    fn from(_: HostError) -> Self {
        Self::Unavailable
    }
}

#[cfg(test)]
mod tests;
