//! One worker's state: the policy, what is known about tokens, and how many streams wait.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
};

use crate::{
    ConfigurationError, Timestamp,
    cache::{Decision, DecisionCache},
    config,
    policy::Policy,
    token_service::Verdict,
};

/// What all streams of one worker share. Workers share nothing: each asks for itself.
pub struct Gateway {
    pub(crate) policy: Policy,
    // Borrowed within the methods below only, never across a call to the host.
    decisions: RefCell<DecisionCache>,
    waiting: Cell<u32>,
}

impl Gateway {
    /// Builds a gateway from the plugin's configuration, JSON.
    ///
    /// # Errors
    ///
    /// [`ConfigurationError`] names the field that is not acceptable, and why.
    pub fn from_configuration(json: &[u8]) -> Result<Self, ConfigurationError> {
        Ok(Self::new(config::read(json)?))
    }

    pub(crate) fn new(policy: Policy) -> Self {
        let decisions = RefCell::new(DecisionCache::new(policy.cache));
        Self { policy, decisions, waiting: Cell::new(0) }
    }

    pub(crate) fn look_up(&self, token: &str, now: Timestamp) -> Option<Decision> {
        self.decisions.borrow_mut().get(token, now)
    }

    pub(crate) fn keep(&self, token: &str, verdict: &Verdict, now: Timestamp) {
        let decision = verdict.decision.clone();
        self.decisions.borrow_mut().keep(token, decision, now, verdict.seconds);
    }

    /// Takes a place among the waiting streams, if there is one.
    pub(crate) fn wait(self: &Rc<Self>) -> Option<WaitingPlace> {
        let waiting = self.waiting.get();
        if waiting >= self.policy.token_service.maximum_waiting {
            return None;
        }
        self.waiting.set(waiting.saturating_add(1));
        Some(WaitingPlace { gateway: Rc::clone(self) })
    }
}

/// A place among the waiting streams, given back when it is dropped: a stream that goes away while
/// it waits takes no place.
pub(crate) struct WaitingPlace {
    gateway: Rc<Gateway>,
}

impl Drop for WaitingPlace {
    fn drop(&mut self) {
        self.gateway.waiting.set(self.gateway.waiting.get().saturating_sub(1));
    }
}
