//! The state that the simulated hosts and the control API share.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::accounts::Accounts;
use crate::clock::Clock;
use crate::rate_limit::RateLimit;
use crate::rei_cca::tokens::Tokens;
use crate::request_log::RequestLog;
use crate::settings::Settings;

/// Everything the simulator knows. No lock is held while another is taken, nor across an await.
pub(crate) struct Shared {
    pub(crate) clock: Clock,
    accounts: Mutex<Accounts>,
    rate_limit: Mutex<RateLimit>,
    requests: Mutex<RequestLog>,
    settings: Mutex<Settings>,
    tokens: Mutex<Tokens>,
}

impl Shared {
    /// A simulator to which nothing has happened yet.
    pub(crate) fn new(clock: Clock) -> Self {
        Self {
            clock,
            accounts: Mutex::new(Accounts::new()),
            rate_limit: Mutex::default(),
            requests: Mutex::default(),
            settings: Mutex::default(),
            tokens: Mutex::new(Tokens::new()),
        }
    }

    pub(crate) fn accounts(&self) -> MutexGuard<'_, Accounts> {
        lock(&self.accounts)
    }

    pub(crate) fn rate_limit(&self) -> MutexGuard<'_, RateLimit> {
        lock(&self.rate_limit)
    }

    pub(crate) fn requests(&self) -> MutexGuard<'_, RequestLog> {
        lock(&self.requests)
    }

    pub(crate) fn settings(&self) -> MutexGuard<'_, Settings> {
        lock(&self.settings)
    }

    /// Those of REI API CCA.
    pub(crate) fn tokens(&self) -> MutexGuard<'_, Tokens> {
        lock(&self.tokens)
    }
}

/// A panic elsewhere leaves nothing half-done that would matter here.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
