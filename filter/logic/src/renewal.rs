//! Renewals: one a session, in the background near its end, or because the upstream rejected it.

use std::rc::Rc;

use ib_contract::{ActiveToken, InactiveReason, Introspection, RenewalCause, RenewalRequest};

use crate::{
    AnswerSize, CalloutId, Counter, Gateway, HeaderMap, Histogram, Host, StreamId, Timestamp,
    cache::Decision,
    flight::{Flight, Purpose},
    grant::Grant,
    session::{Session, Standing},
    token_service,
};

/// What was asked for.
pub(crate) struct Asked {
    pub(crate) session: Rc<Session>,
    pub(crate) token: Rc<str>,
    pub(crate) generation: u64,
    pub(crate) cause: RenewalCause,
}

/// What came of a renewal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Renewed {
    /// The session has newer credentials.
    Newer,
    /// It has not: it is over, for this reason.
    Over(InactiveReason),
    /// Nobody can say.
    NoAnswer,
}

impl Gateway {
    /// Asks for a newer session while the present one is in use.
    pub(crate) fn renew_in_background<H: Host>(
        &self,
        host: &H,
        session: &Rc<Session>,
        token: &str,
        headers: &HeaderMap,
        now: Timestamp,
    ) {
        if self.flights.borrow().is_renewing(session) {
            return;
        }
        let asked = Asked {
            session: Rc::clone(session),
            token: token.into(),
            generation: session.credentials().generation(),
            cause: RenewalCause::NearExpiry,
        };
        if self.begin_renewal(host, asked, Vec::new(), headers, now).is_none() {
            session.postpone_renewal(now);
        }
    }

    /// Lets a stream, whose session was rejected with `generation`, wait for a newer one. `None`: it
    /// cannot be asked for now.
    pub(crate) fn await_renewal<H: Host>(
        &self,
        host: &H,
        asked: Asked,
        stream: StreamId,
        headers: &HeaderMap,
        now: Timestamp,
    ) -> Option<CalloutId> {
        let joined = self.flights.borrow_mut().join_renewal(&asked.session, stream);
        joined.or_else(|| self.begin_renewal(host, asked, vec![stream], headers, now))
    }

    /// Asks for a newer session than the one that was rejected with `generation`, for requests to come.
    /// `false`: it cannot be asked for now.
    pub(crate) fn renew_after_rejection<H: Host>(
        &self,
        host: &H,
        session: &Rc<Session>,
        token: Rc<str>,
        generation: u64,
        headers: &HeaderMap,
    ) -> bool {
        let (session, cause) = (Rc::clone(session), RenewalCause::Rejected);
        let asked = Asked { session, token, generation, cause };
        self.begin_renewal(host, asked, Vec::new(), headers, host.now()).is_some()
    }

    fn begin_renewal<H: Host>(
        &self,
        host: &H,
        asked: Asked,
        waiters: Vec<StreamId>,
        headers: &HeaderMap,
        now: Timestamp,
    ) -> Option<CalloutId> {
        let Asked { session, token, generation, cause } = asked;
        let renewal = RenewalRequest { token: &token, session: session.id(), generation, cause };
        let sent = self
            .may_call_out()
            .then(|| token_service::renew(host, &self.policy, &renewal, headers).ok())
            .flatten();
        let Some(callout) = sent else {
            self.count_renewal(cause, Renewed::NoAnswer);
            return None;
        };
        let purpose = Purpose::Renewal { session, token, generation, cause };
        self.flights.borrow_mut().begin(callout, Flight::new(purpose, waiters, now));
        Some(callout)
    }

    /// A renewal has ended.
    pub(crate) fn on_renewal<H: Host>(
        &self,
        host: &H,
        flight: Flight,
        asked: Asked,
        size: AnswerSize,
    ) {
        let now = host.now();
        host.observe(Histogram::RenewalMilliseconds, now.milliseconds_since(flight.began_at));
        let renewed = self.read_renewal(host, &asked, size, now);
        self.count_renewal(asked.cause, renewed);
        match (renewed, asked.cause) {
            (Renewed::Newer, _) => {}
            (_, RenewalCause::NearExpiry) => {
                // The service says when to ask again; where it does not, not at once.
                if asked.session.standing(now) == Standing::Due {
                    asked.session.postpone_renewal(now);
                }
            }
            // Of the session this says nothing, but the token has ended.
            (Renewed::Over(InactiveReason::InvalidToken), RenewalCause::Rejected) => {
                self.decisions.borrow_mut().forget(&asked.token);
            }
            (Renewed::Over(_), RenewalCause::Rejected) => asked.session.end(),
            (Renewed::NoAnswer, RenewalCause::Rejected) => {}
        }
        if flight.waiters.is_empty() {
            return;
        }
        // Who waits has seen the session rejected, which the renewal near its end did not know.
        if asked.cause == RenewalCause::NearExpiry && renewed != Renewed::Newer {
            self.ask_after_rejection(host, flight.waiters, asked, now);
            return;
        }
        for waiter in flight.waiters {
            self.after_renewal(host, waiter, renewed, &asked.token, now);
        }
    }

    fn ask_after_rejection<H: Host>(
        &self,
        host: &H,
        waiters: Vec<StreamId>,
        asked: Asked,
        now: Timestamp,
    ) {
        let asked = Asked { cause: RenewalCause::Rejected, ..asked };
        let token = Rc::clone(&asked.token);
        let nothing = HeaderMap::default();
        match self.begin_renewal(host, asked, waiters.clone(), &nothing, now) {
            Some(callout) => waiters.iter().for_each(|waiter| self.wait_on(*waiter, callout)),
            None => {
                for waiter in waiters {
                    self.after_renewal(host, waiter, Renewed::NoAnswer, &token, now);
                }
            }
        }
    }

    fn read_renewal<H: Host>(
        &self,
        host: &H,
        asked: &Asked,
        size: AnswerSize,
        now: Timestamp,
    ) -> Renewed {
        let answer = match token_service::read_introspection(host, size) {
            Err(_) => return Renewed::NoAnswer,
            Ok(Introspection::Inactive(reason)) => return Renewed::Over(reason),
            Ok(Introspection::Active(answer)) => answer,
        };
        if self.is_overtaken(&asked.token, &answer) {
            return Renewed::NoAnswer;
        }
        let upstream = answer.upstreams.iter().find(|one| one.session == asked.session.id());
        let Some(upstream) = upstream else { return Renewed::NoAnswer };
        if asked.session.update(upstream, now).is_err() {
            return Renewed::NoAnswer;
        }
        self.learn(&asked.token, &answer, now);
        if asked.session.credentials().generation() > asked.generation {
            Renewed::Newer
        } else if upstream.refresh_limit_exceeded {
            Renewed::Over(InactiveReason::RefreshLimitExceeded)
        } else {
            Renewed::Over(InactiveReason::SessionExpired)
        }
    }

    /// Keeps what the service has just said of a token that was forgotten meanwhile, since the feed began
    /// anew or others needed the room: who waits with it may then be sent again.
    fn learn(&self, token: &Rc<str>, answer: &ActiveToken, now: Timestamp) {
        let is_known = self.decisions.borrow_mut().get(token, now).is_some();
        if is_known || answer.expires_in == 0 || !self.policy.accepts_audience(&answer.aud) {
            return;
        }
        let grant = Grant::from_answer(token, answer, &mut self.sessions.borrow_mut(), now);
        if let Ok(grant) = grant {
            let seconds = self.seconds_to_keep(answer);
            let decision = Decision::Granted(Rc::new(grant));
            let evicted = self.decisions.borrow_mut().keep(token, decision, now, seconds);
            self.count_many(Counter::CacheEvicted, evicted);
        }
    }

    fn count_renewal(&self, cause: RenewalCause, renewed: Renewed) {
        self.count(match (cause, renewed) {
            (RenewalCause::NearExpiry, Renewed::Newer) => Counter::RenewalNearExpiryRenewed,
            (RenewalCause::NearExpiry, Renewed::Over(_)) => Counter::RenewalNearExpiryUnchanged,
            (RenewalCause::NearExpiry, Renewed::NoAnswer) => Counter::RenewalNearExpiryFailed,
            (RenewalCause::Rejected, Renewed::Newer) => Counter::RenewalRejectedRenewed,
            (RenewalCause::Rejected, Renewed::Over(_)) => Counter::RenewalRejectedUnchanged,
            (RenewalCause::Rejected, Renewed::NoAnswer) => Counter::RenewalRejectedFailed,
        });
    }
}

#[cfg(test)]
mod tests;
