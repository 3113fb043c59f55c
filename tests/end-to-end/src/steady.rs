//! Clients that never stop asking, and notice everything that goes wrong: for changes behind a gateway of
//! which nobody in front may notice anything.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use crate::deadline::{PATIENCE, eventually};
use crate::deployment::Deployment;
use crate::http::Request;

/// Between two requests of one client: many requests, and some of the machine left for the rest.
const PAUSE: Duration = Duration::from_millis(3);
/// The most failures that are told in full.
const MOST_TOLD: usize = 10;

/// What the clients saw.
#[derive(Debug, Default)]
pub struct Seen {
    /// How often each status came.
    pub statuses: BTreeMap<u16, u64>,
    /// Requests without a whole answer, and answers that are no 200: the first of them, in words.
    pub failures: Vec<String>,
}

/// The load while it runs.
pub struct Load<'a> {
    answers: &'a AtomicU64,
}

impl Load<'_> {
    /// Waits until the clients have got so many more answers, good or bad.
    ///
    /// # Panics
    ///
    /// When they do not in time.
    #[track_caller]
    pub fn await_answers(&self, more: u64) {
        let goal = self.answers.load(Ordering::SeqCst) + more;
        eventually("answers to the clients", PATIENCE, || {
            (self.answers.load(Ordering::SeqCst) >= goal).then_some(())
        });
    }
}

/// Ends the load also when the test panics.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

impl Deployment {
    /// Runs `act` while `clients` send `request(n)` one after the other. Each keeps its connection until the
    /// server says that it ends it, as HTTP/1.1 has it, and sends nothing twice: what fails is seen.
    pub fn under_load<T>(
        &self,
        clients: u32,
        request: impl Fn(u64) -> Request + Sync,
        act: impl FnOnce(&Load<'_>) -> T,
    ) -> (Seen, T) {
        let (over, answers, numbers) =
            (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
        let seen = Mutex::new(Seen::default());
        let note = |status: Option<u16>, failure: Option<String>| {
            answers.fetch_add(1, Ordering::SeqCst);
            let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(status) = status {
                *seen.statuses.entry(status).or_default() += 1;
            }
            if let Some(failure) = failure.filter(|_| seen.failures.len() < MOST_TOLD) {
                seen.failures.push(failure);
            }
        };
        let client = || {
            let mut connection = None;
            while !over.load(Ordering::SeqCst) {
                let number = numbers.fetch_add(1, Ordering::SeqCst);
                let request = request(number);
                let open = connection.take().unwrap_or_else(|| self.connect());
                let mut open = open.within(PATIENCE);
                match open.exchange(&request, &self.host()) {
                    Ok(answer) => {
                        let failure =
                            (answer.status != 200).then(|| format!("request {number}: {answer:?}"));
                        note(Some(answer.status), failure);
                        if !answer.list("connection").iter().any(|item| item == "close") {
                            connection = Some(open);
                        }
                    }
                    Err(error) => note(None, Some(format!("request {number}: {error}"))),
                }
                thread::sleep(PAUSE);
            }
        };
        let acted = thread::scope(|scope| {
            let _end = End(&over);
            for _ in 0..clients {
                scope.spawn(client);
            }
            act(&Load { answers: &answers })
        });
        (seen.into_inner().unwrap_or_else(PoisonError::into_inner), acted)
    }
}
