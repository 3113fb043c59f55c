//! The request phase, and its second half after the token service has answered.

use std::rc::Rc;

use ib_contract::could_be_access_token;

use crate::{
    AnswerSize, Counter, Flow, HeaderMap, Host, HostError, Stream, Timestamp, bearer,
    cache::Decision,
    headers::first,
    policy::{Location, Policy},
    refusal::{METHODS, Refusal},
    rewrite::for_upstream,
    session::Session,
    stream::{State, Waiting},
    target::Target,
    token_service,
};

impl Stream {
    /// The request's headers are here.
    pub fn on_request_headers<H: Host>(&mut self, host: &H) -> Flow {
        let Ok(headers) = host.request_headers() else {
            return self.refuse(host, &Refusal::Unavailable);
        };
        let gateway = Rc::clone(&self.gateway);
        let request = match Request::read(&headers, &gateway.policy) {
            Ok(Some(request)) => request,
            Ok(None) => return Flow::Continue,
            Err(refusal) => return self.refuse(host, &refusal),
        };
        let now = host.now();
        let Some(decision) = gateway.look_up(request.token, now) else {
            if !could_be_access_token(request.token) {
                host.count(Counter::CacheForeign);
                return self.refuse(host, &Refusal::InvalidToken);
            }
            host.count(Counter::CacheMiss);
            return self.ask(host, &request, &headers);
        };
        host.count(match decision {
            Decision::Granted(_) => Counter::CacheHit,
            Decision::Refused(_) => Counter::CacheRefused,
        });
        match request.settle(host, &headers, &decision, now) {
            Ok(session) => {
                self.approve(host, session, into_path(headers));
                Flow::Continue
            }
            Err(refusal) => self.refuse(host, &refusal),
        }
    }

    /// The callout of this stream has ended, with an answer or without.
    ///
    /// Nothing happens to a stream that is not waiting any more.
    pub fn on_callout_answer<H: Host>(&mut self, host: &H, size: AnswerSize) {
        let waiting = match std::mem::replace(&mut self.state, State::Over) {
            State::Waiting(waiting) => waiting,
            other => {
                self.state = other;
                return;
            }
        };
        match self.settle_after_answer(host, &waiting.token, size) {
            Ok((session, path)) => {
                self.approve(host, session, path);
                // If the host refuses, the request stays paused until the proxy's timeouts end it.
                let _paused_for_good = host.resume_request().is_err();
            }
            Err(refusal) => {
                let _flow = self.refuse(host, &refusal);
            }
        }
    }

    /// The request has trailers. None goes upstream: a server may take one for a header, and no
    /// call of ours needs any (RFC 9110 section 6.5.1 allows to discard them).
    pub fn on_request_trailers<H: Host>(&mut self, host: &H) -> Flow {
        match self.state {
            State::Approved(_) => match host.drop_request_trailers() {
                Ok(()) => Flow::Continue,
                Err(_) => Flow::Pause,
            },
            _ => Flow::Continue,
        }
    }

    /// Asks the token service and lets the stream wait, if there is a place for it.
    fn ask<H: Host>(&mut self, host: &H, request: &Request<'_>, headers: &HeaderMap) -> Flow {
        let Some(place) = self.gateway.wait() else {
            return self.refuse(host, &Refusal::Unavailable);
        };
        if token_service::ask(host, &self.gateway.policy, request.token, headers).is_err() {
            host.count(Counter::IntrospectionUnsent);
            return self.refuse(host, &Refusal::Unavailable);
        }
        self.state = State::Waiting(Waiting { token: request.token.into(), _place: place });
        Flow::Pause
    }

    fn settle_after_answer<H: Host>(
        &self,
        host: &H,
        token: &str,
        size: AnswerSize,
    ) -> Result<(Rc<Session>, Vec<u8>), Refusal> {
        let now = host.now();
        let policy = &self.gateway.policy;
        let verdict = token_service::read_answer(host, policy, size, now).map_err(|no_answer| {
            host.count(no_answer.counter());
            Refusal::Unavailable
        })?;
        host.count(verdict.counter());
        self.gateway.keep(token, &verdict, now);
        let headers = host.request_headers()?;
        // The answer is about `token`, and about no other that the headers might hold by now.
        let request = Request::read(&headers, policy)?
            .filter(|request| request.token == token)
            .ok_or(Refusal::Unavailable)?;
        let session = request.settle(host, &headers, &verdict.decision, now)?;
        Ok((session, into_path(headers)))
    }
}

/// A request for an upstream, as far as it can be judged without knowing its token.
struct Request<'a> {
    target: Target<'a>,
    token: &'a str,
}

impl<'a> Request<'a> {
    /// Reads a request; `None` is one that is none of the gateway's business.
    fn read(headers: &'a HeaderMap, policy: &Policy) -> Result<Option<Self>, Refusal> {
        let path = first(headers, ":path").unwrap_or_default();
        let Location::Under { rest, .. } = policy.locate(path) else {
            return Ok(None);
        };
        check_method(headers)?;
        check_kind(headers)?;
        let target = Target::parse(rest, &policy.allowed_ports)?;
        let token = bearer::read(headers)?;
        if !policy.allows_host(&target.host) {
            return Err(Refusal::HostNotAllowed { host: target.host.into_owned() });
        }
        Ok(Some(Self { target, token }))
    }

    /// Applies a decision: the request is rewritten and marked as approved, or refused.
    fn settle<H: Host>(
        &self,
        host: &H,
        headers: &HeaderMap,
        decision: &Decision,
        now: Timestamp,
    ) -> Result<Rc<Session>, Refusal> {
        let grant = match decision {
            Decision::Granted(grant) => grant,
            Decision::Refused(reason) => return Err((*reason).into()),
        };
        let session = grant.session_for(&self.target.host).ok_or_else(|| {
            Refusal::HostNotAllowed { host: self.target.host.clone().into_owned() }
        })?;
        if session.is_over(now) {
            return Err(Refusal::of_session_over(session));
        }
        let authority = self.target.authority();
        host.mark_approved()?;
        // The mark first: setting headers makes the proxy choose the route again, by the mark.
        host.set_request_headers(for_upstream(headers, &self.target, &authority, session))?;
        Ok(Rc::clone(session))
    }
}

fn check_method(headers: &HeaderMap) -> Result<(), Refusal> {
    let method = first(headers, ":method").unwrap_or_default();
    if METHODS.iter().any(|allowed| allowed.as_bytes() == method) {
        Ok(())
    } else {
        Err(Refusal::MethodNotAllowed)
    }
}

/// Refuses what is no plain HTTP request: an upgrade, an extended CONNECT (RFC 8441), gRPC.
fn check_kind(headers: &HeaderMap) -> Result<(), Refusal> {
    let is_other = headers.iter().any(|(name, value)| match name.as_str() {
        "upgrade" | ":protocol" => true,
        "connection" => value
            .split(|byte| *byte == b',')
            .any(|option| option.trim_ascii().eq_ignore_ascii_case(b"upgrade")),
        "content-type" => {
            let grpc = b"application/grpc";
            value.get(..grpc.len()).is_some_and(|start| start.eq_ignore_ascii_case(grpc))
        }
        _ => false,
    });
    if is_other { Err(Refusal::KindNotSupported) } else { Ok(()) }
}

/// The request's own `:path`.
fn into_path(headers: HeaderMap) -> Vec<u8> {
    headers.into_iter().find(|(name, _)| name == ":path").map(|(_, path)| path).unwrap_or_default()
}

impl From<HostError> for Refusal {
    fn from(_: HostError) -> Self {
        Self::Unavailable
    }
}

#[cfg(test)]
mod tests;
