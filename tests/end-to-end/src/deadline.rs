//! Waiting with an end: the one place of the kit that reads the clock.

use std::io;
use std::thread;
use std::time::{Duration, Instant};

/// How long a test waits for something that ordinarily takes milliseconds.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A moment after which waiting is a failure.
#[derive(Debug, Clone, Copy)]
pub struct Deadline {
    start: Instant,
    length: Duration,
}

impl Deadline {
    /// A deadline that is `length` from now.
    #[must_use]
    pub fn after(length: Duration) -> Self {
        Self { start: now(), length }
    }

    /// What is left.
    ///
    /// # Errors
    ///
    /// `TimedOut` when nothing is left.
    pub fn remaining(&self) -> io::Result<Duration> {
        self.length
            .checked_sub(self.elapsed())
            .filter(|left| !left.is_zero())
            .ok_or_else(|| io::Error::new(io::ErrorKind::TimedOut, "the test's deadline passed"))
    }

    /// The time since the deadline was set.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        now().saturating_duration_since(self.start)
    }
}

/// Asks `attempt` again and again until it gives a value.
///
/// # Panics
///
/// When `within` has passed without a value; the text names `what`.
#[track_caller]
pub fn eventually<T>(what: &str, within: Duration, mut attempt: impl FnMut() -> Option<T>) -> T {
    let deadline = Deadline::after(within);
    loop {
        if let Some(value) = attempt() {
            return value;
        }
        assert!(deadline.remaining().is_ok(), "waited {within:?} in vain for {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

#[allow(clippy::disallowed_methods, reason = "the clock of the tests, read here and nowhere else")]
fn now() -> Instant {
    Instant::now()
}
