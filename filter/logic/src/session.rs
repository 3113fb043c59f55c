//! One session at an upstream, as one worker knows it: its newest credentials, and its times.
//!
//! Several tokens may share a session. A lower generation never replaces a higher one, whichever
//! answer comes first.

use std::{
    cell::RefCell,
    collections::HashMap,
    rc::{Rc, Weak},
};

use ib_contract::{InactiveReason, Upstream};

use crate::{
    Timestamp,
    credentials::{Credentials, MalformedGrant},
    refusal::Refusal,
};

/// How long a renewal that had no answer is left alone, in milliseconds.
const RENEWAL_RETRY_MILLISECONDS: u64 = 5_000;

/// One session.
pub(crate) struct Session {
    id: Box<str>,
    state: RefCell<State>,
}

struct State {
    credentials: Rc<Credentials>,
    ends_at: Timestamp,
    refresh_at: Timestamp,
    refresh_limit_exceeded: bool,
    is_ended: bool,
}

/// Whether a session may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It may.
    Good,
    /// It may, and a renewal is due.
    Due,
    /// Its time has run out.
    Over(InactiveReason),
    /// Somebody has ended it before its time. Who wants to know why asks the service.
    Ended,
}

impl Session {
    fn new(upstream: &Upstream, now: Timestamp) -> Result<Self, MalformedGrant> {
        let credentials = Rc::new(Credentials::from_answer(upstream, None)?);
        Ok(Self {
            id: upstream.session.as_str().into(),
            state: RefCell::new(State {
                credentials,
                ends_at: now.plus_seconds(upstream.expires_in),
                refresh_at: now.plus_seconds(upstream.refresh_in),
                refresh_limit_exceeded: upstream.refresh_limit_exceeded,
                is_ended: false,
            }),
        })
    }

    /// The session's id, which is no secret.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// The newest credentials.
    pub(crate) fn credentials(&self) -> Rc<Credentials> {
        Rc::clone(&self.state.borrow().credentials)
    }

    /// The generation of the newest credentials.
    pub(crate) fn generation(&self) -> u64 {
        self.state.borrow().credentials.generation()
    }

    /// Whether the session may be used for a host in lower case.
    pub(crate) fn covers(&self, host: &[u8]) -> bool {
        self.state.borrow().credentials.covers(host)
    }

    /// Whether its credential is the operator's: nobody can log in again to that one.
    pub(crate) fn is_operators(&self) -> bool {
        self.state.borrow().credentials.sets(b"authorization")
    }

    /// What a client is told when the session has ended: to log in again, or later where nobody can.
    pub(crate) fn expired(&self) -> Refusal {
        if self.is_operators() { Refusal::Unavailable } else { Refusal::SessionExpired }
    }

    /// Whether the session may be used now.
    pub(crate) fn standing(&self, now: Timestamp) -> Standing {
        let state = self.state.borrow();
        if state.is_ended {
            Standing::Ended
        } else if now >= state.ends_at {
            Standing::Over(if state.refresh_limit_exceeded {
                InactiveReason::RefreshLimitExceeded
            } else {
                InactiveReason::SessionExpired
            })
        } else if now >= state.refresh_at {
            Standing::Due
        } else {
            Standing::Good
        }
    }

    /// Takes what an answer says of this session. `true`: the credentials are newer than before.
    pub(crate) fn update(
        &self,
        upstream: &Upstream,
        now: Timestamp,
    ) -> Result<bool, MalformedGrant> {
        let mut state = self.state.borrow_mut();
        let known = state.credentials.generation();
        if upstream.generation < known {
            return Ok(false);
        }
        let is_newer = upstream.generation > known;
        if is_newer {
            let credentials = Credentials::from_answer(upstream, Some(&state.credentials))?;
            state.credentials = Rc::new(credentials);
        } else {
            Credentials::check(upstream)?;
        }
        state.ends_at = now.plus_seconds(upstream.expires_in);
        state.refresh_at = now.plus_seconds(upstream.refresh_in);
        state.refresh_limit_exceeded = upstream.refresh_limit_exceeded;
        state.is_ended = false;
        Ok(is_newer)
    }

    /// Ends the session: what is cached about it is not used again.
    pub(crate) fn end(&self) {
        self.state.borrow_mut().is_ended = true;
    }

    /// Leaves renewals alone for a while, after one that had no answer.
    pub(crate) fn postpone_renewal(&self, now: Timestamp) {
        self.state.borrow_mut().refresh_at = now.plus_milliseconds(RENEWAL_RETRY_MILLISECONDS);
    }

    /// An estimate of the memory that the session takes, in bytes.
    pub(crate) fn size(&self) -> usize {
        let state = self.state.borrow();
        state.credentials.size().saturating_add(self.id.len()).saturating_add(256)
    }
}

/// The sessions of one worker. They live as long as something uses them.
#[derive(Default)]
pub(crate) struct SessionTable {
    sessions: HashMap<Box<str>, Weak<Session>>,
}

impl SessionTable {
    /// The session that an answer names, brought up to date.
    pub(crate) fn take_in(
        &mut self,
        upstream: &Upstream,
        now: Timestamp,
    ) -> Result<Rc<Session>, MalformedGrant> {
        if let Some(known) = self.get(&upstream.session) {
            known.update(upstream, now)?;
            return Ok(known);
        }
        let session = Rc::new(Session::new(upstream, now)?);
        self.sessions.insert(session.id.clone(), Rc::downgrade(&session));
        Ok(session)
    }

    /// The session of this id, if anything uses it.
    pub(crate) fn get(&self, id: &str) -> Option<Rc<Session>> {
        self.sessions.get(id).and_then(Weak::upgrade)
    }

    /// Drops the names of sessions that nothing uses any more.
    pub(crate) fn sweep(&mut self) {
        self.sessions.retain(|_, session| session.strong_count() > 0);
        self.sessions.shrink_to(self.sessions.len().saturating_mul(2));
    }

    /// How many names there are.
    pub(crate) fn len(&self) -> usize {
        self.sessions.len()
    }
}

#[cfg(test)]
mod tests;
