//! The embedded engine: one redb file.
//!
//! Reads are snapshots and run where they are asked for: they touch a few pages, nearly always in
//! the cache. Writes go to one thread, which puts all that wait into one transaction, so that they
//! share one flush to the disk (group commit), and answers after the flush.

mod file;
mod paging;
mod tables;

use std::{
    fs::File,
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    pin::Pin,
    sync::Arc,
    thread,
};

use ::redb::{
    Builder, Database, DatabaseError, Durability, ReadableDatabase as _, TableDefinition,
};
use tokio::sync::{mpsc, oneshot};

use self::{
    file::{open_database, open_private, open_private_existing},
    tables::Tables,
};
use super::{
    Applied, Import, Key, MAXIMUM_KEYS, Named, Operation, Page, Pending, Store, StoreError, Stored,
    Submitted, Table, check_bounds, check_listing,
};

const ENGINE: &str = "redb";
/// `table/id` to (version, expires_at, value).
const RECORDS: TableDefinition<'_, &str, (u64, u64, &[u8])> = TableDefinition::new("records");
/// (expires_at, `table/id`), so that expired records are found without looking at the others.
const EXPIRIES: TableDefinition<'_, (u64, &str), ()> = TableDefinition::new("expiries");
/// How many writes go together.
#[derive(Clone, Copy)]
struct Pace {
    /// Writes that may wait; beyond it a writer waits for a place.
    queue: usize,
    /// Most writes that share one flush.
    group: usize,
    /// Whether each flush also keeps what a start needs after a crash. Without it such a start walks the
    /// whole file: 27 s with a million grants, in place of 30 ms. A flush takes twice as long.
    quick_repair: bool,
}

/// So that nobody waits long for those before.
const SERVING: Pace = Pace { queue: 1_024, group: 256, quick_repair: true };
/// So that many writes change each page once.
const FILLING: Pace = Pace { queue: 16_384, group: 8_192, quick_repair: false };

/// What the writer thread is asked to do.
enum Request {
    Apply {
        operations: Vec<Operation>,
        now: u64,
    },
    Purge {
        now: u64,
        limit: usize,
    },
    Import {
        records: Vec<Named>,
        step: Import,
    },
    /// Nothing: the answer says that the writer lives and can begin a transaction.
    Nothing,
    /// To panic.
    #[cfg(test)]
    Die,
}

/// What it did.
#[derive(Clone, Copy)]
enum Outcome {
    Applied(Applied),
    Purged(usize),
    /// `false`: the store was not empty.
    Imported(bool),
    Nothing,
}

struct Work {
    request: Request,
    reply: oneshot::Sender<Result<Outcome, StoreError>>,
}

/// Where the writer's answer arrives.
type Reply = oneshot::Receiver<Result<Outcome, StoreError>>;

/// A store in one file, for one instance of the service.
pub(crate) struct RedbStore {
    opening: u64,
    /// `None` only while dropping.
    database: Option<Arc<Database>>,
    /// `None` only while dropping.
    writer: Option<mpsc::Sender<Work>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl RedbStore {
    /// Opens the file at `path`, or makes it, readable by its owner alone: others lose their access.
    ///
    /// # Errors
    ///
    /// [`StoreError::Engine`] when the file cannot be opened, is no database, or is in use;
    /// [`StoreError::Damaged`] when the engine does not understand what it finds.
    pub(crate) fn open(path: &Path, cache_bytes: usize) -> Result<Self, StoreError> {
        Self::open_with(open_private(path), cache_bytes, SERVING)
    }

    /// The same where the file must be there already.
    pub(crate) fn open_existing(path: &Path, cache_bytes: usize) -> Result<Self, StoreError> {
        Self::open_with(open_private_existing(path), cache_bytes, SERVING)
    }

    /// The same for one who writes very much and waits for all of it. Each answer comes later.
    pub(crate) fn open_for_filling(path: &Path, cache_bytes: usize) -> Result<Self, StoreError> {
        Self::open_with(open_private(path), cache_bytes, FILLING)
    }

    fn open_with(
        file: io::Result<File>,
        cache_bytes: usize,
        pace: Pace,
    ) -> Result<Self, StoreError> {
        let file = file.map_err(engine)?;
        Self::over(pace, |builder| builder.set_cache_size(cache_bytes).create_file(file))
    }

    /// A store over what `create` makes.
    fn over(
        pace: Pace,
        create: impl FnOnce(&mut Builder) -> Result<Database, DatabaseError>,
    ) -> Result<Self, StoreError> {
        let database = Arc::new(unharmed(|| open_database(create))?);
        let opening = getrandom::u64().map_err(engine)?;
        let (writer, queue) = mpsc::channel(pace.queue);
        let thread = thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn({
                let database = Arc::clone(&database);
                move || write_until_closed(&database, queue, pace)
            })
            .map_err(engine)?;
        Ok(Self { opening, database: Some(database), writer: Some(writer), thread: Some(thread) })
    }

    fn database(&self) -> Result<&Database, StoreError> {
        self.database.as_deref().ok_or(StoreError::Closed)
    }

    /// Reads in one transaction, which is a snapshot.
    fn read(&self, keys: &[Key], now: u64) -> Result<Vec<Option<Stored>>, StoreError> {
        let transaction = self.database()?.begin_read().map_err(engine)?;
        let records = transaction.open_table(RECORDS).map_err(engine)?;
        let read = |key: &Key| {
            let found = records.get(key.to_string().as_str()).map_err(engine)?;
            Ok(found.and_then(|found| {
                let (version, expires_at, value) = found.value();
                (expires_at > now).then(|| Stored { value: value.to_vec(), version, expires_at })
            }))
        };
        keys.iter().map(read).collect()
    }

    /// Puts a request into the writer's queue.
    async fn queue(&self, request: Request) -> Result<Reply, StoreError> {
        let (reply, answer) = oneshot::channel();
        let writer = self.writer.as_ref().ok_or(StoreError::Closed)?;
        writer.send(Work { request, reply }).await.map_err(|_| StoreError::Closed)?;
        Ok(answer)
    }

    async fn write(&self, request: Request) -> Result<Outcome, StoreError> {
        self.queue(request).await?.await.map_err(|_| StoreError::Closed)?
    }

    /// Ends the writer as a fault in the engine would.
    #[cfg(test)]
    pub(crate) async fn kill_writer(&self) {
        assert!(self.write(Request::Die).await.is_err());
    }
}

impl Store for RedbStore {
    fn get<'a>(&'a self, key: &'a Key, now: u64) -> Pending<'a, Option<Stored>> {
        Box::pin(async move {
            let found = unharmed(|| self.read(std::slice::from_ref(key), now))?;
            Ok(found.into_iter().next().flatten())
        })
    }

    fn get_many<'a>(&'a self, keys: &'a [Key], now: u64) -> Pending<'a, Vec<Option<Stored>>> {
        Box::pin(async move {
            if keys.len() > MAXIMUM_KEYS {
                return Err(StoreError::Unacceptable);
            }
            unharmed(|| self.read(keys, now))
        })
    }

    fn submit(&self, operations: Vec<Operation>, now: u64) -> Pending<'_, Submitted> {
        Box::pin(async move {
            check_bounds(&operations)?;
            let reply = self.queue(Request::Apply { operations, now }).await?;
            let submitted: Submitted = Box::pin(async move {
                match reply.await.map_err(|_| StoreError::Closed)?? {
                    Outcome::Applied(applied) => Ok(applied),
                    _ => Err(StoreError::Closed),
                }
            });
            Ok(submitted)
        })
    }

    fn purge(&self, now: u64, limit: usize) -> Pending<'_, usize> {
        Box::pin(async move {
            match self.write(Request::Purge { now, limit }).await? {
                Outcome::Purged(count) => Ok(count),
                _ => Err(StoreError::Closed),
            }
        })
    }

    fn list<'a>(
        &'a self,
        table: Table,
        partition: &'a str,
        after: Option<&'a str>,
        limit: usize,
        now: u64,
    ) -> Pending<'a, Page> {
        Box::pin(async move {
            check_listing(partition, limit)?;
            unharmed(|| paging::list(self.database()?, table, partition, after, limit, now))
        })
    }

    fn export<'a>(&'a self, cursor: Option<&'a str>, limit: usize) -> Pending<'a, Page> {
        Box::pin(async move { unharmed(|| paging::export(self.database()?, cursor, limit)) })
    }

    fn import(&self, records: Vec<Named>, step: Import, _: u64) -> Pending<'_, ()> {
        Box::pin(async move {
            match self.write(Request::Import { records, step }).await? {
                Outcome::Imported(true) => Ok(()),
                Outcome::Imported(false) => Err(StoreError::NotEmpty),
                _ => Err(StoreError::Closed),
            }
        })
    }

    fn ready(&self) -> Pending<'_, ()> {
        Box::pin(async move {
            self.database()?.begin_read().map_err(engine)?;
            self.write(Request::Nothing).await.map(|_| ())
        })
    }

    /// The file is locked: a second process cannot open it.
    fn opening(&self) -> Option<u64> {
        Some(self.opening)
    }

    fn ended(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(async move {
            if let Some(writer) = &self.writer {
                writer.closed().await;
            }
        })
    }
}

impl Drop for RedbStore {
    /// Lets the writer finish what it has accepted, so that the file is closed when this returns.
    fn drop(&mut self) {
        self.writer = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the store's writer had died");
        }
        let database = self.database.take();
        if let Err(cause) = unharmed(|| {
            drop(database);
            Ok(())
        }) {
            tracing::error!(%cause, "the store cannot be closed");
        }
    }
}

/// The engine panics on some damage, at any time. What it had begun is dropped with it.
fn unharmed<T>(work: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or(Err(StoreError::Damaged { engine: ENGINE }))
}

/// Works until there is no sender any more, or until the engine fails. After a failed write, of a full
/// disk for instance, the engine refuses every further one until the file is opened anew: a writer
/// that went on would leave a service that looks alive and can revoke nothing. So it ends, and with it
/// the process ([`Store::ended`]).
fn write_until_closed(database: &Database, mut queue: mpsc::Receiver<Work>, pace: Pace) {
    while let Some(first) = queue.blocking_recv() {
        let mut group = vec![first];
        while group.len() < pace.group
            && let Ok(next) = queue.try_recv()
        {
            group.push(next);
        }
        let (requests, replies): (Vec<_>, Vec<_>) =
            group.into_iter().map(|work| (work.request, work.reply)).unzip();
        match unharmed(|| transact(database, requests, pace)) {
            Ok(outcomes) => {
                for (reply, outcome) in replies.into_iter().zip(outcomes) {
                    // A caller that has gone needs no answer.
                    reply.send(Ok(outcome)).ok();
                }
            }
            Err(cause) => {
                tracing::error!(%cause, "the store cannot be written and ends");
                for reply in replies {
                    reply.send(Err(cause.clone())).ok();
                }
                return;
            }
        }
    }
}

/// Does all requests in one transaction. On an error nothing of any of them happened.
fn transact(
    database: &Database,
    requests: Vec<Request>,
    pace: Pace,
) -> Result<Vec<Outcome>, StoreError> {
    let mut transaction = database.begin_write().map_err(engine)?;
    transaction.set_durability(Durability::Immediate).map_err(engine)?;
    transaction.set_quick_repair(pace.quick_repair);
    let (outcomes, changed) = {
        let mut tables = Tables {
            records: transaction.open_table(RECORDS).map_err(engine)?,
            expiries: transaction.open_table(EXPIRIES).map_err(engine)?,
            changed: false,
        };
        let outcomes: Result<Vec<_>, _> =
            requests.into_iter().map(|request| tables.run(request)).collect();
        (outcomes?, tables.changed)
    };
    if changed {
        transaction.commit().map_err(engine)?;
    } else {
        transaction.abort().map_err(engine)?;
    }
    Ok(outcomes)
}

fn engine(cause: impl std::fmt::Display) -> StoreError {
    StoreError::Engine { engine: ENGINE, reason: cause.to_string() }
}

#[cfg(test)]
mod tests;
