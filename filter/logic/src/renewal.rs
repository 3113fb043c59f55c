//! Renewals: one a session, in the background near its end, or because the upstream rejected it.

use std::rc::Rc;

use ib_contract::{InactiveReason, Introspection, RenewalCause, RenewalRequest};

use crate::{
    AnswerSize, CalloutId, Counter, Gateway, HeaderMap, Histogram, Host, StreamId, Timestamp,
    flight::{Flight, Purpose},
    head::Request,
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
        request: &Request<'_>,
        headers: &HeaderMap,
        now: Timestamp,
    ) {
        if self.flights.borrow().is_renewing(session) {
            return;
        }
        let asked = Asked {
            session: Rc::clone(session),
            token: request.token.into(),
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
            self.after_renewal(host, waiter, renewed, now);
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
        let nothing = HeaderMap::default();
        match self.begin_renewal(host, asked, waiters.clone(), &nothing, now) {
            Some(callout) => waiters.iter().for_each(|waiter| self.wait_on(*waiter, callout)),
            None => {
                for waiter in waiters {
                    self.after_renewal(host, waiter, Renewed::NoAnswer, now);
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
        if asked.session.credentials().generation() > asked.generation {
            Renewed::Newer
        } else if upstream.refresh_limit_exceeded {
            Renewed::Over(InactiveReason::RefreshLimitExceeded)
        } else {
            Renewed::Over(InactiveReason::SessionExpired)
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
