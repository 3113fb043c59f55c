//! Callouts under way: one for each thing that is asked, however many streams wait for the answer.

use std::{collections::HashMap, rc::Rc};

use ib_contract::RenewalCause;

use crate::{CalloutId, StreamId, Timestamp, session::Session, stream::Place};

/// What a callout asks for.
#[derive(Clone)]
pub(crate) enum Purpose {
    /// What a token is worth. `asked_before`: how often the answer was outdated.
    Introspection { token: Rc<str>, asked_before: u8 },
    /// A newer session. `generation` is the one that is known.
    Renewal { session: Rc<Session>, token: Rc<str>, generation: u64, cause: RenewalCause },
    /// What has ended.
    Feed,
    /// The answer to a request that is sent again.
    Replay,
}

/// One callout under way.
pub(crate) struct Flight {
    pub(crate) purpose: Purpose,
    /// The streams that wait for it.
    pub(crate) waiters: Vec<StreamId>,
    pub(crate) began_at: Timestamp,
    /// A replay's place among those that are under way: it has it until its answer is there, also when
    /// the client has gone.
    pub(crate) sending: Option<Place>,
}

impl Flight {
    pub(crate) fn new(purpose: Purpose, waiters: Vec<StreamId>, began_at: Timestamp) -> Self {
        Self { purpose, waiters, began_at, sending: None }
    }
}

/// All callouts of one worker that are under way.
#[derive(Default)]
pub(crate) struct Flights {
    by_callout: HashMap<CalloutId, Flight>,
    introspections: HashMap<Rc<str>, CalloutId>,
    renewals: HashMap<Box<str>, CalloutId>,
}

impl Flights {
    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.by_callout.len()
    }

    /// How many introspections and renewals are among them.
    pub(crate) fn questions(&self) -> usize {
        self.introspections.len().saturating_add(self.renewals.len())
    }

    /// Notes that a callout is under way.
    pub(crate) fn begin(&mut self, callout: CalloutId, flight: Flight) {
        match &flight.purpose {
            Purpose::Introspection { token, .. } => {
                self.introspections.insert(Rc::clone(token), callout);
            }
            Purpose::Renewal { session, .. } => {
                self.renewals.insert(session.id().into(), callout);
            }
            Purpose::Feed | Purpose::Replay => {}
        }
        self.by_callout.insert(callout, flight);
    }

    /// Lets a stream wait for the introspection of a token that is under way, if one is.
    pub(crate) fn join_introspection(
        &mut self,
        token: &str,
        stream: StreamId,
    ) -> Option<CalloutId> {
        let callout = *self.introspections.get(token)?;
        self.by_callout.get_mut(&callout)?.waiters.push(stream);
        Some(callout)
    }

    /// Whether a renewal of a session is under way.
    pub(crate) fn is_renewing(&self, session: &Session) -> bool {
        self.renewals.contains_key(session.id())
    }

    /// Lets a stream wait for the renewal of a session that is under way, if one is.
    pub(crate) fn join_renewal(
        &mut self,
        session: &Session,
        stream: StreamId,
    ) -> Option<CalloutId> {
        let callout = *self.renewals.get(session.id())?;
        self.by_callout.get_mut(&callout)?.waiters.push(stream);
        Some(callout)
    }

    /// A stream has gone, and waits no more.
    pub(crate) fn leave(&mut self, callout: CalloutId, stream: StreamId) {
        if let Some(flight) = self.by_callout.get_mut(&callout) {
            flight.waiters.retain(|waiter| *waiter != stream);
        }
    }

    /// A callout has ended.
    pub(crate) fn end(&mut self, callout: CalloutId) -> Option<Flight> {
        let flight = self.by_callout.remove(&callout)?;
        match &flight.purpose {
            Purpose::Introspection { token, .. } => {
                self.introspections.remove(token);
            }
            Purpose::Renewal { session, .. } => {
                self.renewals.remove(session.id());
            }
            Purpose::Feed | Purpose::Replay => {}
        }
        Some(flight)
    }
}
