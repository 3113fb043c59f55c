//! The engine for several instances over one Redis server: each list of operations is one script, which
//! Redis runs as one step.
//!
//! A record has its expiry in itself, which decides, by the service's clock; Redis removes it some
//! minutes later by its own. How durable an answer is depends on the server (docs/stores.md).

mod connecting;
mod fitness;
mod names;
mod paging;
mod scripts;

use std::{
    fmt, future,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use ::redis::{ErrorKind, RedisError, RedisResult, ServerErrorKind, aio::ConnectionManager, cmd};
use tokio::sync::Semaphore;

use self::{
    connecting::Connecting,
    names::{Names, decode},
    scripts::Scripts,
};
use super::{
    Applied, Import, Key, MAXIMUM_KEYS, Named, Operation, Page, Pending, Store, StoreError, Stored,
    Submitted, Table, check_bounds, check_listing,
};
use crate::settings::RedisSettings;

const ENGINE: &str = "redis";
/// How long Redis keeps what readiness writes, in seconds.
const PROBE_SECONDS: u64 = 60;

/// A store on a Redis server.
pub(crate) struct RedisStore(Arc<Inner>);

struct Inner {
    names: Names,
    scripts: Scripts,
    connecting: Connecting,
    connection: Mutex<ConnectionManager>,
    timeout: Duration,
    places: Semaphore,
}

impl RedisStore {
    /// A store that connects when it is first used.
    ///
    /// # Errors
    ///
    /// [`StoreError::Engine`] when the certificates cannot be used.
    pub(crate) fn new(settings: &RedisSettings) -> Result<Self, StoreError> {
        let connecting = Connecting::new(settings).map_err(|cause| failed(&cause))?;
        let connection = connecting.manager().map_err(|cause| failed(&cause))?;
        Ok(Self(Arc::new(Inner {
            names: Names::new(&settings.prefix),
            scripts: Scripts::new(),
            connecting,
            connection: Mutex::new(connection),
            timeout: settings.bounds.command_timeout,
            places: Semaphore::new(settings.bounds.maximum_in_flight),
        })))
    }

    /// Refuses a server that cannot keep what a service promises.
    pub(crate) async fn check_server(&self) -> Result<(), StoreError> {
        fitness::check(&self.0).await
    }
}

impl Inner {
    /// Does something with the connection, within the time that the settings allow.
    async fn run<T, F>(&self, work: impl FnOnce(ConnectionManager) -> F) -> Result<T, StoreError>
    where
        F: Future<Output = RedisResult<T>>,
    {
        let done = async {
            let _place = self.places.acquire().await.map_err(|_| StoreError::Closed)?;
            let connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner).clone();
            work(connection).await.map_err(|cause| {
                if is_of_a_former_primary(&cause) {
                    self.connect_anew();
                }
                failed(&cause)
            })
        };
        let timed_out = Err(engine("no answer in time"));
        tokio::time::timeout(self.timeout, done).await.unwrap_or(timed_out)
    }

    /// Leaves a server that answers but is no longer the one to ask: by its name another may be found.
    fn connect_anew(&self) {
        if let Ok(manager) = self.connecting.manager() {
            *self.connection.lock().unwrap_or_else(PoisonError::into_inner) = manager;
        }
    }

    /// Reads records as they are at one moment.
    async fn read(&self, keys: &[Key], now: u64) -> Result<Vec<Option<Stored>>, StoreError> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let names: Vec<_> = keys.iter().map(|key| self.names.record(key)).collect();
        let texts: Vec<Option<Vec<u8>>> = self
            .run(|mut connection| async move {
                cmd("MGET").arg(names).query_async(&mut connection).await
            })
            .await?;
        let live = |text: Option<Vec<u8>>| {
            let stored = text.map(|text| decode(&text)).transpose()?;
            Ok(stored.filter(|stored| stored.expires_at > now))
        };
        texts.into_iter().map(live).collect()
    }

    async fn apply(&self, operations: &[Operation], now: u64) -> Result<Applied, StoreError> {
        if operations.is_empty() {
            return Ok(Applied::Yes);
        }
        let invocation = self.scripts.apply(&self.names, operations, now);
        let invocation = &invocation;
        let done: u8 = self
            .run(|mut connection| async move { invocation.invoke_async(&mut connection).await })
            .await?;
        Ok(if done == 1 { Applied::Yes } else { Applied::Conflict })
    }
}

impl Store for RedisStore {
    fn get<'a>(&'a self, key: &'a Key, now: u64) -> Pending<'a, Option<Stored>> {
        Box::pin(async move {
            let found = self.0.read(std::slice::from_ref(key), now).await?;
            Ok(found.into_iter().next().flatten())
        })
    }

    fn get_many<'a>(&'a self, keys: &'a [Key], now: u64) -> Pending<'a, Vec<Option<Stored>>> {
        Box::pin(async move {
            if keys.len() > MAXIMUM_KEYS {
                return Err(StoreError::Unacceptable);
            }
            self.0.read(keys, now).await
        })
    }

    fn submit(&self, operations: Vec<Operation>, now: u64) -> Pending<'_, Submitted> {
        Box::pin(async move {
            check_bounds(&operations)?;
            let inner = Arc::clone(&self.0);
            let done = tokio::spawn(async move { inner.apply(&operations, now).await });
            let submitted: Submitted =
                Box::pin(async move { done.await.unwrap_or(Err(StoreError::Closed)) });
            Ok(submitted)
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
            paging::list(&self.0, table, partition, after, limit, now).await
        })
    }

    fn export<'a>(&'a self, cursor: Option<&'a str>, limit: usize) -> Pending<'a, Page> {
        Box::pin(paging::export(&self.0, cursor, limit))
    }

    fn import(&self, records: Vec<Named>, step: Import, now: u64) -> Pending<'_, ()> {
        Box::pin(async move { paging::import(&self.0, &records, step, now).await })
    }

    fn purge(&self, _: u64, _: usize) -> Pending<'_, usize> {
        Box::pin(future::ready(Ok(0)))
    }

    fn ready(&self) -> Pending<'_, ()> {
        Box::pin(async move {
            let name = self.0.names.probe();
            let write = |mut connection: ConnectionManager| async move {
                let mut command = cmd("SET");
                command.arg(name).arg("ready").arg("EX").arg(PROBE_SECONDS).arg("GET");
                command.query_async::<Option<String>>(&mut connection).await
            };
            self.0.run(write).await.map(|_| ())
        })
    }

    fn opening(&self) -> Option<u64> {
        None
    }

    fn ended(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(future::pending())
    }
}

/// Whether a server says that another has taken its place, or should have.
fn is_of_a_former_primary(cause: &RedisError) -> bool {
    matches!(
        cause.kind(),
        ErrorKind::Server(ServerErrorKind::ReadOnly | ServerErrorKind::MasterDown)
    )
}

/// What has failed, without what was sent or received.
fn failed(cause: &RedisError) -> StoreError {
    if cause.code() == Some("DAMAGED") {
        return StoreError::Damaged { engine: ENGINE };
    }
    if cause.is_io_error() {
        return engine(cause);
    }
    engine(format_args!("{} {}", cause.category(), cause.code().unwrap_or_default()))
}

fn engine(reason: impl fmt::Display) -> StoreError {
    StoreError::Engine { engine: ENGINE, reason: reason.to_string() }
}

#[cfg(test)]
mod tests;
