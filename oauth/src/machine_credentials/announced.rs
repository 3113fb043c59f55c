//! Sessions that were announced as ended just now: each rejected call tells of its session anew, and the
//! feed that all instances share is to hold each once.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// For how long an announcement counts, in seconds.
const COUNTS_SECONDS: u64 = 30;
/// How many are remembered. One credential has a session for each keys that it has had, so that this is
/// never reached but by mistake; what comes then waits until others are old.
const MOST: usize = 256;

/// When which session was announced, in this process.
#[derive(Default)]
pub(super) struct Announced(Mutex<HashMap<String, u64>>);

impl Announced {
    /// Whether `session` is to be announced at `now`, in seconds since the Unix epoch; from then on it counts
    /// as announced.
    pub(super) fn begin(&self, session: &str, now: u64) -> bool {
        let mut sessions = self.sessions();
        // One of a time to come was noted by a clock that has been set back.
        sessions.retain(|_, at| (*at..at.saturating_add(COUNTS_SECONDS)).contains(&now));
        if sessions.contains_key(session) || sessions.len() >= MOST {
            return false;
        }
        sessions.insert(session.to_owned(), now);
        true
    }

    /// The announcement of `session` has failed: the next call tries again.
    pub(super) fn forget(&self, session: &str) {
        self.sessions().remove(session);
    }

    fn sessions(&self) -> MutexGuard<'_, HashMap<String, u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::{Announced, MOST};

    #[test]
    fn a_session_is_announced_once_in_a_while_and_again_after_a_failure_or_a_clock_set_back() {
        let announced = Announced::default();
        assert!(announced.begin("a", 100));
        assert!(!announced.begin("a", 129));
        assert!(announced.begin("b", 129), "another one is another one");
        assert!(announced.begin("a", 130));
        announced.forget("a");
        assert!(announced.begin("a", 131));
        assert!(announced.begin("a", 50));
    }

    #[test]
    fn names_without_end_take_no_memory_without_end() {
        let announced = Announced::default();
        let begun = (0..2 * MOST).filter(|number| announced.begin(&number.to_string(), 100));
        assert_eq!(begun.count(), MOST);
        assert!(announced.begin("next", 130));
    }
}
