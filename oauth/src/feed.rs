//! The revocation feed: what has ended, in one order over all instances of the service.
//!
//! A head record holds the number of the last event. An event is written together with the change
//! that causes it and with the next number of the head, so that neither is ever there without the
//! other; who finds that the head is another one than expected tries again.

use std::{
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use ib_contract::{LONGEST_WAIT_SECONDS, RevocationEvent, Revocations, Revoked};
use tokio::sync::{Mutex, Semaphore, watch};

use crate::{
    clock::Clock,
    error::Error,
    records::{Changes, Records},
    settings::Settings,
    store::{Applied, Condition, Submitted},
};

mod history;

pub(crate) use history::head_key;
use history::{Entry, Head, KEPT_SECONDS};

/// How often an event is tried to be written while other instances write theirs.
const MOST_TRIES: usize = 100;
/// Most polls that wait at the same time. One more is refused.
pub(crate) const MOST_WAITING: usize = 1_024;
/// How often a waiting poll looks for events of other instances.
const RECHECK: Duration = Duration::from_millis(500);

/// Writes events and lets gateways wait for them.
pub(crate) struct Feed {
    records: Arc<Records>,
    clock: Arc<dyn Clock>,
    settings: Arc<Settings>,
    /// A number that this process has written: it wakes those that wait.
    written: watch::Sender<u64>,
    closed: watch::Sender<bool>,
    places: Semaphore,
    /// The highest number that the store has shown.
    highest: AtomicU64,
    /// The head after all events of this process that the store has taken, if they are written. It is
    /// locked while one is handed over, so that the store takes them in the order of their numbers.
    expected: Mutex<Option<Head>>,
}

impl Feed {
    pub(crate) fn new(
        records: Arc<Records>,
        clock: Arc<dyn Clock>,
        settings: Arc<Settings>,
    ) -> Self {
        Self {
            records,
            clock,
            settings,
            written: watch::Sender::new(0),
            closed: watch::Sender::new(false),
            places: Semaphore::new(MOST_WAITING),
            highest: AtomicU64::new(0),
            expected: Mutex::new(None),
        }
    }

    /// Makes `changes` at `now` (Unix seconds), and the event that `revoked` has ended, in one step.
    /// On a conflict in `changes` nothing of either happened.
    pub(crate) async fn publish(
        &self,
        revoked: Revoked,
        changes: Changes<'_>,
        now: u64,
    ) -> Result<Applied, Error> {
        // Where nobody else moves the head, events follow each other into the store without waiting,
        // so that many that happen at once share a flush.
        if self.records.store().opening().is_some() {
            let mut expected = self.expected.lock().await;
            let submitted = self.submit(&mut expected, &revoked, changes.clone(), now).await?;
            drop(expected);
            if submitted.applied.await? == Applied::Yes {
                return Ok(self.announce(submitted.head, &revoked));
            }
            // `changes` conflict, or those of an event before, which left the head where it was. With
            // nobody in between it can be told.
        }
        let mut expected = self.expected.lock().await;
        *expected = None;
        for _ in 0..MOST_TRIES {
            let submitted = self.submit(&mut expected, &revoked, changes.clone(), now).await?;
            if submitted.applied.await? == Applied::Yes {
                return Ok(self.announce(submitted.head, &revoked));
            }
            let head = self.head(now).await?;
            *expected = Some(head);
            if head == submitted.head {
                if !self.has_event_beyond(head, now).await? {
                    return Ok(Applied::Conflict);
                }
                // An event is in the way, or another instance has just written one. To take that for a
                // conflict in `changes` would be to take what goes on for what has ended.
                *expected = None;
                self.pass_event_beyond(head, 0, now).await?;
            }
        }
        tracing::error!("the revocation feed moves too fast for an event to be written");
        Err(Error::StoreUnavailable)
    }

    /// Has the store write an event after the expected head, or after the one that it has now.
    async fn submit(
        &self,
        expected: &mut Option<Head>,
        revoked: &Revoked,
        changes: Changes<'_>,
        now: u64,
    ) -> Result<SubmittedEvent, Error> {
        let head = match *expected {
            Some(head) => head,
            None => self.head(now).await?,
        };
        let next = head.next();
        let event = Entry::Event(RevocationEvent { number: next.number, revoked: revoked.clone() });
        let applied = changes
            .put_plain(
                head_key(),
                Condition::Version(head.version),
                next.number.to_be_bytes().to_vec(),
            )
            .insert(&next.number.to_string(), &event, now.saturating_add(KEPT_SECONDS))
            .submit(now)
            .await?;
        *expected = Some(next);
        Ok(SubmittedEvent { head, applied })
    }

    /// Wakes those who wait for an event, which has been written after this head.
    fn announce(&self, head: Head, revoked: &Revoked) -> Applied {
        self.records.metrics().revocation(revoked);
        self.written.send_replace(head.next().number);
        Applied::Yes
    }

    /// Answers a poll: at once when there are events after `after`, else after `wait_seconds` at the
    /// latest. Without `after` the answer says where to begin.
    pub(crate) async fn poll(
        &self,
        after: Option<u64>,
        wait_seconds: u64,
    ) -> Result<Revocations, Error> {
        let Some(after) = after else {
            let head = self.head(self.clock.unix_seconds()).await?;
            return Ok(self.answer(head.number, Vec::new(), false));
        };
        let wait = Duration::from_secs(wait_seconds.min(LONGEST_WAIT_SECONDS));
        // Before the first look, so that nothing is written unheard between the two.
        let (mut written, mut closed) = (self.written.subscribe(), self.closed.subscribe());
        let answer = self.after(after).await?;
        if wait.is_zero() || answer.as_of != after || answer.reset || *closed.borrow_and_update() {
            return Ok(answer);
        }
        let _place = self.places.try_acquire().map_err(|_| Error::Busy)?;
        let _waiting = Waiting::begin(&self.records);
        let end = tokio::time::sleep(wait);
        tokio::pin!(end);
        loop {
            let is_last = tokio::select! {
                () = &mut end => true,
                _ = closed.changed() => true,
                _ = written.changed() => false,
                () = tokio::time::sleep(RECHECK) => false,
            };
            let answer = self.after(after).await?;
            if is_last || answer.as_of != after || answer.reset {
                return Ok(answer);
            }
        }
    }

    /// Ends all waiting, now and from now on: the service stops.
    pub(crate) fn close(&self) {
        self.closed.send_replace(true);
    }

    fn answer(&self, as_of: u64, events: Vec<RevocationEvent>, reset: bool) -> Revocations {
        let tag_keys = self.settings.token_tags.get().texts().to_vec();
        Revocations { as_of, events, reset, tag_keys }
    }
}

/// An event that the store has taken.
struct SubmittedEvent {
    /// The head that it needs to find.
    head: Head,
    applied: Submitted,
}

/// Counts a poll that waits, until it is dropped.
struct Waiting<'r>(&'r Records);

impl<'r> Waiting<'r> {
    fn begin(records: &'r Records) -> Self {
        records.metrics().feed_waiting(1.0);
        Self(records)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.metrics().feed_waiting(-1.0);
    }
}
