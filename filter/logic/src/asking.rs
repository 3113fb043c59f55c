//! Introspections and the feed's polls: the callouts of one worker, and what their answers change.

use std::rc::Rc;

use ib_contract::{ActiveToken, InactiveReason, Introspection, Revoked};

use crate::{
    AnswerSize, CalloutId, Counter, Gateway, HeaderMap, Histogram, Host, HostError, Note, StreamId,
    Timestamp,
    cache::Decision,
    feed::News,
    flight::{Flight, Purpose},
    grant::Grant,
    refusal::Refusal,
    stream::{Stream, Waiting},
    token_service::{self, NoAnswer},
};

/// How often an outdated answer is asked for again before the waiting streams get a 503.
const MOST_REPETITIONS: u8 = 3;

impl Gateway {
    /// Asks the token service about a token, in the name of the streams that wait.
    pub(crate) fn introspect<H: Host>(
        &self,
        host: &H,
        token: Rc<str>,
        asked_before: u8,
        waiters: Vec<StreamId>,
        headers: &HeaderMap,
    ) -> Result<CalloutId, HostError> {
        let full = HostError { call: "dispatch" };
        let asked = if self.may_call_out() {
            token_service::introspect(host, &self.policy, &token, headers)
        } else {
            Err(full)
        };
        let callout = asked.inspect_err(|_| self.count(Counter::IntrospectionUnsent))?;
        let purpose = Purpose::Introspection { token, asked_before };
        let flight = Flight::new(purpose, waiters, host.now());
        self.flights.borrow_mut().begin(callout, flight);
        Ok(callout)
    }

    /// An introspection has ended.
    pub(crate) fn on_introspection<H: Host>(
        &self,
        host: &H,
        flight: Flight,
        token: &Rc<str>,
        asked_before: u8,
        size: AnswerSize,
    ) {
        let now = host.now();
        host.observe(Histogram::IntrospectionMilliseconds, now.milliseconds_since(flight.began_at));
        let verdict = match self.judge(host, token, size, now) {
            Judged::Outdated if asked_before < MOST_REPETITIONS => {
                self.count(Counter::IntrospectionOutdated);
                self.ask_again(host, flight, token, asked_before.saturating_add(1));
                return;
            }
            Judged::Outdated => {
                self.count(Counter::IntrospectionOutdated);
                None
            }
            Judged::NoAnswer(NoAnswer::Failed) => {
                self.count(Counter::IntrospectionFailed);
                None
            }
            Judged::NoAnswer(NoAnswer::Malformed) => {
                self.count(Counter::IntrospectionMalformed);
                None
            }
            Judged::Decided(decision, seconds) => {
                self.count(match decision {
                    Decision::Granted(_) => Counter::IntrospectionActive,
                    Decision::Refused(_) => Counter::IntrospectionInactive,
                });
                let mut decisions = self.decisions.borrow_mut();
                let evicted = decisions.keep(token, decision.clone(), now, seconds);
                self.count_many(Counter::CacheEvicted, evicted);
                Some(decision)
            }
        };
        for waiter in flight.waiters {
            self.settle_waiter(host, waiter, token, verdict.as_ref());
        }
    }

    fn settle_waiter<H: Host>(
        &self,
        host: &H,
        waiter: StreamId,
        token: &str,
        decision: Option<&Decision>,
    ) {
        // Whoever has gone, or waits for something else by now, is left alone.
        let is_last = match self.take_stream(waiter) {
            Some(Stream::Waiting(waiting)) => waiting.is_last,
            Some(other) => {
                self.put_stream(waiter, other);
                return;
            }
            None => return,
        };
        if host.enter(waiter).is_err() {
            return;
        }
        // For the access log alone.
        let _unnoted = host.set_note(Note::Cache, b"miss").is_err();
        match decision {
            Some(decision) => self.settle(host, waiter, is_last, token, decision),
            None => {
                let _paused = self.refuse(host, &Refusal::Unavailable);
            }
        }
    }

    /// Asks again, for the same streams, since the answer was older than a revocation.
    fn ask_again<H: Host>(&self, host: &H, flight: Flight, token: &Rc<str>, asked_before: u8) {
        let waiters = flight.waiters.clone();
        let nothing = HeaderMap::default();
        let asked =
            self.introspect(host, Rc::clone(token), asked_before, waiters.clone(), &nothing);
        for waiter in waiters {
            let Ok(callout) = asked else {
                self.settle_waiter(host, waiter, token, None);
                continue;
            };
            match self.take_stream(waiter) {
                Some(Stream::Waiting(waiting)) => {
                    self.put_stream(waiter, Stream::Waiting(Waiting { callout, ..waiting }));
                }
                Some(other) => self.put_stream(waiter, other),
                None => {}
            }
        }
    }

    /// Reads an answer about a token, and says how long it may be kept.
    fn judge<H: Host>(&self, host: &H, token: &str, size: AnswerSize, now: Timestamp) -> Judged {
        let refused =
            |reason| Judged::Decided(Decision::Refused(reason), self.policy.cache.refused_seconds);
        match token_service::read_introspection(host, size) {
            Err(no_answer) => Judged::NoAnswer(no_answer),
            Ok(Introspection::Inactive(reason)) => refused(reason),
            Ok(Introspection::Active(answer)) => {
                if self.is_overtaken(token, &answer) {
                    return Judged::Outdated;
                }
                if answer.expires_in == 0 || !self.policy.accepts_audience(&answer.aud) {
                    return refused(InactiveReason::InvalidToken);
                }
                let mut sessions = self.sessions.borrow_mut();
                match Grant::from_answer(token, &answer, &mut sessions, now) {
                    Err(_) => Judged::NoAnswer(NoAnswer::Malformed),
                    Ok(grant) => {
                        let seconds = self.seconds_to_keep(&answer);
                        Judged::Decided(Decision::Granted(Rc::new(grant)), seconds)
                    }
                }
            }
        }
    }

    /// A session that is over is refused by its decision, and a refusal is kept no longer than refusals
    /// are: the session may have been renewed meanwhile.
    pub(crate) fn seconds_to_keep(&self, answer: &ActiveToken) -> u64 {
        let limits = &self.policy.cache;
        let sessions = answer.upstreams.iter().map(|upstream| match upstream.expires_in {
            0 => limits.refused_seconds,
            seconds => seconds,
        });
        sessions.fold(answer.expires_in.min(limits.maximum_seconds), u64::min)
    }

    /// Whether a revocation that is already known overtakes an answer.
    pub(crate) fn is_overtaken(&self, token: &str, answer: &ActiveToken) -> bool {
        self.feed.as_ref().is_some_and(|feed| feed.borrow().has_overtaken(token, answer))
    }

    /// Begins a poll of the revocation feed where one is due.
    pub(crate) fn poll_if_due<H: Host>(&self, host: &H) {
        let Some(feed) = &self.feed else { return };
        let now = host.now();
        let (query, wait) = {
            let feed = feed.borrow();
            if !feed.is_due(now) {
                return;
            }
            (feed.query(), feed.wait_seconds())
        };
        match token_service::poll(host, &self.policy, &query, wait) {
            Ok(callout) => {
                feed.borrow_mut().poll_began(now);
                let flight = Flight::new(Purpose::Feed, Vec::new(), now);
                self.flights.borrow_mut().begin(callout, flight);
            }
            Err(_) => {
                self.count(Counter::FeedFailed);
                feed.borrow_mut().poll_failed(now);
            }
        }
    }

    /// A poll of the revocation feed has ended. The next one begins at once.
    pub(crate) fn on_feed_answer<H: Host>(&self, host: &H, size: AnswerSize) {
        let Some(feed) = &self.feed else { return };
        let now = host.now();
        match token_service::read_revocations(host, size) {
            Err(_) => {
                self.count(Counter::FeedFailed);
                feed.borrow_mut().poll_failed(now);
            }
            Ok(answer) => {
                self.count(Counter::FeedAnswered);
                let news = feed.borrow_mut().take_in(answer, now);
                self.apply(news);
                self.poll_if_due(host);
            }
        }
    }

    fn apply(&self, news: News) {
        let mut decisions = self.decisions.borrow_mut();
        let events = match news {
            News::Reset => {
                self.count(Counter::FeedReset);
                decisions.clear();
                return;
            }
            News::Events(events) => events,
        };
        self.count_many(Counter::FeedEvents, u64::try_from(events.len()).unwrap_or(u64::MAX));
        for event in events {
            match event {
                Revoked::Session(id) => {
                    let session = self.sessions.borrow().get(&id);
                    session.iter().for_each(|session| session.end());
                }
                Revoked::TokenSha256(hash) => decisions.forget_named(&hash),
                Revoked::Subject(subject) => {
                    decisions.forget_where(|grant| grant.subject() == subject);
                }
                Revoked::Client(client) => {
                    decisions.forget_where(|grant| grant.client_id() == client);
                }
                Revoked::Unknown => decisions.clear(),
            }
        }
    }
}

/// What an answer about a token comes to.
enum Judged {
    /// A decision, and for how many seconds it may be kept.
    Decided(Decision, u64),
    /// The answer is older than a revocation that concerns it.
    Outdated,
    NoAnswer(NoAnswer),
}

#[cfg(test)]
mod tests;
