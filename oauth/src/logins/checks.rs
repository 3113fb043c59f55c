//! How often IntelligenceBank is asked after one login: one question at a time, and not more often
//! than the settings allow. Who polls in between is told that the login is pending.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// Most logins that are remembered. Beyond it a poll is answered "pending" without a question.
const MOST: usize = 10_000;

/// The questions of one instance of the service. Another instance may ask at the same time: that
/// costs a question, and still only one code is minted.
pub(super) struct Checks {
    interval: Duration,
    logins: Mutex<HashMap<String, Check>>,
}

#[derive(Clone, Copy)]
struct Check {
    running: bool,
    /// By the clock that never goes back: the wall clock could, and nobody would be asked for long.
    begun: Duration,
}

/// Ends the question when it is dropped, also when whoever polled has gone away.
pub(super) struct Running<'c> {
    checks: &'c Checks,
    login: String,
}

impl Checks {
    pub(super) fn new(interval: Duration) -> Self {
        Self { interval, logins: Mutex::default() }
    }

    /// `None`: not now. `now` is the clock's monotonic reading.
    pub(super) fn begin(&self, login: String, now: Duration) -> Option<Running<'_>> {
        let mut logins = self.logins.lock().unwrap_or_else(PoisonError::into_inner);
        let recent = |check: &Check| now < check.begun.saturating_add(self.interval);
        if logins.get(&login).is_some_and(|check| check.running || recent(check)) {
            return None;
        }
        if logins.len() >= MOST {
            logins.retain(|_, check| check.running || recent(check));
        }
        if logins.len() >= MOST {
            return None;
        }
        logins.insert(login.clone(), Check { running: true, begun: now });
        Some(Running { checks: self, login })
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let mut logins = self.checks.logins.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(check) = logins.get_mut(&self.login) {
            check.running = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Checks, MOST};

    fn checks() -> Checks {
        Checks::new(Duration::from_millis(500))
    }

    fn at(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    #[test]
    fn one_login_is_asked_after_once_at_a_time_and_not_too_often() {
        let checks = checks();
        let running = checks.begin("a".to_owned(), at(1_000)).unwrap();
        assert!(checks.begin("a".to_owned(), at(9_000)).is_none(), "still running");
        assert!(checks.begin("b".to_owned(), at(1_000)).is_some(), "another login");
        drop(running);
        assert!(checks.begin("a".to_owned(), at(1_499)).is_none(), "too soon");
        assert!(checks.begin("a".to_owned(), at(1_500)).is_some());
    }

    #[test]
    fn what_is_remembered_is_bounded_and_frees_itself() {
        let checks = checks();
        for n in 0..MOST {
            assert!(checks.begin(n.to_string(), at(1_000)).is_some());
        }
        assert!(checks.begin("more".to_owned(), at(1_100)).is_none());
        assert!(checks.begin("more".to_owned(), at(2_000)).is_some());
        assert_eq!(checks.logins.lock().unwrap().len(), 1);
    }
}
