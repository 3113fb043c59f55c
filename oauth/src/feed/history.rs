//! The numbers of the feed and what the store holds under them.
//!
//! With each start of a process the numbers go on at the time, in milliseconds. A store that was put
//! back from an older copy so never gives a number a second time to another event, and a gateway that
//! knows one of the lost numbers is told to forget everything. An entry leads over the numbers that were
//! left out, so that an ordinary restart costs no gateway anything. The same is done when a server that
//! the store is on has lost numbers while the process ran, as a failover of Redis may.

use std::sync::atomic::Ordering;

use ib_contract::{MOST_EVENTS, RevocationEvent, Revocations};
use serde::{Deserialize, Serialize};

use super::{Feed, MOST_TRIES};
use crate::{
    error::Error,
    records::Record,
    store::{Applied, Condition, Key, MAXIMUM_KEYS, Stored, Table},
};

/// How long an event is kept: the longest time that a gateway may keep an approval, and a margin.
pub(super) const KEPT_SECONDS: u64 = 3_600 + 300;

/// What the store knows under a number. A version that does not know [`Entry::Start`] takes it for an
/// event of an unknown kind, at which gateways forget everything.
#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum Entry {
    /// Nothing ended from this number to that one.
    Start { number: u64, goes_on_after: u64 },
    /// Something ended.
    Event(RevocationEvent),
}

impl Record for Entry {
    const TABLE: Table = Table::Revocation;
}

/// The number of the last event, and the version that the next event must name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) number: u64,
    pub(super) version: u64,
}

impl Head {
    /// The head after one more event: a change makes a record's version one more.
    pub(super) fn next(self) -> Self {
        Self { number: self.number.saturating_add(1), version: self.version.saturating_add(1) }
    }
}

/// The name of the head record.
pub(crate) fn head_key() -> Key {
    Key::new(Table::RevocationHead, "head")
}

impl Feed {
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

    /// Goes on with the feed of a store that another process may have written, or that may be an older
    /// copy of one that gateways know.
    pub(crate) async fn resume(&self, now: u64) -> Result<(), Error> {
        for _ in 0..MOST_TRIES {
            let head = self.read_or_begin(now).await?;
            if self.leap(head, 0, now).await? == Applied::Yes {
                return Ok(());
            }
        }
        Err(Error::StoreUnavailable)
    }

    /// Leads from this head over to the time, and over every number up to `known`. Where an event stands
    /// behind the head already, the head alone goes on.
    async fn leap(&self, head: Head, known: u64, now: u64) -> Result<Applied, Error> {
        if self.lead_over(head, known, now).await? == Applied::Yes {
            return Ok(Applied::Yes);
        }
        self.pass_event_beyond(head, known, now).await
    }

    /// Whether the store holds an event behind `head`, which is the end of the feed. A backup that was
    /// taken beside a running service may: its head was read before the event was written.
    pub(super) async fn has_event_beyond(&self, head: Head, now: u64) -> Result<bool, Error> {
        let key = Key::new(Table::Revocation, head.next().number.to_string());
        Ok(self.records.store().get(&key, now).await?.is_some())
    }

    /// Moves the head alone beyond an event that stands behind it, if there is one and the head has not
    /// moved. The numbers in between are missing, at which every gateway forgets everything.
    pub(super) async fn pass_event_beyond(
        &self,
        head: Head,
        known: u64,
        now: u64,
    ) -> Result<Applied, Error> {
        if !self.has_event_beyond(head, now).await? {
            return Ok(Applied::Conflict);
        }
        let least = head.number.max(known).saturating_add(2);
        let beyond = self.clock.unix_milliseconds().max(least);
        let applied = self
            .records
            .changes()
            .put_plain(head_key(), Condition::Version(head.version), beyond.to_be_bytes().to_vec())
            .apply(now)
            .await?;
        if applied == Applied::Yes {
            tracing::warn!("the feed had an event beyond its end; gateways forget everything");
        }
        Ok(applied)
    }

    async fn lead_over(&self, head: Head, known: u64, now: u64) -> Result<Applied, Error> {
        let number = head.number.saturating_add(1);
        let beyond = self.clock.unix_milliseconds().max(known.saturating_add(1));
        let goes_on_after = beyond.max(number);
        let entry = Entry::Start { number, goes_on_after };
        self.records
            .changes()
            .put_plain(
                head_key(),
                Condition::Version(head.version),
                goes_on_after.to_be_bytes().to_vec(),
            )
            .insert(&number.to_string(), &entry, now.saturating_add(KEPT_SECONDS))
            .apply(now)
            .await
    }

    pub(super) async fn head(&self, now: u64) -> Result<Head, Error> {
        for _ in 0..MOST_TRIES {
            // Before the read, so that whatever it finds must not be lower.
            let known = self.highest.load(Ordering::SeqCst);
            let head = self.read_or_begin(now).await?;
            if head.number >= known {
                self.highest.fetch_max(head.number, Ordering::SeqCst);
                return Ok(head);
            }
            tracing::error!("the store has lost what it had taken; gateways forget everything");
            self.leap(head, known, now).await?;
        }
        Err(Error::StoreUnavailable)
    }

    async fn read_or_begin(&self, now: u64) -> Result<Head, Error> {
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

    /// What came after event `after`.
    pub(super) async fn after(&self, after: u64) -> Result<Revocations, Error> {
        let now = self.clock.unix_seconds();
        let head = self.head(now).await?.number;
        if after > head {
            // A number of another store, or of this one before an older copy took its place.
            return Ok(self.answer(head, Vec::new(), true));
        }
        let (mut position, mut events) = (after, Vec::new());
        while position < head && events.len() < MOST_EVENTS {
            let most = MAXIMUM_KEYS.min(MOST_EVENTS.saturating_sub(events.len())) as u64;
            let last = head.min(position.saturating_add(most));
            let numbers: Vec<_> =
                (position.saturating_add(1)..=last).map(|number| number.to_string()).collect();
            for found in self.records.get_all::<Entry>(&numbers, now).await? {
                match found {
                    // One that is missing has expired, or was never of this store.
                    None => return Ok(self.answer(head, Vec::new(), true)),
                    Some(Entry::Event(event)) => {
                        position = event.number;
                        events.push(event);
                    }
                    Some(Entry::Start { number, goes_on_after }) => {
                        position = goes_on_after.max(number);
                        break;
                    }
                }
            }
        }
        Ok(self.answer(position, events, false))
    }
}
