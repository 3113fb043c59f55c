//! The revocation feed: what has ended, in one order over all instances of the service.
//!
//! A head record holds the number of the last event. An event is written together with the change
//! that causes it and with the next number of the head, so that neither is ever there without the
//! other; who finds that the head has moved tries again.

use std::{sync::Arc, time::Duration};

use ib_contract::{LONGEST_WAIT_SECONDS, MOST_EVENTS, RevocationEvent, Revocations, Revoked};
use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex, Semaphore, watch};

use crate::{
    clock::Clock,
    error::Error,
    records::{Changes, Record, Records},
    settings::Settings,
    store::{Applied, Condition, Key, MAXIMUM_KEYS, Stored, Table},
};

/// How long an event is kept: the longest time that a gateway may keep an approval, and a margin.
const KEPT_SECONDS: u64 = 3_600 + 300;
/// How often an event is tried to be written while other instances write theirs.
const MOST_TRIES: usize = 100;
/// Most polls that wait at the same time. One more is refused.
pub(crate) const MOST_WAITING: usize = 1_024;
/// How often a waiting poll looks for events of other instances.
const RECHECK: Duration = Duration::from_millis(500);

/// An event as the store knows it.
#[derive(Debug, Serialize, Deserialize)]
struct StoredEvent(RevocationEvent);

impl Record for StoredEvent {
    const TABLE: Table = Table::Revocation;
}

/// The number of the last event, and the version that the next event must name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) number: u64,
    version: u64,
}

/// The name of the head record.
pub(crate) fn head_key() -> Key {
    Key::new(Table::RevocationHead, "head")
}

/// Writes events and lets gateways wait for them.
pub(crate) struct Feed {
    records: Arc<Records>,
    clock: Arc<dyn Clock>,
    settings: Arc<Settings>,
    /// The last number that this process has written: it wakes those that wait.
    written: watch::Sender<u64>,
    closed: watch::Sender<bool>,
    places: Semaphore,
    /// The events of this process are written one after another, so that they do not disturb each
    /// other. Those of other instances may.
    turn: Mutex<()>,
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
            turn: Mutex::new(()),
        }
    }

    /// The head as the store gave it for [`head_key`]. `None`: nobody has begun the feed yet.
    pub(crate) fn read_head(stored: Option<&Stored>) -> Result<Option<Head>, Error> {
        let Some(stored) = stored else { return Ok(None) };
        let number = <[u8; 8]>::try_from(stored.value.as_slice()).map_err(|_| {
            tracing::error!("the head of the revocation feed cannot be read");
            Error::Internal
        })?;
        Ok(Some(Head { number: u64::from_be_bytes(number), version: stored.version }))
    }

    /// Begins the feed of a new store, unless it has begun. Its first number is the time, so that
    /// numbers of a store that was there before are not taken for numbers of this one.
    pub(crate) async fn begin(&self, now: u64) -> Result<(), Error> {
        let number = self.clock.unix_milliseconds().to_be_bytes().to_vec();
        let change = self.records.changes().put_plain(head_key(), Condition::Absent, number);
        change.apply(now).await.map(|_| ())
    }

    async fn head(&self, now: u64) -> Result<Head, Error> {
        // The second round finds what the first has begun.
        for _ in 0..2 {
            let stored = self.records.store().get(&head_key(), now).await?;
            match Self::read_head(stored.as_ref())? {
                Some(head) => return Ok(head),
                None => self.begin(now).await?,
            }
        }
        Err(Error::Internal)
    }

    /// Makes `changes` at `now` (Unix seconds), and the event that `revoked` has ended, in one step.
    /// On a conflict in `changes` nothing of either happened.
    pub(crate) async fn publish(
        &self,
        revoked: Revoked,
        changes: Changes<'_>,
        now: u64,
    ) -> Result<Applied, Error> {
        let _turn = self.turn.lock().await;
        for _ in 0..MOST_TRIES {
            let head = self.head(now).await?;
            let number = head.number.saturating_add(1);
            let event = StoredEvent(RevocationEvent { number, revoked: revoked.clone() });
            let next = number.to_be_bytes().to_vec();
            let applied = changes
                .clone()
                .put_plain(head_key(), Condition::Version(head.version), next)
                .insert(&number.to_string(), &event, now.saturating_add(KEPT_SECONDS))
                .apply(now)
                .await?;
            if applied == Applied::Yes {
                self.records.metrics().revocation(&revoked);
                self.written.send_replace(number);
                return Ok(Applied::Yes);
            }
            if self.head(now).await? == head {
                return Ok(Applied::Conflict);
            }
        }
        tracing::error!("the revocation feed moves too fast for an event to be written");
        Err(Error::StoreUnavailable)
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

    /// What came after event `after`.
    async fn after(&self, after: u64) -> Result<Revocations, Error> {
        let now = self.clock.unix_seconds();
        let head = self.head(now).await?.number;
        if after > head {
            // A number of another store, or of this one before an older copy took its place.
            return Ok(self.answer(head, Vec::new(), true));
        }
        let last = head.min(after.saturating_add(MOST_EVENTS as u64));
        let numbers: Vec<_> =
            (after.saturating_add(1)..=last).map(|number| number.to_string()).collect();
        let mut events = Vec::with_capacity(numbers.len());
        for chunk in numbers.chunks(MAXIMUM_KEYS) {
            for found in self.records.get_all::<StoredEvent>(chunk, now).await? {
                // One that is missing has expired, or was never of this store.
                let Some(StoredEvent(event)) = found else {
                    return Ok(self.answer(head, Vec::new(), true));
                };
                events.push(event);
            }
        }
        Ok(self.answer(last, events, false))
    }

    fn answer(&self, as_of: u64, events: Vec<RevocationEvent>, reset: bool) -> Revocations {
        let tag_keys = self.settings.token_tags.texts().to_vec();
        Revocations { as_of, events, reset, tag_keys }
    }
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
